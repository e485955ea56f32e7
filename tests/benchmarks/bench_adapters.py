"""Published encoders at their published size, with random weights: what one pass for several organs saves, and memory.

Run: ``python -m tests.benchmarks.bench_adapters [organs | memory]``; both by default. Ways to encode several organs are
interleaved in one process, and figures are medians of rounds. Memory is the peak of a fresh process an encoder that
embeds a chest of boxes (four organs; Merlin as many as it takes at a time) and one question.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_ctvlp.encoder.published.colipri import ColipriEncoder
    from napari_ctvlp.encoder.published.fvlm import FvlmEncoder
    from napari_ctvlp.encoder.published.merlin import MerlinEncoder

ROUNDS = 3


def timed(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each way; the first round warms up and is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def load_fvlm(folder: Path) -> FvlmEncoder:
    """Random weights of the published shapes, loaded from a folder as a user's are."""
    from napari_ctvlp.encoder.published.checkpoint import write_state
    from napari_ctvlp.encoder.published.fvlm import FvlmEncoder
    from tests.encoder.published.states import fvlm_state, write_vocabulary

    if not (folder / "model.safetensors").exists():
        write_state(folder / "model.safetensors", fvlm_state(small=False))
        write_vocabulary(folder)
    return FvlmEncoder.from_folder(folder, device="cpu")


def load_colipri(folder: Path) -> ColipriEncoder:
    """As `load_fvlm`."""
    from napari_ctvlp.encoder.published.checkpoint import write_state
    from napari_ctvlp.encoder.published.colipri import ColipriEncoder
    from tests.encoder.published.states import colipri_state, write_vocabulary

    if not (folder / "model.safetensors").exists():
        write_state(folder / "model.safetensors", colipri_state(small=False))
        write_vocabulary(folder)
    return ColipriEncoder.from_folder(folder, device="cpu")


def load_merlin(folder: Path) -> MerlinEncoder:
    """As `load_fvlm`."""
    from napari_ctvlp.encoder.published.checkpoint import write_state
    from napari_ctvlp.encoder.published.merlin import MerlinEncoder
    from tests.encoder.published.states import merlin_state, write_bytes_vocabulary

    if not (folder / "model.safetensors").exists():
        write_state(folder / "model.safetensors", merlin_state(small=False))
        write_bytes_vocabulary(folder)
    return MerlinEncoder.from_folder(folder, device="cpu")


def fvlm(folder: Path) -> None:
    """Four organs of a chest: sharing windows against the released code's run once an organ."""
    from tests.encoder.published.conftest import chest_phantom

    encoder = load_fvlm(folder)
    chest, passes = chest_phantom(), {}

    def run(shared: bool) -> np.ndarray:
        vectors = encoder.encode_scan(*chest, shared=shared).vectors
        passes[shared] = encoder.passes
        return vectors

    found = timed({"shared": lambda: run(True), "an organ": lambda: run(False)})
    print(
        f"| fVLM, lung, heart, esophagus and aorta | {found['shared']:.1f} s, {passes[True]} pass(es) | "
        f"{found['an organ']:.1f} s, {passes[False]} passes | {found['an organ'] / found['shared']:.1f} |",
        flush=True,
    )


def merlin(folder: Path) -> None:
    """Eight organs: in batches against one by one, at half the side of the published volume for the time it takes."""
    from napari_ctvlp.encoder.published.merlin import SEEN
    from tests.encoder.published.conftest import chest_phantom

    encoder = load_merlin(folder)
    encoder.shape = (112, 112, 80)
    scan, masks = chest_phantom()
    masks = replace(masks, names=dict(zip(list(masks.names)[:8], SEEN, strict=False)), statistics={})

    def run(batch: int) -> None:
        encoder.batch = batch
        encoder.encode_scan(scan, masks)

    own = encoder.batch
    found = timed({"batches": lambda: run(own), "single": lambda: run(1)})
    print(
        f"| Merlin, {len(masks.names)} organs by masked crops | {found['batches']:.1f} s, batches of {own} | "
        f"{found['single']:.1f} s | {found['single'] / found['batches']:.1f} |",
        flush=True,
    )


LOADERS = {"fvlm": load_fvlm, "colipri": load_colipri, "merlin": load_merlin}


def once(name: str, folder: Path) -> dict[str, float]:
    """Load an encoder, embed a scan and a question in this process: seconds of the scan, and peak memory in GB."""
    from napari_ctvlp.encoder.published.merlin import SEEN, MerlinEncoder
    from tests.encoder.published.conftest import chest_phantom

    encoder = LOADERS[name](folder)
    scan, masks = chest_phantom()
    if isinstance(encoder, MerlinEncoder):
        taken = list(masks.names)[: encoder.batch]
        masks = replace(masks, names=dict(zip(taken, SEEN, strict=False)), statistics={})
    began = time.perf_counter()
    encoder.encode_scan(scan, masks)
    seconds = time.perf_counter() - began
    encoder.text_vectors(["There is a stone in the left kidney."])
    return {"seconds": seconds, "gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


def organs(folders: dict[str, Path]) -> None:
    """Print what one pass for several organs saves."""
    print("| encoder and organs | here | one run an organ | ratio |\n|---|---|---|---|", flush=True)
    fvlm(folders["fvlm"])
    merlin(folders["merlin"])


def memory(folders: dict[str, Path]) -> None:
    """Print each encoder's peak memory."""
    print("| encoder | a scan | peak memory |\n|---|---|---|", flush=True)
    for name, folder in folders.items():
        LOADERS[name](folder)  # the weights are written here, so that their making is not measured
        call = [sys.executable, "-m", __spec__.name, "once", name, str(folder)]
        done = subprocess.run(call, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(f"| {name} | {found['seconds']:.0f} s | {found['gb']:.1f} GB |", flush=True)


def main(parts: list[str]) -> None:
    """Print the tables that are asked for."""
    with tempfile.TemporaryDirectory() as name:
        folders = {one: Path(name) / one for one in LOADERS}
        for folder in folders.values():
            folder.mkdir()
        for part in parts or ["organs", "memory"]:
            {"organs": organs, "memory": memory}[part](folders)


if __name__ == "__main__":
    if sys.argv[1:2] == ["once"]:
        print(json.dumps(once(sys.argv[2], Path(sys.argv[3]))))
    else:
        main(sys.argv[1:])
