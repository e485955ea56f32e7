"""Label schemes: which number of a multi-label mask is which organ, and one spelling for organ names.

The numbers are facts of TotalSegmentator v1.5 and v2 (class map "total", Apache-2.0).
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from types import MappingProxyType


def _load() -> dict[str, dict[int, str]]:
    raw = json.loads(files(__package__).joinpath("schemes.json").read_text(encoding="utf-8"))
    return {scheme: {int(label): name for label, name in labels.items()} for scheme, labels in raw.items()}


SCHEMES: dict[str, dict[int, str]] = _load()
"""Label to organ name for "totalsegmentator_v1" (104 organs) and "totalsegmentator_v2" (117 organs)."""

V2_NAMES: tuple[str, ...] = tuple(SCHEMES["totalsegmentator_v2"].values())
"""The 117 names that this project calls organs by, in the order of their labels."""

_KNOWN = MappingProxyType({name.lower(): name for scheme in SCHEMES.values() for name in scheme.values()})

# Spellings of other tools (AMOS, BTCV, FLARE, 3D Slicer, early TotalSegmentator), side taken off, to v2 stems.
_STEMS = {
    "adrenal": "adrenal_gland",
    "autochthonous_muscle": "autochthon",
    "bladder": "urinary_bladder",
    "clavicle": "clavicula",
    "coxal_bone": "hip",
    "gall_bladder": "gallbladder",
    "heart_atrial_appendage": "atrial_appendage",
    "hip_bone": "hip",
    "iliac_vein": "iliac_vena",
    "iliopsoas_muscle": "iliopsoas",
    "ivc": "inferior_vena_cava",
    "large_bowel": "colon",
    "lower_lung_lobe": "lung_lower_lobe",
    "lung_lobe_lower": "lung_lower_lobe",
    "lung_lobe_middle": "lung_middle_lobe",
    "lung_lobe_upper": "lung_upper_lobe",
    "middle_lung_lobe": "lung_middle_lobe",
    "oesophagus": "esophagus",
    "pelvis_bone": "hip",
    "portal_and_splenic_vein": "portal_vein_and_splenic_vein",
    "portal_vein_splenic_vein": "portal_vein_and_splenic_vein",
    "postcava": "inferior_vena_cava",
    "small_intestine": "small_bowel",
    "suprarenal_gland": "adrenal_gland",
    "svc": "superior_vena_cava",
    "thyroid": "thyroid_gland",
    "upper_lung_lobe": "lung_upper_lobe",
    "vena_cava_inferior": "inferior_vena_cava",
    "vena_cava_superior": "superior_vena_cava",
}
_SIDES = {"left": "left", "right": "right", "l": "left", "r": "right", "lt": "left", "rt": "right"}
_VERTEBRA = re.compile(r"(?:vertebrae?_|vert_|spine_)?([ctls])_?0?(\d{1,2})(?:_vertebrae?)?")
_RIB = re.compile(r"ribs?_0?(\d{1,2})")


def to_v2(name: str) -> str:
    """TotalSegmentator v2 name of an organ, or the name itself where v2 has none.

    Case, spaces, hyphens, the place of the side ("Left Kidney", "kidney_l") and spellings of other tools ("clavicle",
    "postcava") make no difference. Names of v1 that v2 dropped keep their v1 spelling.
    """
    plain = re.sub(r"[^0-9a-z]+", "_", re.sub(r"\.nii(\.gz)?$", "", name.strip(), flags=re.I).lower()).strip("_")
    if plain in _KNOWN:
        return _KNOWN[plain]
    vertebra = _VERTEBRA.fullmatch(plain)
    if vertebra:
        return _KNOWN.get(f"vertebrae_{vertebra[1]}{vertebra[2]}", name)
    words = plain.split("_")
    side = next((_SIDES[w] for w in words if w in _SIDES), None)
    stem = "_".join(w for w in words if w not in _SIDES)
    stem = _STEMS.get(stem, stem)
    rib = _RIB.fullmatch(stem)
    if rib and side:
        return _KNOWN.get(f"rib_{side}_{rib[1]}", name)
    return _KNOWN.get(f"{stem}_{side}" if side else stem, name)
