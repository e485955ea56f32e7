"""The course of a tube-like organ: centre line, radius and a frame that turns with it, for what follows a vessel or a
rib."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.world.scene import Box, Scene

Float = NDArray[np.float64]
STEP = 4.0
"""Distance of neighbouring centres in mm."""


@dataclass(frozen=True, eq=False)
class Course:
    """A stretch of a tube.

    Attributes
    ----------
    centres : (m, 3) float
        In voxels, about ``STEP`` mm apart.
    along, across, over : (m, 3) float
        Unit vectors: the direction, and two across it that turn as little as they can from one centre to the next.
    radius : (m,) float
        In mm, of the circle of the same area.
    spacing : float
        Voxel size in mm.
    """

    centres: Float
    along: Float
    across: Float
    over: Float
    radius: Float
    spacing: float

    @property
    def length_mm(self) -> float:
        """From the first centre to the last."""
        return float(np.linalg.norm(np.diff(self.centres, axis=0), axis=1).sum() * self.spacing)

    def box(self, scene: Scene, margin_mm: float) -> Box:
        """The box of what lies within ``margin_mm`` of the centres."""
        low, high = np.floor(self.centres.min(0)).astype(int), np.ceil(self.centres.max(0)).astype(int) + 1
        low, high = np.clip(low, 0, np.array(scene.shape) - 1), np.clip(high, 1, scene.shape)
        box = (slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])), slice(int(low[2]), int(high[2])))
        return scene.widened(box, margin_mm)

    def locate(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Of (n, 3) voxels: the nearest centre (n,), and the offset from it (n, 3) in mm."""
        centres = torch.from_numpy(self.centres.astype(np.float32)).to(points.device)
        nearest = torch.cdist(points.float(), centres, compute_mode="donot_use_mm_for_euclid_dist").argmin(1)
        return nearest, (points - centres[nearest]) * self.spacing

    def beside(self, nearest: Tensor, offset: Tensor) -> Tensor:
        """Which located voxels lie beside the stretch and not beyond its ends."""
        level = (offset * self.vectors(self.along, nearest)).sum(1)
        last = len(self.centres) - 1
        return ~((nearest == 0) & (level < -STEP / 2)) & ~((nearest == last) & (level > STEP / 2))

    def vectors(self, values: Float, nearest: Tensor) -> Tensor:
        """Values given per centre, (m,) or (m, 3), at each voxel's nearest centre."""
        return torch.from_numpy(np.asarray(values, np.float32)).to(nearest.device)[nearest]

    def sideways(self, angle: Float | float) -> Float:
        """Unit vectors (m, 3) across the tube at an angle in radians (one, or one per centre)."""
        a = np.broadcast_to(np.asarray(angle, float), len(self.centres))[:, None]
        return np.cos(a) * self.across + np.sin(a) * self.over


def trace(
    scene: Scene,
    label: int,
    rng: np.random.Generator,
    length_mm: float,
    *,
    seed: Float | None = None,
    look_mm: float = 16.0,
) -> Course | None:
    """Follow a tube both ways from a random voxel (or ``seed``) for at most ``length_mm``; None where it is too
    short."""
    box = scene.organ_box(label)
    found = torch.nonzero(scene.labels[box] == label)
    if len(found) < 20:
        return None
    points = (found + torch.tensor([s.start for s in box], device=found.device)).float()
    if seed is None:
        seed = np.asarray(points[int(rng.integers(len(points)))].tolist())
    look = look_mm / scene.spacing
    middle = _mean_near(points, _mean_near(points, seed, look), look)
    direction = _axis_near(points, middle, 1.4 * look)
    halves = [_march(points, middle, sign * direction, length_mm / 2, look, scene.spacing) for sign in (-1, 1)]
    centres = np.array([*halves[0][::-1], middle, *halves[1]])
    if len(centres) < 3:
        return None
    centres[1:-1] = (centres[:-2] + 2 * centres[1:-1] + centres[2:]) / 4
    along = np.gradient(centres, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    across = _transported(along)
    radius = _radii(points, centres, along, scene.spacing)
    return Course(centres, along, across, np.cross(along, across), radius, scene.spacing)


def _mean_near(points: Tensor, centre: Float, reach: float) -> Float:
    c = torch.from_numpy(np.asarray(centre, np.float32)).to(points.device)
    near = points[((points - c) ** 2).sum(1) <= reach * reach]
    return np.asarray(near.mean(0).tolist()) if len(near) else np.asarray(centre, float)


def _axis_near(points: Tensor, centre: Float, reach: float) -> Float:
    c = torch.from_numpy(np.asarray(centre, np.float32)).to(points.device)
    near = points[((points - c) ** 2).sum(1) <= reach * reach]
    if len(near) < 4:
        return np.array([1.0, 0.0, 0.0])
    spread = np.asarray(((near - near.mean(0)).T @ (near - near.mean(0))).tolist())
    axis: Float = np.linalg.eigh(spread)[1][:, -1]
    return axis


def _march(points: Tensor, start: Float, direction: Float, length: float, look: float, spacing: float) -> list[Float]:
    out: list[Float] = []
    here, step = np.asarray(start, float), STEP / spacing
    for _ in range(int(length / STEP)):
        # look half a reach ahead, so that the mean of what is near is pulled along the tube and not back
        ahead = _mean_near(points, here + direction * (step + 0.25 * look), look)
        move = ahead - here
        move -= direction * max(0.0, float(move @ direction) - step)
        if float(move @ direction) < 0.35 * step:
            break
        here = here + move
        direction = 0.5 * direction + 0.5 * move / (np.linalg.norm(move) + 1e-9)
        direction = direction / np.linalg.norm(direction)
        out.append(here)
    return out


def _transported(along: Float) -> Float:
    """A unit vector across each direction, carried from one to the next without turning."""
    first = np.eye(3)[int(np.abs(along[0]).argmin())]
    out = []
    for d in along:
        first = first - (first @ d) * d
        first = first / (np.linalg.norm(first) + 1e-9)
        out.append(first)
    return np.array(out)


def _radii(points: Tensor, centres: Float, along: Float, spacing: float) -> Float:
    out = []
    for c, d in zip(centres, along, strict=True):
        offset = points - torch.from_numpy(c.astype(np.float32)).to(points.device)
        level = offset @ torch.from_numpy(d.astype(np.float32)).to(points.device)
        thick = max(STEP, 1.5 * spacing)
        near = (level.abs() * spacing <= thick / 2) & ((offset * offset).sum(1) < (30 / spacing) ** 2)
        out.append(np.sqrt(float(near.sum()) * spacing**3 / thick / np.pi))
    raw = np.array(out)
    return np.convolve(np.pad(raw, 2, mode="edge"), np.full(5, 0.2), mode="valid")
