"""Abnormalities of the pleura."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import blend, distance, joined, pick, places, smooth_field, volume_ml
from training.world.findings.geometry import (
    LOBE_LABELS,
    any_label,
    cover_of,
    grids,
    side_lobes,
    side_of,
    union_box,
)
from training.world.findings.kinds import LOBES, Abnormality
from training.world.findings.lung_focal import soft_tissue
from training.world.materials import BONE, ID, NAMES, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

LOWER = tuple(n for n in LOBES if "lower" in n)
UPPER = tuple(n for n in LOBES if "upper" in n)


def _side(scene: Scene, label: int) -> tuple[Box, Tensor] | None:
    """Box and mask of the lung that a lobe belongs to; None where the lobe has less than 30 or the lung 150 ml."""
    lobes = [k for k in side_lobes(label) if scene.has(k)]
    if not lobes or volume_ml(scene.labels[scene.organ_box(label)] == label, scene.spacing) < 30:
        return None
    box = union_box(scene, lobes)
    lung = any_label(scene.labels[box], lobes)
    return (box, lung) if volume_ml(lung, scene.spacing) >= 150 else None


def _from_wall(lung: Tensor, label: int, spacing: float, behind: bool) -> Tensor:
    """Distance in mm to the chest wall behind (or in front) and beside, along the axes."""
    n, m = lung.shape[1], lung.shape[2]
    p = torch.arange(n, device=lung.device, dtype=torch.float32)[None, :, None]
    x = torch.arange(m, device=lung.device, dtype=torch.float32)[None, None, :]
    if behind:
        end = torch.where(lung, p, -1.0).amax(1, keepdim=True)
        along, out = end - p, end < 0.55 * n
    else:
        end = torch.where(lung, p, float(n)).amin(1, keepdim=True)
        along, out = p - end, end > 0.55 * n
    along = along + out * 1e3  # columns that the heart ends, not the chest wall
    if side_of(label) == "left":
        beside = torch.where(lung, x, -1.0).amax(2, keepdim=True) - x
    else:
        beside = x - torch.where(lung, x, float(m)).amin(2, keepdim=True)
    return torch.minimum(along, 1.1 * beside) * spacing


def _level(lung: Tensor, spacing: float, behind: bool) -> Tensor:
    """Height in mm of every voxel above the lowest place of the lung (or below the highest), patient supine."""
    rows = torch.nonzero(lung.any(0).any(1)).flatten()
    p = torch.arange(lung.shape[1], device=lung.device, dtype=torch.float32)[None, :, None]
    return (float(rows[-1]) - p if behind else p - float(rows[0])) * spacing


def pleural_effusion(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A dependent crescent of water (0-30 HU), 5-65 mm thick, thickest at the base; often collapsed lung beside it."""
    found = _side(scene, label)
    if found is None:
        return None
    box, lung = found
    grade = float(rng.random())
    thick = 5 + 60 * grade**1.3
    size = tuple(lung.shape)
    uneven = 1 + 0.13 * smooth_field(rng, size, 28.0 / scene.spacing, scene.device)
    along = torch.linspace(0, 1, size[0], device=lung.device)[:, None, None]
    base = (0.25 + 1.1 * along).clamp(0.25, 1.0) if rng.random() < 0.75 else torch.ones_like(along)
    height = _level(lung, scene.spacing, True)
    taper = (1.25 - height / (2.4 * thick + 14)).clamp(0, 1)
    wall = _from_wall(lung, label, scene.spacing, True)
    edge = thick * base * taper * uneven
    fluid = cover_of(wall - edge, 0.0, 0.4 * scene.spacing) * lung * (taper > 0.05)
    mask = fluid > 0.5
    left = volume_ml(lung & ~mask, scene.spacing)
    if volume_ml(mask, scene.spacing) < 4 or left < 60:
        return None
    if rng.random() < 0.35 + 0.6 * grade:
        rim = cover_of(wall - edge - float(rng.uniform(3, 8 + 14 * grade)), 0.0, 2 * scene.spacing) * lung
        blend(scene, box, rim * (taper > 0.05), soft_tissue(scene, rng, 20, 50, 55), 5, rng)
        scene.tissue[box][(rim > 0.5) & (taper > 0.05)] = int(Material.LESION)
    blend(scene, box, fluid, float(rng.uniform(0, 30)), 3, rng)
    scene.tissue[box][mask] = int(Material.FLUID)
    also = _others(scene, box, mask, label)
    if rng.random() < 0.55:  # segmenters leave fluid out of the lung, or take it in
        _leave(scene, box, mask)
    return finding_of(label, "pleural_effusion", mask, box, thick, grade=grade, also=also)


def _others(scene: Scene, box: Box, mask: Tensor, label: int) -> list[str]:
    """Other lobes of the side that a mask takes more than a twentieth of."""
    labels = scene.labels[box]
    counts = [(k, int((labels == k).sum()), int((mask & (labels == k)).sum())) for k in side_lobes(label) if k != label]
    return [NAMES[k] for k, n, taken in counts if n and taken > 0.05 * n]


def _leave(scene: Scene, box: Box, mask: Tensor) -> None:
    """Take voxels out of the lobes' labels."""
    labels = scene.labels[box]
    labels[mask] = 0
    for k in LOBE_LABELS:
        own = scene.boxes[k - 1]
        if own is not None:
            scene.rebox(k, own)


