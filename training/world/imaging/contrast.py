"""Contrast phases: what each material's Hounsfield units are in one scan.

Every material has a range of mean HU by phase at 120 kVp (``RANGES``), a little wider than what is published (domain
randomisation: Billot et al., SynthSeg, MedIA 2023). The numbers are this project's own, set with these works in mind:

- liver, unenhanced: Boyce et al., AJR 2010;194:623; Pickhardt et al., Eur Radiol 2012;22:1075
- enhancement of vessels and organs by phase, dose and weight: Bae, Radiology 2010;256:32; Prokop and Galanski, Spiral
  and Multislice CT of the Body, 2003
- pancreas: McNulty et al., Radiology 2001;220:97
- kidneys: Goshima et al., Eur J Radiol 2007;63:420
- trabecular bone and its fall with age, about 2.5 HU a year: Pickhardt et al., Ann Intern Med 2013;158:588; Jang et
  al., Radiology 2019;291:360
- muscle: Aubrey et al., Acta Physiol 2014;210:489
- lung, which is emphysematous below -950 HU: Gevenois et al., AJRCCM 1995;152:653
- thyroid, 75 to 118 HU on average: Joseph et al., Rofo 1986;144:417; Iida et al., Radiology 1983;147:793
- the early spleen's mottling: Miles et al., Radiology 1995;194:91
- tube voltage (iodine 1.6 times as bright at 80 as at 120 kVp): Yu et al., RadioGraphics 2011;31:835
- fat, spleen unenhanced, adrenals, bowel and its contents, pelvic organs, brain, cartilage, skin: own ranges.

Where in its range a material lies follows a Gaussian copula: a patient's iodine dose, timing, water and fat move all
organs together, and each organ has a part of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import erf
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.world.materials import N_MATERIALS, Material

Phase = Literal["native", "arterial", "portal", "delayed"]
PHASES: tuple[Phase, ...] = ("native", "arterial", "portal", "delayed")
Float = NDArray[np.float32]
Range = tuple[float, float]

RANGES: dict[Material, Sequence[Range]] = {
    Material.AIR: [(-1002, -996)],
    Material.SKIN: [(-60, 40)],
    Material.SUBCUTANEOUS: [(-118, -92)],
    Material.FAT: [(-114, -82)],
    Material.MUSCLE: [(26, 62), (30, 68), (38, 76), (35, 72)],
    Material.SOFT: [(20, 48), (35, 70), (45, 80), (40, 70)],
    Material.CORTEX: [(280, 820)],
    Material.SPONGIOSA: [(100, 300)],
    Material.MARROW: [(-50, 60)],
    Material.DISC: [(55, 105)],
    Material.CARTILAGE: [(75, 140)],
    Material.CANAL: [(-40, 30)],
    Material.CORD: [(25, 45)],
    Material.LUNG: [(-905, -745)],
    Material.AIRWAY: [(-1000, -960)],
    Material.ARTERY: [(32, 56), (230, 430), (120, 200), (80, 130)],
    Material.VEIN: [(32, 56), (40, 110), (105, 185), (78, 125)],
    Material.PORTAL: [(32, 56), (55, 145), (125, 205), (82, 128)],
    Material.MYOCARDIUM: [(36, 56), (75, 140), (85, 135), (70, 105)],
    Material.BLOOD_LEFT: [(32, 56), (230, 430), (120, 200), (80, 130)],
    Material.BLOOD_RIGHT: [(32, 56), (120, 420), (110, 190), (78, 128)],
    Material.LIVER: [(44, 68), (52, 84), (86, 134), (76, 110)],
    Material.SPLEEN: [(36, 58), (85, 160), (76, 146), (70, 112)],
    Material.PANCREAS: [(12, 48), (60, 130), (56, 112), (44, 92)],
    Material.ADRENAL: [(5, 38), (35, 80), (40, 88), (30, 70)],
    Material.RENAL_CORTEX: [(18, 42), (130, 235), (145, 230), (105, 175)],
    Material.RENAL_MEDULLA: [(16, 40), (38, 90), (120, 215), (100, 175)],
    Material.RENAL_PELVIS: [(-3, 16)],
    Material.SINUS_FAT: [(-95, -45)],
    Material.BILE: [(-3, 22)],
    Material.BLADDER_WALL: [(25, 48), (35, 65), (40, 80), (35, 75)],
    Material.URINE: [(-3, 16)],
    Material.PROSTATE: [(16, 50), (40, 75), (50, 95), (50, 85)],
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
    Material.GREY_MATTER: [(34, 42), (36, 46), (38, 48), (38, 46)],
    Material.WHITE_MATTER: [(24, 32), (25, 33), (26, 34), (26, 33)],
    Material.CSF: [(0, 14)],
    Material.EYE: [(2, 18)],
    Material.FLUID: [(-2, 20)],
    Material.CLOT: [(28, 55)],
    Material.LESION: [(20, 50), (30, 70), (40, 85), (40, 75)],
    Material.CALCIUM: [(300, 1200)],
    Material.METAL: [(2600, 3071)],
}
"""Mean HU at 120 kVp by phase (native, arterial, portal, delayed), one range where contrast makes no difference."""

# standard deviation in HU of the fine and of the coarse field that modulate each material; 2 and 1 where not given
_FINE = {
    Material.FAT: 9,
    Material.SUBCUTANEOUS: 6,
    Material.MUSCLE: 8,
    Material.SOFT: 8,
    Material.CORTEX: 110,
    Material.SPONGIOSA: 34,
    Material.MARROW: 24,
    Material.CARTILAGE: 14,
    Material.LUNG: 22,
    Material.LIVER: 2.5,
    Material.SPLEEN: 2.5,
    Material.PANCREAS: 15,
    Material.RENAL_CORTEX: 7,
    Material.RENAL_MEDULLA: 6,
    Material.SINUS_FAT: 22,
    Material.STOMACH_LUMEN: 12,
    Material.BOWEL_LUMEN: 10,
    Material.STOOL: 55,
    Material.SKIN: 40,
    Material.MYOCARDIUM: 5,
    Material.PROSTATE: 8,
    Material.UTERUS: 8,
    Material.COLON_WALL: 8,
}
_COARSE = {
    Material.FAT: 8,
    Material.SUBCUTANEOUS: 5,
    Material.MUSCLE: 4,
    Material.SOFT: 5,
    Material.CORTEX: 70,
    Material.SPONGIOSA: 18,
    Material.MARROW: 20,
    Material.LUNG: 16,
    Material.LIVER: 2,
    Material.SPLEEN: 2,
    Material.PANCREAS: 8,
    Material.STOMACH_LUMEN: 12,
    Material.BOWEL_LUMEN: 8,
    Material.STOOL: 40,
    Material.MYOCARDIUM: 5,
    Material.PROSTATE: 6,
    Material.UTERUS: 8,
}

VOLTAGES = {80: (0.05, 1.64, 1.30), 100: (0.27, 1.24, 1.11), 120: (0.58, 1.0, 1.0), 140: (0.10, 0.84, 0.94)}
"""Tube voltage in kVp: how often, brightness of iodine and of bone relative to 120 kVp."""

_BLOOD = (Material.ARTERY, Material.VEIN, Material.PORTAL, Material.BLOOD_LEFT, Material.BLOOD_RIGHT)
_BONE = (Material.CORTEX, Material.CALCIUM)
# what a fat or oedematous patient's scan shows darker: scatter and beam hardening, and fat between the fibres
_SOFT = (Material.MUSCLE, Material.LIVER, Material.SPLEEN, Material.PANCREAS, Material.SOFT, Material.RENAL_CORTEX)
# urine and bile are kept apart: excretion and sludge set them
_TIMED = (Material.VEIN, Material.PORTAL, Material.LIVER, Material.RENAL_MEDULLA, Material.BLOOD_RIGHT)


@dataclass(frozen=True, eq=False)
class Contrast:
    """What one scan shows each material as.

    Attributes
    ----------
    phase : str
        native, arterial, portal or delayed.
    mean, texture : (N_MATERIALS,) float32
        Mean HU, and standard deviation of the fine texture.
    excretion : bool
        Whether contrast medium has reached the urinary tract.
    coarse : (N_MATERIALS,) float32
        Standard deviation of the texture on a coarse scale.
    kvp : int
        Tube voltage.
    fatty : float
        How dark the fat between muscle fibres makes them, in HU.
    mottle : float
        Amplitude in HU of the stripes that an early arterial spleen shows.
    """

    phase: Phase
    mean: Float
    texture: Float
    excretion: bool
    coarse: Float = field(default_factory=lambda: np.zeros(N_MATERIALS, np.float32))
    kvp: int = 120
    fatty: float = 0.0
    mottle: float = 0.0


def draw_contrast(
    rng: np.random.Generator, excretion: bool = True, age: float = 55.0, phase: Phase | None = None
) -> Contrast:
    """Draw the phase (unless given) and every material's HU, of a person of an age in years.

    ``excretion=False`` keeps urine dark (a stone there must stay visible).
    """
    column = int(rng.choice(4, p=[0.36, 0.18, 0.36, 0.10]))
    column = column if phase is None else PHASES.index(phase)
    kvp = int(rng.choice(list(VOLTAGES), p=[v[0] for v in VOLTAGES.values()]))
    dose, late, lean = (float(z) for z in rng.standard_normal(3))
    native = _drawn(rng, 0, dict.fromkeys(_SOFT, (0.5, lean)))
    _one_blood(native, rng)
    mean = native.copy()
    if column:
        pulls: dict[Material, tuple[float, float]] = {m: (0.75, dose) for m, r in RANGES.items() if len(r) == 4}
        pulls |= {m: (0.85, 0.6 * dose + 0.8 * late) for m in _TIMED if column == 1}
        mean = np.where(_VARIES, _drawn(rng, column, pulls), native)
        _enhanced_blood(mean, column, rng)
        # less medium is given at a low voltage, so that only a part of the gain is seen
        gain = VOLTAGES[kvp][1] ** float(rng.uniform(0.3, 0.7))
        mean = native + (mean - native) * gain
    _bones(mean, age, VOLTAGES[kvp][2], rng)
    mean[[Material.FAT, Material.SUBCUTANEOUS]] += 0.15 * (kvp - 120)
    mean[Material.LUNG_VESSEL] = 0.55 * mean[Material.BLOOD_RIGHT] + rng.uniform(-20, 20)
    excreted = excretion and bool(rng.random() < (0.0, 0.03, 0.12, 0.85)[column])
    _contents(mean, excreted, rng)
    # early: the red pulp fills at two speeds, and the spleen shows stripes that fade within a minute
    early = max(0.0, 0.9 - 0.7 * late) if column == 1 else 0.0
    coarse = _textures(_COARSE, 1.0, rng)
    if column in (1, 2):  # enhanced and unenhanced blood mix where veins meet
        coarse[[Material.VEIN, Material.BLOOD_RIGHT]] = float(rng.uniform(3, 22)) / column
    fatty = float(np.clip(16 + 0.8 * (age - 20), 10, 65) * rng.beta(1.1, 1.8) * 2.0)
    return Contrast(
        PHASES[column],
        mean.astype(np.float32),
        _textures(_FINE, 2.0, rng),
        excreted,
        coarse,
        kvp,
        fatty,
        min(2.0, early) * float(rng.uniform(6, 26)),
    )


_VARIES = np.array([len(RANGES.get(m, ())) == 4 for m in Material])


def _drawn(rng: np.random.Generator, column: int, pulls: dict[Material, tuple[float, float]]) -> NDArray[np.float64]:
    """Each material's place in its range: (share, z) pulls it towards a patient's z."""
    own = rng.standard_normal(N_MATERIALS)
    out = np.zeros(N_MATERIALS)
    for material, ranges in RANGES.items():
        low, high = ranges[column if len(ranges) == 4 else 0]
        share, z = pulls.get(material, (0.0, 0.0))
        score = share * z + (1 - share * share) ** 0.5 * own[material]
        # the normal distribution function: all of the range is equally likely
        out[material] = low + (high - low) * 0.5 * (1 + erf(score / 2**0.5))
    return out


def _one_blood(mean: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Unenhanced blood is the same everywhere, darker in anaemia."""
    blood = mean[Material.ARTERY]
    mean[list(_BLOOD)] = blood + rng.uniform(-2, 2, len(_BLOOD))
    mean[Material.MYOCARDIUM] = np.clip(blood + rng.uniform(-1, 8), *RANGES[Material.MYOCARDIUM][0])


