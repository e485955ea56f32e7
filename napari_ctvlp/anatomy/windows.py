"""Windows of HU: what radiologists look at organs with."""

from __future__ import annotations

from dataclasses import dataclass

from napari_ctvlp.anatomy.organs import ORGANS


@dataclass(frozen=True)
class Window:
    """A range of HU shown from black to white, by its centre (level) and extent (width)."""

    name: str
    width: float
    level: float

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest HU (DICOM PS3.3 C.11.2.1.3.2, linear exact)."""
        return (self.level - self.width / 2, self.level + self.width / 2)


SOFT_TISSUE = Window("soft tissue", 400, 40)
LUNG = Window("lung", 1500, -600)
LIVER = Window("liver", 150, 90)
BONE = Window("bone", 2500, 480)
BRAIN = Window("brain", 80, 40)
MEDIASTINUM = Window("mediastinum", 350, 50)

PRESETS: tuple[Window, ...] = (SOFT_TISSUE, LUNG, LIVER, BONE, BRAIN, MEDIASTINUM)
"""In the order of their keys; the first five are OHIF's defaults."""

_BY_GROUP = {
    "lung": LUNG,
    "airway": LUNG,
    "hepatic": LIVER,
    "spine": BONE,
    "rib": BONE,
    "limb": BONE,
    "heart": MEDIASTINUM,
}
_BY_ORGAN = {
    "brain": BRAIN,
    "face": SOFT_TISSUE,
    "esophagus": MEDIASTINUM,
    "pulmonary_artery": MEDIASTINUM,
    "pulmonary_vein": MEDIASTINUM,
    "superior_vena_cava": MEDIASTINUM,
    "brachiocephalic_trunk": MEDIASTINUM,
    "brachiocephalic_vein_left": MEDIASTINUM,
    "brachiocephalic_vein_right": MEDIASTINUM,
    "sternum": BONE,
}


def window_of(organ: str) -> Window:
    """The window in which an organ is read, soft tissue where nothing else is known."""
    if organ in _BY_ORGAN:
        return _BY_ORGAN[organ]
    known = ORGANS.get(organ)
    return _BY_GROUP.get(known.group, SOFT_TISSUE) if known else SOFT_TISSUE


def window_text(width: float, level: float) -> str:
    """Width and level as radiologists write them, with the name where it is one of the presets."""
    name = next((f"  {w.name}" for w in PRESETS if abs(w.width - width) < 0.5 and abs(w.level - level) < 0.5), "")
    return f"W {width:.0f}  L {level:.0f}{name}"
