"""Cysts and tumours of the kidney."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor

from training.world.brushes import (
    FAR,
    among,
    ball,
    blend,
    distance,
    joined,
    pick,
    places,
    shell,
    sites_of,
    smooth_field,
)
from training.world.findings.bulging import Blob, bulge, claim, mottle, opened, skewed
from training.world.findings.kinds import KIDNEYS
from training.world.growth import grow
from training.world.materials import ID, NAMES, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

COLLECTING = (Material.RENAL_PELVIS, Material.SINUS_FAT)
PARENCHYMA = (Material.RENAL_CORTEX, Material.RENAL_MEDULLA)
_SOFTER = (Material.FAT, Material.SINUS_FAT, Material.RENAL_PELVIS, Material.SOFT)


def kidney_cyst(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One to four sharp cortical cysts, often exophytic, 8-80 mm, of water (-4 to 17 HU); the mask keeps them, leaves
    them out or calls them kidney cyst."""
    count = int(rng.integers(2, 5)) if rng.random() < 0.4 else 1
    side = "left" if NAMES[label].endswith("left") else "right"
    other = ID[f"kidney_cyst_{side}"] if rng.random() < 0.5 else 0
    value = float(rng.uniform(-4, 17))
    surface = _surface(scene, label)
    done: list[tuple[float, Box, Tensor]] = []
    for _ in range(count):
        d = skewed(rng, 8, 80) if not done else skewed(rng, 8, 30)
        blob = _cortical(scene, label, surface, d, rng, _SOFTER, rough=0.04)
        if blob is None:
            continue
        box, cover = blob
        blend(scene, box, cover, value + float(rng.normal(0, 2)), 2, rng)
        scene.tissue[box][cover > 0.5] = int(Material.LESION)
        claim(scene, label, box, cover > 0.5, rng, 0.5, other)
        done.append((d, box, cover > 0.5))
    return _several(label, "kidney_cyst", done, (8, 80))


