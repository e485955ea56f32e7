"""Abnormalities of the pancreas itself; fluid and inflammation around it are in ``pancreatitis``."""

from __future__ import annotations

import numpy as np

from training.world.brushes import among, lesions, pick, relabel, sites_of, smooth_field
from training.world.findings.kinds import Abnormality
from training.world.findings.pancreatitis import PANCREATITIS
from training.world.findings.solid import Float, axis_of, calcify, coverage, fill_with, level_of, mass, tube
from training.world.growth import shrink
from training.world.materials import BONE, Material
from training.world.scene import PaintedFinding, Scene, finding_of

_GLAND = (Material.PANCREAS,)
_KEEP = (
    *BONE,
    Material.ARTERY,
    Material.VEIN,
    Material.PORTAL,
    Material.LIVER,
    Material.SPLEEN,
    Material.RENAL_CORTEX,
    Material.ADRENAL,
    Material.CALCIUM,
    Material.METAL,
    Material.STOMACH_LUMEN,
    Material.BOWEL_LUMEN,
    Material.STOOL,
    Material.GAS,
    Material.MUSCLE,
)


def pancreatic_atrophy(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A thin, lobulated gland of 0.4-0.75 of its volume, with fat between its lobules."""
    found = shrink(
        scene, label, "pancreatic_atrophy", rng, factor=(0.4, 0.75), uneven=0.45, cell_mm=10.0, into=Material.FAT
    )
    if found is not None:
        box = found.slices
        clefts = smooth_field(rng, tuple(found.mask.shape), max(1.2, 4 / scene.spacing), scene.device)
        scene.tissue[box][found.mask & (clefts > float(rng.uniform(0.9, 1.8)))] = int(Material.FAT)
    return found


def pancreatic_duct_dilatation(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A tube of water (0-16 HU), 4-12 mm wide and a little beaded, along the gland from head or body to tail."""
    line = _line(scene, label)
    if len(line) < 5 or not _shows_water(scene, label):
        return None
    grade = float(rng.random())
    start = int(rng.integers(0, max(1, len(line) // 3)))
    return _duct(scene, label, line[start:], 2.0 + 4.0 * grade, grade, rng)


def _shows_water(scene: Scene, label: int) -> bool:
    """Whether water differs from the gland; without contrast medium a fatty one can look the same."""
    return level_of(scene, label, Material.PANCREAS) > 20


def _line(scene: Scene, label: int) -> Float:
    """The middle line of the gland from head to tail, in voxels."""
    box = scene.organ_box(label)
    return axis_of(scene.labels[box] == label, box, scene.spacing)


def _duct(
    scene: Scene, label: int, line: Float, radius: float, grade: float, rng: np.random.Generator
) -> PaintedFinding | None:
    radii = radius * rng.uniform(0.8, 1.2, len(line)) * np.linspace(1.1, 0.8, len(line))
    box, depth = tube(scene, line, radii)
    cover = coverage(depth, scene.spacing) * ((scene.labels[box] == label) & among(scene.tissue[box], _GLAND))
    mask = cover > 0.55
    if int(mask.sum()) < 6:
        return None
    fill_with(scene, box, cover, float(rng.uniform(0, 16)), rng, 2.0)
    scene.tissue[box][mask] = int(Material.FLUID)
    return finding_of(label, "pancreatic_duct_dilatation", mask, box, 2 * radius, grade=grade)


def pancreatic_mass(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """An ill-defined mass of 12-55 mm that bulges, 20-60 HU darker than the enhanced gland and hardly so native; the
    duct beyond it is wide at times."""
    line = _line(scene, label)
    if len(line) < 2:
        return None
    gland = level_of(scene, label, Material.PANCREAS)
    part = rng.choice(3, p=[0.6, 0.22, 0.18])  # head, body, tail
    place = (rng.uniform(0.0, 0.3), rng.uniform(0.35, 0.65), rng.uniform(0.7, 1.0))[int(part)]
    at = round(place * (len(line) - 1))
    d = 12 + 43 * float(rng.beta(1.4, 2.0))
    if scene.contrast.phase == "native":
        value = max(22.0, gland) + float(rng.uniform(-6, 6))
    else:
        value = max(25.0, gland - float(rng.uniform(20, 60)))
    centre = line[at] + rng.normal(0, 4, 3) / scene.spacing
    box, depth = mass(scene, centre, d / 2 * rng.uniform(0.8, 1.2, 3), rng, 0.18)
    free = (scene.labels[box] == label) | ((scene.labels[box] == 0) & ~among(scene.tissue[box], _KEEP))
    cover = coverage(depth, max(scene.spacing, float(rng.uniform(2, 6)))) * (free & ~among(scene.tissue[box], _KEEP))
    mask = cover > 0.5
    if int(mask.sum()) * scene.spacing**3 < 200 or not bool((scene.labels[box] == label)[mask].any()):
        return None
    if len(line) - at > 4 and rng.random() < 0.5:
        _duct(scene, label, line[at:], float(rng.uniform(2, 4)), 0.5, rng)
    fill_with(scene, box, cover, value, rng, 6.0)
    scene.tissue[box][mask] = int(Material.LESION)
    relabel(scene, box, cover, label, rng, 0.1)
    return finding_of(label, "pancreatic_mass", mask, box, d, grade=(d - 12) / 43)


def pancreatic_calcification(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Four to 40 flecks of 1-6 mm (300-1100 HU before they share a voxel), in the whole gland or a part of it."""
    sites = sites_of(scene, label, _GLAND)
    if len(sites) < 20:
        return None
    if rng.random() < 0.4:  # often the head alone
        middle = pick(sites, rng)
        near = sites[(sites[:, 2].float() - float(middle[2])).abs() * scene.spacing < 25]
        sites = near if len(near) > 10 else sites
    return calcify(
        scene,
        label,
        "pancreatic_calcification",
        rng,
        sites=sites,
        count=int(4 + 36 * rng.beta(1.1, 2)),
        diameter=(1, 6),
        hu=(300, 1100),
        most=40,
    )


def pancreatic_cyst(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One to three blobs of water (0-18 HU) in the gland or bulging from it, 5-35 mm."""
    if not _shows_water(scene, label):
        return None
    return lesions(
        scene,
        label,
        "pancreatic_cyst",
        rng,
        sites=sites_of(scene, label, _GLAND, scene.spacing),
        diameter=(5, 35),
        hu=(0, 18),
        most=3,
        many=0.25,
        sd=2.0,
        rough=0.1,
        only=False,
        drop=0.3,
        avoid=_KEEP,
    )


PANCREAS = (
    Abnormality(
        "pancreatic_atrophy",
        "pancreas",
        ("pancreas",),
        pancreatic_atrophy,
        how="The gland shrinks from its surface to less than three quarters, with fatty clefts.",
        source="own range, set with Saisho et al., Clin Anat 2007;20:933 in mind",
        stage="shape",
        factor=(0.38, 0.76),
        rate=0.1,
    ),
    *PANCREATITIS,
    Abnormality(
        "pancreatic_duct_dilatation",
        "pancreas",
        ("pancreas",),
        pancreatic_duct_dilatation,
        how="A beaded tube of water, 4-12 mm wide, along the gland.",
        source="own range, set with a normal duct of 1-3.5 mm in mind (Radiopaedia: Pancreatic duct diameter)",
        hu=(-6, 30),
        enhanced=(-6, 42),
        rate=0.04,
    ),
    Abnormality(
        "pancreatic_mass",
        "pancreas",
        ("pancreas",),
        pancreatic_mass,
        how="An ill-defined bulging mass of 12-55 mm in head, body or tail, dark when enhanced.",
        source="own range, set with Prokesch et al., Radiology 2002;224:764 in mind",
        hu=(5, 60),
        enhanced=(10, 110),
        where="beside",
        rate=0.02,
    ),
    Abnormality(
        "pancreatic_calcification",
        "pancreas",
        ("pancreas",),
        pancreatic_calcification,
        how="Four to 40 flecks of 1-6 mm along the gland or in a part of it.",
        source="own range, set with chronic pancreatitis in mind",
        hu=(90, 1000),
        rate=0.03,
    ),
    Abnormality(
        "pancreatic_cyst",
        "pancreas",
        ("pancreas",),
        pancreatic_cyst,
        how="One to three blobs of water of 5-35 mm in the gland or bulging from it.",
        source="own range, set with Laffan et al., AJR 2008;191:802 in mind",
        hu=(-14, 32),
        enhanced=(-14, 48),
        where="beside",
        rate=0.05,
    ),
)
