"""Fast interpolation of coarse grids, random fields by slabs, and short kernels along one axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import erf

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor


def weights(n: int, knots: int) -> Tensor:
    """(n, knots) float32: linear interpolation of n places between the first and the last knot."""
    place = torch.linspace(0, knots - 1, n, dtype=torch.float64)
    left = place.floor().clamp(max=max(0, knots - 2)).long()
    part = (place - left).float()
    out = torch.zeros(n, knots)
    rows = torch.arange(n)
    out[rows, left] = 1 - part
    if knots > 1:
        out[rows, left + 1] += part
    return out


def upsampled(field: Tensor, shape: Sequence[int]) -> Tensor:
    """Trilinear interpolation of (a, b, c) knots to ``shape``, the outer knots on the outer voxels.

    On a CPU as three matrix products: four times as fast as ``F.interpolate`` for coarse knots. Not so on a GPU, where
    products may be rounded to TF32.
    """
    i, p, x = (int(n) for n in shape)
    if field.device.type != "cpu":
        return F.interpolate(field[None, None], size=(i, p, x), mode="trilinear", align_corners=True)[0, 0]
    out = (weights(i, field.shape[0]) @ field.flatten(1)).view(i, *field.shape[1:])
    out = torch.matmul(weights(p, field.shape[1]), out)
    return out @ weights(x, field.shape[2]).T


def spread(volume: Tensor, axis: int, kernel: ArrayLike, spare: Tensor | None = None) -> None:
    """Convolve in place along an axis with a symmetric kernel, given from its middle outwards; ends are repeated.

    ``spare`` is memory of the volume's shape that is overwritten, so that none is allocated.
    """
    taps = np.asarray(kernel, float)
    n = volume.shape[axis]
    source = volume.clone() if spare is None else spare.copy_(volume)
    volume.mul_(float(taps[0]))
    for k in range(1, min(len(taps), n)):
        w = float(taps[k])
        volume.narrow(axis, k, n - k).add_(source.narrow(axis, 0, n - k), alpha=w)
        volume.narrow(axis, 0, n - k).add_(source.narrow(axis, k, n - k), alpha=w)
        volume.narrow(axis, 0, k).add_(source.narrow(axis, 0, 1), alpha=w)
        volume.narrow(axis, n - k, k).add_(source.narrow(axis, n - 1, 1), alpha=w)


def gaussian(sigma: float, most: int = 6) -> np.ndarray:
    """Half of a Gaussian kernel of ``sigma`` voxels that sums to one, as :func:`spread` takes it; never longer than
    ``most``."""
    reach = min(most, max(1, int(np.ceil(2.3 * sigma))))
    # the area under the Gaussian in each voxel: right for narrow ones too
    edges = np.arange(-0.5, reach + 1) / max(sigma, 1e-3)
    area = np.diff(np.array([_normal(e) for e in edges]))
    taps: np.ndarray = area / (area[0] + 2 * area[1:].sum())
    return taps


def _normal(x: float) -> float:
    return 0.5 * (1 + erf(x / 2**0.5))


def slabs(shape: Sequence[int], device: torch.device, voxels: int = 300_000) -> Iterator[slice]:
    """Slices of the first axis that a processor's cache can hold; all of it at once on a GPU."""
    n = int(shape[0])
    step = n if device.type != "cpu" else max(4, voxels // max(1, int(shape[1]) * int(shape[2])))
    for a in range(0, n, max(1, step)):
        yield slice(a, min(n, a + step))


class Interpolated:
    """Knots (a, b, c) interpolated to a shape, as by :func:`upsampled`, a slab of the first axis at a time."""

    def __init__(self, knots: Tensor, shape: Sequence[int]) -> None:
        n, device = knots.shape, knots.device
        self._knots = knots @ weights(int(shape[2]), n[2]).T.to(device)
        self._rows = weights(int(shape[1]), n[1]).to(device)
        place = torch.linspace(0, n[0] - 1, int(shape[0]), dtype=torch.float64)
        self._low = place.floor().clamp(max=n[0] - 2).long()
        self._part = (place - self._low).float()

    def slab(self, rows: slice) -> Tensor:
        """The field in some planes of the first axis."""
        low, device = self._low[rows], self._knots.device
        first, last = int(low[0]), int(low[-1]) + 2
        planes = torch.matmul(self._rows, self._knots[first:last])
        low = (low - first).to(device)
        part = self._part[rows].to(device)[:, None, None]
        return planes.index_select(0, low).lerp_(planes.index_select(0, low + 1), part)


class RandomField(Interpolated):
    """What ``brushes.smooth_field`` gives, a slab of the first axis at a time."""

    def __init__(self, rng: np.random.Generator, shape: Sequence[int], cell: float, device: torch.device) -> None:
        coarse = [max(2, int(np.ceil(n / cell)) + 1) for n in shape]
        knots = torch.from_numpy(rng.standard_normal(coarse, dtype=np.float32)).to(device)
        super().__init__(knots.mul_(1.5), shape)
