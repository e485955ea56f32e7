"""From materials to Hounsfield units: contrast phases, bowel contents, blur, noise, streaks, table.

Attenuation is drawn a little wider than reality (domain randomisation: Billot et al., SynthSeg, MedIA 2023). The ranges
are this project's own, not transcribed tables; they were set with these works in mind, which are cited from memory.
Unenhanced liver, spleen and fat: Kodama et al., AJR 2007;188:1307; Boyce et al., AJR 2010;194:623.
Enhancement by phase: Bae, Radiology 2010;256:32; Prokop and Galanski, Spiral and Multislice CT of the Body, 2003.
Kidneys: Yuh and Cohan, AJR 1999;173:747. Trabecular bone (osteoporotic 50 to dense 280 HU): Pickhardt et al., Ann
Intern Med 2013;158:588. Adrenals: Boland et al., AJR 1998;171:201. Emphysema and lung density: Gevenois et al., AJRCCM
1996;154:187. Muscle: Aubrey et al., Acta Physiol 2014;210:489.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage as ndi

from training.world.materials import ID, N_MATERIALS, Material

Phase = Literal["native", "arterial", "portal", "delayed"]
PHASES: tuple[Phase, ...] = ("native", "arterial", "portal", "delayed")
Float = NDArray[np.float32]

# mean HU by phase (native, arterial, portal, delayed), one range where contrast makes no difference
_HU: dict[Material, Sequence[tuple[float, float]]] = {
    Material.AIR: [(-1002, -996)],
    Material.SKIN: [(-60, 40)],
    Material.SUBCUTANEOUS: [(-116, -92)],
    Material.FAT: [(-114, -86)],
    Material.MUSCLE: [(28, 62), (34, 70), (38, 75), (36, 70)],
    Material.SOFT: [(20, 48), (35, 70), (45, 80), (40, 70)],
    Material.CORTEX: [(250, 780)],
    Material.SPONGIOSA: [(55, 235)],
    Material.MARROW: [(-50, 60)],
    Material.DISC: [(55, 105)],
    Material.CARTILAGE: [(75, 140)],
    Material.CANAL: [(-40, 30)],
    Material.CORD: [(25, 45)],
    Material.LUNG: [(-905, -745)],
    Material.AIRWAY: [(-1000, -960)],
    Material.ARTERY: [(32, 55), (210, 430), (115, 195), (80, 130)],
    Material.VEIN: [(32, 55), (40, 110), (105, 180), (80, 125)],
    Material.PORTAL: [(32, 55), (60, 145), (125, 195), (85, 125)],
    Material.MYOCARDIUM: [(38, 55), (75, 135), (85, 130), (70, 105)],
    Material.BLOOD_LEFT: [(32, 55), (210, 430), (115, 195), (80, 130)],
    Material.BLOOD_RIGHT: [(32, 55), (120, 420), (110, 190), (80, 125)],
    Material.LIVER: [(46, 68), (54, 86), (88, 132), (78, 112)],
    Material.SPLEEN: [(38, 58), (85, 155), (100, 142), (78, 112)],
    Material.PANCREAS: [(0, 48), (60, 130), (50, 110), (40, 90)],
    Material.ADRENAL: [(5, 38), (35, 80), (40, 88), (30, 70)],
    Material.RENAL_CORTEX: [(24, 42), (120, 225), (150, 230), (110, 175)],
    Material.RENAL_MEDULLA: [(22, 40), (38, 85), (130, 215), (105, 175)],
    Material.RENAL_PELVIS: [(-3, 16)],
    Material.SINUS_FAT: [(-95, -45)],
    Material.BILE: [(-3, 22)],
    Material.BLADDER_WALL: [(25, 48), (35, 65), (40, 80), (35, 75)],
    Material.URINE: [(-3, 16)],
    Material.PROSTATE: [(14, 50), (40, 75), (50, 95), (50, 85)],
    Material.UTERUS: [(35, 55), (60, 110), (75, 135), (70, 115)],
    Material.THYROID: [(70, 120), (110, 190), (110, 180), (100, 150)],
    Material.OESOPHAGUS: [(25, 50), (35, 70), (40, 80), (40, 75)],
    Material.STOMACH_WALL: [(25, 48), (50, 100), (55, 105), (50, 85)],
    Material.STOMACH_LUMEN: [(-5, 45)],
    Material.BOWEL_WALL: [(25, 48), (50, 105), (60, 115), (50, 90)],
    Material.BOWEL_LUMEN: [(-2, 40)],
    Material.COLON_WALL: [(22, 46), (40, 80), (45, 95), (40, 80)],
    Material.STOOL: [(-60, 45)],
    Material.COLON_FLUID: [(0, 35)],
    Material.GAS: [(-1000, -930)],
    Material.TABLE: [(-300, 40)],
}

# texture: standard deviation in HU of the smooth field that modulates each material
_TEXTURE = {
    Material.FAT: 6,
    Material.SUBCUTANEOUS: 5,
    Material.MUSCLE: 9,
    Material.SOFT: 9,
    Material.CORTEX: 120,
    Material.SPONGIOSA: 38,
    Material.MARROW: 30,
    Material.CARTILAGE: 14,
    Material.LUNG: 26,
    Material.LIVER: 3,
    Material.SPLEEN: 3,
    Material.PANCREAS: 17,
    Material.RENAL_CORTEX: 7,
    Material.RENAL_MEDULLA: 6,
    Material.SINUS_FAT: 22,
    Material.STOMACH_LUMEN: 14,
    Material.BOWEL_LUMEN: 12,
    Material.STOOL: 70,
    Material.SKIN: 40,
    Material.MYOCARDIUM: 6,
    Material.PROSTATE: 9,
    Material.UTERUS: 9,
    Material.COLON_WALL: 8,
}


@dataclass(frozen=True, eq=False)
class Contrast:
    """Mean HU and texture by material for one scan, and whether contrast is excreted into the urinary tract."""

    phase: Phase
    mean: Float
    texture: Float
    excretion: bool


def draw_contrast(rng: np.random.Generator, excretion: bool = True) -> Contrast:
    """Draw the phase and every material's HU; ``excretion=False`` keeps urine dark (a stone there must stay
    visible)."""
    column = int(rng.choice(4, p=[0.36, 0.18, 0.36, 0.10]))
    mean, texture = np.zeros(N_MATERIALS, np.float32), np.zeros(N_MATERIALS, np.float32)
    for material in Material:
        ranges = _HU.get(material)
        if ranges:
            low, high = ranges[column if len(ranges) == 4 else 0]
            mean[material] = rng.uniform(low, high)
        texture[material] = _TEXTURE.get(material, 2) * rng.uniform(0.4, 1.6)
    blood = mean[Material.ARTERY]
    mean[Material.BLOOD_LEFT] = blood + rng.uniform(-12, 12)
    if column == 0:  # unenhanced blood is the same everywhere, a little darker in anaemia
        mean[[Material.VEIN, Material.PORTAL, Material.BLOOD_RIGHT]] = blood + rng.uniform(-3, 3, 3)
        mean[Material.MYOCARDIUM] = blood + rng.uniform(0, 8)
    mean[Material.LUNG_VESSEL] = 0.55 * mean[Material.BLOOD_RIGHT] + rng.uniform(-20, 20)
    excreted = excretion and bool(rng.random() < (0.0, 0.03, 0.12, 0.85)[column])
    if excreted:
        mean[Material.RENAL_PELVIS] = rng.uniform(180, 1200)
        mean[Material.URINE] = rng.uniform(20, 600)
    if rng.random() < 0.12:  # sludge, vicarious excretion
        mean[Material.BILE] = rng.uniform(22, 60)
    if rng.random() < 0.16:  # positive oral contrast
        mean[[Material.STOMACH_LUMEN, Material.BOWEL_LUMEN]] = rng.uniform(140, 380)
        if rng.random() < 0.6:
            mean[Material.STOOL] = rng.uniform(100, 350)
    return Contrast(PHASES[column], mean, texture, excreted)


def smooth_field(rng: np.random.Generator, shape: tuple[int, ...], cell: float) -> Float:
    """A smooth random field of about unit variance, correlated over ``cell`` voxels (trilinear between random
    knots)."""
    coarse = [max(2, int(np.ceil(n / cell)) + 1) for n in shape]
    knots = torch.from_numpy(rng.standard_normal((1, 1, *coarse), dtype=np.float32))
    field: Float = torch.nn.functional.interpolate(knots, size=tuple(shape), mode="trilinear", align_corners=True)[
        0, 0
    ].numpy()
    field *= np.float32(1.5)
    return field


def fill_bowel(
    tissue: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    boxes: Sequence[tuple[slice, ...] | None],
    rng: np.random.Generator,
) -> None:
    """Replace lumen by gas where it rises to the front; the level differs along the bowel (mottled stool comes from
    texture)."""
    for name, lumen, share in (
        ("stomach", Material.STOMACH_LUMEN, 0.75),
        ("colon", Material.STOOL, 0.85),
        ("small_bowel", Material.BOWEL_LUMEN, 0.2),
        ("duodenum", Material.BOWEL_LUMEN, 0.2),
    ):
        box = boxes[ID[name] - 1]
        if box is None or rng.random() > share:
            continue
        mask = (labels[box] == ID[name]) & (tissue[box] == lumen)
        if not mask.any():
            continue
        p = np.arange(mask.shape[1], dtype=np.float32)[None, :, None]
        count = mask.sum(1).astype(np.float32)
        total = (mask * p).sum(1)
        level = ndi.gaussian_filter(total, 4) / np.maximum(ndi.gaussian_filter(count, 4), 1e-3)
        offset = (
            rng.normal(-1.0 if name != "small_bowel" else -5.0, 2.5)
            + 3.5 * smooth_field(rng, (1, *level.shape), 9.0)[0]
        )
        tissue[box][mask & (p < (level + offset)[:, None, :])] = Material.GAS


def render(tissue: NDArray[np.uint8], labels: NDArray[np.uint8], contrast: Contrast, rng: np.random.Generator) -> Float:
    """Noise-free HU of a volume: mean by material, smooth texture, bone density by bone."""
    hu = np.take(contrast.mean, tissue)
    field = smooth_field(rng, tissue.shape, rng.uniform(1.6, 3.2))
    hu += np.take(contrast.texture, tissue) * field
    fatty = np.float32(70 * rng.beta(1.0, 2.2))  # marbling and wasting of muscle come with age
    muscle = tissue == Material.MUSCLE
    hu[muscle] -= fatty * np.maximum(field[muscle] - np.float32(rng.uniform(-0.6, 0.6)), 0)
    lung = tissue == Material.LUNG
    slope = np.linspace(-0.5, 0.5, tissue.shape[1], dtype=np.float32) * np.float32(rng.uniform(0, 130))
    hu += lung * slope[None, :, None]  # the lung is denser where it is dependent
    density = np.zeros(256, np.float32)
    density[:] = rng.normal(0, 14, 256)
    density[[ID["femur_left"], ID["femur_right"]]] += rng.uniform(0, 160)
    density[[ID["hip_left"], ID["hip_right"]]] += rng.uniform(-60, 90)
    density[[ID["sacrum"], ID["sternum"]]] -= rng.uniform(0, 60)
    for n in range(1, 13):
        density[[ID[f"rib_left_{n}"], ID[f"rib_right_{n}"]]] += rng.uniform(0, 120)
    spongy = tissue == Material.SPONGIOSA
    hu[spongy] += density[labels[spongy]]
    if rng.random() < 0.35:  # calcified costal cartilage is normal with age
        cartilage = (
            (tissue == Material.CARTILAGE) & (labels == ID["costal_cartilages"]) & (field > rng.uniform(0.5, 1.4))
        )
        hu[cartilage] += rng.uniform(150, 500)
    return hu


def layer_urine(hu: Float, tissue: NDArray[np.uint8], box: tuple[slice, ...] | None, rng: np.random.Generator) -> None:
    """Excreted contrast is heavy: it lies at the back of the bladder."""
    if box is None:
        return
    mask = tissue[box] == Material.URINE
    if not mask.any():
        return
    rows = np.flatnonzero(mask.any((0, 2)))
    level = rows[0] + rng.uniform(0.2, 0.9) * (rows[-1] - rows[0])
    p = np.arange(mask.shape[1])[None, :, None]
    hu[box][mask & (p >= level)] += np.float32(rng.uniform(100, 700))


def blur(hu: Float, spacing: float, rng: np.random.Generator) -> Float:
    """Point spread of scanner, kernel and slice thickness; sharper in plane than along the body, in mm."""
    plane, along = rng.uniform(0.7, 1.9) / spacing, rng.uniform(0.7, 2.6) / spacing
    for axis, sigma in ((0, along), (1, plane), (2, plane)):
        if sigma > 0.15:
            ndi.gaussian_filter1d(hu, sigma, axis=axis, output=hu, truncate=2.5, mode="nearest")
    return hu


def add_noise(hu: Float, spacing: float, rng: np.random.Generator) -> float:
    """Add correlated noise of 4-24 HU in place, stronger in the body's core; returns its standard deviation."""
    sd = float(rng.uniform(4, 24) if rng.random() < 0.8 else rng.uniform(4, 10))
    noise = rng.standard_normal(hu.shape, dtype=np.float32)
    sigma = rng.uniform(0.2, 0.75) * min(1.0, 3.0 / spacing)
    kernel = np.exp(-0.5 * (np.arange(-2, 3) / sigma) ** 2).astype(np.float32)
    kernel /= np.sqrt((kernel**2).sum())
    if sigma > 0.3:
        for axis in (1, 2):
            noise = ndi.correlate1d(noise, kernel, axis=axis, mode="wrap")
    edge = rng.uniform(0.55, 1.0)
    p, x = np.linspace(-1, 1, hu.shape[1], dtype=np.float32), np.linspace(-1, 1, hu.shape[2], dtype=np.float32)
    shape = 1 - (1 - edge) * np.clip(p[:, None] ** 2 + x[None, :] ** 2, 0, 1)
    noise *= np.float32(sd) * shape.astype(np.float32)
    hu += noise
    return sd


