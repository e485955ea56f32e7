"""From stored scans to a batch: crop, window, jitter; a pure function of (seed, step)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_ctvlp.encoder.preprocess import grown, windowed

from .growth import Growth
from .jitter import Jitter, finished
from .lesions import Looked, Places, places_of_view, places_of_views
from .records import LabelledScan, OrganRecord, ScanSource
from .seeding import derived_seed, generator, scans_of_step

AIR = -1024
HEIGHTS = (48, 96, 168, 240, 312)
"""Heights of a crop in mm; short ones because real scans are often cut to a few centimetres."""
HEIGHT_CHANCES = (0.07, 0.13, 0.3, 0.3, 0.2)
DEPTHS, WIDTHS = (264, 336), (348, 432)
"""Least and largest extent of a crop from front to back and from side to side, in mm."""
FEWEST_VOXELS = 16
"""Voxels of a crop along any axis, so that coarse voxels leave something to halve."""

GRID = 8
"""Of the sizes of a GPU's crops: it plans its convolutions anew for every size that it meets."""
WHOLE = 0.97
"""Share of an organ's voxels from which a crop is taken to hold what is abnormal in it."""


@dataclass(frozen=True)
class Batch:
    """One step's scans, or a process's part of them; a scan has one view (crop) or several.

    Attributes
    ----------
    image : (V, C, I, P, L) float32
        The views, those of one scan together, windowed to -1..1; (V, I, P, L) int16 HU while there are ``windows``.
    labels : (V, I, P, L) uint8
        Organ labels, grown by one voxel as at inference.
    organs : list of dict
        Per view, what is known of each label.
    scans : list of int
        Number of each scan in its source.
    positions : list of int
        Place of each scan in the step of all processes.
    reports : tuple of str
        Report of each scan, where the method reads whole reports.
    places : Places, optional
        Places inside and outside of lesions, where these are known and looked at.
    jitters : tuple of Jitter
        What is still to be done to each view, by the device that it goes to; see :meth:`on`.
    windows : tuple of (float, float)
        HU windows that it will be seen through then.
    """

    image: Tensor
    labels: Tensor
    organs: list[dict[int, OrganRecord]]
    scans: list[int]
    positions: list[int]
    reports: tuple[str, ...] = ()
    places: Places | None = None
    jitters: tuple[Jitter, ...] = ()
    windows: tuple[tuple[float, float], ...] = ()

    @property
    def views(self) -> int:
        """Views of every scan."""
        return len(self.organs) // max(1, len(self.scans))

    def pin_memory(self) -> Batch:
        """The same in memory from which a GPU copies while it computes."""
        return replace(self, image=self.image.pin_memory(), labels=self.labels.pin_memory())

    def on(self, device: torch.device) -> Batch:
        """The same on a device, finished there where that was left to it."""
        if not self.windows:
            return self
        crops, labels = (part.to(device, non_blocking=True) for part in (self.image, self.labels))
        return replace(self, image=finished(crops, self.jitters, self.windows), labels=labels, jitters=(), windows=())


def crop_or_pad(
    volume: NDArray[np.generic], start: Sequence[int], size: Sequence[int], fill: int
) -> NDArray[np.generic]:
    """Cut ``size`` voxels from ``start`` (which may be negative) and fill what lies outside."""
    result = np.full(tuple(size), fill, volume.dtype)
    source, target = [], []
    for s, n, whole in zip(start, size, volume.shape, strict=True):
        low, high = max(0, s), min(whole, s + n)
        source.append(slice(low, max(low, high)))
        target.append(slice(low - s, max(low, high) - s))
    result[tuple(target)] = volume[tuple(source)]
    return result


