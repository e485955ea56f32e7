"""What a voxel is made of, and the organ ids that label it."""

from __future__ import annotations

from enum import IntEnum, auto
from types import MappingProxyType

from napari_ctvlp.anatomy.schemes import SCHEMES


class Material(IntEnum):
    """Materials of the body; physics gives each its Hounsfield units."""

    AIR = 0
    TABLE = auto()
    SKIN = auto()
    SUBCUTANEOUS = auto()
    FAT = auto()
    MUSCLE = auto()
    SOFT = auto()
    CORTEX = auto()
    SPONGIOSA = auto()
    MARROW = auto()
    DISC = auto()
    CARTILAGE = auto()
    CANAL = auto()
    CORD = auto()
    LUNG = auto()
    LUNG_VESSEL = auto()
    AIRWAY = auto()
    ARTERY = auto()
    VEIN = auto()
    PORTAL = auto()
    MYOCARDIUM = auto()
    BLOOD_LEFT = auto()
    BLOOD_RIGHT = auto()
    LIVER = auto()
    SPLEEN = auto()
    PANCREAS = auto()
    ADRENAL = auto()
    RENAL_CORTEX = auto()
    RENAL_MEDULLA = auto()
    RENAL_PELVIS = auto()
    SINUS_FAT = auto()
    BILE = auto()
    BLADDER_WALL = auto()
    URINE = auto()
    PROSTATE = auto()
    UTERUS = auto()
    THYROID = auto()
    OESOPHAGUS = auto()
    GREY_MATTER = auto()
    WHITE_MATTER = auto()
    CSF = auto()
    EYE = auto()
    FLUID = auto()
    CLOT = auto()
    LESION = auto()
    CALCIUM = auto()
    METAL = auto()
    STOMACH_WALL = auto()
    STOMACH_LUMEN = auto()
    BOWEL_WALL = auto()
    BOWEL_LUMEN = auto()
    COLON_WALL = auto()
    STOOL = auto()
    COLON_FLUID = auto()
    GAS = auto()


N_MATERIALS = len(Material)

BONE = (Material.CORTEX, Material.SPONGIOSA, Material.MARROW)

NAMES = MappingProxyType(SCHEMES["totalsegmentator_v2"])
"""Label to organ name, TotalSegmentator v2."""

ID = MappingProxyType({name: label for label, name in NAMES.items()})
"""Organ name to label."""

SIDES = (("left", 1), ("right", -1))
"""Side names with the sign of their nominal l coordinate."""
