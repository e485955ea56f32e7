"""Abnormalities of liver, spleen, kidneys, gallbladder, pancreas, adrenal glands and bladder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from training.world.materials import BONE, ID, NAMES, Material
from training.world.physics import smooth_field
from training.world.scene import (
    Box,
    PaintedFinding,
    Scene,
    ball,
    blend,
    finding_of,
    grow,
    lesions,
    organ_sites,
    relabel,
)


def liver_steatosis(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Parenchyma darker than the spleen: below about 40 HU unenhanced (Boyce 2010), 30-75 HU down when enhanced;
    vessels stay."""
    box = scene.organ_box(label)
    mask = (scene.labels[box] == label) & (scene.tissue[box] == Material.LIVER)
    if mask.sum() * scene.spacing**3 < 50_000:
        return None
    grade = float(rng.random())
    now = float(scene.contrast.mean[Material.LIVER])
    target = 34 - 46 * grade + rng.normal(0, 2) if scene.contrast.phase == "native" else now - 32 - 45 * grade
    shift = np.float32(target - now)
    patchy = 1.0 if rng.random() < 0.8 else np.clip(0.75 + 0.35 * smooth_field(rng, mask.shape, 14.0), 0.3, 1.2)
    scene.image[box] += shift * mask * np.float32(1.0) * patchy
    return finding_of(scene, label, "liver_steatosis", mask, box, max(mask.shape) * scene.spacing, 1, grade)


