"""Focal abnormalities of the lung: nodule, mass, granuloma, consolidation, bronchiectasis."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import (
    ball,
    blend,
    joined,
    pick,
    places,
    relabel,
    sites_of,
    smooth_field,
    volume_ml,
)
from training.world.findings.geometry import (
    LOBE_LABELS,
    any_label,
    bowed,
    cover_of,
    distance_to_path,
    extent_mm,
    grids,
    hilum,
    near,
)
from training.world.materials import Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

Outline = Literal["round", "lobulated", "spiculated"]


def soft_tissue(scene: Scene, rng: np.random.Generator, low: float, high: float, gain: float) -> float:
    """Attenuation of a lesion: ``low`` .. ``high`` HU, and up to ``gain`` more after contrast medium."""
    value = rng.uniform(low, high)
    return float(value if scene.contrast.phase == "native" else value + rng.uniform(0.2, 1.0) * gain)


def shaped(
    scene: Scene, centre: np.ndarray, diameter: float, outline: Outline, rng: np.random.Generator
) -> tuple[Box, Tensor]:
    """Box and coverage of a round, lobulated or spiculated lesion."""
    r = diameter / 2
    if outline == "round":
        return ball(scene, centre, r * rng.uniform(0.85, 1.15, 3), rng, 0.06)
    box, _ = distance_to_path(scene, np.stack([centre, centre]), 1.7 * r)
    i, p, x = (g - float(c) for g, c in zip(grids(scene, box), centre, strict=True))
    far = (i * i + p * p + x * x).sqrt() * scene.spacing
    turns = rng.normal(size=(5 if outline == "lobulated" else 14, 3))
    turns /= np.linalg.norm(turns, axis=1, keepdims=True)
    surface = torch.full_like(far, r * 0.8)
    sharp, height = (5.0, 0.3) if outline == "lobulated" else (45.0, 0.9)
    for u in turns:
        cosine = (i * float(u[0]) + p * float(u[1]) + x * float(u[2])) * scene.spacing / far.clamp(min=1e-3)
        surface += r * height * float(rng.uniform(0.3, 1)) * torch.exp(sharp * (cosine - 1))
    return box, cover_of(far - surface, 0.0, scene.spacing)


def lung_nodule(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Round, lobulated or spiculated nodules of 4-30 mm, solid (-20..80 HU) or part-solid with a haze of -650..-350."""
    sites = sites_of(scene, label, (Material.LUNG,), 3)
    if len(sites) == 0:
        return None
    count = int(rng.integers(2, 8)) if rng.random() < 0.3 else 1
    largest = float(4 + 26 * rng.beta(1.0, 2.2))
    part_solid = count == 1 and largest > 8 and rng.random() < 0.3
    outline: Outline = "round"
    if largest > 9:
        outline = ("round", "lobulated", "spiculated")[int(rng.choice(3, p=[0.4, 0.3, 0.3]))]
    value = soft_tissue(scene, rng, -20, 55, 45)
    parts = []
    for k in range(count):
        d = largest if k == 0 else float(rng.uniform(4, max(5.0, largest)))
        box, cover = shaped(scene, pick(sites, rng) + rng.uniform(-0.5, 0.5, 3), d, outline, rng)
        cover = cover * (scene.labels[box] == label)
        if cover.numel() == 0 or float(cover.max()) < 0.4:
            continue
        if part_solid:
            blend(scene, box, cover, rng.uniform(-650, -380), 10, rng)
            inner, core = ball(scene, [(s.start + s.stop - 1) / 2 for s in box], d * rng.uniform(0.2, 0.32), rng, 0.2)
            blend(scene, inner, core * (scene.labels[inner] == label), value, 5, rng)
        else:
            blend(scene, box, cover, value + rng.normal(0, 6), 4, rng)
        scene.tissue[box][cover > 0.5] = int(Material.LESION)
        relabel(scene, box, cover, label, rng, 0.0 if d < 12 else 0.2)
        parts.append((box, cover > min(0.5, 0.7 * float(cover.max()))))
    if not parts:
        return None
    box, mask = joined(parts)
    return finding_of(label, "lung_nodule", mask, box, largest, count=len(parts), grade=(largest - 4) / 26)


