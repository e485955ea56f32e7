"""Abnormalities of the adrenal glands."""

from __future__ import annotations

import numpy as np

from training.world.brushes import lesions, sites_of
from training.world.findings.bulging import bulge, claim, mottle, skewed
from training.world.findings.kinds import ADRENALS, Abnormality
from training.world.growth import grow
from training.world.materials import Material
from training.world.scene import PaintedFinding, Scene, finding_of


def adrenal_nodule(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A round adenoma of 10-40 mm on a limb: lipid-rich -10 to 10 HU, else to 40; 15-60 HU more after contrast."""
    d = skewed(rng, 10, 40)
    free = (Material.FAT, Material.SOFT)
    sites, blob = sites_of(scene, label), None
    while blob is None and d >= 10:  # a large one may have no room between liver or spleen and kidney
        blob = bulge(scene, label, sites, d / 2, rng, out=0, free=free, rough=0.06, least=0.66, tries=8)
        d = d if blob is not None else 0.8 * d
    if blob is None:
        return None
    value = float(rng.uniform(-10, 10) if rng.random() < 0.65 else rng.uniform(10, 40))
    if scene.contrast.phase != "native":
        value += float(rng.uniform(15, 60))
    mottle(scene, blob, value, 2.5, rng)
    box, cover = blob
    claim(scene, label, box, cover > 0.5, rng, 0.12)
    return finding_of(label, "adrenal_nodule", cover > 0.5, box, d, grade=(d - 10) / 30)


def adrenal_hyperplasia(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Limbs thickened along their whole length, to 1.35-3 of the volume; the shape is kept."""
    return grow(
        scene,
        label,
        "adrenal_hyperplasia",
        rng,
        factor=(1.35, 3.0),
        reach=max(6.0, 2 * scene.spacing),
        free=(Material.FAT, Material.SOFT),
        material=Material.ADRENAL,
    )


def adrenal_calcification(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One to four coarse specks of 2-9 mm, 180-900 HU, as after haemorrhage or granulomatous disease."""
    return lesions(
        scene,
        label,
        "adrenal_calcification",
        rng,
        sites=sites_of(scene, label),
        diameter=(2.5, 9),
        hu=(180, 900),
        most=4,
        sd=25,
        drop=0.0,
        material=Material.CALCIUM,
    )


ADRENAL: tuple[Abnormality, ...] = (
    Abnormality(
        "adrenal_hyperplasia",
        "adrenal gland",
        ADRENALS,
        adrenal_hyperplasia,
        how="Diffuse thickening of the limbs to 1.35-3 of the gland's volume.",
        source="own range, set with Lingam et al., AJR 2003;181:843 in mind",
        stage="shape",
        factor=(1.3, 3.1),
        rate=0.02,
    ),
    Abnormality(
        "adrenal_nodule",
        "adrenal gland",
        ADRENALS,
        adrenal_nodule,
        how="A round homogeneous mass of 10-40 mm, two in three lipid-rich.",
        source="Korobkin et al., AJR 1996;166:531",
        hu=(-25, 48),
        enhanced=(-15, 108),
        where="beside",
        rate=0.03,
    ),
    Abnormality(
        "adrenal_calcification",
        "adrenal gland",
        ADRENALS,
        adrenal_calcification,
        how="One to four coarse specks of 2.5-9 mm within the gland.",
        source="own range, set with Hindman and Israel, Eur Radiol 2005;15:1163 in mind",
        hu=(110, 950),
        rate=0.01,
    ),
)
