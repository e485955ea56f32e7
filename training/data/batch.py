"""From stored scans to a batch: crop, window, jitter; a pure function of (seed, step)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_ctvlp.encoder.preprocess import grown, windowed

from .lesions import Looked, Places, places_of_view, places_of_views
from .records import LabelledScan, OrganRecord, ScanSource
from .seeding import generator, scans_of_step

AIR = -1024
HEIGHTS = (48, 96, 168, 240, 312)
"""Heights of a crop in mm; short ones because real scans are often cut to a few centimetres."""
HEIGHT_CHANCES = (0.07, 0.13, 0.3, 0.3, 0.2)
DEPTHS, WIDTHS = (264, 336), (348, 432)
"""Least and largest extent of a crop from front to back and from side to side, in mm."""
FEWEST_VOXELS = 16
"""Voxels of a crop along any axis, so that coarse voxels leave something to halve."""

WHOLE = 0.97
"""Share of an organ's voxels from which a crop is taken to hold what is abnormal in it."""


@dataclass(frozen=True)
class Batch:
    """One step's scans, or a process's part of them; a scan has one view (crop) or several.

    Attributes
    ----------
    image : (V, C, I, P, L) float32
        The views, those of one scan together, windowed to -1..1.
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
    """

    image: Tensor
    labels: Tensor
    organs: list[dict[int, OrganRecord]]
    scans: list[int]
    positions: list[int]
    reports: tuple[str, ...] = ()
    places: Places | None = None

    @property
    def views(self) -> int:
        """Views of every scan."""
        return len(self.organs) // max(1, len(self.scans))

    def pin_memory(self) -> Batch:
        """The same in memory from which a GPU copies while it computes."""
        return replace(self, image=self.image.pin_memory(), labels=self.labels.pin_memory())


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
    return replace(record, known=False) if record.abnormalities and share < WHOLE else record


def crop_size(rng: np.random.Generator, spacing: float, *, largest: bool = False) -> tuple[int, int, int]:
    """Voxels of the crops of a step: the same millimetres whatever the voxel size, but enough for a network.

    They are drawn, or the ``largest`` that may be drawn.
    """
    height = rng.choice(HEIGHTS, p=HEIGHT_CHANCES)
    least, most = (np.round(np.array(pair) / spacing) for pair in zip(DEPTHS, WIDTHS, strict=True))
    depth, width = (rng.integers(low, high + 1) for low, high in zip(least, most, strict=True))
    if largest:
        height, (depth, width) = np.max(HEIGHTS), most
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
    """
    size = crop_size(generator(seed, "batch", step), store.spacing, largest=largest)
    images, labels, organs, drawn = [], [], [], []
    picks = scans_of_step(seed, step, store.count, batch, twins=store.twins)
    places = part_of(batch, rank, processes)
    for place in places:
        index, drawn_by = picks[place], place - place % 2 if store.twins else place
        scan = store.load(index)
        findings, gone = _findings(store, index) if looked is not None else ([], [])
        for view in range(views):
            start, hu, cut = _view(store, scan, index, size, generator(seed, "view", step, drawn_by, view))
            rim = grown(torch.from_numpy(cut)[None])[0]
            if looked is not None:
                own = generator(seed, "places", step, place, view)
                drawn.append(places_of_view(findings, start, rim.numpy(), looked, own, gone))
            images.append(hu)
            labels.append(rim)
            share = np.bincount(cut.ravel(), minlength=256) / np.maximum(store.voxels(index), 1)
            organs.append({label: _in_crop(record, share[label]) for label, record in scan.organs.items()})
    image = torch.stack(images) if images else torch.zeros(0, *size)
    label = torch.stack(labels) if labels else torch.zeros(0, *size, dtype=torch.uint8)
    return Batch(
        windowed(image, windows),
        label,
        organs,
        [picks[p] for p in places],
        list(places),
        places=places_of_views(drawn) if drawn else None,
    )


def _findings(store: Any, index: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The findings of a scan, and those that its twin has and it has not."""
    own = store.findings(index)
    if not store.twins or index % 2 == 0:
        return own, []
    kept = {(f["abnormality"], f["organ"]) for f in own}
    return own, [f for f in store.findings(index - 1) if (f["abnormality"], f["organ"]) not in kept]


def _view(
    store: ScanSource, scan: LabelledScan, index: int, size: Sequence[int], rng: np.random.Generator
) -> tuple[list[int], Tensor, NDArray[np.uint8]]:
    start = [int(rng.integers(min(0, n - s), max(0, n - s) + 1)) for n, s in zip(scan.hu.shape, size, strict=True)]
    part, cut = _cut(store, scan, index, start, size)
    hu = torch.from_numpy(part.astype(np.float32))
    noise = torch.from_numpy(rng.standard_normal(tuple(size), dtype=np.float32))
    hu = hu * float(rng.uniform(0.97, 1.03)) + float(rng.uniform(-12, 12)) + noise * float(rng.uniform(0, 15))
    if rng.random() < 0.3:
        mean = F.avg_pool3d(hu[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]
        hu = torch.lerp(hu, mean, float(rng.uniform(0, 0.6)))
    return start, hu, cut
