"""The twenty abnormalities: right HU, shape, site and severity, each with its place kept as ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from training.world import findings_abdomen as abdomen
from training.world import findings_bone as bone
from training.world import findings_chest as chest
from training.world.materials import ID
from training.world.scene import PaintedFinding, Painter, Scene

__all__ = ["ABNORMALITIES", "BY_ORGAN", "Abnormality", "PaintedFinding", "Painter", "Scene", "plan"]


@dataclass(frozen=True)
class Abnormality:
    """One kind of abnormality: its painter, the organs it is found in, and whether it changes shapes (before
    rendering)."""

    slug: str
    organs: tuple[str, ...]
    paint: Painter
    shapes: bool = False


_KIDNEYS = ("kidney_left", "kidney_right")
_LOBES = (
    "lung_upper_lobe_left",
    "lung_lower_lobe_left",
    "lung_upper_lobe_right",
    "lung_middle_lobe_right",
    "lung_lower_lobe_right",
)
_SPINE = tuple(f"vertebrae_{level}" for level in "T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T11 T12 L1 L2 L3 L4 L5".split())  # noqa: SIM905

ABNORMALITIES: Mapping[str, Abnormality] = MappingProxyType(
    {
        a.slug: a
        for a in (
            Abnormality("liver_steatosis", ("liver",), abdomen.liver_steatosis),
            Abnormality("liver_cyst", ("liver",), abdomen.liver_cyst),
            Abnormality("splenomegaly", ("spleen",), abdomen.splenomegaly, shapes=True),
            Abnormality("kidney_cyst", _KIDNEYS, abdomen.kidney_cyst),
            Abnormality("hydronephrosis", _KIDNEYS, abdomen.hydronephrosis),
            Abnormality("kidney_stone", _KIDNEYS, abdomen.kidney_stone),
            Abnormality("gallstones", ("gallbladder",), abdomen.gallstones),
            Abnormality("pancreatic_cyst", ("pancreas",), abdomen.pancreatic_cyst),
            Abnormality("adrenal_nodule", ("adrenal_gland_left", "adrenal_gland_right"), abdomen.adrenal_nodule),
            Abnormality("bladder_stone", ("urinary_bladder",), abdomen.bladder_stone),
            Abnormality("pleural_effusion", ("lung_lower_lobe_left", "lung_lower_lobe_right"), chest.pleural_effusion),
            Abnormality("lung_consolidation", _LOBES, chest.lung_consolidation),
            Abnormality("lung_nodule", _LOBES, chest.lung_nodule),
            Abnormality("emphysema", _LOBES, chest.emphysema),
            Abnormality("cardiomegaly", ("heart",), chest.cardiomegaly, shapes=True),
            Abnormality("aortic_aneurysm", ("aorta",), chest.aortic_aneurysm, shapes=True),
            Abnormality("aortic_calcification", ("aorta",), chest.aortic_calcification),
            Abnormality("vertebra_sclerotic_lesion", _SPINE, bone.vertebra_sclerotic_lesion),
            Abnormality("vertebra_lytic_lesion", _SPINE, bone.vertebra_lytic_lesion),
            Abnormality("metal_implant", ("femur_left", "femur_right", "hip_left", "hip_right"), bone.metal_implant),
        )
    }
)
"""The abnormalities by slug, in the order of painting: a stone is painted after the distended pelvis that it lies
in."""

BY_ORGAN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        organ: tuple(s for s, a in ABNORMALITIES.items() if organ in a.organs)
        for organ in sorted({o for a in ABNORMALITIES.values() for o in a.organs})
    }
)
"""The slugs that each organ can have."""

_RATE = {"vertebrae": 0.4, "femur": 0.35, "hip": 0.25}


def plan(labels_present: set[int], rng: np.random.Generator, rate: float = 0.4) -> list[tuple[str, int]]:
    """Choose (slug, label) pairs: each organ abnormal with about ``rate`` (less for the many vertebrae and for hips),
    at times twice."""
    chosen: list[tuple[str, int]] = []
    for organ, slugs in BY_ORGAN.items():
        label = ID[organ]
        p = rate * next((v for k, v in _RATE.items() if organ.startswith(k)), 1.0)
        roll, two = rng.random(), rng.random() < 0.2
        # what few organs can have is chosen more often there, so that no abnormality stays rare
        weight = np.array([1 / len(ABNORMALITIES[s].organs) for s in slugs])
        order = rng.choice(len(slugs), size=len(slugs), replace=False, p=weight / weight.sum())
        if label in labels_present and roll < p:
            chosen += [(slugs[k], label) for k in order[: 2 if two else 1]]
    order_of = list(ABNORMALITIES)
    return sorted(chosen, key=lambda c: (order_of.index(c[0]), c[1]))
