"""What frozen networks pool in whole scans, computed once: what the last stage learns from."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from napari_ctvlp.encoder.preprocess import grown, network_input, windowed
from napari_ctvlp.encoder.vision import VisionConfig
from training.data.records import LabelledScan, OrganRecord, ScanSource
from training.objectives.base import Needs

from .checkpoint import write_state
from .network import Network, Pooled
from .processes import rank

TOGETHER = 32
"""Scans in a file that is kept."""
SLAB = 0.6
"""Height of each of several views of a scan, as a share of the scan's."""


@dataclass(frozen=True, eq=False)
class ScanFeatures:
    """What one network pooled in one scan (organs in float16, those of whose state nothing is known left out), and what
    is true of the organs."""

    pooled: Pooled
    records: list[OrganRecord]

    @property
    def organs(self) -> Tensor:
        """(organs, f) float32."""
        assert self.pooled.organs is not None
        return self.pooled.organs.float()

    @property
    def whole(self) -> Tensor:
        """(views, f) float32."""
        assert self.pooled.whole is not None
        return self.pooled.whole.float()


def _slabs(height: int, views: int) -> Iterator[slice]:
    size = height if views == 1 else max(1, math.ceil(SLAB * height))
    for view in range(views):
        start = 0 if views == 1 else (height - size) * view // (views - 1)
        yield slice(start, start + size)


def _seen(scan: LabelledScan, spacing: float, config: VisionConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """A whole scan as a network is given it: (1, C, I, P, L) image and (1, I, P, L) labels."""
    if spacing != config.spacing:
        size = (spacing,) * 3
        given = network_input(scan.hu, scan.labels, size, target=config.spacing, windows=config.windows)
        return given.image.to(device), given.labels.to(device)
    # nothing to resample: the rest is a GPU's work
    hu, labels = (torch.from_numpy(np.array(part)).to(device) for part in (scan.hu, scan.labels))
    return windowed(hu.float(), config.windows)[None], grown(labels[None])


def _loaded(store: ScanSource, numbers: Sequence[int]) -> Iterator[LabelledScan]:
    """Scans in memory, each read while the one before is computed on."""

    def read(number: int) -> LabelledScan:
        scan = store.load(number)
        return LabelledScan(np.array(scan.hu), np.array(scan.labels), scan.organs)

    with ThreadPoolExecutor(1, "scans") as pool:
        ahead = None
        for number in numbers:
            coming = pool.submit(read, number)
            if ahead is not None:
                yield ahead.result()
            ahead = coming
        if ahead is not None:
            yield ahead.result()


@torch.no_grad()
def _pooled(network: Network, store: ScanSource, scan: LabelledScan, needs: Needs) -> ScanFeatures:
    tower, device = network.model.vision.eval(), network.model.log_scale.device
    image, labels = _seen(scan, store.spacing, tower.config, device)
    views, records = [], []
    for view, slab in enumerate(_slabs(image.shape[2], needs.views)):
        part, label = image[:, :, slab], labels[:, slab]
        indices = network.indices(part, label, needs)
        views.append(network.pool(part, indices, half=True))
        if indices.organs is not None and view == 0:
            records = [scan.organs.get(n) for n in indices.organs.label.tolist()]
    known = [row for row, record in enumerate(records) if record is not None]
    own, first = [records[row] for row in known], views[0]
    pooled = Pooled(
        None if first.organs is None else first.organs[known].half().cpu(),
        None if first.whole is None else torch.cat([v.whole for v in views if v.whole is not None]).cpu(),
        tuple(tokens.half().cpu() for v in views for tokens in v.tokens),
    )
    return ScanFeatures(pooled, [record for record in own if record is not None])


def scan_features(
    network: Network,
    store: ScanSource,
    limit: int | None = None,
    needs: Needs | None = None,
    *,
    numbers: Sequence[int] | None = None,
    keep: Path | None = None,
    workers: int = 0,
) -> list[ScanFeatures]:
    """Pool the scans of a store once, whole, as the plugin does; by default what the network's method needs.

    Parameters
    ----------
    network : Network
        In evaluation mode from here on.
    store : ScanSource
        The scans.
    limit : int, optional
        Take the first so many scans.
    needs : Needs, optional
        What to pool.
    numbers : sequence of int, optional
        Take these scans instead.
    keep : Path, optional
        Folder in which some scans at a time are kept until all are there, and from which those of a run that was
        killed are taken.
    workers : int
        Processes that share the network's device; 0 for this process alone.
    """
    needs = needs or network.needs
    if numbers is None:
        numbers = range(min(limit or store.count, store.count))
    parts = [numbers[start : start + TOGETHER] for start in range(0, len(numbers), TOGETHER)]
    paths = [None if keep is None else keep / f"{some[0]}-{some[-1]}-{len(some)}.pt" for some in parts]
    found = [None if path is None else _read(path) for path in paths]
    missing = [n for n, made in enumerate(found) if made is None]
    bar = tqdm(total=len(numbers), desc="features", unit="scan", **({"disable": True} if rank() > 0 else {}))
    with bar, _makers(network, store, needs, workers if len(missing) > 1 else 0, bar) as make:
        bar.update(sum(len(made) for made in found if made is not None))
        for n, made in zip(missing, make([parts[n] for n in missing]), strict=True):
            path = paths[n]
            if path is not None:
                write_state(path, {"scans": [_as_state(one) for one in made]})
            found[n] = made
    return [one for made in found for one in made or ()]


Make = Callable[[Sequence[Sequence[int]]], Iterator[list[ScanFeatures]]]


@contextmanager
def _makers(network: Network, store: ScanSource, needs: Needs, workers: int, bar: tqdm[NoReturn]) -> Iterator[Make]:
    """What makes the features of parts of the scans, one part after the other."""

    def here(parts: Sequence[Sequence[int]]) -> Iterator[list[ScanFeatures]]:
        for some in parts:
            made = []
            for scan in _loaded(store, some):
                made.append(_pooled(network, store, scan, needs))
                bar.update()
            yield made

    if workers == 0:
        yield here
        return
    device = network.model.log_scale.device
    given = (copy.deepcopy(network).cpu(), device, store, needs)
    # a process of its own has an interpreter of its own, and it is the interpreter that a GPU waits for
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_open, initargs=given) as pool:

        def there(parts: Sequence[Sequence[int]]) -> Iterator[list[ScanFeatures]]:
            for states in pool.map(_states, parts):
                bar.update(len(states))
                yield [_of_state(state) for state in states]

        yield there


