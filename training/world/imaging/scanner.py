"""What the scanner does to the body: couch, motion, slices, kernel, beam hardening, streaks, noise, field of view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.world.imaging.artefacts import add_streaks, beat, breathe
from training.world.imaging.couch import add_couch, round_field
from training.world.imaging.fields import gaussian, slabs, spread
from training.world.imaging.noise import Grain, starved_rows
from training.world.imaging.rays import Map, Rays, hardening, ray_noise
from training.world.materials import ID
from training.world.scene import Scene

EMPTY = -1024
"""HU outside the field of view; inside, nothing is that dark."""
PARTIAL = 0.38
"""Least blur in voxels: borders between materials lie anywhere in a voxel."""


@dataclass(frozen=True)
class Protocol:
    """How a scan was acquired and reconstructed.

    Attributes
    ----------
    sharpness : float
        Kernel, from 0 (soft tissue) to 1 (bone, lung): less blur, overshoot at edges, more and finer noise.
    thickness, increment : float
        Of slices, mm.
    noise : float
        Standard deviation in HU, in the middle of a body of ordinary attenuation.
    denoised : bool
        Iterative or learned reconstruction: less noise, and blotchy.
    hardening : float
        Strength of beam hardening; about 0.05 is uncorrected.
    spread : float
        How unevenly noise is distributed by attenuation.
    modulation : float
        How far the tube current follows attenuation, 0..1.
    blocky : bool
        Slices thicker than a voxel are repeated, not interpolated.
    """

    sharpness: float
    thickness: float
    increment: float
    noise: float
    denoised: bool
    hardening: float
    spread: float
    modulation: float
    blocky: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Protocol:
        """A random protocol: half of the scans have thin slices, a third have a kernel sharper than soft tissue's."""
        sharpness = float(rng.beta(1.2, 2.2))
        low, high = ((0.8, 1.6), (1.6, 3.0), (3.0, 5.0))[int(rng.choice(3, p=[0.45, 0.3, 0.25]))]
        thickness = float(rng.uniform(low, high))
        increment = thickness * float(rng.choice([1.0, 0.8, 0.6], p=[0.6, 0.25, 0.15]))
        noise = float(np.exp(rng.uniform(np.log(4.5), np.log(24.0)))) * (0.8 + 0.8 * sharpness)
        denoised = bool(rng.random() < 0.3)
        noise *= float(rng.uniform(0.4, 0.75)) if denoised else 1.0
        return cls(
            sharpness,
            thickness,
            increment,
            noise * (2.0 / thickness) ** 0.25,
            denoised,
            float(rng.uniform(0, 0.06) * rng.uniform(0, 1)),
            float(rng.uniform(0.25, 0.6)),
            float(rng.uniform(0.4, 0.95)),
            bool(rng.random() < 0.35),
        )


def acquire(scene: Scene, rng: np.random.Generator, protocol: Protocol | None = None) -> Tensor:
    """The scan of a rendered scene, (I, P, L) int16; labels outside the field of view are set to 0.

    ``scene.hu`` is used up. Nothing inside the field of view is as dark as ``EMPTY``.
    """
    hu, spacing = scene.image, scene.spacing
    if protocol is None:
        protocol = Protocol.draw(rng)
    if rng.random() < 0.85:
        add_couch(hu, scene.tissue, spacing, rng)
    _moved(scene, hu, rng)
    slices = Slices.of(scene.shape[0], spacing, protocol)
    rays = Rays.of(hu, spacing, slices.middle)
    for box, metal in scene.metal:
        add_streaks(hu, metal, box, spacing, rng)
    noise = Noise.of(rays, spacing, protocol, rng)
    field = round_field(scene.shape, spacing, rng)
    empty = None if field is None else ~field.to(hu.device)
    out = torch.empty(scene.shape, dtype=torch.int16, device=hu.device)
    thick = torch.empty(rays.shape, device=hu.device) if slices.thick else None
    for rows in slabs(rays.shape, hu.device):
        part = slices.cut(hu, rows)
        spare = torch.empty_like(part)
        for axis in (1, 2):
            spread(part, axis, kernel(protocol.sharpness, spacing), spare)
        noise.add_to(part, rows)
        if thick is None:
            out[rows] = _stored(part, empty)
        else:
            thick[rows] = part
    if thick is not None:
        for rows in slabs(scene.shape, hu.device):
            out[rows] = _stored(slices.back(thick, rows), empty)
    if field is not None:
        scene.labels.mul_(field.to(hu.device))
    return out


def _stored(hu: Tensor, empty: Tensor | None) -> Tensor:
    hu = hu.round_().clamp_(EMPTY + 1, 3071)
    return hu if empty is None else hu.masked_fill_(empty, EMPTY)


def _moved(scene: Scene, hu: Tensor, rng: np.random.Generator) -> None:
    breathing, beating = rng.random() < 0.15, rng.random() < 0.6
    liver, heart = scene.boxes[ID["liver"] - 1], scene.boxes[ID["heart"] - 1]
    if breathing and liver is not None and liver[0].start > 0:
        breathe(hu, liver[0].start + 10 / scene.spacing, scene.spacing, rng)
    if beating and heart is not None:
        beat(hu, scene.widened(heart, 12.0), scene.spacing, rng)


