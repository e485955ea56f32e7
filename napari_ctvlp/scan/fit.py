"""Whether organ masks can be those of their scan: HU, evenness, sides and order of the organs. No voxel is read.

Bounds are wide enough for every contrast phase and for disease (fatty livers, wasted muscles, lungs of which one lobe
still holds air, polycystic kidneys), since a false alarm takes answers away; they are for masks of another scan, of
another place in it, or turned over. A shifted mask shows in the spread of HU before it shows in their median: a liver
that is half lung, fat or bone is uneven as no disease makes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from napari_ctvlp.anatomy.organs import GROUPS, ORGANS, display_name
from napari_ctvlp.scan.types import OrganStatistics

FEWEST_VOXELS = 50
"""Smaller masks tell nothing."""
RANGES: tuple[tuple[str, float, float], ...] = (
    (r"liver", -60, 250),
    (r"spleen", -20, 250),
    (r"kidney_(left|right)", -30, 350),
    (r"autochthon_|iliopsoas_|gluteus_(maximus|medius)_", -80, 250),
    (r"aorta", 5, 800),
    (r"heart", -20, 800),
    (r"brain", -20, 150),
)
"""Median HU of organs, whatever the phase."""
UNEVEN_HU = 130.0
"""SD of HU that no liver or spleen has: those of real and synthetic scans reach 60."""
EVEN = ("liver", "spleen")
LUNG_HU = (-1000.0, -400.0)
"""Median HU of the emptiest lobe: one full of fluid is disease, all of them are another organ."""
NO_AIR_HU = -150.0
BONE_HU, ABOVE_MUSCLE_HU = 100.0, 30.0
MUSCLE = re.compile(r"autochthon_|iliopsoas_|gluteus_")
GAS = re.compile(r"lung_|trachea|colon|bowel|stomach|duodenum|esophagus|face|bladder")
"""Organs that may hold gas."""
PAIRED = re.compile(
    r"(kidney|lung_(lower|upper)_lobe|hip|femur|autochthon|iliopsoas|gluteus_\w+|clavicula|scapula|humerus)_left"
)
ABOVE = (
    ("heart", "urinary_bladder"), ("liver", "urinary_bladder"), ("brain", "heart"), ("brain", "liver"),
    ("lung_lower_lobe_left", "hip_left"), ("lung_lower_lobe_right", "hip_right"), ("liver", "femur_right"),
    ("kidney_left", "femur_left"), ("kidney_right", "femur_right"), ("skull", "sacrum"), ("heart", "sacrum"),
    ("vertebrae_T12", "vertebrae_L5"),
)  # fmt: skip
"""What lies higher, and what lower, in every body and in every part of one that holds some of both."""
SLACK_MM = 5.0
"""By so much the places of two organs may be the wrong way round."""
WHOLE = 3
"""So many different things amiss, and no organ is believed: one disease or one wrong mask does less."""
NOT_FITTING = "the masks do not seem to fit the scan"
_MOST_NAMED = 3


@dataclass(frozen=True)
class Fit:
    """What speaks against masks.

    Attributes
    ----------
    amiss : mapping of str to str
        Organ to what is wrong with it, a few words; several organs may share one reason.
    """

    amiss: Mapping[str, str] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether so much is amiss that no organ is believed."""
        return len(set(self.amiss.values())) >= WHOLE

    @property
    def sentence(self) -> str:
        """What is amiss, one sentence; empty where nothing is."""
        return f"T{NOT_FITTING[1:]}: {self._told()}." if self.amiss else ""

    def against(self, organ: str) -> str:
        """Why an organ's answers are not believed, as the end of a sentence; empty where they are."""
        if organ in self.amiss:
            return f"{NOT_FITTING} ({self.amiss[organ]})"
        return f"{NOT_FITTING} ({self._told()})" if self.whole else ""

    def _told(self) -> str:
        reasons = list(dict.fromkeys(self.amiss.values()))
        more = f" and {len(reasons) - _MOST_NAMED} more" if len(reasons) > _MOST_NAMED else ""
        return "; ".join(reasons[:_MOST_NAMED]) + more


