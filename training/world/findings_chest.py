"""Abnormalities of pleura, lungs, heart and aorta."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from training.world.materials import BONE, Material
from training.world.physics import smooth_field
from training.world.scene import (
    PaintedFinding,
    Scene,
    ball,
    blend,
    finding_of,
    grow,
    lesions,
    organ_sites,
    relabel,
    tight_box,
)


def cardiomegaly(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A heart 8-20 mm wider on every free side, its blood pools with it."""
    return grow(
        scene,
        label,
        "cardiomegaly",
        rng,
        (8, 20),
        (Material.FAT, Material.LUNG, Material.LUNG_VESSEL),
        Material.MYOCARDIUM,
        whole=True,
    )


def pleural_effusion(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A dependent crescent of water (0-22 HU), often with collapsed lung beside it."""
    box = scene.organ_box(label)
    mask = scene.labels[box] == label
    if mask.sum() * scene.spacing**3 < 30_000:
        return None
    grade = float(rng.random())
    wall = ndi.distance_transform_edt(np.pad(mask, 1), sampling=scene.spacing)[1:-1, 1:-1, 1:-1]
    rows = np.arange(mask.shape[1], dtype=np.float32)[None, :, None]
    deepest = np.where(mask.any(1), mask.shape[1] - 1 - mask[:, ::-1].argmax(1), 0).astype(np.float32)[:, None, :]
    below = ndi.gaussian_filter1d(deepest, 2, axis=0) * scene.spacing
    thick = (9 + 55 * grade) * (1 + 0.15 * smooth_field(rng, mask.shape, 18.0))
    base = float(np.quantile(np.argwhere(mask)[:, 1], 0.98)) * scene.spacing
    depth = base - rows * scene.spacing
    fluid = mask & (
        (depth < thick)
        | ((wall < 0.35 * thick) & (depth < 1.7 * thick))
        | ((below - rows * scene.spacing < 0.35 * thick) & (depth < 2.2 * thick))
    )
    if fluid.sum() < 20:
        return None
    value = rng.uniform(0, 22)
    if rng.random() < 0.6:
        rim = ndi.binary_dilation(fluid, iterations=max(1, int(rng.uniform(3, 10) / scene.spacing))) & mask & ~fluid
        blend(scene, box, rim.astype(np.float32), rng.uniform(20, 90), 12, rng)
    blend(scene, box, fluid.astype(np.float32), value, 3, rng)
    scene.tissue[box][fluid] = Material.SOFT
    if rng.random() < 0.35:
        scene.labels[box][fluid & (rng.random() < 0.5 or (depth < 0.7 * thick))] = 0
    return finding_of(scene, label, "pleural_effusion", fluid, box, 9 + 55 * grade, 1, grade)


def lung_consolidation(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Patchy airspace opacity of 10-60 HU with air bronchograms and a hazy rim."""
    sites = organ_sites(scene, label, (Material.LUNG,))
    if len(sites) * scene.spacing**3 < 20_000:
        return None
    d = float(rng.uniform(22, 95))
    box, cover = ball(
        scene, sites[rng.integers(len(sites))].astype(float), d / 2 * rng.uniform(0.75, 1.25, 3), rng, 0.2
    )
    inside = (scene.labels[box] == label) & (cover > 0) & (scene.tissue[box] != Material.SOFT)
    rough = smooth_field(rng, inside.shape, 4.0)
    mask = inside & (rough > -0.5)
    if mask.sum() < 12:
        return None
    hazy = inside & ~mask
    blend(scene, box, hazy.astype(np.float32) * 0.45, 30, 20, rng)
    air = smooth_field(rng, inside.shape, 2.5)
    solid = mask & ~((np.abs(air) < 0.1) & (rng.random() < 0.6))
    blend(
        scene,
        box,
        solid.astype(np.float32),
        rng.uniform(10, 60) + (0 if scene.contrast.phase == "native" else rng.uniform(10, 40)),
        14,
        rng,
    )
    scene.tissue[box][mask] = Material.SOFT
    relabel(scene, box, solid.astype(np.float32), label, rng, 0.2)
    return finding_of(scene, label, "lung_consolidation", mask, box, d, 1, (d - 22) / 73)


def lung_nodule(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Solid nodules of 6-32 mm, -20 to 80 HU before partial volume."""
    return lesions(
        scene,
        label,
        "lung_nodule",
        rng,
        sites=organ_sites(scene, label, (Material.LUNG,), 1),
        diameter=(6.5, 32),
        hu=(-20, 80),
        most=3,
        sd=10,
        drop=0.2,
    )


def emphysema(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Lung destroyed in patches: 12-60 percent of the lobe below -950 HU (Gevenois 1996), the rest a little darker."""
    box = scene.organ_box(label)
    mask = (scene.labels[box] == label) & (scene.tissue[box] == Material.LUNG)
    if mask.sum() * scene.spacing**3 < 20_000:
        return None
    grade = float(rng.random())
    holes = smooth_field(rng, mask.shape, rng.uniform(2.5, 7.0))
    patch = mask & (holes > np.quantile(holes[mask], 1 - (0.12 + 0.48 * grade)))
    scene.image[box] -= np.float32(10 + 35 * grade) * mask
    blend(scene, box, patch.astype(np.float32) * 0.9, rng.uniform(-1000, -970), 6, rng)
    return finding_of(scene, label, "emphysema", patch, box, max(mask.shape) * scene.spacing, 1, grade)


def aortic_aneurysm(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A fusiform widening to 36-75 mm over 50-130 mm, often with mural thrombus (30-50 HU)."""
    box = scene.boxes[label - 1]
    assert box is not None
    mask = scene.labels[box] == label
    single = [k for k in range(mask.shape[0]) if mask[k].any() and np.ptp(np.nonzero(mask[k])[0]) * scene.spacing < 42]
    if len(single) * scene.spacing < 45:
        return None
    widest, half = float(rng.uniform(36, 75)), float(rng.uniform(25, 65))
    middle = single[rng.integers(len(single))]
    clot = rng.random() < 0.55
    start = np.array([s.start for s in box])
    keep = np.array(
        [
            *BONE,
            Material.CANAL,
            Material.CORD,
            Material.DISC,
            Material.SKIN,
            Material.AIR,
            Material.AIRWAY,
            Material.BLOOD_LEFT,
            Material.BLOOD_RIGHT,
            Material.MYOCARDIUM,
        ]
    )
    painted = np.zeros(scene.labels.shape[:1], bool)
    p, x = np.arange(scene.labels.shape[1])[:, None], np.arange(scene.labels.shape[2])[None, :]
    lesion: list[tuple[int, NDArray[np.bool_]]] = []
    drift = rng.normal(0, 0.25)
    for k in single:
        u = (k - middle) * scene.spacing / half
        if abs(u) >= 1:
            continue
        points = np.argwhere(mask[k])
        own = np.sqrt(len(points) / np.pi) * scene.spacing
        radius = own + (widest / 2 - own) * np.cos(u * np.pi / 2) ** 2
        if radius <= own + 0.5:
            continue
        c = points.mean(0) + start[1:] + np.array([-0.35, drift]) * (radius - own) / scene.spacing
        far = np.sqrt((p - c[0]) ** 2 + (x - c[1]) ** 2) * scene.spacing
        i = k + start[0]
        disc = (far <= radius) & ~np.isin(scene.tissue[i], keep)
        scene.tissue[i][disc] = Material.SOFT if clot else Material.ARTERY
        scene.labels[i][disc] = label
        if clot:
            scene.tissue[i][disc & (far <= max(own * 0.95, 0.62 * radius))] = Material.ARTERY
        painted[i] = True
        lesion.append((i, disc))
    if len(lesion) * scene.spacing < 15:
        return None
    volume = np.zeros((lesion[-1][0] - lesion[0][0] + 1, *scene.labels.shape[1:]), bool)
    for i, disc in lesion:
        volume[i - lesion[0][0]] = disc
    whole = (slice(lesion[0][0], lesion[-1][0] + 1), slice(0, volume.shape[1]), slice(0, volume.shape[2]))
    tight = tight_box(volume, whole)
    scene.boxes[label - 1] = (
        box[0],
        slice(min(box[1].start, tight[1].start), max(box[1].stop, tight[1].stop)),
        slice(min(box[2].start, tight[2].start), max(box[2].stop, tight[2].stop)),
    )
    return finding_of(scene, label, "aortic_aneurysm", volume, whole, widest, 1, (widest - 36) / 39)


def aortic_calcification(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Flecks and plates in the wall, 300-1300 HU and well above the lumen; in part diluted by partial volume."""
    box = scene.organ_box(label, scene.spacing)
    mask = scene.labels[box] == label
    shell = np.argwhere(mask & ~ndi.binary_erosion(mask))
    if len(shell) * scene.spacing**2 < 2_000:
        return None
    grade = float(rng.random())
    lumen = float(scene.contrast.mean[Material.ARTERY])
    count = int(4 + 40 * grade * min(1.0, len(shell) * scene.spacing**2 / 30_000))
    paint = np.zeros(mask.shape, np.float32)
    surface = np.zeros(mask.shape, bool)
    surface[tuple(shell.T)] = True
    for seed in shell[rng.integers(len(shell), size=count)]:
        reach = rng.uniform(2.0, 7.5) / scene.spacing
        near = shell[((shell - seed) ** 2).sum(1) <= reach**2]
        paint[tuple(near.T)] = np.maximum(paint[tuple(near.T)], rng.uniform(0.4, 1.0))
    value = rng.uniform(max(450.0, lumen + 300), 1300)
    blend(scene, box, paint, value, 40, rng)
    return finding_of(
        scene, label, "aortic_calcification", paint > 0, box, max(mask.shape) * scene.spacing, count, grade
    )
