"""What the catalogue says of one kind of abnormality, and the groups of organs that several kinds share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.world.materials import ID
from training.world.scene import Painter

Range = tuple[float, float]

KIDNEYS = ("kidney_left", "kidney_right")
ADRENALS = ("adrenal_gland_left", "adrenal_gland_right")
LOBES = (
    "lung_upper_lobe_left",
    "lung_lower_lobe_left",
    "lung_upper_lobe_right",
    "lung_middle_lobe_right",
    "lung_lower_lobe_right",
)
THORACOLUMBAR = tuple(f"vertebrae_T{n}" for n in range(1, 13)) + tuple(f"vertebrae_L{n}" for n in range(1, 6))
RIBS = tuple(f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 13))


@dataclass(frozen=True)
class Abnormality:
    """One kind of abnormality.

    Attributes
    ----------
    slug : str
        Its key; the same as in the plugin's abnormality dictionary.
    anatomy : str
        The group that it is counted under, such as "lung" or "spine".
    organs : tuple of str
        TotalSegmentator v2 names of the organs that can have it; ``paint`` is called with one of their labels.
    paint : Painter
        Paints it.
    how : str
        One sentence: shape, site, severity.
    source : str
        Where its attenuation or size is from.
    hu : (float, float), optional
        Mean HU of its voxels, before blur and noise and without contrast medium, lowest and highest; None where
        attenuation does not change.
    enhanced : (float, float), optional
        The same after contrast medium; None: as ``hu``.
    stage : str
        "shape" is painted as tissue before rendering, "image" as HU after it.
    where : str
        Its voxels lie "in" the organ (by the labels before painting, or after it for what grows), "beside" it (within
        30 mm), or "around" it (in the same cavity).
    factor : (float, float), optional
        Range of the organ's volume after over before, for what grows or shrinks it.
    rate : float
        How often an organ that can have it does, in a population that comes to CT.
    spreads : tuple of str
        Organs that it reaches as well where it is painted in one of ``organs``, which are not counted again here.
    """

    slug: str
    anatomy: str
    organs: tuple[str, ...]
    paint: Painter
    how: str
    source: str
    hu: Range | None = None
    enhanced: Range | None = None
    stage: Literal["shape", "image"] = "image"
    where: Literal["in", "beside", "around"] = "in"
    factor: Range | None = None
    rate: float = 0.05
    spreads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [o for o in (*self.organs, *self.spreads) if o not in ID]
        if unknown:
            raise ValueError(f"{self.slug}: no such organ {unknown}")
