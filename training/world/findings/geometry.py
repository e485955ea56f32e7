"""Paths, tubes and lungs as sets of lobes: what painters of the chest share."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from training.world.brushes import distance
from training.world.findings.kinds import LOBES
from training.world.findings.solid import tube
from training.world.materials import ID, NAMES
from training.world.scene import Box, Scene

LOBE_LABELS = tuple(ID[n] for n in LOBES)


def any_label(labels: Tensor, wanted: Iterable[int]) -> Tensor:
    """Where a label volume is one of some labels."""
    table = torch.zeros(256, dtype=torch.bool, device=labels.device)
    table[list(wanted)] = True
    return table.index_select(0, labels.flatten().int()).view(labels.shape)


def side_of(label: int) -> str:
    """left or right, by a paired organ's name."""
    return "left" if "_left" in NAMES[label] else "right"


def side_lobes(label: int) -> tuple[int, ...]:
    """Labels of the lobes of the lung that a lobe belongs to."""
    return tuple(k for k in LOBE_LABELS if side_of(k) == side_of(label))


def union_box(scene: Scene, labels: Iterable[int], margin_mm: float = 0.0) -> Box:
    """The box of several labels, at least one of which is in the scene."""
    boxes = [b for b in (scene.boxes[k - 1] for k in labels) if b is not None]
    a, b, c = (slice(min(x[n].start for x in boxes), max(x[n].stop for x in boxes)) for n in range(3))
    return scene.widened((a, b, c), margin_mm)


def extent_mm(mask: Tensor, spacing: float) -> float:
    """Longest side in mm of a mask's bounding box."""
    spans = [torch.nonzero(mask.any(d1).any(d2)).flatten() for d1, d2 in ((2, 1), (2, 0), (1, 0))]
    return max((int(s[-1] - s[0]) + 1) * spacing if len(s) else 0.0 for s in spans)


def share_above(values: Tensor, share: float) -> float:
    """The threshold that about a share of values lies above."""
    few = values[:: max(1, len(values) // 20_000)]
    return float(few.kthvalue(max(1, min(len(few), round(len(few) * (1 - share))))).values)


def near(mask: Tensor, spacing: float, reach: float) -> Tensor:
    """Distance in mm to a mask, at most ``reach``, from a grid of about 4 mm: for smooth shapes with a long reach."""
    step = max(1, int(4.0 / spacing))
    if step == 1:
        return distance(mask, spacing, reach).clamp(max=reach)
    coarse = F.avg_pool3d(mask[None, None].float(), step, ceil_mode=True)[0, 0] > 0.5
    far = distance(coarse, spacing * step, reach).clamp(max=reach)
    size = [n * step for n in coarse.shape]
    fine = F.interpolate(far[None, None], size=size, mode="trilinear")[0, 0]
    a, b, c = mask.shape
    return fine[:a, :b, :c]


def ramp(first: int, last: int, device: torch.device, axis: int) -> Tensor:
    """Indices of an axis of a box as floats, shaped to broadcast over (i, p, l)."""
    shape = [1, 1, 1]
    shape[axis] = last - first
    return torch.arange(first, last, device=device, dtype=torch.float32).view(shape)


def grids(scene: Scene, box: Box) -> tuple[Tensor, Tensor, Tensor]:
    """Scene indices along the three axes of a box, to broadcast."""
    a, b, c = (ramp(s.start, s.stop, scene.device, k) for k, s in enumerate(box))
    return a, b, c


def bowed(
    start: ArrayLike, end: ArrayLike, rng: np.random.Generator, bow: float = 0.1, points: int = 7
) -> NDArray[np.float64]:
    """A curved path (points, 3) between two places, bent by about ``bow`` of its length."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    t = np.linspace(0, 1, points)[:, None]
    return a + (b - a) * t + rng.normal(0, bow, 3) * np.linalg.norm(b - a) * np.sin(np.pi * t)


def distance_to_path(scene: Scene, path: NDArray[np.float64], reach_mm: float) -> tuple[Box, Tensor]:
    """Box about a path (n, 3) of scene indices, and the distance in mm of its voxels to the path (``reach_mm`` at
    most)."""
    box, depth = tube(scene, path, reach_mm)
    return box, (reach_mm - depth).clamp(max=reach_mm)


def cover_of(far: Tensor, radius_mm: float, spacing: float) -> Tensor:
    """Coverage (0..1) of voxels by what lies within a radius, from their distance to its middle line or surface."""
    return ((radius_mm - far) / spacing + 0.5).clamp(0, 1)


def hilum(sites: Tensor, label: int) -> NDArray[np.float64]:
    """The place of a lobe's (n, 3) sites where its airways enter: medial, at middle height and depth."""
    few = sites[:: max(1, len(sites) // 5_000)].float()
    middle = few.mean(0)
    medial = few[:, 2] if side_of(label) == "left" else -few[:, 2]
    score = medial + 0.6 * ((few[:, 0] - middle[0]).abs() + (few[:, 1] - middle[1]).abs())
    return np.asarray(few[int(score.argmin())].tolist(), float)
