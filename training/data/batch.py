"""From stored scans to a batch: crop, window, jitter; a pure function of (seed, step)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_ctvlp.encoder.preprocess import grown, windowed

from .records import LabelledScan, OrganRecord, ScanSource
from .seeding import generator, scans_of_step

AIR = -1024
HEIGHTS = (16, 32, 56, 80, 104)
"""Slices of a crop; short ones because real scans are often cut to a few centimetres."""
HEIGHT_CHANCES = (0.07, 0.13, 0.3, 0.3, 0.2)


WHOLE = 0.97
"""Share of an organ's voxels from which a crop is taken to hold what is abnormal in it."""


@dataclass(frozen=True)
class Batch:
    """One step's scans.

    Attributes
    ----------
    image : (B, C, I, P, L) float32
        Windowed to -1..1.
    labels : (B, I, P, L) uint8
        Organ labels, grown by one voxel as at inference.
    organs : list of dict
        Per scan, what is known of each label.
    """

    image: Tensor
    labels: Tensor
    organs: list[dict[int, OrganRecord]]


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


def training_batch(
    store: ScanSource, seed: int, step: int, batch: int, windows: Sequence[tuple[float, float]]
) -> Batch:
    """The batch of one step.

    All scans of a batch share one crop size, drawn anew each step; each has its own place, HU scale and shift, noise
    and blur. Left and right are never flipped: the texts say which is which.
    """
    rng = generator(seed, "batch", step)
    height = int(rng.choice(HEIGHTS, p=HEIGHT_CHANCES))
    size = (height, int(rng.integers(88, 113)), int(rng.integers(116, 145)))
    images, labels, organs = [], [], []
    for index in scans_of_step(seed, step, store.count, batch):
        scan = store.load(index)
        start = [int(rng.integers(min(0, n - s), max(0, n - s) + 1)) for n, s in zip(scan.hu.shape, size, strict=True)]
        part, cut = _cut(store, scan, index, start, size)
        hu = torch.from_numpy(part.astype(np.float32))
        noise = torch.from_numpy(rng.standard_normal(size, dtype=np.float32))
        hu = hu * float(rng.uniform(0.97, 1.03)) + float(rng.uniform(-12, 12)) + noise * float(rng.uniform(0, 15))
        if rng.random() < 0.3:
            mean = F.avg_pool3d(hu[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]
            hu = torch.lerp(hu, mean, float(rng.uniform(0, 0.6)))
        images.append(hu)
        labels.append(torch.from_numpy(cut))
        share = np.bincount(cut.ravel(), minlength=256) / np.maximum(store.voxels(index), 1)
        organs.append({label: _in_crop(record, share[label]) for label, record in scan.organs.items()})
    image = windowed(torch.stack(images), windows)
    return Batch(image, grown(torch.stack(labels)), organs)
