"""Abnormalities of vertebrae, hips and femurs."""

from __future__ import annotations

import numpy as np
from scipy import ndimage as ndi

from training.world.materials import NAMES, Material
from training.world.scene import (
    PaintedFinding,
    Scene,
    ball,
    finding_of,
    lesions,
    organ_sites,
)


def vertebra_sclerotic_lesion(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Dense foci of 7-24 mm in the spongiosa, 500-1200 HU."""
    sites = organ_sites(scene, label, (Material.SPONGIOSA,))
    return lesions(
        scene,
        label,
        "vertebra_sclerotic_lesion",
        rng,
        sites=sites,
        diameter=(7, 24),
        hu=(500, 1200),
        most=3,
        sd=40,
        drop=0.0,
    )


def vertebra_lytic_lesion(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Bone replaced by soft tissue (10-80 HU), 9-28 mm, through the cortex when large."""
    sites = organ_sites(scene, label, (Material.SPONGIOSA,))
    gain = 0.0 if scene.contrast.phase == "native" else 25.0
    return lesions(
        scene,
        label,
        "vertebra_lytic_lesion",
        rng,
        sites=sites,
        diameter=(9, 28),
        hu=(10, 55 + gain),
        most=2,
        sd=8,
        drop=0.1,
    )


def metal_implant(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Screws, rods or a prosthesis of 2500-3071 HU; streaks are added after blurring."""
    box = scene.organ_box(label)
    mask = scene.labels[box] == label
    points = np.argwhere(mask).astype(float)
    if len(points) * scene.spacing**3 < 8_000:
        return None
    metal = np.zeros(mask.shape, bool)
    spread = np.linalg.svd(points - points.mean(0), full_matrices=False)[2]
    prosthesis = NAMES[label].startswith("femur") and rng.random() < 0.5
    rods = 1 if prosthesis else int(rng.integers(1, 4))
    length = 0.0
    for _ in range(rods):
        a = points[rng.integers(len(points))]
        direction = spread[0] if prosthesis else spread[0] * rng.choice((-1, 1)) + rng.normal(0, 0.45, 3)
        direction /= np.linalg.norm(direction)
        reach = rng.uniform(30, 75) / scene.spacing
        t = np.arange(-reach / 2, reach / 2, 0.5)[:, None]
        line = np.round(a + t * direction).astype(int)
        ok = np.all((line >= 0) & (line < mask.shape), axis=1)
        line = line[ok]
        line = line[mask[tuple(line.T)]]
        if len(line) == 0:
            continue
        metal[tuple(line.T)] = True
        length = max(length, float(np.ptp(line, axis=0).max() + 1) * scene.spacing)
    if not metal.any():
        return None
    thick = rng.uniform(4.0, 6.5) if prosthesis else rng.uniform(1.5, 3.5)
    metal = ndi.distance_transform_edt(~metal, sampling=scene.spacing) <= thick
    if prosthesis:
        top = points[points[:, 0] <= np.quantile(points[:, 0], 0.25)].mean(0)
        head, cover = ball(scene, top + [s.start for s in box], np.full(3, rng.uniform(13, 22)), rng, 0.0)
        scene.image[head][cover > 0.5] = 3071
        scene.metal.append((head, cover > 0.5))
        length = max(length, 40.0)
    scene.image[box][metal] = rng.uniform(2500, 3071)
    scene.metal.append((box, metal))
    return finding_of(scene, label, "metal_implant", metal, box, max(length, 10.0), rods, 0.8 if prosthesis else 0.4)