def lung_mass(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A lobulated or spiculated mass of 31-85 mm against the pleura, 15-60 HU native; may be necrotic or a cavity."""
    d = float(31 + 54 * rng.beta(1.1, 2.0))
    box = scene.organ_box(label, 8)
    lobe = scene.labels[box] == label
    if volume_ml(lobe, scene.spacing) < 60:
        return None
    depth = near(~any_label(scene.labels[box], LOBE_LABELS), scene.spacing, d / 2)
    edge = lobe & (depth > 0.35 * d / 2) & (depth < 0.85 * d / 2)
    sites = places(edge, box)
    if len(sites) == 0:
        return None
    centre = pick(sites, rng)
    box, cover = shaped(scene, centre, d, "lobulated" if rng.random() < 0.55 else "spiculated", rng)
    cover = cover * (scene.labels[box] == label)
    mask = cover > 0.5
    if volume_ml(mask, scene.spacing) < 0.35 * np.pi / 6 * (d / 10) ** 3:
        return None
    value = soft_tissue(scene, rng, 18, 50, 50)
    blend(scene, box, cover, value, 4, rng)
    uneven = smooth_field(rng, tuple(mask.shape), 9.0 / scene.spacing, scene.device)
    scene.image[box] += uneven * 7 * cover
    roll = rng.random()
    if roll < 0.45:  # a dead centre: fluid, or a cavity where it has emptied into a bronchus
        inner, core = ball(
            scene, centre + rng.normal(0, 0.08, 3) * d / scene.spacing, d * rng.uniform(0.12, 0.27), rng, 0.25
        )
        core = core * (scene.labels[inner] == label)
        blend(scene, inner, core, rng.uniform(5, 28) if roll > 0.2 else rng.uniform(-990, -900), 5, rng)
    scene.tissue[box][mask] = int(Material.LESION)
    relabel(scene, box, cover, label, rng, 0.35)
    return finding_of(label, "lung_mass", mask, box, d, grade=(d - 31) / 54)


def lung_granuloma(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One to four round calcified nodules of 3-10 mm, 450-1150 HU before partial volume."""
    sites = sites_of(scene, label, (Material.LUNG,), 3)
    if len(sites) == 0:
        return None
    largest = float(3 + 7 * rng.beta(1.2, 1.6))
    parts = []
    for k in range(int(rng.integers(2, 5)) if rng.random() < 0.25 else 1):
        d = largest if k == 0 else float(rng.uniform(3, largest))
        box, cover = ball(scene, pick(sites, rng), d / 2 * rng.uniform(0.9, 1.1, 3), rng, 0.05)
        cover = cover * (scene.labels[box] == label)
        if float(cover.max()) < 0.4:
            continue
        blend(scene, box, cover, rng.uniform(450, 1150), 30, rng)
        mask = cover > 0.65 * float(cover.max())
        scene.tissue[box][mask] = int(Material.CALCIUM)
        parts.append((box, mask))
    if not parts:
        return None
    box, mask = joined(parts)
    return finding_of(label, "lung_granuloma", mask, box, largest, count=len(parts), grade=(largest - 3) / 7)


def lung_consolidation(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A segment or more of the lobe filled (0-50 HU native), hazy at its edge, with branching air bronchograms."""
    box = scene.organ_box(label)
    lobe = scene.labels[box] == label
    sites = places(lobe & (scene.tissue[box] == int(Material.LUNG)), box)
    if volume_ml(lobe, scene.spacing) < 40 or len(sites) < 50:
        return None
    grade = float(rng.random())
    root, seeds = hilum(sites, label), [pick(sites, rng) for _ in range(7)]
    axes = grids(scene, box)
    # territories of a few seeds stand for the lobe's segments: they reach the pleura and taper to the hilum
    to_seed = [torch.as_tensor(sum((g - float(c)) ** 2 for g, c in zip(axes, s, strict=True))).sqrt() for s in seeds]
    mine = max(1, round(5 * grade**1.5))
    inside = torch.stack(to_seed[:mine]).amin(0)
    margin = (torch.stack(to_seed[mine:]).amin(0) - inside) * scene.spacing
    size = float(rng.uniform(12, 22) + 40 * grade)
    patchy = 9 * smooth_field(rng, tuple(lobe.shape), 14.0 / scene.spacing, scene.device)
    level = torch.minimum(margin * 0.6, size - inside * scene.spacing) + patchy
    haze, solid = (level / 9 + 1.0).clamp(0, 1) * lobe, (level / 5).clamp(0, 1) * lobe
    vessel = scene.tissue[box] == int(Material.LUNG_VESSEL)
    mask = solid > 0.5
    if volume_ml(mask, scene.spacing) < 2:
        return None
    value = soft_tissue(scene, rng, 5, 45, 60)
    blend(scene, box, haze * ~vessel * 0.45, rng.uniform(-500, -300), 8, rng)
    blend(scene, box, solid * ~vessel, value, 5, rng)
    scene.image[box] += solid * 12 * smooth_field(rng, tuple(lobe.shape), 7.0 / scene.spacing, scene.device)
    if rng.random() < 0.75:
        ends = places(mask, box)
        for _ in range(int(rng.integers(2, 8))):
            pipe, far = distance_to_path(scene, bowed(root, pick(ends, rng), rng), 4.0)
            air = cover_of(far, float(rng.uniform(0.9, 2.0)), scene.spacing) * (scene.labels[pipe] == label)
            blend(scene, pipe, air, -930, 10, rng)
    scene.tissue[box][mask] = int(Material.LESION)
    relabel(scene, box, solid, label, rng, 0.25)
    return finding_of(label, "lung_consolidation", mask, box, extent_mm(mask, scene.spacing), grade=grade)


def bronchiectasis(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Two to seven airways of 5-15 mm that do not taper, walls of 1-2.5 mm, each beside a thinner vessel."""
    sites = sites_of(scene, label, (Material.LUNG,), 5)
    if len(sites) * scene.spacing**3 < 50_000:
        return None
    grade = float(rng.random())
    root = hilum(sites, label)
    # the diseased segment: ends near one place
    away = ((sites.float() - torch.as_tensor(pick(sites, rng), device=sites.device)) ** 2).sum(1).sqrt() * scene.spacing
    ends = sites[away < 45]
    parts: list[tuple[Box, Tensor]] = []
    value = soft_tissue(scene, rng, 0, 45, 30)
    for _ in range(int(rng.integers(2, 5 + round(6 * grade)))):
        end = pick(ends, rng)
        path = bowed(root + (end - root) * rng.uniform(0.1, 0.4), end, rng, 0.16)
        lumen = float(rng.uniform(1.8, 2.6 + 3.2 * grade))
        wall = float(rng.uniform(1.0, 2.4))
        box, far = distance_to_path(scene, path, lumen + wall + 2 * scene.spacing)
        own = scene.labels[box] == label
        bulge = 1 + 0.15 * smooth_field(rng, tuple(far.shape), 8.0 / scene.spacing, scene.device).clamp(-1.5, 1.5)
        outer = cover_of(far, lumen + wall, scene.spacing) * own
        mask = outer > 0.5
        if not bool(mask.any()):
            continue
        beside = path + rng.normal(0, 1, 3) * 0.2 + (lumen + wall + 1.5) / scene.spacing * _across(path, rng)
        pair, gap = distance_to_path(scene, beside, 4.0)
        vessel = cover_of(gap, lumen * 0.55, scene.spacing) * (scene.labels[pair] == label)
        blend(scene, pair, vessel, float(scene.contrast.mean[Material.LUNG_VESSEL]), 3, rng)
        blend(scene, box, outer, value, 5, rng)
        blend(
            scene, box, cover_of(far, lumen, scene.spacing) * own * (far < lumen * bulge + scene.spacing), -970, 6, rng
        )
        scene.tissue[box][mask] = int(Material.LESION)
        parts.append((box, mask))
    if not parts:
        return None
    box, mask = joined(parts)
    return finding_of(label, "bronchiectasis", mask, box, extent_mm(mask, scene.spacing), count=len(parts), grade=grade)


def _across(path: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A unit vector across a path."""
    along = (path[-1] - path[0]) / max(1e-6, float(np.linalg.norm(path[-1] - path[0])))
    v = rng.normal(size=3)
    v -= along * (v @ along)
    return v / max(1e-6, float(np.linalg.norm(v)))
