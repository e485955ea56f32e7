"""Where head, neck and shaft of a femur are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.world.brushes import places
from training.world.materials import NAMES
from training.world.scene import Box, Scene

Point = NDArray[np.float64]


@dataclass(frozen=True)
class Hip:
    """Landmarks of a femur in voxels, and the head's radius in mm; ``outward`` is +1 for the left side."""

    head: Point
    neck: Point
    shaft: tuple[Point, ...]
    radius_mm: float
    outward: int


def hip_frame(scene: Scene, label: int) -> Hip | None:
    """Landmarks of the femur with a label; None when its head or the root of its shaft is not in view."""
    outward = 1 if NAMES[label].endswith("left") else -1
    box = scene.organ_box(label)
    points = places(scene.labels[box] == label, box).float()
    if len(points) == 0 or float(len(points)) * scene.spacing**3 < 60_000 or box[0].start == 0:
        return None
    if (box[0].stop - box[0].start) * scene.spacing < 85:
        return None
    top = points[points[:, 0] < box[0].start + 48 / scene.spacing]
    inner = -outward * top[:, 2]
    # the head is the innermost ball of the upper end
    tip = float(inner.max())
    cap = top[inner > tip - 14 / scene.spacing]
    apex = cap.mean(0)
    half = 30 / scene.spacing
    near = top[((top - apex).norm(dim=1) < half) & (inner > tip - 44 / scene.spacing)]
    spread = near[:, 0].quantile(0.98) - near[:, 0].quantile(0.02)
    radius = float(np.clip(float(spread) * scene.spacing / 2, 18, 28))
    head = _at(apex)
    head[2] = -outward * (tip - radius / scene.spacing)
    shaft = _shaft(points, head, box[0].stop, scene.spacing)
    if len(shaft) < 2:
        return None
    root = shaft[0]
    neck = head + 0.62 * (np.array((head[0] + 24 / scene.spacing, root[1], root[2])) - head)
    return Hip(head, neck, tuple(shaft), radius, outward)


def _at(point: Tensor) -> Point:
    return np.asarray(point.tolist(), float)


def _shaft(points: Tensor, head: Point, end: int, spacing: float) -> list[Point]:
    """Centres of the rows below the lesser trochanter, 12 mm apart."""
    out = []
    row, step = head[0] + 42 / spacing, max(1.0, 12 / spacing)
    while row < end - 1:
        level = points[(points[:, 0] - row).abs() <= 0.5]
        if len(level) < 3:
            break
        out.append(_at(level.mean(0)))
        row += step
    return out


def offsets(scene: Scene, box: Box, centre: Point) -> list[Tensor]:
    """Open (i, p, l) arrays of mm from a voxel index."""
    out = []
    for k, s in enumerate(box):
        shape = [1, 1, 1]
        shape[k] = -1
        axis = torch.arange(s.start, s.stop, device=scene.device, dtype=torch.float32)
        out.append(((axis - float(centre[k])) * scene.spacing).view(shape))
    return out


def tube(scene: Scene, line: list[Point], radii_mm: list[float]) -> tuple[Box, Tensor]:
    """Box and mask of round rods along straight pieces between points; the radius runs from one point to the next."""
    ends = np.array(line)
    reach = max(radii_mm) / scene.spacing + 1
    low = np.clip(np.floor(ends.min(0) - reach), 0, scene.shape).astype(int)
    high = np.clip(np.ceil(ends.max(0) + reach) + 1, 0, scene.shape).astype(int)
    high = np.maximum(low, high)
    box = (slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])), slice(int(low[2]), int(high[2])))
    grid = [torch.arange(s.start, s.stop, device=scene.device, dtype=torch.float32) for s in box]
    i, p, x = grid[0][:, None, None], grid[1][None, :, None], grid[2][None, None, :]
    mask = torch.zeros([s.stop - s.start for s in box], dtype=torch.bool, device=scene.device)
    for a, b, r, q in zip(line[:-1], line[1:], radii_mm[:-1], radii_mm[1:], strict=True):
        d = b - a
        length = float(d @ d)
        t = ((i - a[0]) * float(d[0]) + (p - a[1]) * float(d[1]) + (x - a[2]) * float(d[2])) / max(length, 1e-6)
        t = t.clamp(0, 1)
        away = (i - a[0] - t * float(d[0])) ** 2 + (p - a[1] - t * float(d[1])) ** 2 + (x - a[2] - t * float(d[2])) ** 2
        mask |= away.sqrt() * scene.spacing <= r + (q - r) * t
    return box, mask
