"""Which organ is which number: names in the file, else TotalSegmentator v1 or v2 by what the scan shows there."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise
from xml.etree import ElementTree

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.types import OrganStatistics

V1, V2 = "totalsegmentator_v1", "totalsegmentator_v2"
_TITLES = {V1: "TotalSegmentator v1", V2: "TotalSegmentator v2"}

_BONES = re.compile(r"vertebrae|rib_|hip_|sacrum|femur|humerus|scapula|clavicula|skull|sternum")
_AIR = re.compile(r"lung_|trachea")
_ANY_HU = re.compile(r"face|colon|bowel|stomach|duodenum|esophagus|bladder|brain|costal_cartilages")
_CONTRAST = re.compile(r"aorta|arter|vena|vein|trunk|heart|atri|ventric|myocard|kidney")
"""Organs whose mean HU tells little: gas, contrast agent, or mixed tissue."""


def scheme_key(scheme: str) -> str:
    """Full name of a scheme given in any usual way ("v1", "v2", "TotalSegmentator v2", ...).

    Raises
    ------
    UserError
        If there is no such scheme.
    """
    plain = re.sub(r"[^a-z0-9]", "", scheme.lower())
    for key in (V1, V2):
        if plain in (key.replace("_", ""), key[-2:]):
            return key
    raise UserError(f'there is no label scheme "{scheme}"; give "{V1}" or "{V2}", or leave it out to have it detected.')


def title(scheme: str) -> str:
    """How a scheme is called in a sentence."""
    return _TITLES[scheme]


def scheme_names(scheme: str, labels: Iterable[int]) -> dict[int, str]:
    """Names of ``labels`` under a scheme, by v2 name; "label_<n>" for a number that it does not know."""
    from napari_ctvlp.anatomy.schemes import SCHEMES

    known = SCHEMES[scheme]
    return unique_names({label: known.get(label, f"label_{label}") for label in labels})


def unique_names(names: Mapping[int, str]) -> dict[int, str]:
    """Names by their v2 spelling, no two alike: of two labels with one v2 name the later keeps the file's own name."""
    from napari_ctvlp.anatomy.schemes import to_v2

    result: dict[int, str] = {}
    for label, name in sorted(names.items()):
        for candidate in (to_v2(name), name, f"{name}_{label}"):
            if candidate not in result.values():
                result[label] = candidate
                break
    return result


def organ_of(text: str) -> str:
    """Organ that a free label means ("Liver", "Kidney left", "lt. kidney"), else the label as a plain name.

    For files whose labels people or other programs wrote; what is no organ of ours keeps its words.
    """
    from napari_ctvlp.anatomy.schemes import to_v2

    known = _organ_words()
    words = _words(text)
    plain = "_".join(words) or "unnamed"
    if to_v2(plain) in known.values():
        return to_v2(plain)
    sides = {"left": "left", "lt": "left", "l": "left", "right": "right", "rt": "right", "r": "right"}
    side = [sides[word] for word in words if word in sides]
    rest = [word for word in words if word not in sides]
    return known.get(" ".join([*side[:1], *rest]), plain)


def is_organ(name: str) -> bool:
    """Whether a name is that of an organ of one of the schemes, in any usual spelling."""
    from napari_ctvlp.anatomy.schemes import SCHEMES, to_v2

    return to_v2(name) in {organ for known in SCHEMES.values() for organ in known.values()}


def is_group(name: str) -> bool:
    """Whether a name is that of several organs together ("spine", "rib")."""
    from napari_ctvlp.anatomy.further import group_words
    from napari_ctvlp.anatomy.organs import GROUP_WORDS, GROUPS

    words = " ".join(_words(name))
    known = {" ".join(_words(one)) for one in (*GROUPS, *GROUP_WORDS, *(one for one, _ in group_words()))}
    return bool({words, f"{words}s", words.removesuffix("s")} & known)


def _words(text: str) -> list[str]:
    """Words of a text in small letters; letters of every script are letters."""
    text = unicodedata.normalize("NFC", text.lower())
    return "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text).split()


