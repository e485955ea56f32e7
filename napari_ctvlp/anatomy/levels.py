"""Numbered bones in a text: "L3-L5", "T12 to L2", "3rd left rib", "ribs 4, 5 and 7", "third to fifth rib"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from napari_ctvlp.anatomy.organs import ORDINALS, ORGANS

_CHAIN: tuple[str, ...] = tuple(
    f"vertebrae_{region}{number}"
    for region, count in (("C", 7), ("T", 12), ("L", 5), ("S", 5))
    for number in range(1, count + 1)
)
_TO = r"\s*(?:-|‐|–|—|/|\bto\b|\bthrough\b|\bthru\b|\buntil\b)\s*"
_VERTEBRA = re.compile(
    rf"\b([ctls])-?(\d{{1,2}})(?:{_TO}([ctls])?-?(\d{{1,2}}))?(?!\.?\d)(?!\s*(?:mm|cm|hu|weighted|%))\b", re.I
)
_NTH = r"(?:\d{1,2}(?:st|nd|rd|th)|" + "|".join(ORDINALS) + r")"
_SIDE = r"(?:(?:left|right|both|bilateral|lt|rt|l|r)\s+)?"
_NTH_RIBS = re.compile(rf"\b({_NTH}(?:(?:{_TO}|\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*){_NTH})*)\s+{_SIDE}ribs?\b", re.I)
_RIBS_N = re.compile(
    rf"\bribs?\s+{_SIDE}(?:no\.?\s*|nos\.?\s*|number\s+|#\s*)?(\d{{1,2}}(?:(?:{_TO}|\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*)\d{{1,2}})*)\b(?!\s*(?:mm|cm))",
    re.I,
)
_PART = re.compile(rf"({_TO})|({_NTH}|\d{{1,2}})", re.I)


@dataclass(frozen=True)
class Level:
    """Bones named by number: where they stand in the text, and which they are (or what no body has)."""

    start: int
    stop: int
    organs: tuple[str, ...]
    foreign: str | None = None


def find_levels(text: str) -> Iterator[Level]:
    """Every vertebral level or range and every numbered rib of a text; ribs of both sides."""
    ribs = [*_NTH_RIBS.finditer(text), *_RIBS_N.finditer(text)]
    for match in ribs:
        numbers = _numbers(match[1])
        names = tuple(f"rib_{side}_{n}" for n in numbers for side in ("left", "right"))
        known = tuple(n for n in names if n in ORGANS)
        yield Level(match.start(), match.end(), known, None if known else f"{match.group().strip()}")
    for match in _VERTEBRA.finditer(text):
        if not any(r.start() < match.end() and match.start() < r.end() for r in ribs):
            yield _vertebrae(match)


def _vertebrae(match: re.Match[str]) -> Level:
    region, number, region2, number2 = match.groups()
    first = f"vertebrae_{region.upper()}{int(number)}"
    last = f"vertebrae_{(region2 or region).upper()}{int(number2)}" if number2 else first
    if first in _CHAIN and last in _CHAIN:
        a, b = sorted((_CHAIN.index(first), _CHAIN.index(last)))
        bones = (name if name in ORGANS else "sacrum" for name in _CHAIN[a : b + 1])  # S2 to S5 are masked as one
        return Level(match.start(), match.end(), tuple(dict.fromkeys(bones)))
    missing = next(name for name in (first, last) if name not in _CHAIN)
    return Level(match.start(), match.end(), (), f"{missing.removeprefix('vertebrae_')} vertebra")


def _numbers(text: str) -> list[int]:
    """Numbers of a list with ranges: "3, 5 to 7" gives 3, 5, 6, 7."""
    numbers: list[int] = []
    through = False
    for match in _PART.finditer(text):
        if match[1] is not None:
            through = True
            continue
        word = match[2].lower()
        number = ORDINALS.index(word) + 1 if word in ORDINALS else int(re.sub(r"\D", "", word))
        if through and numbers:
            step = 1 if number >= numbers[-1] else -1
            numbers += range(numbers[-1] + step, number + step, step)
        else:
            numbers.append(number)
        through = False
    return list(dict.fromkeys(numbers))
