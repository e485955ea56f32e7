"""The organs in words: display names, synonyms, glosses, groups."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

import yaml

from napari_ctvlp.anatomy.schemes import V2_NAMES

Side = Literal["left", "right"]

ORDINALS = (
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
)
_REGIONS = {
    "C": ("cervical", "the neck"),
    "T": ("thoracic", "the chest"),
    "L": ("lumbar", "the lower back"),
    "S": ("sacral", "the pelvis"),
}


@dataclass(frozen=True)
class Organ:
    """One organ in words.

    Attributes
    ----------
    name : str
        TotalSegmentator v2 name, or v1 where v2 has none.
    display : str
        As people call it, with its side ("left kidney").
    synonyms : tuple of str
        Every other word for it, sides included ("left renal organ", "left renal").
    gloss : str
        What it is and does, in plain words.
    lay : tuple of str
        The same in other words, as patients put it.
    side : "left", "right" or None
    group : str
        Anatomical family; decides the colour.
    words : tuple of str
        Nouns and adjectives for it without the side, for reading a query in which the side stands apart.
    nouns : tuple of str
        Those synonyms that can stand for it in a sentence.
    whole : str or None
        The organ this one is a part of, which answers where masks do not hold the part.
    sided : tuple of str
        Those synonyms that say the side without a word for it ("LUL", "lingula").
    """

    name: str
    display: str
    synonyms: tuple[str, ...]
    gloss: str
    side: Side | None
    group: str
    words: tuple[str, ...]
    nouns: tuple[str, ...]
    whole: str | None = None
    sided: tuple[str, ...] = ()
    lay: tuple[str, ...] = ()

    @property
    def meanings(self) -> tuple[str, ...]:
        """All plain descriptions of it."""
        return (self.gloss, *self.lay)


def ordinal(number: int) -> str:
    """1 -> "1st", 2 -> "2nd", 12 -> "12th"."""
    ending = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _organs_of(entry: Mapping[str, Any]) -> Iterator[Organ]:
    """The one or two organs of an entry of organs.yaml."""
    name, pair = entry["name"], entry.get("pair", False)
    for side in ("left", "right") if pair else (entry.get("side"),):
        bare = entry.get("display", name.replace("_", " "))
        prefix = f"{side} " if pair else ""
        nouns = tuple(entry.get("words", ()))
        others = (*entry.get("also", ()), *entry.get("adjectives", ()))
        sided = tuple(entry.get(side, ())) if side else ()
        whole = entry.get("whole")
        if whole == "kidney":
            whole = f"kidney_{side}"
        yield Organ(
            name=f"{name}_{side}" if pair else name,
            display=prefix + bare,
            synonyms=tuple(prefix + w for w in (*nouns, *others)) + sided,
            gloss=entry["gloss"].replace("{side}", side or ""),
            side=side,
            group=entry["family"],
            words=(bare, *nouns, *others),
            nouns=tuple(prefix + w for w in nouns if not w.isupper()),
            whole=whole,
            sided=sided,
            lay=tuple(text.replace("{side}", side or "") for text in entry.get("lay", ())),
        )


def _rib(name: str) -> Organ:
    match = re.fullmatch(r"rib_(left|right)_(\d+)", name)
    assert match is not None
    side: Side = "left" if match[1] == "left" else "right"
    number = int(match[2])
    nth, word = ordinal(number), ORDINALS[number - 1]
    words = (f"{nth} rib", f"{word} rib", f"rib {number}")
    nouns = (f"{side} {word} rib", f"{side} rib {number}", f"rib {number} on the {side}")
    gloss = f"{word} of the curved bones on the {side} side of the chest, counted from the top, that protect the lungs"
    return Organ(name, f"{side} {nth} rib", nouns, gloss, side, "rib", words, nouns)


def _vertebra(name: str) -> Organ:
    level = name.removeprefix("vertebrae_")
    region, place = _REGIONS[level[0]]
    number = int(level[1:])
    word = ORDINALS[number - 1]
    extra = {"C1": ("atlas",), "C2": ("axis vertebra",)}.get(level, ())
    nouns = (
        f"{level} vertebral body",
        f"vertebra {level}",
        f"{word} {region} vertebra",
        f"{ordinal(number)} {region} vertebra",
        *extra,
    )
    words = (level, f"{level} vertebra", *nouns, f"{region} vertebra {number}")
    gloss = f"{word} bone of the spine in {place}, counted from the top"
    return Organ(name, f"{level} vertebra", (level, *nouns), gloss, None, "spine", words, nouns)


def _read() -> dict[str, Any]:
    text = files(__package__).joinpath("organs.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return data


def _build(entries: Iterable[Mapping[str, Any]]) -> dict[str, Organ]:
    written = {organ.name: organ for entry in entries for organ in _organs_of(entry)}
    organs: dict[str, Organ] = {}
    for name in V2_NAMES:
        if name.startswith("rib_"):
            organs[name] = _rib(name)
        elif name.startswith("vertebrae_"):
            organs[name] = _vertebra(name)
        else:
            organs[name] = written.pop(name)
    return organs | written


_DATA = _read()

ORGANS: Mapping[str, Organ] = MappingProxyType(_build(_DATA["organs"]))
"""The 117 organs of TotalSegmentator v2 in the order of their labels, then those that only v1 has."""


def _members(patterns: Iterable[str]) -> tuple[str, ...]:
    return tuple(n for n in ORGANS if any(fnmatchcase(n, p) for p in patterns))


def _groups() -> dict[str, tuple[str, ...]]:
    groups = {entry["name"]: _members(entry["members"]) for entry in _DATA["groups"]}
    for base in ("lung", "rib"):
        for side in ("left", "right"):
            groups[f"{base}s_{side}"] = tuple(n for n in groups[base] if ORGANS[n].side == side)
    return groups


GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(_groups())
"""Organs that people name together ("lung", "lumbar spine", "bowel"), as organ names."""

GROUP_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {e["name"]: (e["name"], *e.get("words", ()), *e.get("adjectives", ())) for e in _DATA["groups"]}
)
"""Words for each group, for reading a query."""

FOREIGN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {e["name"]: (e["name"], *e.get("words", ()), *e.get("adjectives", ())) for e in _DATA["foreign"]}
)
"""Structures that no organ here is, with their words, so that none is taken for a neighbour."""


def display_name(name: str) -> str:
    """An organ as people call it ("kidney_left" -> "left kidney"); unknown names with spaces for underscores."""
    organ = ORGANS.get(name)
    return organ.display if organ else name.replace("_", " ").strip()


# Hue in degrees, lightness and chroma of each family in OKLCH (Ottosson 2020), which is even to the eye: families that
# readers with red-green blindness confuse by hue differ in lightness.
_FAMILY_COLOURS: Mapping[str, tuple[float, float, float]] = {
    "hepatic": (52, 0.62, 0.13),
    "lymphatic": (330, 0.60, 0.19),
    "urinary": (102, 0.88, 0.18),
    "biliary": (150, 0.68, 0.19),
    "digestive": (62, 0.76, 0.13),
    "gland": (128, 0.84, 0.21),
    "lung": (225, 0.76, 0.11),
    "airway": (195, 0.90, 0.10),
    "heart": (10, 0.60, 0.19),
    "artery": (28, 0.66, 0.22),
    "vein": (264, 0.58, 0.19),
    "nerve": (300, 0.74, 0.15),
    "muscle": (5, 0.76, 0.06),
    "spine": (85, 0.84, 0.09),
    "rib": (205, 0.84, 0.08),
    "limb": (175, 0.78, 0.07),
}

# Large neighbours within the belly that steps of their family would bring too near to each other.
_OWN_COLOURS: Mapping[str, tuple[float, float, float]] = {
    "stomach": (75, 0.84, 0.11),
    "duodenum": (60, 0.93, 0.06),
    "colon": (48, 0.68, 0.12),
    "small_bowel": (56, 0.76, 0.10),
    "gallbladder": (155, 0.60, 0.16),
}


def _oklch(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    """sRGB of an OKLCH colour (hue in degrees); chroma is lowered until sRGB holds it."""
    angle = math.radians(hue)
    for step in range(21):
        c = chroma * (1 - step / 20)
        a, b = c * math.cos(angle), c * math.sin(angle)
        l3 = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
        m3 = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
        s3 = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
        linear = (
            4.0767416621 * l3 - 3.3077115913 * m3 + 0.2309699292 * s3,
            -1.2684380046 * l3 + 2.6097574011 * m3 - 0.3413193965 * s3,
            -0.0041960863 * l3 - 0.7034186147 * m3 + 1.7076147010 * s3,
        )
        if all(-1e-4 <= x <= 1 + 1e-4 for x in linear):
            break
    r, g, b = (min(1.0, max(0.0, x)) for x in linear)
    return _gamma(r), _gamma(g), _gamma(b)


def _gamma(x: float) -> float:
    return 12.92 * x if x <= 0.0031308 else 1.055 * x ** (1 / 2.4) - 0.055


def _stem(organ: Organ) -> str:
    return organ.name.replace("_left", "").replace("_right", "")


def _colours() -> dict[str, tuple[float, float, float]]:
    colours: dict[str, tuple[float, float, float]] = {}
    for family, (hue, lightness, chroma) in _FAMILY_COLOURS.items():
        members = [o for o in ORGANS.values() if o.group == family]
        stems = list(dict.fromkeys(_stem(o) for o in members))
        for organ in members:
            i, n = stems.index(_stem(organ)), len(stems)
            turn = (i / (n - 1) - 0.5) * min(60, 8 * n) if n > 1 else 0.0
            # neighbours in a chain (ribs, vertebrae) differ in lightness
            level = (0.0, -0.13, 0.07, -0.06)[i % 4] if n > 1 else 0.0
            if organ.side == "left":
                turn, level = turn + 8, level + 0.035
            colours[organ.name] = _oklch(min(0.95, lightness + level), chroma, hue + turn)
    for name, (hue, lightness, chroma) in _OWN_COLOURS.items():
        colours[name] = _oklch(lightness, chroma, hue)
    return colours


_COLOURS = _colours()


def organ_colour(name: str) -> tuple[float, float, float]:
    """Stable sRGB colour (each 0..1) of an organ; anatomical families share a hue, left is a little lighter than right.

    Names that are no organ here get a pale neutral colour of their own, the same on every run.
    """
    known = _COLOURS.get(name)
    if known is not None:
        return known
    digest = zlib.crc32(name.encode())
    return _oklch(0.70 + 0.2 * (digest % 101) / 100, 0.035, digest // 101 % 360)
