"""Focal abnormalities of the liver."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import joined, lesions, pick, places, relabel, shell, sites_of, smooth_field
from training.world.findings.kinds import Abnormality
from training.world.findings.solid import calcify, coverage, fill_with, level_of, mass
from training.world.materials import Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

_LIVER = (Material.LIVER,)


def liver_cyst(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Sharp round water (-4 to 17 HU) of 6-60 mm, one to five, rarely dozens; at times bulging from the surface."""
    many = rng.random() < 0.06
    return lesions(
        scene,
        label,
        "liver_cyst",
        rng,
        sites=sites_of(scene, label, _LIVER, 0 if rng.random() < 0.3 else 2 * scene.spacing),
        diameter=(6, 60),
        hu=(-4, 17),
        most=24 if many else 5,
        many=1.0 if many else 0.45,
        sd=2.0,
        stretch=0.12,
        rough=0.06,
        drop=0.15,
    )


def liver_metastasis(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One to 25 uneven masses of 6-60 mm, 8-60 HU darker than liver, a third with a bright rim or dead centre; some are
    brighter than the liver in the arterial phase."""
    sites = sites_of(scene, label, _LIVER, scene.spacing)
    if len(sites) < 30:
        return None
    phase, liver = scene.contrast.phase, level_of(scene, label, Material.LIVER)
    gap = {"native": (8, 30), "arterial": (14, 40), "portal": (25, 62), "delayed": (15, 45)}[phase]
    core = max(14.0, liver - float(rng.uniform(*gap)))
    if phase == "arterial" and rng.random() < 0.3:
        core = liver + float(rng.uniform(20, 55))
    rim = core
    if phase != "native" and rng.random() < 0.35:
        rim = max(core, liver) + float(rng.uniform(0, 30))
    dead = rng.random() < 0.3
    edge, largest = float(rng.uniform(1.0, 5.0)), float(rng.uniform(15, 60))
    count = 1 if rng.random() < 0.15 else int(2 + 23 * rng.beta(1, 2.2))
    done: list[tuple[float, Box, Tensor]] = []
    for k in range(count):
        d = largest if k == 0 else 6 + (largest - 6) * float(rng.beta(1.2, 2.5))
        box, depth = mass(scene, pick(sites, rng), d / 2 * rng.uniform(0.82, 1.18, 3), rng, 0.16)
        cover = coverage(depth, max(scene.spacing, edge)) * (scene.labels[box] == label)
        if float(cover.sum()) < 1:
            continue
        wide = max(scene.spacing, min(5.0, 0.2 * d))
        value = core + (rim - core) * ((wide - depth) / scene.spacing + 0.5).clamp(0, 1)
        if dead and d > 20:
            value = value - 0.5 * max(0.0, core - 12) * ((depth - 0.2 * d) / (0.15 * d)).clamp(0, 1)
        fill_with(scene, box, cover, value + float(rng.normal(0, 3)), rng, 5.0)
        scene.tissue[box][cover > 0.5] = int(Material.LESION)
        relabel(scene, box, cover, label, rng, 0.12)
        done.append((d, box, cover > min(0.5, 0.7 * float(cover.max()))))
    return _found(label, "liver_metastasis", done, 0.5 * largest / 60 + 0.5 * len(done) / 25)


def liver_haemangioma(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One to three sharp masses of 8-80 mm as bright as blood where it has come: native a little darker than liver,
    arterial with bright nodules at the edge (small ones fill at once), later filling towards the middle."""
    sites = sites_of(scene, label, _LIVER, scene.spacing)
    if len(sites) < 30:
        return None
    phase, mean = scene.contrast.phase, scene.contrast.mean
    liver = level_of(scene, label, Material.LIVER)
    pool = float(mean[{"arterial": Material.ARTERY}.get(phase, Material.VEIN)]) * float(rng.uniform(0.8, 0.97))
    pool = pool if phase == "native" else max(pool, liver + float(rng.uniform(8, 22)))
    plain = float(rng.uniform(34, 48))
    if phase == "native":
        plain = min(plain, liver - float(rng.uniform(6, 14))) if liver > 40 else plain
    done: list[tuple[float, Box, Tensor]] = []
    for _ in range(int(rng.choice([1, 1, 1, 1, 2, 3]))):
        d = 8 + 72 * float(rng.beta(1.1, 3.0))
        box, depth = mass(scene, pick(sites, rng), d / 2 * rng.uniform(0.85, 1.15, 3), rng, 0.14)
        cover = coverage(depth, scene.spacing) * (scene.labels[box] == label)
        if float(cover.sum()) < 1:
            continue
        filled = _filled(depth, d, phase, scene, rng)
        fill_with(scene, box, cover, plain + (pool - plain) * filled, rng, 4.0)
        scene.tissue[box][cover > 0.5] = int(Material.LESION)
        relabel(scene, box, cover, label, rng, 0.08)
        done.append((d, box, cover > min(0.5, 0.7 * float(cover.max()))))
    return _found(label, "liver_haemangioma", done, max((d for d, _, _ in done), default=0) / 80)


def _filled(depth: Tensor, d: float, phase: str, scene: Scene, rng: np.random.Generator) -> Tensor:
    """How much of a haemangioma blood with contrast has filled, 0..1: nodules that grow inwards from the edge."""
    if phase == "native":
        return torch.zeros_like(depth)
    if d < 15 and rng.random() < 0.5:
        return torch.ones_like(depth)
    share = {"arterial": (0.12, 0.3), "portal": (0.3, 0.75), "delayed": (0.8, 1.3)}[phase]
    thick = float(rng.uniform(*share)) * d / 2
    nodules = smooth_field(rng, tuple(depth.shape), max(1.5, 0.28 * d / scene.spacing), scene.device).clamp(-2, 2)
    patchy = 0.9 if phase == "arterial" else 0.45
    return coverage(thick * (1 + patchy * nodules) - depth, scene.spacing * 1.5)


def liver_calcification(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One to five granulomas of 3-14 mm (250-1000 HU), or a thin calcified plate in the capsule of 12-40 mm."""
    if rng.random() < 0.2:
        return _capsular(scene, label, rng)
    sites = sites_of(scene, label, _LIVER, 2 * scene.spacing)
    count = 1 if rng.random() < 0.6 else int(rng.integers(2, 6))
    return calcify(
        scene,
        label,
        "liver_calcification",
        rng,
        sites=sites,
        count=count,
        diameter=(3, 14),
        hu=(250, 1000),
        most=5,
    )


def _capsular(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    organ = scene.organ_box(label)
    surface = places(shell(scene.labels[organ] == label), organ)
    if len(surface) == 0:
        return None
    d = float(rng.uniform(12, 40))
    box, depth = mass(scene, pick(surface, rng), d / 2, rng, 0.25)
    mask = shell(scene.labels[box] == label) & (depth > 0) & (scene.tissue[box] == int(Material.LIVER))
    if int(mask.sum()) < 4:
        return None
    fill_with(scene, box, mask.float(), float(rng.uniform(150, 600)), rng, 40.0)
    scene.tissue[box][mask] = int(Material.CALCIUM)
    return finding_of(label, "liver_calcification", mask, box, d, grade=d / 40)


def _found(label: int, slug: str, done: list[tuple[float, Box, Tensor]], grade: float) -> PaintedFinding | None:
    if not done:
        return None
    box, mask = joined([(b, m) for _, b, m in done])
    return finding_of(label, slug, mask, box, max(d for d, _, _ in done), count=len(done), grade=grade)


LIVER_LESIONS = (
    Abnormality(
        "liver_cyst",
        "liver",
        ("liver",),
        liver_cyst,
        how="One to five sharp round blobs of water, 6-60 mm; rarely dozens.",
        source="Horton et al., RadioGraphics 1999;19:431",
        hu=(-10, 32),
        enhanced=(-10, 55),
        rate=0.12,
    ),
    Abnormality(
        "liver_metastasis",
        "liver",
        ("liver",),
        liver_metastasis,
        how="One to 25 uneven masses of 6-60 mm, mostly dark, some with a bright rim or a dead centre.",
        source="own range, set with metastases of bowel cancer and of endocrine tumours in mind",
        hu=(6, 66),
        enhanced=(5, 155),
        rate=0.06,
    ),
    Abnormality(
        "liver_haemangioma",
        "liver",
        ("liver",),
        liver_haemangioma,
        how="A sharp mass that is as bright as blood: dark when native, bright nodules at its edge, then filling in.",
        source="own range, set with Quinn and Benjamin, Radiology 1992;182:545 in mind",
        hu=(20, 60),
        enhanced=(30, 380),
        rate=0.05,
    ),
    Abnormality(
        "liver_calcification",
        "liver",
        ("liver",),
        liver_calcification,
        how="One to five dense granulomas of 3-14 mm, or a thin plate in the capsule.",
        source="own range, set with Stoupis et al., RadioGraphics 1998;18:675 in mind",
        hu=(100, 1000),
        rate=0.04,
    ),
)
