"""Resampling along straight axes, at whatever places a published encoder's preprocessing takes its voxels from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Places = Sequence[NDArray[np.float64]]
"""For each axis of the source, the (fractional) index that each output voxel is taken at."""
SLAB = 16


def sample_linear(hu: NDArray[np.int16], places: Places, tick: Callable[[float], None] | None = None) -> Tensor:
    """Interpolate linearly; beyond the first and the last voxel their value goes on.

    Parameters
    ----------
    hu : (I, P, L) int16
    places : three arrays
        Indices into I, P and L; any order, descending for an axis that is to be reversed.
    tick : callable, optional
        Called with the fraction done; may raise to stop.

    Returns
    -------
    Tensor
        (len of each) float32; worked in slabs, so that no float copy of the whole scan exists.
    """
    low, high, part = zip(*(_neighbours(at, n) for at, n in zip(places, hu.shape, strict=True)), strict=True)
    out = torch.empty([len(at) for at in places])
    for start in range(0, len(places[0]), SLAB):
        rows = slice(start, start + SLAB)
        weight = part[0][rows, None, None]
        slab = torch.from_numpy((1 - weight) * hu[low[0][rows]] + weight * hu[high[0][rows]])
        for axis in (1, 2):
            one, two = torch.from_numpy(low[axis]), torch.from_numpy(high[axis])
            mix = torch.from_numpy(part[axis]).view(-1, 1) if axis == 1 else torch.from_numpy(part[axis])
            slab = torch.lerp(slab.index_select(axis, one), slab.index_select(axis, two), mix)
        out[rows] = slab
        if tick is not None:
            tick(min(1.0, (start + SLAB) / len(places[0])))
    return out


def sample_nearest(labels: NDArray[np.uint8], places: Places) -> NDArray[np.uint8]:
    """The nearest voxel at each place; arguments and shape as in `sample_linear`."""
    picks = [np.clip(np.floor(at + 0.5).astype(np.int64), 0, n - 1) for at, n in zip(places, labels.shape, strict=True)]
    return np.ascontiguousarray(labels[np.ix_(*picks)])


def _neighbours(at: NDArray[np.float64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    inside = np.clip(at, 0, size - 1)
    low = np.floor(inside).astype(np.int64)
    return low, np.minimum(low + 1, size - 1), (inside - low).astype(np.float32)
