"""From a scan and its masks to what the network sees: resampled, windowed, tokens counted per organ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

VERSION = "1"
"""Raised whenever the same scan would reach the network differently; on every encoder's card and in every export."""

SLAB = 16


@dataclass(frozen=True)
class NetworkInput:
    """One scan as the network sees it.

    Attributes
    ----------
    image : (1, channels, I, P, L) float32
        One channel per HU window, each mapped to -1..1.
    labels : (1, I, P, L) uint8
        Organ labels on the same grid.
    hu : (I, P, L) float32, optional
        The resampled scan before it was windowed.
    """

    image: Tensor
    labels: Tensor
    hu: Tensor | None = None


def output_size(size: int, spacing: float, target: float) -> int:
    """Number of voxels of ``target`` mm that cover ``size`` voxels of ``spacing`` mm."""
    return max(1, round(size * spacing / target))


def _filter(size: int, out: int) -> Tensor:
    """(out, size) weights of a triangle as wide as the larger voxel: linear, antialiased when shrinking."""
    scale = size / out
    centres = (torch.arange(out, dtype=torch.float64) + 0.5) * scale - 0.5
    distance = (torch.arange(size, dtype=torch.float64)[None] - centres[:, None]).abs()
    weights = (1 - distance / max(1.0, scale)).clamp_min(0)
    return (weights / weights.sum(1, keepdim=True)).float()


def resample_hu(
    hu: NDArray[np.int16],
    spacing: Sequence[float],
    target: float,
    *,
    tick: Callable[[float], None] | None = None,
) -> Tensor:
    """Resample HU to isotropic voxels, slab by slab so that no float copy of the whole scan exists.

    Parameters
    ----------
    hu : (I, P, L) int16
        Hounsfield units.
    spacing : sequence of float
        Voxel size in mm along I, P, L.
    target : float
        Voxel size in mm of the result.
    tick : callable, optional
        Called with the fraction done, 0..1; may raise to stop.

    Returns
    -------
    Tensor
        (I', P', L') float32 HU.
    """
    shape = [output_size(n, s, target) for n, s in zip(hu.shape, spacing, strict=True)]
    if list(hu.shape) == shape and all(abs(s - target) < 1e-3 for s in spacing):
        return torch.from_numpy(hu.astype(np.float32))
    along_i, along_p, along_l = (_filter(n, m) for n, m in zip(hu.shape, shape, strict=True))
    result = torch.zeros(shape)
    for start in range(0, hu.shape[0], SLAB):
        slab = torch.from_numpy(hu[start : start + SLAB]).float()
        small = along_p @ (slab @ along_l.T)
        weights = along_i[:, start : start + SLAB]
        rows = weights.sum(1).nonzero().flatten()
        result[rows] += torch.einsum("on,npl->opl", weights[rows], small)
        if tick is not None:
            tick((start + len(slab)) / hu.shape[0])
    return result


def resample_labels(labels: NDArray[np.uint8], spacing: Sequence[float], target: float) -> Tensor:
    """Resample labels to the grid of :func:`resample_hu` by nearest neighbour: (I', P', L') uint8."""
    picks = []
    for n, s in zip(labels.shape, spacing, strict=True):
        out = output_size(n, s, target)
        picks.append(np.clip(((np.arange(out) + 0.5) * n / out).astype(np.int64), 0, n - 1))
    return torch.from_numpy(np.ascontiguousarray(labels[np.ix_(*picks)]))


def grown(labels: Tensor) -> Tensor:
    """Grow every organ by one voxel into the background: (B, I, P, L) uint8.

    Masks stop short of what lies at an organ's rim (a stone at the papilla, pleural fluid, calcified wall). Where two
    organs meet in the background the larger label wins.
    """
    near = labels
    # the largest of 3 x 3 x 3 one axis at a time, on bytes: many times faster than max_pool3d, which wants floats
    for axis in (1, 2, 3):
        inner = near.shape[axis] - 1
        grown_along = near.clone()
        for target, source in ((0, 1), (1, 0)):
            part = grown_along.narrow(axis, target, inner)
            torch.maximum(part, near.narrow(axis, source, inner), out=part)
        near = grown_along
    return torch.where(labels == 0, near, labels)


def windowed(hu: Tensor, windows: Sequence[tuple[float, float]]) -> Tensor:
    """Map HU to one channel per window, each clipped to -1..1; the channel axis is placed before the last three."""
    channels = [((hu - low) * (2 / (high - low)) - 1).clamp(-1, 1) for low, high in windows]
    return torch.stack(channels, dim=-4)


def network_input(
    hu: NDArray[np.int16],
    labels: NDArray[np.uint8],
    spacing: Sequence[float],
    *,
    target: float,
    windows: Sequence[tuple[float, float]],
    tick: Callable[[float], None] | None = None,
    resampled: Tensor | None = None,
) -> NetworkInput:
    """Resample, window and batch one scan with its labels; arguments as in :func:`resample_hu`.

    ``resampled`` is what that function gave for this scan before; it is not called then.
    """
    small = resample_hu(hu, spacing, target, tick=tick) if resampled is None else resampled
    image = windowed(small, windows)[None]
    return NetworkInput(image, grown(resample_labels(labels, spacing, target)[None]), small)