def add_streaks(
    hu: Float, metal: NDArray[np.bool_], box: tuple[slice, ...], spacing: float, rng: np.random.Generator
) -> None:
    """Bright and dark rays that leave metal in plane, fading with distance."""
    strength, reach = rng.uniform(60, 420), rng.uniform(30, 80) / spacing
    for k in range(metal.shape[0]):
        if not metal[k].any():
            continue
        p0, x0 = (float(c.mean()) for c in np.nonzero(metal[k]))
        p0, x0 = p0 + box[1].start, x0 + box[2].start
        p = np.arange(hu.shape[1], dtype=np.float32)[:, None] - p0
        x = np.arange(hu.shape[2], dtype=np.float32)[None, :] - x0
        angle, far = np.arctan2(p, x), np.sqrt(p * p + x * x)
        rays = sum(np.cos(n * angle + rng.uniform(0, 6.3)) for n in rng.integers(2, 26, 5)) / np.sqrt(5)
        size = min(1.0, metal[k].sum() / 12)
        hu[box[0].start + k] += (strength * size * rays * np.exp(-far / reach)).astype(np.float32)


def add_rows(hu: Float, spacing: float, rng: np.random.Generator) -> None:
    """Photon starvation: noise that runs left to right, as between shoulders and hips."""
    rows = rng.standard_normal((hu.shape[0], hu.shape[1], 1), dtype=np.float32) * np.float32(rng.uniform(3, 14))
    along = np.exp(-(((np.arange(hu.shape[0]) - rng.uniform(0, hu.shape[0])) / (60 / spacing)) ** 2)).astype(np.float32)
    hu += rows * along[:, None, None]