def _cut(
    store: ScanSource, scan: LabelledScan, index: int, start: Sequence[int], size: Sequence[int]
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """HU and labels of a crop, by the store's own reading of a part where it has one."""
    crop = getattr(store, "crop", None)
    if crop is not None:
        hu, labels = crop(index, start, size)
    else:
        hu, labels = crop_or_pad(scan.hu, start, size, AIR), crop_or_pad(scan.labels, start, size, 0)
    return hu, labels


def _in_crop(record: OrganRecord, share: float) -> OrganRecord:
    """What is known of an organ of which a crop holds a share: an abnormality may lie in the rest."""
    if not record.abnormalities or share >= WHOLE:
        return record
    if record.told is None:
        return replace(record, known=False)
    return replace(record, abnormalities=(), told=tuple(k for k in record.told if k not in record.abnormalities))


def crop_size(
    rng: np.random.Generator, spacing: float, *, largest: bool = False, grid: int = 1
) -> tuple[int, int, int]:
    """Voxels of the crops of a step: the same millimetres whatever the voxel size, but enough for a network.

    They are drawn, or the ``largest`` that may be drawn. Depth and width are rounded to ``grid`` voxels.
    """
    height = rng.choice(HEIGHTS, p=HEIGHT_CHANCES)
    least, most = (np.round(np.array(pair) / spacing) for pair in zip(DEPTHS, WIDTHS, strict=True))
    depth, width = (rng.integers(low, high + 1) for low, high in zip(least, most, strict=True))
    if largest:
        height, (depth, width) = np.max(HEIGHTS), most
    depth, width = (grid * round(n / grid) for n in (depth, width))
    return tuple(max(FEWEST_VOXELS, round(n)) for n in (height / spacing, depth, width))


def part_of(batch: int, rank: int, processes: int) -> range:
    """Places of a step that a process takes; in the order of ranks they are the places of one process alone."""
    return range(batch * rank // processes, batch * (rank + 1) // processes)


def training_batch(
    store: ScanSource,
    seed: int,
    step: int,
    batch: int,
    windows: Sequence[tuple[float, float]],
    *,
    views: int = 1,
    rank: int = 0,
    processes: int = 1,
    largest: bool = False,
    looked: Looked | None = None,
    growth: Growth | None = None,
    late: bool = False,
) -> Batch:
    """The batch of one step, or one process's part of it.

    All scans of a step share one crop size, drawn anew each step; each view has its own place, HU scale and shift,
    noise and blur, which depend on its place in the step alone and not on how many processes there are. Left and right
    are never flipped: the texts say which is which. Twins are cut at one place and share all of that, and in the second
    the places of what it lacks are looked at too.

    Parameters
    ----------
    store : ScanSource
        The scans.
    seed, step : int
        What the batch is a pure function of.
    batch : int
        Scans of all processes.
    windows : sequence of (float, float)
        HU windows, one a channel.
    views : int
        Crops of every scan.
    rank, processes : int
        Which part.
    largest : bool
        Crops of the largest size, in place of one that is drawn.
    looked : Looked, optional
        What to look for in lesions that are known voxel by voxel.
    growth : Growth, optional
        How many of the scans there are at a step, where they are made while a run trains.
    late : bool
        Leave jitter and windows to the device.
    """
    grid = GRID if late else 1
    size = crop_size(generator(seed, "batch", step), store.spacing, largest=largest, grid=grid)
    images, labels, organs, drawn, jitters = [], [], [], [], []
    if growth is None:
        picks = scans_of_step(seed, step, store.count, batch, twins=store.twins)
    else:
        picks = growth.scans_of_step(seed, step, batch)
    places = part_of(batch, rank, processes)
    for place in places:
        index, drawn_by = picks[place], place - place % 2 if store.twins else place
        scan = store.load(index)
        findings, gone = _findings(store, index) if looked is not None else ([], [])
        for view in range(views):
            rng = generator(seed, "view", step, drawn_by, view)
            start, part, cut = _view(store, scan, index, size, rng)
            if late:
                jitters.append(Jitter.drawn(rng, derived_seed(seed, "noise", step, drawn_by, view)))
                images.append(torch.from_numpy(part))
            else:
                images.append(_jittered(part, rng))
            rim = grown(torch.from_numpy(cut)[None])[0]
            if looked is not None:
                own = generator(seed, "places", step, place, view)
                drawn.append(places_of_view(findings, start, rim.numpy(), looked, own, gone))
            labels.append(rim)
            organs.append(_known_in(cut, store.voxels(index), scan.organs))
    image = torch.stack(images) if images else torch.zeros(0, *size, dtype=torch.int16 if late else torch.float32)
    label = torch.stack(labels) if labels else torch.zeros(0, *size, dtype=torch.uint8)
    return Batch(
        image if late else windowed(image, windows),
        label,
        organs,
        [picks[p] for p in places],
        list(places),
        places=places_of_views(drawn) if drawn else None,
        jitters=tuple(jitters),
        windows=tuple(windows) if late else (),
    )


def _known_in(
    cut: NDArray[np.uint8], voxels: NDArray[np.int64], organs: Mapping[int, OrganRecord]
) -> dict[int, OrganRecord]:
    """What is known of each organ in a crop of a scan with so many ``voxels`` of each label."""
    # counted for abnormal organs alone, of which there are few: counting all labels took longer than cutting the crop
    share = {
        label: np.count_nonzero(cut == label) / max(int(voxels[label]), 1)
        for label, record in organs.items()
        if record.abnormalities or record.one_of
    }
    # the one organ that has it may be what is cut
    cut_off = {key for label, record in organs.items() for key in record.one_of if share[label] < WHOLE}
    found = {label: _in_crop(record, share.get(label, 1.0)) for label, record in organs.items()}
    if not cut_off:
        return found
    return {
        label: replace(record, one_of=tuple(key for key in record.one_of if key not in cut_off))
        for label, record in found.items()
    }


def _findings(store: Any, index: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The findings of a scan, and those that its twin has and it has not."""
    own = store.findings(index)
    if not store.twins or index % 2 == 0:
        return own, []
    kept = {(f["abnormality"], f["organ"]) for f in own}
    return own, [f for f in store.findings(index - 1) if (f["abnormality"], f["organ"]) not in kept]


def _view(
    store: ScanSource, scan: LabelledScan, index: int, size: Sequence[int], rng: np.random.Generator
) -> tuple[list[int], NDArray[np.int16], NDArray[np.uint8]]:
    start = [int(rng.integers(min(0, n - s), max(0, n - s) + 1)) for n, s in zip(scan.hu.shape, size, strict=True)]
    return start, *_cut(store, scan, index, start, size)


def _jittered(part: NDArray[np.int16], rng: np.random.Generator) -> Tensor:
    """A crop's HU, jittered."""
    # before the jitter, so that the same seed goes on to give the same crops
    noise = torch.from_numpy(rng.standard_normal(part.shape, dtype=np.float32))
    return Jitter.drawn(rng).applied(torch.from_numpy(part.astype(np.float32)), noise)
