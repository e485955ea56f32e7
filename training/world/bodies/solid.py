"""Bones as a cortical shell about a spongy or fatty core."""

from __future__ import annotations

import numpy as np

from training.world.bodies.shapes import Canvas, Region
from training.world.materials import BONE, Material


def bone(canvas: Canvas, region: Region, label: int, shell: float, core: Material = Material.SPONGIOSA) -> None:
    """Paint a bone with a cortical shell about ``shell`` mm thick (at least the surface voxel) around a core."""
    painted = canvas.paint(region, Material.CORTEX, label, keep=BONE)
    mask = painted.mask
    if mask.size == 0:
        return
    inner = mask
    for _ in range(max(1, round(shell / canvas.spacing))):
        inner = _erode(inner)
    canvas.paint(Region(painted.box, inner), core)


def _erode(mask: np.ndarray) -> np.ndarray:
    out = mask.copy()
    for axis in range(3):
        a = np.moveaxis(out, axis, 0)
        m = np.moveaxis(mask, axis, 0)
        a[1:] &= m[:-1]
        a[:-1] &= m[1:]
        a[0] = a[-1] = False
    return out
