"""Crops of one step: a pure function of (seed, step), so that a run that was stopped goes on with the same ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_ctvlp.encoder.preprocess import windowed
from training.data.batch import AIR, crop_or_pad
from training.data.jitter import Jitter
from training.data.records import ScanSource
from training.data.seeding import generator, scans_of_step

from .targets import Target

POSITIVE = 0.67
"""Share of crops that are laid on a class: a crop at a place drawn by lot seldom holds a small organ or a lesion."""


def _starts(volume: NDArray[np.uint8], size: int, positive: bool, rng: np.random.Generator) -> tuple[int, int, int]:
    """First voxel of a crop of ``size`` a side, within the scan where that is large enough.

    A ``positive`` one holds a voxel of a class, each class of the scan as often as any other, at a place of the crop
    that is drawn by lot.
    """
    classes = np.flatnonzero(np.bincount(volume.ravel(), minlength=256)[1:]) + 1
    if not positive or not len(classes):
        low = [int(rng.integers(min(0, n - size), max(0, n - size) + 1)) for n in volume.shape]
        return low[0], low[1], low[2]
    places = np.flatnonzero(volume == rng.choice(classes))
    held = np.unravel_index(int(rng.choice(places)), volume.shape)
    start = []
    for voxel, n in zip(held, volume.shape, strict=True):
        least, most = max(int(voxel) - size + 1, min(0, n - size)), min(int(voxel), max(0, n - size))
        start.append(int(rng.integers(least, most + 1)))
    return start[0], start[1], start[2]


def step_crops(
    store: ScanSource,
    target: Target,
    shown: NDArray[np.bool_],
    windows: Sequence[tuple[float, float]],
    *,
    seed: int,
    step: int,
    batch: int,
    size: int,
) -> tuple[Tensor, Tensor]:
    """Crops of one step with the class of every voxel.

    HU are scaled, shifted, blurred and noised a little as in pretraining. Left and right are never flipped, since
    classes say which is which.

    Parameters
    ----------
    store : ScanSource
    target : Target
    shown : (scans, names) bool
        Which scans show which class: positive crops are of those that show any.
    windows : sequence of (float, float)
        HU windows, one a channel.
    seed, step : int
        What the crops are a pure function of.
    batch : int
        Crops.
    size : int
        Voxels along each side.

    Returns
    -------
    image : (B, C, I, P, L) float32
        Windowed to -1..1.
    classes : (B, 1, I, P, L) uint8
    """
    showing = np.flatnonzero(shown.any(1))
    anywhere = scans_of_step(seed, step, store.count, batch)
    of_class = showing[scans_of_step(seed, step, len(showing), batch)]
    images, classes = [], []
    for place in range(batch):
        rng = generator(seed, "segment", step, place)
        positive = bool(rng.random() < POSITIVE)
        index = int(of_class[place] if positive else anywhere[place])
        volume = target.volume(store, index)
        start = _starts(volume, size, positive, rng)
        cut = getattr(store, "crop", None)
        sides = (size,) * 3
        part = crop_or_pad(store.load(index).hu, start, sides, AIR) if cut is None else cut(index, start, sides)[0]
        noise = torch.from_numpy(rng.standard_normal(part.shape, dtype=np.float32))
        images.append(Jitter.drawn(rng).applied(torch.from_numpy(part.astype(np.float32)), noise))
        classes.append(torch.from_numpy(crop_or_pad(volume, start, sides, 0)))
    return windowed(torch.stack(images), windows), torch.stack(classes)[:, None]
