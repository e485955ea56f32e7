"""Aneurysms of the aorta, and the clot that lines its wall."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import among, places, shell, smooth_field
from training.world.findings.vessel import Course, trace
from training.world.materials import Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

_YIELDS = (
    Material.FAT,
    Material.SOFT,
    Material.LUNG,
    Material.LUNG_VESSEL,
    Material.BOWEL_WALL,
    Material.BOWEL_LUMEN,
    Material.STOMACH_WALL,
    Material.STOMACH_LUMEN,
    Material.COLON_WALL,
    Material.STOOL,
    Material.GAS,
    Material.PANCREAS,
    Material.OESOPHAGUS,
)


def aortic_aneurysm(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A segment of 40-140 mm widened to 35-80 mm, at times to one side only, with mural clot or wall calcium."""
    saccular = rng.random() < 0.2
    course = trace(scene, label, rng, rng.uniform(40, 70) if saccular else rng.uniform(60, 140))
    if course is None or course.length_mm < 28:
        return None
    normal = float(np.median(course.radius))
    least = max(35.0, 2.7 * normal)
    if least > 70:
        return None
    wide = least + (80 - least) * float(rng.beta(1.1, 2.0))
    sac = sac_of(scene, label, course, rng, wide, normal, saccular)
    if sac is None:
        return None
    box, mask, new, wall = sac
    tissue, labels = scene.tissue[box], scene.labels[box]
    tissue[new] = int(Material.ARTERY)
    labels[new] = label
    if rng.random() < 0.6:
        clot = mask & mural(course, places(mask, box), mask, rng, (0.35, 0.85))
        tissue[clot] = int(Material.CLOT)
    if rng.random() < 0.5:
        field = smooth_field(rng, tuple(mask.shape), 12 / scene.spacing, scene.device)
        tissue[wall & (field > rng.uniform(1.2, 2.4))] = int(Material.CALCIUM)
    scene.rebox(label, scene.widened(scene.organ_box(label), 60.0))
    size = widest(mask, box, course)
    return finding_of(label, "aortic_aneurysm", mask, box, size, grade=(size - 35) / 40)


def sac_of(
    scene: Scene, label: int, course: Course, rng: np.random.Generator, wide: float, normal: float, saccular: bool
) -> tuple[Box, Tensor, Tensor, Tensor] | None:
    """Box, the widened segment, what it takes from its neighbours, and its wall; None where it has no room."""
    m = len(course.centres)
    t = np.linspace(-1, 1, m)
    bump = np.cos(np.pi / 2 * np.abs(t) ** rng.uniform(1.0, 2.2)) ** 2
    radius = course.radius + np.maximum(0, wide / 2 - course.radius) * bump
    aside = course.sideways(rng.uniform(0, 2 * np.pi)) if saccular else np.zeros((m, 3))
    # the spine is behind: what grows goes to the front and to the left
    free = np.array([0.0, -1.0, rng.uniform(-0.2, 0.6)])
    ahead = free - course.along * (course.along @ free)[:, None]
    shift = (radius - course.radius)[:, None] * (0.75 * ahead + (0.5 if saccular else 0.0) * aside)
    box = course.box(scene, (1.0 if saccular else 0.8) * wide)
    mask, tissue = scene.labels[box] == label, scene.tissue[box]
    may = mask | among(tissue, _YIELDS)
    points = places(may, box)
    nearest, offset = course.locate(points)
    away = (offset - course.vectors(shift, nearest)).norm(dim=1)
    uneven = 1 + 0.05 * smooth_field(rng, tuple(mask.shape), 15 / scene.spacing, scene.device)[may]
    inside = away <= course.vectors(radius, nearest) * uneven
    inside |= mask[may] & (offset.norm(dim=1) <= course.vectors(1.5 * course.radius, nearest))
    whole = torch.zeros_like(mask)
    whole[may] = inside & course.beside(nearest, offset) & (course.vectors(bump, nearest) > 0.1)
    new = whole & ~mask
    steps = np.linalg.norm(np.gradient(course.centres, axis=0), axis=1) * course.spacing
    wanted = float((np.pi * radius**2 * steps)[bump > 0.1].sum()) / scene.spacing**3
    if float(whole.sum()) < 0.7 * wanted or widest(whole, box, course) < max(34.0, 2.4 * normal):
        return None
    return box, whole, new, whole & shell(whole)


def widest(mask: Tensor, box: Box, course: Course) -> float:
    """Largest diameter across the vessel, of the circle of the same area."""
    nearest, offset = course.locate(places(mask, box))
    level = (offset * course.vectors(course.along, nearest)).sum(1)
    counts = torch.bincount(nearest[level.abs() <= 6.0], minlength=len(course.centres)).float()
    smooth = np.convolve(counts.cpu().tolist(), np.full(3, 1 / 3), mode="valid")
    gaps = np.linalg.norm(np.gradient(course.centres, axis=0), axis=1)[1:-1] * course.spacing
    areas = smooth * course.spacing**3 / np.maximum(gaps, 1.0)
    return float(2 * np.sqrt(areas.max() / np.pi)) if len(areas) else 0.0


def mural(course: Course, points: Tensor, mask: Tensor, rng: np.random.Generator, share: tuple[float, float]) -> Tensor:
    """Where a clot lines one side of a vessel: outside a round channel that is pushed to the other side."""
    nearest, offset = course.locate(points)
    m = len(course.centres)
    counts = torch.bincount(nearest, minlength=m).float().clamp(min=1)
    middle = torch.zeros((m, 3), device=points.device).index_add_(0, nearest, offset) / counts[:, None]
    gaps = np.linalg.norm(np.gradient(course.centres, axis=0), axis=1) * course.spacing
    per = torch.from_numpy(np.maximum(gaps, 1.0).astype(np.float32)).to(points.device)
    radius = (counts * course.spacing**3 / per / np.pi).sqrt()
    taper = np.sin(np.linspace(0.06, np.pi - 0.06, m)) ** 0.5
    left = 1 - (1 - rng.uniform(*share)) * taper
    push = course.sideways(rng.uniform(0, 2 * np.pi) + np.linspace(0, rng.uniform(-1.5, 1.5), m))
    channel = radius[nearest] * course.vectors(left, nearest)
    to = middle[nearest] + course.vectors(push, nearest) * (radius[nearest] - channel)[:, None]
    out = torch.zeros_like(mask)
    out[mask] = (offset - to).norm(dim=1) > channel
    return out
