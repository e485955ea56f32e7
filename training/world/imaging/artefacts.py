"""Artefacts of metal and of motion (Barrett and Keat, RadioGraphics 2004;24:1679)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.scene import Box


def add_streaks(hu: Tensor, metal: Tensor, box: Box, spacing: float, rng: np.random.Generator) -> None:
    """Bright and dark rays that leave metal in plane, fading with distance; a dark band along its long axis.

    Parameters
    ----------
    hu : (J, P, L) float
        Changed in place, in the slices of ``box`` that hold metal.
    metal : (j, p, l) bool
        In ``box``.
    """
    strength, reach = float(rng.uniform(60, 420)), float(rng.uniform(30, 80) / spacing)
    few = rng.standard_normal(90).astype(np.float32)
    # sharp, uneven rays: a few directions see much metal, most little
    rays = torch.from_numpy(np.sign(few) * np.abs(few) ** 1.7 * 0.7).to(hu.device)
    turn = float(rng.normal(0, 0.15))
    n = rays.numel()
    for k in torch.nonzero(metal.flatten(1).any(1)).flatten().tolist():
        spots = torch.nonzero(metal[k]).float()
        middle = spots.mean(0)
        p0, x0 = (float(c) + box[a].start for a, c in ((1, middle[0]), (2, middle[1])))
        far = int(3 * reach) + 1
        a, b = max(0, int(p0) - far), max(0, int(x0) - far)
        part = hu[box[0].start + k, a : int(p0) + far + 1, b : int(x0) + far + 1]
        p = torch.arange(a, a + part.shape[0], device=hu.device)[:, None] - p0
        x = torch.arange(b, b + part.shape[1], device=hu.device)[None, :] - x0
        angle = torch.atan2(p, x)
        place = (angle / (2 * torch.pi) + 0.5) * n + turn * k
        low = place.floor()
        first = low.long() % n
        ray = torch.lerp(rays[first], rays[(first + 1) % n], place - low)
        dp, dx = (spots - middle).T
        skew, across = 2 * float((dp * dx).mean()), float((dx * dx - dp * dp).mean())
        total = float((dp * dp + dx * dx).mean()) + 1.0
        longest = 0.5 * float(np.arctan2(skew, across))
        band = float(np.hypot(skew, across)) / total * torch.cos(2 * (angle - longest))
        size = min(1.0, len(spots) * spacing**2 / 110)
        part += strength * size * (ray - band) * torch.exp(-(p * p + x * x).sqrt() / reach)


def breathe(hu: Tensor, dome: float, slice_mm: float, rng: np.random.Generator) -> None:
    """Breathing near the diaphragm's dome (a slice): double contours, or a step where the patient breathed in between.

    In place, within 45 mm of the dome.
    """
    n = hu.shape[0]
    mm, ghost = float(rng.uniform(2, 6)), rng.random() < 0.6
    weight, width = float(rng.uniform(0.2, 0.5)), float(rng.uniform(15, 45))
    shift = max(1, round(mm / slice_mm)) * (1 if rng.random() < 0.5 else -1)
    a, b = (int(np.clip(dome + s * width / slice_mm, 0, n)) for s in (-1, 1))
    if b <= a:
        return
    rows = torch.arange(a, b, device=hu.device)
    other = hu.index_select(0, (rows + shift).clamp(0, n - 1))
    if ghost:
        part = weight * (torch.cos((rows - dome) * (torch.pi / 2 * slice_mm / width)) ** 2)
        hu[a:b] = torch.lerp(hu[a:b], other, part[:, None, None])
    else:
        hu[a:b] = other


def beat(hu: Tensor, box: Box, spacing: float, rng: np.random.Generator) -> None:
    """Blur the heart's borders by its beat, in place in ``box``: a mean of systole and diastole."""
    mm, part = float(rng.uniform(1.5, 5)), float(rng.uniform(0.15, 0.35))
    heart = hu[box]
    reach = [min(max(1, round(mm / spacing)), n - 1) for n in heart.shape]
    source = heart.clone()
    # weakest at the box's border, which would show as a line
    ramp = [torch.hann_window(n, periodic=False, device=hu.device) for n in heart.shape]
    weight = (ramp[0][:, None, None] * ramp[1][:, None] * ramp[2]).sqrt_() * part
    for axis in (1, 2):
        k, n = reach[axis], heart.shape[axis]
        if k < 1 or n < 3:
            continue
        for to, at in ((k, 0), (0, k)):
            there = source.narrow(axis, at, n - k)
            part_of = heart.narrow(axis, to, n - k)
            part_of += (there - source.narrow(axis, to, n - k)) * weight.narrow(axis, to, n - k) * 0.5
