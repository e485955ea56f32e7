"""What lies around the patient: the couch, and the edge of the round field of view."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.materials import Material


def add_couch(hu: Tensor, tissue: Tensor, spacing: float, rng: np.random.Generator) -> None:
    """A couch behind the patient where there is air: two thin curved shells around a light core, or a cushion on it.

    Nothing is drawn in front of a column's hindmost tissue, so that gas in the body is left alone.
    """
    slack, lift, shift = rng.uniform(-10, 6), rng.uniform(0, 4), rng.normal(0, 3)
    bow, thick, half = rng.uniform(0.0003, 0.0022), rng.uniform(12, 45), rng.uniform(150, 240)
    wall, foam = float(rng.uniform(-500, 60)), float(rng.uniform(-990, -880))
    cushion, pillow = rng.random() < 0.35, float(rng.uniform(-985, -850))
    solid = (tissue[::3] != int(Material.AIR)).any(0)
    n, m = solid.shape
    p = torch.arange(n, device=hu.device, dtype=torch.float32)[:, None]
    lowest = torch.where(solid, p, -1.0).max(0).values
    if float(lowest.max()) < 0:
        return
    x = torch.arange(m, device=hu.device, dtype=torch.float32) - m / 2 + float(shift)
    top = float(lowest.max()) + (slack + lift) / spacing - float(bow * spacing) * x * x
    low = top.max() + float(thick / spacing) * (1 - 0.5 * (x / x.abs().max()).square())
    line = 0.6 if spacing >= 1.5 else 0.9 / spacing
    within = (x.abs() < float(half / spacing)) & (p > lowest)
    shell = (((p - top).abs() < line) | ((p - low).abs() < line)) & within
    core = (p > top) & (p < low) & within
    pattern = torch.where(shell, wall, torch.where(core, foam, -2000.0))
    if cushion:
        soft = (p <= top) & (p > top - 18 / spacing) & within & ~shell
        pattern = torch.where(soft, pillow, pattern)
    drawn = pattern > -1500
    rows = torch.nonzero(drawn.any(1)).flatten()
    if len(rows) == 0:
        return
    a, b = int(rows[0]), int(rows[-1]) + 1
    here = (tissue[:, a:b] == int(Material.AIR)) & drawn[a:b]
    hu[:, a:b] = torch.where(here, pattern[a:b], hu[:, a:b])


def round_field(shape: tuple[int, int, int], spacing: float, rng: np.random.Generator) -> Tensor | None:
    """(P, L), False outside the field of view, or None where it is not seen.

    Two scans in five show a circle; one in eight cuts into the body.
    """
    cut, seen = rng.random() < 0.12, rng.random() < 0.32
    small, large, away = rng.uniform(0.72, 0.95), rng.uniform(1.0, 1.1), rng.normal(0, (12, 18)) / spacing
    if not (cut or seen):
        return None
    p = torch.arange(shape[1], dtype=torch.float32)[:, None] - shape[1] / 2
    x = torch.arange(shape[2], dtype=torch.float32) - shape[2] / 2
    radius = max(shape[1], shape[2]) / 2 * (small if cut else large)
    if cut:
        p, x = p + float(away[0]), x + float(away[1])
    return p * p + x * x <= radius * radius
