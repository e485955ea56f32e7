"""Which abnormalities a patient has: several at once, in company that they keep in life; most organs healthy."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from training.world.bodies.body import Body, Sex
from training.world.findings.catalogue import ABNORMALITIES
from training.world.findings.kinds import Abnormality
from training.world.findings.patients import CONDITIONS, draw_conditions
from training.world.materials import ID
from training.world.scene import Scene

Choice = tuple[str, str]
"""(slug, organ)."""

FLOOR = 0.018
"""The balance: no abnormality is rarer than this in scans that show its organs, however rare it is in life, or an
encoder would never learn it."""

SITES = 3
"""A kind's ``rate`` counts for at most so many of its organs: it is one disease in 24 ribs, not 24."""

QUIET: Mapping[str, float] = MappingProxyType(
    {"liver": 0.25, "gallbladder": 0.7, "pancreas": 0.8, "lung": 0.55, "pleura": 0.7, "peritoneum": 0.5}
)
"""Factor on ``rate`` by anatomy, for organs that have so many kinds that they would seldom be healthy."""

ONCE = frozenset(
    {
        "osteoporosis",
        "muscle_wasting",
        "emphysema",
        "lung_fibrosis",
        "ground_glass_opacity",
        "bronchiectasis",
        "polycystic_kidney",
        "hiatal_hernia",
        "ascites",
        "rib_fracture",
        "bowel_wall_thickening",
    }
)
"""Kinds that are painted once in a scan; those that are in several organs spread by themselves."""

SPREAD: Mapping[str, float] = MappingProxyType(
    {
        "pleural_effusion": 0.5,
        "pleural_plaque": 0.4,
        "atelectasis": 0.3,
        "lung_consolidation": 0.25,
        "lung_nodule": 0.2,
        "kidney_cyst": 0.4,
        "kidney_stone": 0.35,
        "hydronephrosis": 0.15,
        "renal_atrophy": 0.25,
        "adrenal_hyperplasia": 0.5,
        "degenerative_spine": 0.6,
        "vertebral_compression_fracture": 0.3,
        "vertebra_sclerotic_lesion": 0.45,
        "vertebra_lytic_lesion": 0.4,
        "pelvic_lytic_lesion": 0.3,
        "metal_implant": 0.15,
    }
)
"""Chance that one organ more has it as well, again and again; of other kinds only 0.05."""

EXCLUSIVE: tuple[tuple[str, ...], ...] = (
    ("gallbladder_absent", "gallstones"),
    ("gallbladder_absent", "gallbladder_distension"),
    ("gallbladder_absent", "gallbladder_wall_thickening"),
    ("hepatomegaly", "cirrhosis"),
    ("liver_steatosis", "cirrhosis"),
    ("emphysema", "lung_fibrosis"),
    ("emphysema", "atelectasis"),
    ("emphysema", "ground_glass_opacity"),
    ("lung_consolidation", "atelectasis"),
    ("lung_consolidation", "lung_mass"),
    ("lung_fibrosis", "ground_glass_opacity"),
    ("pancreatic_atrophy", "pancreatitis"),
    ("polycystic_kidney", "renal_atrophy", "hydronephrosis"),
    ("polycystic_kidney", "kidney_cyst"),
    ("polycystic_kidney", "angiomyolipoma"),
    ("polycystic_kidney", "kidney_mass"),
    ("adrenal_nodule", "adrenal_hyperplasia"),
    ("aortic_stent_graft", "aortic_aneurysm", "aortic_dissection", "aortic_thrombus"),
    ("vertebral_compression_fracture", "degenerative_spine"),
    ("vertebral_haemangioma", "vertebra_lytic_lesion", "vertebral_compression_fracture"),
    ("metal_implant", "hip_fracture", "pelvic_lytic_lesion"),
    ("brain_haemorrhage", "brain_infarct"),
)
"""Kinds of which one organ has at most one: the other would hide or contradict it."""