@dataclass(frozen=True, eq=False)
class Slices:
    """Slices along I, each a weighted mean of a few voxels.

    Attributes
    ----------
    middle : (J,) float64
        Of each slice; the middle of voxel k is k.
    first : (J,) int64
        The first voxel of each slice's mean, which may lie outside.
    share : (J, taps) float32
        Weights.
    voxels : int
        Along I.
    thick : bool
        Whether slices replace voxels; else each voxel is a slice.
    blocky : bool
        Repeated, not interpolated.
    """

    middle: Tensor
    first: Tensor
    share: Tensor
    voxels: int
    thick: bool
    blocky: bool

    @classmethod
    def of(cls, voxels: int, spacing: float, protocol: Protocol) -> Slices:
        """The slices of a protocol."""
        height = protocol.thickness / spacing
        if height <= 1.3 or voxels < 3 * height:
            half = gaussian((PARTIAL**2 + height**2 / 12) ** 0.5, 3).tolist()
            taps = torch.tensor(half[:0:-1] + half)
            middle = torch.arange(voxels, dtype=torch.float64)
            return cls(middle, middle.long() - (len(half) - 1), taps.expand(voxels, -1), voxels, False, False)
        # slices closer together than voxels would not be seen
        step = max(protocol.increment / spacing, 1.0)
        middle = torch.arange(0.5 * step - 0.5, voxels - 0.5, step, dtype=torch.float64)
        first = (middle - height / 2 + 0.5).floor().long()
        row = first[:, None] + torch.arange(int(np.ceil(height)) + 1)
        low = torch.maximum((middle - height / 2)[:, None], row - 0.5)
        high = torch.minimum((middle + height / 2)[:, None], row + 0.5)
        share = ((high - low).clamp(min=0) / height).float()
        return cls(middle, first, share, voxels, True, protocol.blocky)

    def cut(self, hu: Tensor, rows: slice) -> Tensor:
        """Some slices (j, P, L) of an (I, P, L) volume."""
        first, share = self.first[rows], self.share[rows].to(hu.device)
        out: Tensor | None = None
        for k in range(share.shape[1]):
            part = hu.index_select(0, (first + k).clamp(0, self.voxels - 1).to(hu.device))
            weight = share[:, k, None, None]
            out = part.mul_(weight) if out is None else out.addcmul_(part, weight)
        assert out is not None
        return out

    def back(self, slices: Tensor, rows: slice) -> Tensor:
        """Some voxels (i, P, L) of (J, P, L) slices."""
        start, step = float(self.middle[0]), float(self.middle[1] - self.middle[0])
        place = ((torch.arange(rows.start, rows.stop) - start) / step).clamp(0, len(self.middle) - 1)
        if self.blocky:
            return slices.index_select(0, place.round().long().to(slices.device))
        low = place.floor().long()
        high = (low + 1).clamp(max=len(self.middle) - 1)
        one, two = (slices.index_select(0, k.to(slices.device)) for k in (low, high))
        return one.lerp_(two, (place - low).to(slices.device, torch.float32)[:, None, None])


@dataclass(frozen=True, eq=False)
class Noise:
    """Everything that is added to a scan's slices: grain by its local level, bands and streaks, starved rows."""

    grain: Grain
    level: Map
    coarse: Map
    rows: Tensor

    @classmethod
    def of(cls, rays: Rays, spacing: float, protocol: Protocol, rng: np.random.Generator) -> Noise:
        """Draw a scan's noise."""
        one, two, three = (int(n) for n in rng.integers(2**62, size=3))
        streaky, starved = float(rng.uniform(0.08, 0.3)), float(rng.uniform(0, 1.5))
        device = rays.body.device
        # the tube's current makes up for a large patient, though not quite
        size = float(rays.body.max(1).values.median())
        sd = protocol.noise * float(np.clip(np.exp(protocol.spread * (1 - protocol.modulation) * (size - 6.5)), 0.7, 2))
        sigma = (1.0 - 0.6 * protocol.sharpness) / spacing * (1.5 if protocol.denoised else 1.0)
        overlap = 0.5 * max(0.0, 1.0 - protocol.increment / protocol.thickness)
        grain = Grain(sigma, 0.16 * protocol.sharpness, overlap, rays.shape[1:], device, one)
        white = torch.empty_like(rays.body).normal_(generator=torch.Generator(device).manual_seed(two))
        coarse = ray_noise(rays, protocol.spread, white, spacing) * (streaky * sd)
        coarse += hardening(rays, protocol.hardening, spacing)
        level = rays.level(protocol.spread, protocol.modulation) * sd
        rows = starved_rows(rays, three) * (starved * sd)
        return cls(grain, rays.map(level), rays.map(coarse), rows)

    def add_to(self, slices: Tensor, rows: slice) -> None:
        """Add to the next slices (j, P, L), in place."""
        slices += self.level.times(self.grain.slices(len(slices)), rows)
        self.coarse.add_to(slices, rows)
        slices += self.rows[rows]


def kernel(sharpness: float, spacing: float) -> NDArray[np.float64]:
    """Half of the in-plane point spread, from its middle: a Gaussian, and overshoot beyond a sharpness of 0.45."""
    mm = 1.25 - 0.85 * sharpness
    sigma = ((mm / spacing) ** 2 + PARTIAL**2) ** 0.5
    narrow, wide = gaussian(sigma, 4), gaussian(1.9 * sigma, 4)
    over = 1.1 * max(0.0, sharpness - 0.45)
    out: NDArray[np.float64] = -over * wide
    out[: len(narrow)] += (1 + over) * narrow
    return out