def pneumothorax(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Air (-1000 HU) without vessels in front of and beside a retracted lung, 4-70 mm thick; the lung's edge shows."""
    found = _side(scene, label)
    if found is None:
        return None
    box, lung = found
    grade = float(rng.random())
    thick = 4 + 66 * grade**1.6
    size = tuple(lung.shape)
    uneven = 1 + 0.12 * smooth_field(rng, size, 40.0 / scene.spacing, scene.device)
    taper = (1.35 - _level(lung, scene.spacing, False) / (2.6 * thick + 25)).clamp(0, 1)
    wall = _from_wall(lung, label, scene.spacing, False)
    edge = thick * taper * uneven
    air = cover_of(wall - edge, 0.0, 0.6 * scene.spacing) * lung * (taper > 0.05)
    mask = air > 0.5
    rest = lung & ~mask
    if volume_ml(mask, scene.spacing) < 5 or volume_ml(rest, scene.spacing) < 80:
        return None
    hu = scene.image[box]
    aerated = rest & (scene.tissue[box] == int(Material.LUNG))
    hu += aerated * float(15 + 170 * grade)  # what is left of the lung holds less air
    line = ((wall - edge).abs() < 0.6 * scene.spacing) & (taper > 0.05) & lung
    blend(scene, box, air, -1000, 2, rng)
    blend(scene, box, (line & ~mask) * 0.35, 20, 5, rng)  # visceral pleura, thinner than a voxel
    scene.tissue[box][mask] = int(Material.AIR)
    also = _others(scene, box, mask, label)
    if rng.random() < 0.75:
        _leave(scene, box, mask)
    return finding_of(label, "pneumothorax", mask, box, thick, grade=grade, also=also)


def pleural_plaque(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One to six flat plaques of 3-12 mm along ribs or diaphragm, 12-60 mm wide, soft (30-60 HU) or calcified."""
    box = scene.organ_box(label, 16)
    labels, tissue = scene.labels[box], scene.tissue[box]
    lung = any_label(labels, LOBE_LABELS)
    out = distance(~lung, scene.spacing, 16.0)
    bone = torch.zeros_like(lung)
    for material in BONE:
        bone |= tissue == int(material)
    below = any_label(labels, (ID["liver"], ID["spleen"], ID["stomach"]))
    spine = any_label(labels, [k for k, n in NAMES.items() if n.startswith("vertebrae")])
    costal = distance((bone & ~spine) | below, spacing=scene.spacing, reach=14.0) < 14.0
    edge = (labels == label) & (out < 1.5 * scene.spacing) & costal
    sites = places(edge, box)
    if len(sites) < 30:
        return None
    calcified, grade = rng.random() < 0.6, float(rng.random())
    axes, parts, thickest = grids(scene, box), [], 0.0
    for _ in range(int(rng.integers(1, 3 + round(4 * grade)))):
        thick = float(rng.uniform(3, 5 + 7 * grade))
        centre, wide = pick(sites, rng), float(2.2 * thick + rng.uniform(0, 8 + 10 * grade))
        i, p, x = ((g - float(c)) * scene.spacing for g, c in zip(axes, centre, strict=True))
        far = ((0.7 * i) ** 2 + p * p + x * x).sqrt()
        bulge = thick * (1 - (far / wide) ** 4).clamp(0, 1) * (far < wide)
        bumpy = 1 + 0.2 * smooth_field(rng, tuple(lung.shape), 8.0 / scene.spacing, scene.device)
        # the first voxel centre of the lung lies half a voxel inside it
        cover = (
            cover_of(out - 0.5 * scene.spacing - bulge * bumpy, 0.0, scene.spacing) * (labels == label) * (far < wide)
        )
        mask = cover > 0.6
        if int(mask.sum()) < 2:
            continue
        blend(scene, box, cover, soft_tissue(scene, rng, 30, 58, 15), 4, rng)
        if calcified:
            speckled = smooth_field(rng, tuple(lung.shape), 5.0 / scene.spacing, scene.device)
            blend(scene, box, cover * (speckled > -0.7), float(rng.uniform(250, 800)), 30, rng)
        parts.append((box, mask))
        thickest = max(thickest, thick)
    if not parts:
        return None
    _, whole = joined(parts)
    scene.tissue[box][whole] = int(Material.CALCIUM if calcified else Material.LESION)
    slug = "pleural_plaque"
    finding = finding_of(label, slug, whole, box, thickest, count=len(parts), grade=(thickest - 3) / 9)
    labels[whole] = 0
    scene.rebox(label, box)
    return finding


PLEURA: tuple[Abnormality, ...] = (
    Abnormality(
        "pneumothorax",
        "pleura",
        UPPER,
        pneumothorax,
        how="Air without vessels in front of and beside the retracted lung of a side, 4-70 mm.",
        source="Own range, set with Hansell et al., Radiology 2008;246:697 in mind",
        hu=(-1010, -940),
        where="around",
        rate=0.02,
        spreads=tuple(lobe for lobe in LOBES if lobe not in UPPER),
    ),
    Abnormality(
        "pleural_effusion",
        "pleura",
        LOWER,
        pleural_effusion,
        how="A dependent crescent of water, 5-65 mm, thickest at the base, often with collapsed lung beside it.",
        source="Own range (transudates and exudates overlap), set with Abramowitz et al., AJR 2009;192:618 in mind",
        hu=(-30, 34),
        where="around",
        rate=0.09,
        spreads=tuple(lobe for lobe in LOBES if lobe not in LOWER),
    ),
    Abnormality(
        "pleural_plaque",
        "pleura",
        LOBES,
        pleural_plaque,
        how="One to six flat plaques of 3-12 mm along ribs or diaphragm; most calcified.",
        source="Own range, set with Hansell et al., Radiology 2008;246:697 in mind",
        hu=(-180, 750),
        where="beside",
        rate=0.02,
    ),
)