HIDDEN_BY_EXCRETION = ("kidney_stone", "hydronephrosis", "bladder_stone")


def plan(scene: Scene, body: Body, rng: np.random.Generator, rate: float = 1.0, rarest: float = FLOOR) -> list[Choice]:
    """Choose what is abnormal in a scene.

    Parameters
    ----------
    scene : Scene
        Before painting; what excreted contrast would hide is not chosen.
    body : Body
        Whose age and sex set the risks.
    rng : Generator
        The only source of chance.
    rate : float
        Factor on how often there is anything; 0 chooses nothing.
    rarest : float
        Least chance of any kind in a scan that shows its organs, before that factor.
    """
    present = [o for o in ID if scene.has(ID[o])]
    chosen = plan_for(present, body.age, body.sex, rng, rate, rarest)
    if scene.contrast.excretion:
        chosen = [c for c in chosen if c[0] not in HIDDEN_BY_EXCRETION]
    return chosen


def plan_for(
    organs_present: Collection[str],
    age: float,
    sex: Sex,
    rng: np.random.Generator,
    rate: float = 1.0,
    rarest: float = FLOOR,
) -> list[Choice]:
    """Choose what is abnormal in a patient of whom some organs are in view; (slug, organ) in the order of painting.

    The same patient has the same conditions whatever is in view.
    """
    conditions = draw_conditions(age, sex, np.random.default_rng(rng.integers(2**63)))
    here = set(organs_present)
    chances = {slug: _chance(kind, here, conditions, rate, rarest) for slug, kind in ABNORMALITIES.items()}
    had: list[Choice] = []
    # in random order, so that of exclusive kinds neither has the first choice
    slugs = [s for s, p in chances.items() if p > 0]
    for k in rng.permutation(len(slugs)).tolist():
        if rng.random() < chances[slugs[k]]:
            had += _organs_of(ABNORMALITIES[slugs[k]], here, had, rng)
    order = {slug: n for n, slug in enumerate(ABNORMALITIES)}
    return sorted(had, key=lambda c: (order[c[0]], ID[c[1]]))


def dark_urine(choices: Sequence[Choice]) -> bool:
    """Whether excreted contrast would hide what was chosen, as it does a stone."""
    return any(slug in HIDDEN_BY_EXCRETION for slug, _ in choices)


def _chance(kind: Abnormality, here: set[str], conditions: Sequence[str], rate: float, rarest: float) -> float:
    """How likely a scan shows a kind: by itself, or by any of the patient's conditions."""
    sites = sum(o in here for o in kind.organs)
    if not sites:
        return 0.0
    own = kind.rate * QUIET.get(kind.anatomy, 1.0)
    spared = 1 - max(rarest, 1 - (1 - own) ** min(sites, SITES))
    for name in conditions:
        spared *= 1 - CONDITIONS[name].brings.get(kind.slug, 0.0)
    return float(1 - spared**rate)


def _organs_of(kind: Abnormality, here: set[str], had: Sequence[Choice], rng: np.random.Generator) -> list[Choice]:
    """The organs that have a kind: one, or neighbours and the other side too; none of which has what excludes it."""
    taken = {(_site(o), s) for s, o in had}
    against = {s for group in EXCLUSIVE if kind.slug in group for s in group if s != kind.slug}
    free = [o for o in kind.organs if o in here and not any((_site(o), s) in taken for s in against)]
    if not free:
        return []
    first = int(rng.integers(len(free)))
    out = [free[first]]
    more = SPREAD.get(kind.slug, 0.05)
    while kind.slug not in ONCE and len(out) < min(len(free), 5) and rng.random() < more:
        out.append(str(rng.choice([o for o in free if o not in out])))
    return [(kind.slug, o) for o in out]


def _site(organ: str) -> str:
    """What is one place to EXCLUSIVE: metal in a hip is in its femur too."""
    return organ.replace("femur_", "hip_")
