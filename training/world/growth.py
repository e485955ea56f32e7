"""Brushes that change how large an organ is."""

from __future__ import annotations

import numpy as np

from training.world.brushes import FAR, among, distance, smooth_field
from training.world.materials import Material
from training.world.scene import PaintedFinding, Scene, finding_of


def grow(
    scene: Scene,
    label: int,
    slug: str,
    rng: np.random.Generator,
    *,
    factor: tuple[float, float],
    reach: float,
    free: tuple[Material, ...],
    material: Material,
) -> PaintedFinding | None:
    """Grow an organ that is whole in view by a factor of its volume, into the materials ``free``, by at most ``reach``
    mm; the new voxels are ``material``.

    Returns None where there is no room for the smallest factor.
    """
    if scene.is_cut(label):
        return None
    box = scene.organ_box(label, reach + 2 * scene.spacing)
    mask = scene.labels[box] == label
    before = int(mask.sum())
    far = distance(mask, scene.spacing, reach)
    room = ~mask & among(scene.tissue[box], free) & (far < FAR)
    uneven = far * (1 + 0.2 * smooth_field(rng, tuple(mask.shape), 12.0, scene.device).clamp(-2, 2))
    grade = float(rng.random())
    wanted = int(before * (factor[0] + (factor[1] - factor[0]) * grade - 1))
    depths = uneven[room]
    if len(depths) < int(before * (factor[0] - 1)) or len(depths) == 0:
        return None
    wanted = max(1, min(wanted, len(depths)))
    grown = room & (uneven <= depths.kthvalue(wanted).values)
    scene.tissue[box][grown] = int(material)
    scene.labels[box][grown] = label
    scene.rebox(label, box)
    new = mask | grown
    real = (before + int(grown.sum())) / max(1, before)
    span = scene.boxes[label - 1]
    assert span is not None
    size = max(s.stop - s.start for s in span) * scene.spacing
    grade = (real - factor[0]) / (factor[1] - factor[0])
    return finding_of(label, slug, new, box, size, grade=grade, volume_factor=real)


def shrink(
    scene: Scene,
    label: int,
    slug: str,
    rng: np.random.Generator,
    *,
    factor: tuple[float, float],
    uneven: float = 0.2,
    cell_mm: float = 30.0,
    into: Material = Material.FAT,
) -> PaintedFinding | None:
    """Shrink an organ that is whole in view to a factor below 1 of its volume, from its surface; what it leaves becomes
    ``into``."""
    if scene.is_cut(label):
        return None
    box = scene.organ_box(label, 2 * scene.spacing)
    mask = scene.labels[box] == label
    before = int(mask.sum())
    depth = distance(~mask, scene.spacing, 40.0).clamp(max=40.0)
    depth = depth * (1 + uneven * smooth_field(rng, tuple(mask.shape), cell_mm / scene.spacing, scene.device))
    grade = float(rng.random())
    left = factor[1] - (factor[1] - factor[0]) * grade
    gone = int(before * (1 - left))
    if gone < 1 or before - gone < 4:
        return None
    lost = mask & (depth <= depth[mask].kthvalue(gone).values)
    scene.tissue[box][lost] = int(into)
    scene.labels[box][lost] = 0
    scene.rebox(label, box)
    rest = mask & ~lost
    span = scene.boxes[label - 1]
    if span is None:
        return None
    size = max(s.stop - s.start for s in span) * scene.spacing
    return finding_of(label, slug, rest, box, size, grade=grade, volume_factor=float(rest.sum()) / before)