def kidney_mass(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A solid, often exophytic mass of 15-100 mm that enhances less than cortex (native 22-46 HU), with dark necrosis
    when large and calcium at times."""
    d = skewed(rng, 15, 100)
    blob = _cortical(scene, label, _surface(scene, label), d, rng, _SOFTER, rough=0.13)
    if blob is None:
        return None
    box, cover = blob
    value = float(rng.uniform(22, 46))
    if scene.contrast.phase != "native":
        cortex = float(scene.contrast.mean[Material.RENAL_CORTEX])
        value = 45 + (cortex - 45) * float(rng.uniform(0.08, 0.6))
    mottle(scene, blob, value, 0.06 * value + 3, rng)
    if d > 28 and rng.random() < 0.75:
        _necrosis(scene, blob, value, rng)
    if rng.random() < 0.12:
        spot = pick(places(cover > 0.9, box), rng) if bool((cover > 0.9).any()) else None
        if spot is not None:
            where, dot = ball(scene, spot, rng.uniform(1.5, 3.5), rng)
            blend(scene, where, dot, float(rng.uniform(250, 600)), 20, rng)
    claim(scene, label, box, cover > 0.5, rng, 0.3)
    return finding_of(label, "kidney_mass", cover > 0.5, box, d, grade=(d - 15) / 85)


def angiomyolipoma(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Fat with strands of vessel and muscle in the cortex, 6-60 mm, -100 to -20 HU in the mean."""
    d = skewed(rng, 6, 60)
    # the small ones lie inside the cortex: beyond it, fat in fat would show nothing
    blob = _cortical(scene, label, _surface(scene, label), d, rng, _SOFTER, rough=0.1, deeper=0.25)
    if blob is None:
        return None
    box, cover = blob
    value = float(rng.uniform(-92, -34))
    mottle(scene, blob, value, 4 + 10 * float(rng.random()) * (value + 100) / 60, rng, 5.0)
    claim(scene, label, box, cover > 0.5, rng, 0.4)
    return finding_of(label, "angiomyolipoma", cover > 0.5, box, d, grade=(d - 6) / 54)


def polycystic_kidney(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A kidney grown to 1.1-4.5 of its volume and full of cysts of 5-45 mm, some of them haemorrhagic; mostly both
    kidneys."""
    twin = ID[KIDNEYS[1 - KIDNEYS.index(NAMES[label])]]
    first = _polycystic(scene, label, rng)
    if first is None:
        return None
    second = _polycystic(scene, twin, rng) if scene.has(twin) and rng.random() < 0.8 else None
    if second is None:
        return first
    box, mask = joined([(f.slices, f.mask) for f in (first, second)])
    both = finding_of(label, first.abnormality, mask, box, first.size_mm, count=first.count + second.count)
    return replace(both, severity=first.severity, also=(NAMES[twin],), volume_factor=first.volume_factor)


def _polycystic(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    before = scene.organ_box(label)
    inside = scene.labels[before] == label
    volume = int(inside.sum())
    if int(((scene.tissue[before] == int(Material.FLUID)) & inside).sum()) > 0.05 * volume:
        return None  # already polycystic, as the other kidney's twin
    slug, free = "polycystic_kidney", (Material.FAT, Material.SOFT)
    grown = grow(scene, label, slug, rng, factor=(1.1, 2.8), reach=24.0, free=free, material=Material.RENAL_CORTEX)
    if grown is None:
        return None
    sites = places(grown.mask, grown.slices)
    share, count, filled = float(rng.uniform(0.35, 0.85)) * int(grown.mask.sum()), 0, 0
    while filled < share and count < 140:
        d = skewed(rng, 5, 45)
        where, cover = ball(scene, pick(sites, rng), d / 2 * rng.uniform(0.85, 1.15, 3), rng, 0.05)
        tissue, labels = scene.tissue[where], scene.labels[where]
        # cysts bulge from the surface
        cyst = (cover > 0.5) & ((labels == label) | ((labels == 0) & opened(among(tissue, free))))
        old = cyst & among(tissue, (Material.FLUID, Material.CLOT))
        tissue[cyst] = int(Material.CLOT if rng.random() < 0.08 else Material.FLUID)
        labels[cyst] = label
        # walls stand where a cyst meets one that is already there
        tissue[shell(cyst) & old] = int(Material.RENAL_CORTEX)
        filled, count = filled + int(cyst.sum()) - int(old.sum()), count + 1
    box = scene.widened(grown.slices, 27)
    scene.rebox(label, box)
    kidney = scene.labels[box] == label
    factor = float(kidney.sum()) / max(1, volume)
    grade = float(np.clip((factor - 1.2) / 2.4, 0, 1))
    finding = finding_of(label, slug, kidney, box, 0.0, count=count, grade=grade, volume_factor=factor)
    return replace(finding, size_mm=max(b - a for a, b in finding.box) * scene.spacing)


def _surface(scene: Scene, label: int) -> Tensor:
    """(n, 3) sites on the outer border of the parenchyma; hilum and sinus have none."""
    box = scene.organ_box(label, scene.spacing)
    kidney = scene.labels[box] == label
    outer = shell(kidney) & among(scene.tissue[box], PARENCHYMA)
    hilum = among(scene.tissue[box], COLLECTING)
    convex = outer & (distance(hilum, scene.spacing, 12) == FAR)
    sites = places(convex if bool(convex.any()) else outer, box)
    return sites if len(sites) else sites_of(scene, label)


def _cortical(
    scene: Scene,
    label: int,
    surface: Tensor,
    diameter: float,
    rng: np.random.Generator,
    free: tuple[Material, ...],
    rough: float,
    deeper: float = 0.0,
) -> Blob | None:
    """A blob between wholly inside and half outside the kidney; large ones are deeper, and stay within 28 mm of it."""
    radius = diameter / 2
    out = radius * (float(rng.uniform(-0.8, 0.35)) - deeper)
    out = min(out, 27 - radius * 1.15)
    return bulge(scene, label, surface, radius, rng, out=out, free=free, rough=rough, least=0.55)


def _necrosis(scene: Scene, blob: Blob, value: float, rng: np.random.Generator) -> None:
    """Dark ragged middle of a large mass."""
    box, cover = blob
    deep = distance(cover < 0.5, scene.spacing, 30).clamp(max=30)
    rim = float(deep.max()) * float(rng.uniform(0.3, 0.6))
    rim_field = 3.0 * smooth_field(rng, tuple(cover.shape), 10 / scene.spacing, scene.device)
    share = ((deep + rim_field - rim) / 4).clamp(0, 1) * cover
    blend(scene, box, share, min(value - 10, float(rng.uniform(5, 26))), 3, rng)


def _several(
    label: int, slug: str, done: list[tuple[float, Box, Tensor]], diameter: tuple[float, float]
) -> PaintedFinding | None:
    if not done:
        return None
    biggest = max(d for d, _, _ in done)
    box, mask = joined([(b, m) for _, b, m in done])
    grade = (biggest - diameter[0]) / (diameter[1] - diameter[0])
    return finding_of(label, slug, mask, box, biggest, count=len(done), grade=grade)
