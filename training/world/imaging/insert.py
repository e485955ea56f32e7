"""How a painted change looks in a scan that has already been blurred and has its own noise."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.world.brushes import speckle
from training.world.imaging.measure import Grain, local_mean


def seen_change(change: Tensor, clean: Tensor, touched: Tensor, sigma: NDArray[np.float64]) -> Tensor:
    """The change as the scanner shows it.

    What is new is sharp and has to be blurred. What it replaces was blurred already and is taken away as it is, or a
    bright spot under a cyst would leave a ghost: final = scan (1 - blurred cover) + blurred new. The cover is taken to
    be where painting left less structure than there was; elsewhere (as in a fatty liver) the change is blurred alone.
    """
    weight = touched.float()
    spread = [local_mean(v * v, weight, 2) - local_mean(v, weight, 2) ** 2 for v in (clean, clean + change)]
    flatter = (spread[1] < 0.5 * spread[0]).float()
    cover = weight * (local_mean(flatter, weight, 2) > 0.5)

    def blur(volume: Tensor) -> Tensor:
        for axis in range(3):
            volume = _smeared(volume, axis, float(sigma[axis]))
        return volume

    return blur(change * (1 - cover) + (clean + change) * cover) - blur(cover) * clean


def grain_like(like: Tensor, noise: Grain, rng: np.random.Generator) -> Tensor:
    """Noise of a scan in the shape of ``like``."""
    grain = speckle(rng, like, 1.0)
    for axis, sigma in enumerate(noise.sigma):
        grain = _smeared(grain, axis, sigma)
    return grain * (noise.sd / max(1e-3, float(grain.std())))


def _smeared(volume: Tensor, axis: int, sigma: float) -> Tensor:
    """Gaussian blur along one axis, ``sigma`` in voxels."""
    if sigma < 0.15:
        return volume
    reach = max(1, int(np.ceil(2.5 * sigma)))
    weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    at = torch.arange(volume.shape[axis], device=volume.device)
    out = torch.zeros_like(volume)
    for k, w in zip(range(-reach, reach + 1), weight / weight.sum(), strict=True):
        out.add_(volume.index_select(axis, (at + k).clamp(0, len(at) - 1)), alpha=float(w))
    return out