def add_table(tissue: NDArray[np.uint8], hu: Float, spacing: float, rng: np.random.Generator) -> None:
    """A curved couch behind the patient: two thin shells around a light core, where there is air."""
    rows = np.flatnonzero((tissue != Material.AIR).any((0, 2)))
    if len(rows) == 0:
        return
    back = rows[-1] + rng.uniform(-10, 6) / spacing
    x = np.arange(hu.shape[2], dtype=np.float32) - hu.shape[2] / 2 + rng.normal(0, 3)
    bow = rng.uniform(0.0006, 0.0022) * spacing
    top = back - bow * x * x + rng.uniform(0, 4) / spacing
    thick = rng.uniform(12, 45) / spacing
    low = back + thick * (1 - 0.5 * (x / x.max()) ** 2)
    p = np.arange(hu.shape[1], dtype=np.float32)[:, None]
    shell = (np.abs(p - top) < 0.6) | (np.abs(p - low) < 0.6)
    core = (p > top) & (p < low)
    within = np.abs(x)[None, :] < rng.uniform(150, 230) / spacing
    air = tissue == Material.AIR
    wall, foam = np.float32(rng.uniform(-500, 60)), np.float32(rng.uniform(-990, -880))
    hu[air & (core & within)[None]] = foam
    hu[air & (shell & within)[None]] = wall


def round_field(
    shape: tuple[int, ...], spacing: float, rng: np.random.Generator, cut: bool
) -> NDArray[np.bool_] | None:
    """A mask (P, L) that is False outside the round field of view, or None for no circle; ``cut`` makes it bite into
    the body."""
    if not cut and rng.random() < 0.6:
        return None
    p = np.arange(shape[1], dtype=np.float32)[:, None] - shape[1] / 2
    x = np.arange(shape[2], dtype=np.float32)[None, :] - shape[2] / 2
    radius = max(shape[1], shape[2]) / 2
    if cut:
        radius *= rng.uniform(0.72, 0.95)
        p, x = p + rng.normal(0, 12) / spacing, x + rng.normal(0, 18) / spacing
    else:
        radius *= rng.uniform(1.0, 1.1)
    return p * p + x * x <= radius * radius
