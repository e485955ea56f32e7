"""Coarse projections: what the detector counts along the rays through a slice, and what follows from it.

Slices are averaged to ``SIZE`` x ``SIZE`` pixels and projected by one matrix product. Beam hardening and photon noise
are computed on the projections and come back by filtered backprojection, so that bands and streaks run between dense
structures as they do in a scanner; what is finer than a coarse pixel (about 8 mm) is added elsewhere.

Beam hardening as a quadratic error of the bone's line integral: Joseph and Spital, JCAT 1978;2:100. Noise of a ray
that grows with its attenuation: Riederer, Pelc and Chesler, Phys Med Biol 1978;23:446.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from training.world.imaging.fields import slabs

SIZE, ANGLES = 48, 36
WATER = 0.0195
"""Attenuation of water, 1/mm, at about 65 keV."""


@lru_cache(maxsize=4)
def matrices(device: str) -> tuple[Tensor, Tensor]:
    """Projection (rays, pixels), in pixels, and filtered backprojection (pixels, rays)."""
    n, bins = SIZE, int(1.42 * SIZE) | 1
    middle = (torch.arange(n) - (n - 1) / 2).float()
    theta = torch.arange(ANGLES) * torch.pi / ANGLES
    place = middle[None, :, None] * torch.sin(theta)[:, None, None] + middle * torch.cos(theta)[:, None, None]
    place = (place.flatten(1) + (bins - 1) / 2).clamp(0, bins - 1.001)
    left = place.floor().long()
    part = (place - left).float()
    one = torch.zeros(ANGLES, bins, n * n)
    one.scatter_(1, left[:, None], (1 - part)[:, None])
    one.scatter_add_(1, left[:, None] + 1, part[:, None])
    lag = torch.arange(bins)[:, None] - torch.arange(bins)
    # the ramp filter in space, softened by a Hann window's three taps
    ramp = torch.where(lag % 2 != 0, -1.0 / (torch.pi * lag.float()).clamp(min=-1e9) ** 2, 0.0)
    ramp[lag == 0] = 0.25
    soft = torch.where(lag == 0, 0.5, torch.where(lag.abs() == 1, 0.25, 0.0))
    back = torch.einsum("abp,bc->pac", one, soft @ ramp) * (torch.pi / ANGLES)
    forth = one.reshape(-1, n * n)
    return forth.contiguous().to(device), back.reshape(n * n, -1).contiguous().to(device)


def areas(n: int, longest: int, device: torch.device) -> Tensor:
    """(SIZE, n): how much of each fine pixel is averaged into a coarse one."""
    step, start = longest / SIZE, (longest - n) / 2
    low = torch.arange(SIZE)[:, None] * step - start
    fine = torch.arange(n)[None]
    share = torch.minimum(low + step, fine + 1.0) - torch.maximum(low, fine.float())
    return (share.clamp(min=0) / step).to(device)


def lines(n: int, longest: int, device: torch.device, size: int = SIZE) -> Tensor:
    """(n, size): linear interpolation between the middles of coarse pixels."""
    step, start = longest / size, (longest - n) / 2
    place = ((torch.arange(n) + 0.5 + start) / step - 0.5).clamp(0, size - 1.001)
    left = place.floor().long()
    out = torch.zeros(n, size)
    rows = torch.arange(n)
    out[rows, left] = 1 - (place - left)
    out[rows, left + 1] += place - left
    return out.to(device)


@dataclass(frozen=True, eq=False)
class Rays:
    """Line integrals through every ``step``-th slice.

    Attributes
    ----------
    body, dense : (k, rays)
        Line integrals of attenuation, and of what of it is beyond soft tissue (bone, contrast medium, metal).
    solid : (k, SIZE, SIZE)
        Where the body is, 0 to 1.
    shape : (int, int, int)
        Of the volume that they were taken of.
    step : int
        Slices from one to the next.
    """

    body: Tensor
    dense: Tensor
    solid: Tensor
    shape: tuple[int, int, int]
    step: int

    @classmethod
    def of(cls, hu: Tensor, spacing: float, middle: Tensor, slices: int = 64) -> Rays:
        """Project slices of an (I, P, L) volume whose middles (J,) are at these voxels along I."""
        (_, p, x), j = hu.shape, len(middle)
        step = max(1, -(-j // slices))
        picked = middle[::step].round().long().clamp(0, hu.shape[0] - 1).to(hu.device)
        longest = max(p, x)
        rows, columns = areas(p, longest, hu.device), areas(x, longest, hu.device)
        outside = (rows.sum(1)[:, None] * columns.sum(1) - 1) * 1000  # air, not water
        means, thicks = [], []
        for part in slabs((len(picked), p, x), hu.device):
            some = hu.index_select(0, picked[part])
            means.append(torch.matmul(rows, some @ columns.T) + outside)
            thicks.append(torch.matmul(rows, some.sub_(130.0).clamp_(min=0) @ columns.T))
        forth, _ = matrices(str(hu.device))
        length = longest / SIZE * spacing * WATER
        water = torch.cat(means).div_(1000).add_(1).clamp_(min=0)
        body = water.flatten(1) @ forth.T * length
        dense = torch.cat(thicks).flatten(1) @ forth.T * (length / 1000)
        return cls(body, dense, water.clamp_(max=1), (j, p, x), step)

    def back(self, rays: Tensor, spacing: float) -> Tensor:
        """Filtered backprojection of an error of the line integrals, in HU, (k, SIZE, SIZE)."""
        scale = 1000 / (WATER * spacing * max(self.shape[1:]) / SIZE)
        return (rays @ matrices(str(rays.device))[1].T).view(-1, SIZE, SIZE) * scale

    def level(self, spread: float, modulation: float) -> Tensor:
        """(k, 12, 12): standard deviation of the noise relative to the body's mean.

        ``spread`` scales the rays' attenuation (a bow-tie filter evens it out); ``modulation`` is the part of the
        difference between slices that the tube current follows.
        """
        weight = torch.exp(spread * self.body)
        slices = weight.mean(1, keepdim=True)
        weight = weight / slices.clamp(min=1e-6) ** modulation
        variance = (weight @ matrices(str(weight.device))[0]).view(-1, SIZE, SIZE)
        mean = (variance * self.solid).sum() / self.solid.sum().clamp(min=1)
        small = torch.nn.functional.avg_pool2d((variance / mean.clamp(min=1e-9)).sqrt_(), SIZE // 12)
        return small.clamp_(0.2, 4.0)

    def map(self, coarse: Tensor) -> Map:
        """Interpolate a (k, n, n) map to all slices."""
        j, p, x = self.shape
        place = (torch.arange(j) / self.step).clamp(max=len(coarse) - 1)
        low = place.floor().long()
        high = (low + 1).clamp(max=len(coarse) - 1)
        part = (place - low).to(coarse.device)[:, None, None]
        every = torch.lerp(coarse[low.to(coarse.device)], coarse[high.to(coarse.device)], part)
        n = coarse.shape[1]
        return Map(lines(p, max(p, x), coarse.device, n), every @ lines(x, max(p, x), coarse.device, n).T)


@dataclass(frozen=True, eq=False)
class Map:
    """A coarse map, interpolated along J and L."""

    rows: Tensor
    columns: Tensor

    def add_to(self, volume: Tensor, where: slice) -> None:
        """Add to some slices (j, P, L), in place."""
        columns = self.columns[where]
        torch.baddbmm(volume, self.rows.expand(len(columns), -1, -1), columns, out=volume)

    def times(self, volume: Tensor, where: slice) -> Tensor:
        """Multiply some slices (j, P, L), in place."""
        return volume.mul_(torch.matmul(self.rows, self.columns[where]))


def hardening(rays: Rays, strength: float, spacing: float) -> Tensor:
    """Beam hardening, (k, SIZE, SIZE) HU: dark bands between dense bones, contrast medium or metal."""
    dense = rays.dense.clamp(max=6.0)
    return rays.back(-strength * dense * (dense + 0.15 * rays.body), spacing)


def ray_noise(rays: Rays, spread: float, noise: Tensor, spacing: float) -> Tensor:
    """Photon noise that is coarser than a pixel, (k, SIZE, SIZE), of unit variance over the body: streaks where rays
    are starved; ``noise`` is white, (k, rays)."""
    sd = torch.exp(0.5 * spread * (rays.body - rays.body.max(1, keepdim=True).values))
    coarse = rays.back(noise * sd, spacing)
    power = (coarse.square() * rays.solid).sum() / rays.solid.sum().clamp(min=1)
    return coarse / power.sqrt().clamp(min=1e-6)
