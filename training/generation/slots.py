"""What a writer is given of a scan: one vector an organ, each in a place of its own, and one of the whole scan."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from napari_ctvlp.anatomy.schemes import V2_NAMES
from napari_ctvlp.encoder.native_files import NativeParts
from napari_ctvlp.encoder.preprocess import NetworkInput
from training.data.records import ScanSource
from training.engine.checkpoint import write_state
from training.engine.network import Network
from training.engine.validate import scan_input
from training.objectives.base import Needs

SLOTS = 1 + len(V2_NAMES)
"""The whole scan, then the organs by their TotalSegmentator v2 labels."""
TOGETHER = 64
"""Scans in a file that is kept."""


@dataclass(frozen=True, eq=False)
class Slots:
    """What an encoder sees of some scans.

    Attributes
    ----------
    vectors : (n, SLOTS, d) float16
        Unit vectors; zeros where an organ is not in the scan.
    there : (n, SLOTS) bool
        Which organs are; the whole scan always is.
    """

    vectors: Tensor
    there: Tensor


def network_of(parts: NativeParts, device: str) -> Network:
    """An encoder's network, to see organs and whole scans with; both go through the head that is exported."""
    return Network(parts.model.to(device), Needs(organs=True, whole=True)).eval()


@torch.no_grad()
def seen(network: Network, given: NetworkInput) -> tuple[Tensor, Tensor]:
    """(SLOTS, d) float16 vectors and (SLOTS,) bool of one scan, on the CPU.

    Parameters
    ----------
    network : Network
        Of `network_of`.
    given : NetworkInput
        The scan with organ labels by TotalSegmentator v2; others are passed over.
    """
    device = network.model.log_scale.device
    image, labels = given.image.to(device), given.labels.to(device)
    indices = network.indices(image, labels)
    encoded = network(image, indices, half=True)
    assert indices.organs is not None
    label = indices.organs.label.cpu()
    known = label < SLOTS
    vectors = torch.zeros(SLOTS, encoded.whole.shape[1], dtype=torch.float16)
    there = torch.zeros(SLOTS, dtype=torch.bool)
    vectors[0], there[0] = encoded.whole[0].half().cpu(), True
    vectors[label[known]] = encoded.organs.half().cpu()[known]
    there[label[known]] = True
    return vectors, there


def slots_of(network: Network, store: ScanSource, keep: Path, workers: int = 0) -> Slots:
    """What an encoder sees of all scans of a store, computed once.

    Parameters
    ----------
    network : Network
        Of `network_of`.
    store : ScanSource
        Scans that are there.
    keep : Path
        Folder in which some scans at a time are kept: a run that was killed goes on from there. It is for one encoder
        and one store.
    workers : int
        Processes that share the work; 0: this one alone.
    """
    keep.mkdir(parents=True, exist_ok=True)
    parts = [range(start, min(start + TOGETHER, store.count)) for start in range(0, store.count, TOGETHER)]
    paths = [keep / f"{some[0]}-{some[-1]}.pt" for some in parts]
    missing = [(some, path) for some, path in zip(parts, paths, strict=True) if _read(path) is None]
    with tqdm(total=store.count, initial=store.count - sum(len(some) for some, _ in missing), desc="slots") as bar:
        for some, path, made in _made(network, store, missing, workers):
            write_state(path, made)
            bar.update(len(some))
    read = [state for path in paths if (state := _read(path)) is not None]
    return Slots(torch.cat([s["vectors"] for s in read]), torch.cat([s["there"] for s in read]))


Part = tuple[Sequence[int], Path]


def _made(
    network: Network, store: ScanSource, parts: Sequence[Part], workers: int
) -> Iterator[tuple[Sequence[int], Path, dict[str, Tensor]]]:
    if workers < 2 or len(parts) < 2:
        for some, path in parts:
            yield some, path, _stacked(network, store, some)
        return
    given = (copy.deepcopy(network).cpu(), str(network.model.log_scale.device), store)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_open, initargs=given) as pool:
        for (some, path), made in zip(parts, pool.map(_in_process, [some for some, _ in parts]), strict=True):
            yield some, path, {name: torch.from_numpy(rows) for name, rows in made.items()}


def _stacked(network: Network, store: ScanSource, numbers: Sequence[int]) -> dict[str, Tensor]:
    rows = [seen(network, scan_input(network.model.vision, store, store.load(number))) for number in numbers]
    return {"vectors": torch.stack([v for v, _ in rows]), "there": torch.stack([t for _, t in rows])}


_OPENED: list[Any] = []
"""What a process that helps was given."""


def _open(network: Network, device: str, store: ScanSource) -> None:
    torch.set_num_threads(1)
    _OPENED[:] = [network.to(device), store]


def _in_process(numbers: Sequence[int]) -> dict[str, Any]:
    # arrays, since tensors would take a shared file each
    network, store = _OPENED
    return {name: rows.numpy() for name, rows in _stacked(network, store, numbers).items()}


def _read(path: Path) -> dict[str, Tensor] | None:
    """What was kept; None where nothing was, or it cannot be read."""
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        return None
    except Exception as error:  # torch raises many kinds for a damaged file
        print(f"'{path.name}' cannot be read ({type(error).__name__}); computing it anew.")
        return None