_OPENED: list[Any] = []
"""What a process that makes features was given."""


def _open(network: Network, device: torch.device, store: ScanSource, needs: Needs) -> None:
    torch.set_num_threads(1)
    _OPENED[:] = [network.to(device), store, needs]


def _states(numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Features of some scans, as they go from one process to another."""
    network, store, needs = _OPENED
    # arrays, since tensors would take a shared file each
    return [_as_arrays(_as_state(_pooled(network, store, scan, needs))) for scan in _loaded(store, numbers)]


def _as_arrays(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.numpy()
    if isinstance(value, dict):
        return {k: _as_arrays(v) for k, v in value.items()}
    return tuple(map(_as_arrays, value)) if isinstance(value, tuple) else value


def _as_tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    return tuple(map(_as_tensors, value)) if isinstance(value, tuple) else value


def _as_state(scan: ScanFeatures) -> dict[str, Any]:
    """Tensors, lists and strings alone, which are read without pickles."""
    records = [
        (
            r.organ,
            list(r.abnormalities),
            list(r.texts),
            r.known,
            None if r.told is None else list(r.told),
            list(r.one_of),
        )
        for r in scan.records
    ]
    return {**vars(scan.pooled), "records": records}


def _read(path: Path) -> list[ScanFeatures] | None:
    """What was kept; None where nothing was, or it cannot be read."""
    try:
        scans = torch.load(path, map_location="cpu", weights_only=True)["scans"]
    except FileNotFoundError:
        return None
    except Exception as error:  # torch raises many kinds for a damaged file
        print(f"'{path.name}' cannot be read ({type(error).__name__}); computing it anew.")
        return None
    return [_of_state(scan) for scan in scans]


def _of_state(state: Mapping[str, Any]) -> ScanFeatures:
    pooled = Pooled(**{k: _as_tensors(v) for k, v in state.items() if k != "records"})
    records = [
        OrganRecord(organ, tuple(has), tuple(texts), known, None if told is None else tuple(told), tuple(one_of))
        for organ, has, texts, known, told, one_of in state["records"]
    ]
    return ScanFeatures(pooled, records)
