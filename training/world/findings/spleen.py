"""Abnormalities of the spleen."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import lesions, shell, sites_of, smooth_field, volume_ml
from training.world.findings.kinds import Abnormality
from training.world.findings.solid import YIELDING, calcify, coverage, fill_with, level_of, swell
from training.world.materials import Material
from training.world.scene import PaintedFinding, Scene, finding_of

_SPLEEN = (Material.SPLEEN,)


def splenomegaly(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A spleen of 1.5-4 times its volume, grown by up to 30 mm into fat, stomach and bowel."""
    return swell(
        scene,
        label,
        "splenomegaly",
        rng,
        factor=(1.5, 4.0),
        reach=30,
        free=YIELDING,
        material=Material.SPLEEN,
    )


def splenic_infarct(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One to three wedges that widen to the capsule, 30-90 HU darker when enhanced, 4-14 HU when native."""
    box = scene.organ_box(label)
    mask = scene.labels[box] == label
    if volume_ml(mask, scene.spacing) < 25:
        return None
    points = torch.nonzero(mask).float()
    # the hilum lies on the side of the spine, which is the low end of L
    hilum = points.mean(0) - torch.tensor([0.0, 0.0, 12 / scene.spacing], device=scene.device)
    surface = torch.nonzero(shell(mask)).float()
    outer = surface[surface[:, 2] > hilum[2]]
    if len(outer) == 0:
        return None
    grade = float(rng.random())
    wedges = torch.zeros(mask.shape, device=scene.device)
    count = int(rng.choice([1, 1, 2, 3]))
    for _ in range(count):
        base = outer[int(rng.integers(len(outer)))]
        apex = base + (hilum - base) * float(rng.uniform(0.5, 0.95))
        wedges = torch.maximum(wedges, _wedge(mask, apex, base, 12 + 16 * grade, scene.spacing, rng))
    wedges = wedges * mask * (scene.tissue[box] == int(Material.SPLEEN))
    dark = wedges > 0.5
    if volume_ml(dark, scene.spacing) < 0.3:
        return None
    spleen, native = level_of(scene, label, Material.SPLEEN), scene.contrast.phase == "native"
    value = spleen - float(rng.uniform(5, 15)) if native else float(rng.uniform(28, max(30.0, min(75.0, spleen - 30))))
    fill_with(scene, box, wedges, value, rng, 5.0)
    scene.tissue[box][dark] = int(Material.LESION)
    extent = torch.nonzero(dark).float()
    size = float((extent.max(0).values - extent.min(0).values + 1).max()) * scene.spacing
    return finding_of(label, "splenic_infarct", dark, box, size, count=count, grade=grade)


def _wedge(
    mask: Tensor, apex: Tensor, base: Tensor, half_angle: float, spacing: float, rng: np.random.Generator
) -> Tensor:
    """Coverage of a cone from its apex through its base, with an uneven side."""
    axis = base - apex
    axis = axis / axis.norm().clamp(min=1e-3)
    grid = [torch.arange(n, device=mask.device, dtype=torch.float32) - a for n, a in zip(mask.shape, apex, strict=True)]
    u, v, w = grid[0][:, None, None], grid[1][None, :, None], grid[2][None, None, :]
    along = u * axis[0] + v * axis[1] + w * axis[2]
    aside = (u * u + v * v + w * w - along * along).clamp(min=0).sqrt()
    uneven = 1 + 0.2 * smooth_field(rng, tuple(mask.shape), 10 / spacing, mask.device)
    side = along * float(np.tan(np.deg2rad(half_angle))) * uneven - aside
    return coverage(side * spacing, 1.5 * spacing) * (along > 0)


def splenic_cyst(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One or two sharp round blobs of water (0 to 20 HU), 8-75 mm."""
    sites = sites_of(scene, label, _SPLEEN, 2 * scene.spacing)
    return lesions(
        scene,
        label,
        "splenic_cyst",
        rng,
        sites=sites,
        diameter=(8, 75),
        hu=(0, 20),
        most=2,
        many=0.2,
        sd=2.0,
        rough=0.07,
        drop=0.15,
    )


def splenic_calcification(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Three to 35 granulomas of 2-6 mm (300-1000 HU before they share a voxel)."""
    sites = sites_of(scene, label, _SPLEEN, scene.spacing)
    return calcify(
        scene,
        label,
        "splenic_calcification",
        rng,
        sites=sites,
        count=int(3 + 32 * rng.beta(1, 2)),
        diameter=(2, 6),
        hu=(300, 1000),
        most=35,
    )


SPLEEN = (
    Abnormality(
        "splenomegaly",
        "spleen",
        ("spleen",),
        splenomegaly,
        how="The whole spleen grows to one and a half to four times its volume.",
        source="own range, set with Prassopoulos et al., Eur Radiol 1997;7:246 in mind",
        stage="shape",
        factor=(1.5, 4.02),
        rate=0.07,
    ),
    Abnormality(
        "splenic_infarct",
        "spleen",
        ("spleen",),
        splenic_infarct,
        how="One to three dark wedges that widen towards the capsule; faint without contrast medium.",
        source="own range, set with Triller et al., Rofo 1985;142:374 in mind (wedges)",
        hu=(18, 56),
        enhanced=(18, 88),
        rate=0.02,
    ),
    Abnormality(
        "splenic_cyst",
        "spleen",
        ("spleen",),
        splenic_cyst,
        how="One or two sharp round blobs of water, 8-75 mm.",
        source="own range, set with Dachman et al., AJR 1986;147:537 in mind",
        hu=(-6, 32),
        enhanced=(-6, 48),
        rate=0.03,
    ),
    Abnormality(
        "splenic_calcification",
        "spleen",
        ("spleen",),
        splenic_calcification,
        how="Three to 35 scattered granulomas of 2-6 mm.",
        source="own range, set with healed infections in mind (Radiopaedia: Splenic calcification)",
        hu=(100, 1000),
        rate=0.05,
    ),
)