def _enhanced_blood(mean: NDArray[np.float64], column: int, rng: np.random.Generator) -> None:
    """The left heart's blood is the aorta's; later, veins and arteries come together."""
    mean[Material.BLOOD_LEFT] = mean[Material.ARTERY] + rng.uniform(-12, 12)
    if column >= 2:
        mix = rng.uniform(0.4, 0.9)
        for vein in (Material.VEIN, Material.BLOOD_RIGHT):
            mean[vein] += mix * (mean[Material.ARTERY] * rng.uniform(0.92, 1.04) - mean[vein])
    if column == 2:  # the liver is seldom brighter than its vessels
        mean[Material.PORTAL] = max(mean[Material.PORTAL], mean[Material.LIVER] + rng.uniform(12, 45))
    if column == 3:
        mean[Material.PORTAL] = mean[Material.VEIN] + rng.uniform(-5, 5)
        mean[Material.RENAL_MEDULLA] = mean[Material.RENAL_CORTEX] + rng.uniform(-12, 12)


def _bones(mean: NDArray[np.float64], age: float, gain: float, rng: np.random.Generator) -> None:
    """Bone thins with age; trabecular bone below 100 HU is an abnormality, which is painted."""
    low, high = RANGES[Material.SPONGIOSA][0]
    years = float(np.clip(age, 18, 95)) - 25
    trabecular = np.clip(240 - 2.5 * years + rng.normal(0, 30), low + rng.uniform(0, 25), high)
    mean[Material.SPONGIOSA] = trabecular * gain**0.5
    mean[Material.CORTEX] -= 1.5 * max(0.0, years - 20)
    mean[list(_BONE)] *= gain
    mean[Material.CORTEX] = max(mean[Material.CORTEX], 1.4 * mean[Material.SPONGIOSA], 240.0)
    mean[Material.MARROW] -= 0.5 * max(0.0, years - 15)


def _contents(mean: NDArray[np.float64], excreted: bool, rng: np.random.Generator) -> None:
    """Urine, bile, and what was drunk."""
    pelvis, urine, sludge = rng.uniform(180, 1200), rng.uniform(20, 600), rng.uniform(22, 60)
    if excreted:
        mean[Material.RENAL_PELVIS], mean[Material.URINE] = pelvis, urine
    if rng.random() < 0.12:  # sludge, vicarious excretion
        mean[Material.BILE] = sludge
    if rng.random() < 0.16:  # positive oral contrast
        mean[[Material.STOMACH_LUMEN, Material.BOWEL_LUMEN]] = rng.uniform(140, 380)
        if rng.random() < 0.6:
            mean[Material.STOOL] = rng.uniform(100, 350)


def _textures(table: Mapping[Material, float], usual: float, rng: np.random.Generator) -> Float:
    out = np.array([table.get(m, usual) for m in Material], np.float32)
    out *= rng.uniform(0.4, 1.6, N_MATERIALS).astype(np.float32)
    out[[Material.AIR, Material.METAL]] = 0
    return out
