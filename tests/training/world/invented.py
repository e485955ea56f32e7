"""Samples without a picture: organs in view and findings in them, for tests of what is written about them."""

from __future__ import annotations

import numpy as np
import torch

from training.world.findings.catalogue import ABNORMALITIES
from training.world.imaging.contrast import PHASES
from training.world.materials import ID, NAMES
from training.world.sample import WorldSample
from training.world.scene import PaintedFinding

CHEST = (
    *(n for n in NAMES.values() if n.startswith(("lung_", "rib_", "vertebrae_T"))),
    *("heart", "aorta", "esophagus", "trachea", "thyroid_gland", "sternum", "autochthon_left", "autochthon_right"),
)
ABDOMEN = (
    *("liver", "gallbladder", "spleen", "pancreas", "kidney_left", "kidney_right", "adrenal_gland_left"),
    *("adrenal_gland_right", "stomach", "duodenum", "small_bowel", "colon", "aorta", "inferior_vena_cava"),
    *("lung_lower_lobe_left", "lung_lower_lobe_right", "iliopsoas_left", "iliopsoas_right", "autochthon_left"),
    *("autochthon_right", "vertebrae_T11", "vertebrae_T12", *(f"vertebrae_L{n}" for n in range(1, 6))),
)
PELVIS = (
    *("urinary_bladder", "prostate", "hip_left", "hip_right", "sacrum", "femur_left", "femur_right", "colon"),
    *(n for n in NAMES.values() if n.startswith("gluteus_")),
)
VIEWS = (CHEST, ABDOMEN, (*ABDOMEN, *PELVIS), (*CHEST, *ABDOMEN, *PELVIS), PELVIS, ("brain", "skull"))
SPREADS = {"osteoporosis": "vertebrae_", "muscle_wasting": ("autochthon_", "gluteus_")}


def invented_sample(seed: int, rate: float = 0.3) -> WorldSample:
    """Any mix of the catalogue's findings; shared ones (ascites, osteoporosis) are shared."""
    rng = np.random.default_rng([811, seed])
    view = set(VIEWS[int(rng.integers(len(VIEWS)))])
    findings: list[PaintedFinding] = []
    for organ in sorted(view):
        own = [s for s, a in ABNORMALITIES.items() if organ in a.organs]
        share = rate / 6 if organ.startswith(("rib_", "vertebrae_")) else rate
        if own and rng.random() < share and not any(organ in f.organs for f in findings):
            slug = str(rng.choice(own))
            findings.append(invented_finding(slug, organ, rng, also=_also(slug, organ, view, findings)))
    labels = torch.zeros(256, dtype=torch.uint8)
    for organ in view - {f.organ for f in findings if f.abnormality == "gallbladder_absent"}:
        labels[ID[organ]] = ID[organ]
    labels = labels.view(1, 1, -1)
    phase = PHASES[int(rng.integers(4))]
    return WorldSample(labels.to(torch.int16), labels, 2.0, tuple(findings), phase, "male", 60.0, "up", seed)


def invented_finding(slug: str, organ: str, rng: np.random.Generator, also: tuple[str, ...] = ()) -> PaintedFinding:
    """A finding with a size, a number and a severity."""
    severity = ("mild", "moderate", "severe")[int(rng.integers(3))]
    size, count = float(rng.uniform(3, 60)), int(rng.choice([1, 1, 1, 2, 4]))
    mask = torch.ones(1, 1, 1, dtype=torch.bool)
    return PaintedFinding(organ, slug, (0, 0, 0), size, ((0, 1), (0, 1), (0, 1)), mask, count, severity, also)


def _also(slug: str, organ: str, view: set[str], findings: list[PaintedFinding]) -> tuple[str, ...]:
    free = sorted(view - {organ} - {o for f in findings for o in f.organs})
    if slug == "ascites":
        return tuple(o for o in free if o == "spleen")
    if slug in SPREADS:
        return tuple(o for o in free if o.startswith(SPREADS[slug]) and "vertebrae_C" not in o)
    if slug in ("rib_fracture", "degenerative_spine"):
        stem, number = organ.rstrip("0123456789"), int(organ[len(organ.rstrip("0123456789")) :])
        return tuple(o for o in free if o == f"{stem}{number + 1}")
    return ()
