"""A guess at the contrast phase, from how bright the vessels are.

Blood without contrast has 30 to 60 HU. In the arterial phase the aorta is far brighter than the veins; in the portal
venous phase portal vein, liver and aorta are bright together; later all fade alike. TotalSegmentator's phase classifier
(Wasserthal et al. 2023) uses the same organs in a learnt form; these are rules of thumb, and say what they go by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from napari_ctvlp.scan.types import OrganStatistics

Phase = Literal["native", "arterial", "portal venous", "delayed", "unknown"]

ARTERIES = ("aorta", "heart_atrium_left", "pulmonary_vein")
VEINS = ("portal_vein_and_splenic_vein", "inferior_vena_cava")
ENHANCED_HU = 80.0
ARTERIAL_HU = 60.0
"""By so much the aorta is brighter than the veins in the arterial phase."""
FADED_HU = 100.0
"""The aorta is below this in the delayed phase."""
FEWEST_VOXELS = 20


@dataclass(frozen=True)
class PhaseGuess:
    """A phase, and what it was guessed from, in words."""

    phase: Phase
    reason: str

    def __str__(self) -> str:
        return f"{self.phase} ({self.reason})"


def guess_phase(statistics: Mapping[str, OrganStatistics]) -> PhaseGuess:
    """Guess the contrast phase from the mean HU of vessels.

    Parameters
    ----------
    statistics : mapping of str to OrganStatistics
        By TotalSegmentator v2 name, as of `napari_ctvlp.scan.types.OrganMasks`.
    """
    artery = next(iter(_large(statistics, ARTERIES)), None)
    # thin veins lose HU to the fat around them: the brighter one is nearer to the truth
    vein = max(_large(statistics, VEINS), key=lambda s: s.mean_hu, default=None)
    if artery is None:
        return PhaseGuess("unknown", "no aorta in the masks")
    hu = artery.mean_hu
    told = f"{artery.organ.replace('_', ' ')} {hu:.0f} HU"
    if hu < ENHANCED_HU and (vein is None or vein.mean_hu < ENHANCED_HU):
        return PhaseGuess("native", told)
    if vein is None:
        return PhaseGuess("unknown", f"{told}, contrast given, no vein to compare with")
    told += f", {vein.organ.replace('_and_splenic_vein', '').replace('_', ' ')} {vein.mean_hu:.0f} HU"
    if hu - vein.mean_hu > ARTERIAL_HU:
        return PhaseGuess("arterial", told)
    return PhaseGuess("delayed" if hu < FADED_HU else "portal venous", told)


def _large(statistics: Mapping[str, OrganStatistics], names: Sequence[str]) -> list[OrganStatistics]:
    return [s for n in names if (s := statistics.get(n)) is not None and s.voxels >= FEWEST_VOXELS]