@cache
def _organ_words() -> dict[str, str]:
    """Display names and synonyms, in plain small letters, to organ names; what two organs share is left out."""
    from napari_ctvlp.anatomy.organs import ORGANS

    found: dict[str, str] = {}
    shared: set[str] = set()
    for name, organ in ORGANS.items():
        for words in (name, organ.display, *organ.synonyms):
            plain = " ".join(_words(words))
            if found.setdefault(plain, name) != name:
                shared.add(plain)
    return {words: name for words, name in found.items() if words not in shared}


def names_in_extensions(extensions: Iterable[bytes]) -> dict[int, str]:
    """Label names that TotalSegmentator writes into the header (the label table of a Caret XML extension)."""
    for content in extensions:
        start = content.find(b"<CaretExtension")
        if start < 0 or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            continue  # entity declarations have no place there and can be made to explode
        try:
            tree = ElementTree.fromstring(content[start:].rstrip(b"\0 \n"))
        except ElementTree.ParseError:
            continue
        names = {}
        for node in tree.iter("Label"):
            key, text = node.get("Key", ""), (node.text or "").strip()
            if key.isdigit() and int(key) > 0 and text:
                names[int(key)] = text
        if names:
            return names
    return {}


def detect_scheme(by_label: Mapping[int, OrganStatistics]) -> tuple[str, str]:
    """Decide between TotalSegmentator v1 and v2 by what the scan shows under each label.

    Each scheme is asked three things of every label: is the mean HU that of the organ it names there (lungs and trachea
    hold air, bones are dense, other organs are neither), do its left organs lie left of their right partners, and do
    its vertebrae follow one another downwards. The scheme with the larger share of yes wins.

    Parameters
    ----------
    by_label : mapping of int to OrganStatistics
        Statistics of each label, whatever name they carry.

    Returns
    -------
    scheme, reason : str
    """
    largest = max(by_label, default=0)
    if largest > 104:
        return V2, f"there is a label {largest}, and the older scheme ends at 104"
    share = {scheme: scheme_share(scheme, by_label) for scheme in (V1, V2)}
    best = V1 if share[V1] > share[V2] else V2
    if abs(share[V1] - share[V2]) < 0.02:
        return V2, "nothing in the scan tells it from the older scheme"
    other = share[V1 if best == V2 else V2]
    return best, f"{100 * share[best]:.0f} % of densities and positions fit, {100 * other:.0f} % under the other scheme"


def scheme_share(scheme: str, by_label: Mapping[int, OrganStatistics]) -> float:
    """Share, 0..1, of what a scheme says of densities and positions that the scan shows; see `detect_scheme`."""
    answers = _answers(scheme, by_label)
    return sum(answers) / max(1, len(answers))


def scheme_of(names: Mapping[int, str]) -> str | None:
    """The scheme by which most of these labels have their names, None where there is none."""
    from napari_ctvlp.anatomy.schemes import SCHEMES, to_v2

    fits = {s: sum(to_v2(SCHEMES[s].get(label, "")) == name for label, name in names.items()) for s in (V2, V1)}
    best = max(fits, key=lambda scheme: fits[scheme])
    return best if names and 2 * fits[best] >= len(names) else None


def _answers(scheme: str, by_label: Mapping[int, OrganStatistics]) -> list[bool]:
    from napari_ctvlp.anatomy.schemes import SCHEMES

    known = SCHEMES[scheme]
    organs = {known[label]: stat for label, stat in by_label.items() if label in known}
    answers = [False] * sum(label not in known for label in by_label)
    for name, stat in organs.items():
        if _AIR.match(name):
            answers.append(stat.mean_hu < -400)
        elif _BONES.match(name):
            answers.append(stat.mean_hu > 90)
        elif not _ANY_HU.match(name):
            answers.append(-150 < stat.mean_hu < (500 if _CONTRAST.search(name) else 200))
        partner = organs.get(name.replace("left", "right")) if "left" in name else None
        if partner is not None:
            answers.append(stat.centroid[0] > partner.centroid[0])
    spine = [f"vertebrae_{part}{n}" for part, count in (("C", 7), ("T", 12), ("L", 5)) for n in range(1, count + 1)]
    heights = [organs[name].centroid[2] for name in spine if name in organs]
    answers.extend(a > b for a, b in pairwise(heights))
    return answers