def check_fit(statistics: Mapping[str, OrganStatistics], *, by_hu: bool = True) -> Fit:
    """Check organs against what is known of every body.

    Parameters
    ----------
    statistics : mapping of str to OrganStatistics
        By TotalSegmentator v2 name; other names are not checked.
    by_hu : bool
        False where the HU of the scan themselves are in doubt: places alone are then checked.
    """
    organs = {o: s for o, s in statistics.items() if s.voxels >= FEWEST_VOXELS and o in ORGANS}
    amiss: dict[str, str] = {}
    checks = [*_sides(organs), *_order(organs)]
    if by_hu:
        checks += [*_ranges(organs), *_uneven(organs), *_lungs(organs), *_bones(organs), *_air(organs)]
    for organ, why in checks:
        amiss[organ] = amiss.get(organ) or why
    return Fit({organ: why for organ, why in amiss.items() if why})


Verdict = tuple[str, str]
"""An organ that was checked, and what is wrong with it or ""."""
_Organs = Mapping[str, OrganStatistics]


def _hu(statistics: OrganStatistics) -> float:
    return statistics.mean_hu if statistics.median_hu is None else statistics.median_hu


def _ranges(organs: _Organs) -> Iterator[Verdict]:
    for organ, found in organs.items():
        for pattern, low, high in RANGES:
            if re.fullmatch(pattern + (r"\w*" if pattern.endswith("_") else ""), organ):
                fits = low <= _hu(found) <= high
                yield organ, "" if fits else f"{display_name(organ)} of {_hu(found):.0f} HU"


def _uneven(organs: _Organs) -> Iterator[Verdict]:
    for organ in EVEN:
        if (found := organs.get(organ)) is not None:
            uneven = found.sd_hu > UNEVEN_HU
            yield organ, f"{display_name(organ)} with HU that vary by {found.sd_hu:.0f}" if uneven else ""


def _lungs(organs: _Organs) -> Iterator[Verdict]:
    lobes = [o for o in GROUPS["lung"] if o in organs]
    if lobes:
        emptiest = min(_hu(organs[o]) for o in lobes)
        fits = LUNG_HU[0] <= emptiest <= LUNG_HU[1]
        yield from ((o, "" if fits else f"lungs of {emptiest:.0f} HU") for o in lobes)


def _bones(organs: _Organs) -> Iterator[Verdict]:
    bones = [o for o in organs if ORGANS[o].group in ("spine", "rib", "limb") and o != "costal_cartilages"]
    muscles = [_hu(s) for o, s in organs.items() if MUSCLE.match(o)]
    if len(bones) < 3:
        return
    middle = float(np.median([_hu(organs[o]) for o in bones]))
    dense = middle > BONE_HU or (bool(muscles) and middle > float(np.median(muscles)) + ABOVE_MUSCLE_HU)
    yield from ((o, "" if dense else f"bones of {middle:.0f} HU") for o in bones)


def _air(organs: _Organs) -> Iterator[Verdict]:
    for organ, found in organs.items():
        if not GAS.search(organ):
            fits = _hu(found) >= NO_AIR_HU
            yield organ, "" if fits else f"{display_name(organ)} of {_hu(found):.0f} HU"


def _sides(organs: _Organs) -> Iterator[Verdict]:
    """Centroids are in LPS mm: x grows to the patient's left."""
    for left in organs:
        right = left.replace("left", "right")
        if PAIRED.fullmatch(left) and right in organs:
            fits = organs[left].centroid[0] > organs[right].centroid[0] - SLACK_MM
            why = "" if fits else "left organs lie right of right ones (mirrored masks or scan)"
            yield from ((left, why), (right, why))
    if {"liver", "spleen"} <= organs.keys():
        fits = organs["liver"].centroid[0] < organs["spleen"].centroid[0] + SLACK_MM
        why = "" if fits else "the liver lies left of the spleen (mirrored, or situs inversus)"
        yield from (("liver", why), ("spleen", why))


def _order(organs: _Organs) -> Iterator[Verdict]:
    for upper, lower in ABOVE:
        if upper in organs and lower in organs:
            fits = organs[upper].centroid[2] > organs[lower].centroid[2] - SLACK_MM
            why = "" if fits else f"the {display_name(upper)} lies below the {display_name(lower)}"
            yield from ((upper, why), (lower, why))