def liver_cyst(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Sharp round water, -5 to 18 HU, 8-50 mm."""
    return lesions(
        scene,
        label,
        "liver_cyst",
        rng,
        sites=organ_sites(scene, label, (Material.LIVER,), 2),
        diameter=(8, 50),
        hu=(-5, 18),
        most=4,
    )


def splenomegaly(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A spleen grown by 7-20 mm into what is soft around it (two to four times its volume)."""
    free = (
        Material.FAT,
        Material.STOMACH_WALL,
        Material.STOMACH_LUMEN,
        Material.COLON_WALL,
        Material.STOOL,
        Material.BOWEL_WALL,
        Material.BOWEL_LUMEN,
        Material.LUNG,
        Material.PANCREAS,
        Material.LUNG_VESSEL,
        Material.GAS,
    )
    return grow(scene, label, "splenomegaly", rng, (7, 20), free, Material.SPLEEN, whole=True)


def kidney_stone(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Calculi of 3-12 mm in calyces and sinus, 250-1400 HU; small ones only show when dense (partial volume)."""
    box = scene.organ_box(label, 2 * scene.spacing)
    near = ndi.binary_dilation(scene.labels[box] == label, iterations=1)
    mask = near & np.isin(scene.tissue[box], (Material.RENAL_PELVIS, Material.SINUS_FAT))
    sites = np.argwhere(mask) + [s.start for s in box]
    if len(sites) == 0:
        sites = organ_sites(scene, label, (Material.RENAL_MEDULLA,), 1)
    if len(sites) == 0:
        return None
    count = int(rng.integers(1, 5)) if rng.random() < 0.4 else 1
    best: tuple[float, NDArray[np.bool_], Box] | None = None
    for _ in range(count):
        d = float(3 + 9 * rng.beta(1.1, 1.8))
        value = rng.uniform(max(250.0, 1100 - 100 * d), 1400)
        where, cover = ball(
            scene, sites[rng.integers(len(sites))] + rng.uniform(-0.2, 0.2, 3), d / 2 * rng.uniform(0.85, 1.15, 3), rng
        )
        if cover.size == 0 or cover.max() <= 0:
            continue
        blend(scene, where, cover, value, 20, rng)
        if best is None or d > best[0]:
            best = (d, cover >= 0.6 * cover.max(), where)
        relabel(scene, where, cover, label, rng, 0.1)
    if best is None:
        return None
    return finding_of(scene, label, "kidney_stone", best[1], best[2], best[0], count, (best[0] - 3) / 9)


def kidney_cyst(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Cortical, often exophytic water cysts of 10-60 mm; masks keep them, leave them out or call them kidney cyst."""
    other = (
        ID["kidney_cyst_left" if NAMES[label].endswith("left") else "kidney_cyst_right"] if rng.random() < 0.5 else 0
    )
    sites = organ_sites(scene, label, (Material.RENAL_CORTEX,))
    solid = (
        *BONE,
        Material.SKIN,
        Material.SUBCUTANEOUS,
        Material.AIR,
        Material.LIVER,
        Material.SPLEEN,
        Material.ARTERY,
        Material.VEIN,
        Material.LUNG,
    )
    return lesions(
        scene,
        label,
        "kidney_cyst",
        rng,
        sites=sites,
        diameter=(10, 60),
        hu=(-5, 18),
        most=3,
        only=False,
        drop=0.5,
        other=other,
        avoid=solid,
    )


def hydronephrosis(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Pelvis and calyces distended by urine (-3 to 15 HU) at the expense of sinus fat and medulla."""
    box = scene.organ_box(label, 12)
    core = np.isin(scene.tissue[box], (Material.RENAL_PELVIS, Material.SINUS_FAT)) & ndi.binary_dilation(
        scene.labels[box] == label, iterations=2
    )
    if core.sum() * scene.spacing**3 < 800:
        return None
    grade = float(rng.random())
    distance = ndi.distance_transform_edt(~core, sampling=scene.spacing)
    reach = (1.5 + 7.5 * grade) * (1 + 0.35 * smooth_field(rng, core.shape, 5.0))
    room = (scene.labels[box] == label) | np.isin(
        scene.tissue[box], (Material.FAT, Material.SINUS_FAT, Material.RENAL_PELVIS)
    )
    mask = (distance <= reach) & room
    blend(scene, box, mask.astype(np.float32), rng.uniform(-3, 15), 2, rng)
    scene.tissue[box][mask] = Material.RENAL_PELVIS
    if rng.random() < 0.35:
        scene.labels[box][mask & (scene.labels[box] == label)] = 0
    thick = 2 * float(ndi.distance_transform_edt(mask, sampling=scene.spacing).max())
    return finding_of(scene, label, "hydronephrosis", mask, box, thick, 1, grade)


def gallstones(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One to eight dependent stones, 3-18 mm, 90-900 HU."""
    sites = organ_sites(scene, label, None, 1)
    if len(sites) < 4:
        return None
    low = sites[sites[:, 1] >= np.quantile(sites[:, 1], 0.6)]
    bile = float(scene.contrast.mean[Material.BILE])
    return lesions(
        scene,
        label,
        "gallstones",
        rng,
        sites=low,
        diameter=(3.5, 18),
        hu=(max(110.0, bile + 80), 900),
        most=8,
        sd=15,
        drop=0.08,
    )


def pancreatic_cyst(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Water in or bulging from the gland, 7-35 mm, 0-18 HU."""
    avoid = (Material.ARTERY, Material.VEIN, Material.PORTAL, Material.LIVER, *BONE)
    return lesions(
        scene,
        label,
        "pancreatic_cyst",
        rng,
        sites=organ_sites(scene, label),
        diameter=(7, 35),
        hu=(0, 18),
        most=2,
        only=False,
        drop=0.35,
        avoid=avoid,
    )


def adrenal_nodule(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A round mass of 10-38 mm: lipid-rich -10 to 10, else to 40 HU; enhances when contrast is given (Boland 1998)."""
    sites = organ_sites(scene, label)
    gain = 0.0 if scene.contrast.phase == "native" else float(rng.uniform(15, 60))
    value = (-10 + gain, 12 + gain) if rng.random() < 0.6 else (12 + gain, 42 + gain)
    avoid = (
        *BONE,
        Material.LIVER,
        Material.SPLEEN,
        Material.ARTERY,
        Material.VEIN,
        Material.LUNG,
        Material.MUSCLE,
        Material.RENAL_CORTEX,
    )
    return lesions(
        scene,
        label,
        "adrenal_nodule",
        rng,
        sites=sites,
        diameter=(10, 38),
        hu=value,
        most=1,
        only=False,
        drop=0.15,
        avoid=avoid,
    )


def bladder_stone(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Calculi of 4-28 mm on the dependent wall, 300-1300 HU."""
    sites = organ_sites(scene, label, (Material.URINE,))
    if len(sites) < 20:
        return None
    low = sites[sites[:, 1] >= np.quantile(sites[:, 1], 0.85)]
    return lesions(
        scene, label, "bladder_stone", rng, sites=low, diameter=(4.5, 28), hu=(300, 1300), most=3, sd=30, drop=0.05
    )
