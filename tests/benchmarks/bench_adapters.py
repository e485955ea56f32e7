"""Published encoders at their published size, with random weights: what one pass for several organs saves.

Run: ``python -m tests.benchmarks.bench_adapters``. Ways are interleaved in one process; figures are medians of rounds.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

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


def fvlm() -> None:
    """Four organs of a chest: sharing windows against the released code's run once an organ."""
    from napari_ctvlp.encoder.published.checkpoint import write_state
    from napari_ctvlp.encoder.published.fvlm import FvlmEncoder
    from tests.encoder.published.conftest import chest_phantom
    from tests.encoder.published.states import fvlm_state, write_vocabulary

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_state(folder / "model.safetensors", fvlm_state(small=False))
        write_vocabulary(folder)
        encoder = FvlmEncoder.from_folder(folder, device="cpu")
    chest, passes = chest_phantom(), {}

    def run(shared: bool) -> np.ndarray:
        vectors = encoder.encode_scan(*chest, shared=shared).vectors
        passes[shared] = encoder.passes
        return vectors

    found = timed({"shared": lambda: run(True), "an organ": lambda: run(False)})
    print(
        f"| fVLM, lung, heart, esophagus and aorta | {found['shared']:.1f} s, {passes[True]} pass(es) | "
        f"{found['an organ']:.1f} s, {passes[False]} passes | {found['an organ'] / found['shared']:.1f} |"
    )


def merlin() -> None:
    """Eight organs: in batches against one by one, at half the side of the published volume for the time it takes."""
    from napari_ctvlp.encoder.published.merlin import SEEN, MerlinEncoder
    from tests.encoder.published.conftest import chest_phantom
    from tests.encoder.published.states import merlin_state, write_bytes_vocabulary

    with tempfile.TemporaryDirectory() as name:
        write_bytes_vocabulary(Path(name))
        encoder = MerlinEncoder(merlin_state(small=False), Path(name))
    encoder.shape = (112, 112, 80)
    scan, masks = chest_phantom()
    masks = replace(masks, names=dict(zip(list(masks.names)[:8], SEEN, strict=False)), statistics={})

    def run(batch: int) -> None:
        encoder.batch = batch
        encoder.encode_scan(scan, masks)

    own = encoder.batch
    found = timed({"batches": lambda: run(own), "single": lambda: run(1)})
    print(
        f"| Merlin, 8 organs by masked crops | {found['batches']:.1f} s, batches of {own} | {found['single']:.1f} s | "
        f"{found['single'] / found['batches']:.1f} |"
    )


def main() -> None:
    """Print the table."""
    print("| encoder and organs | here | one run an organ | ratio |\n|---|---|---|---|")
    fvlm()
    merlin()


if __name__ == "__main__":
    main()
