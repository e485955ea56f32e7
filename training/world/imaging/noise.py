"""Noise as reconstruction makes it: none at frequency zero, grainy for sharp kernels, blotchy for soft ones.

Filtered backprojection gives noise whose power rises with frequency, times the kernel's fall (Riederer, Pelc and
Chesler, Phys Med Biol 1978;23:446).
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.world.imaging.fields import gaussian, spread
from training.world.imaging.rays import SIZE, Rays, areas, lines


class Grain:
    """Noise of unit variance, made a few slices at a time.

    Parameters
    ----------
    sigma : float
        The kernel's blur in voxels; below 0.25 none.
    ramp : float
        How much high frequencies outweigh low ones, 0..0.2.
    overlap : float
        Correlation of neighbouring slices, 0..0.5.
    plane : (int, int)
        Voxels along P and L.
    seed : int
        Of the device's generator.
    """

    def __init__(
        self, sigma: float, ramp: float, overlap: float, plane: tuple[int, int], device: torch.device, seed: int
    ) -> None:
        self._generator = torch.Generator(device).manual_seed(seed)
        self._device, self._plane, self._ramp = device, plane, ramp
        self._kernel = gaussian(sigma, 3) if sigma >= 0.25 else None
        # x + b times the slice before has the correlation b / (1 + b * b)
        r = min(0.5, overlap)
        self._mix = (1 - (1 - 4 * r * r) ** 0.5) / (2 * r) if r > 0.05 else 0.0
        self._scale: Tensor | None = None
        self._before: Tensor | None = None
        longest = max(plane)
        self._down = [areas(n, longest, device) for n in plane]
        self._up = [lines(n, longest, device) for n in plane]

    def slices(self, count: int) -> Tensor:
        """The next (count, P, L)."""
        noise = torch.empty(count, *self._plane, device=self._device).normal_(generator=self._generator)
        spare = torch.empty_like(noise)
        if self._ramp > 0.01:
            _raised(noise, spare, self._ramp)
        if self._kernel is not None:
            for axis in (1, 2):
                spread(noise, axis, self._kernel, spare)
        if max(self._plane) >= 2 * SIZE:
            # without what is coarser than the pixels of the rays, which bring their own
            coarse = torch.matmul(self._down[0], noise @ self._down[1].T) @ self._up[1].T
            torch.baddbmm(noise, self._up[0].expand(count, -1, -1), coarse, alpha=-1.0, out=noise)
        if self._mix:
            last = noise[-1].clone()
            spare.copy_(noise)
            noise[1:].add_(spare[:-1], alpha=self._mix)
            if self._before is not None:
                noise[0].add_(self._before, alpha=self._mix)
            self._before = last
        if self._scale is None:
            self._scale = 1.0 / noise[1::2, ::3, ::3].std().clamp(min=1e-6) if count > 2 else torch.ones(())
        return noise.mul_(self._scale)


def _raised(noise: Tensor, spare: Tensor, ramp: float) -> None:
    """Subtract the four neighbours in plane."""
    spare.copy_(noise)
    for axis in (1, 2):
        n = noise.shape[axis]
        noise.narrow(axis, 1, n - 1).sub_(spare.narrow(axis, 0, n - 1), alpha=ramp)
        noise.narrow(axis, 0, n - 1).sub_(spare.narrow(axis, 1, n - 1), alpha=ramp)


def starved_rows(rays: Rays, seed: int) -> Tensor:
    """(J, P, 1) noise that runs from side to side, by how much slices attenuate: through shoulders and hips."""
    device, (j, p, _) = rays.body.device, rays.shape
    generator = torch.Generator(device).manual_seed(seed)
    worst = rays.body.max(1).values
    part = torch.sigmoid(2.0 * (worst - worst.median() - 1.2))
    slices = part[(torch.arange(j, device=device) // rays.step).clamp(max=len(part) - 1)]
    rows = torch.empty(j, p, 1, device=device).normal_(generator=generator)
    return rows * slices[:, None, None]
