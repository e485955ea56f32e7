"""Which words a "left" or "right" of a sentence goes with: an organ, a finding, or the sentence as a whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from napari_ctvlp.anatomy.organs import ORGANS
from training.reports.grammar import VERB, Span, in_one_list, in_one_phrase

_SIDE = re.compile(
    r"\b(left|right|lt|rt|bilateral(?:ly)?|both|(?:n?either|each)(?=\s+(?:\w+\s+)?{thing}))(?:[- ]?sided)?\b".replace(
        "{thing}", r"(?:kidney|lung|lobe|adrenal|gland|hip|femur|side|hemithorax|iliac|psoas|shoulder|rib|muscle)"
    ),
    re.I,
)
_ON_THE = re.compile(r"\b(?:on|to|at|in|from|of)\s+(?:the|its|either|both)\s+$", re.I)
_ALONE = re.compile(
    rf"^(?:\s+(?:sides?|one|ones))?\s*(?:[,;.)]|$|(?:and|or|than|with|without|but)\b|{VERB.pattern})", re.I
)
_OF_THE = re.compile(
    r"^(?:\s+[\w-]+){0,2}\s*,?\s+(?:of|in|within)\s+(?:(?:the|both)\s+)?(?:(?:left|right)\s+)?$|^[\s-]*$", re.I
)


@dataclass(frozen=True)
class SideWord:
    """A word for a side at (start, stop)."""

    start: int
    stop: int
    side: str


def side_words(text: str) -> list[SideWord]:
    """The side words of a sentence; "either kidney" and "neither kidney" speak of both."""
    return [SideWord(m.start(), m.end(), _side(m[1])) for m in _SIDE.finditer(text)]


def _side(word: str) -> str:
    return {"lt": "left", "rt": "right", "left": "left", "right": "right"}.get(word.lower(), "both")


def sides_of(text: str, words: Sequence[SideWord], things: Sequence[Span], spans: Sequence[Span]) -> list[set[str]]:
    """The sides said with each of some things (organs and findings, in the order of the text); last those of none.

    A side goes with what follows in its own phrase ("left lower lobe consolidation"), else with what it follows
    ("hydronephrosis on the left").
    """
    out: list[set[str]] = [set() for _ in range(len(things) + 1)]
    for word in words:
        span = next((s for s in spans if s[0] <= word.start < s[1]), (0, len(text)))
        within = [i for i, t in enumerate(things) if span[0] <= t[0] < span[1]]
        for i in _followed(text, word, words, things, within) or _preceding(text, word, things, within) or [-1]:
            out[i].add(word.side)
    return out


def _followed(
    text: str, word: SideWord, words: Sequence[SideWord], things: Sequence[Span], within: Sequence[int]
) -> list[int]:
    """The things of the phrase that a side opens."""
    if _ON_THE.search(text[: word.start]) and _ALONE.match(text[word.stop :]):
        return []
    out: list[int] = []
    at = word.stop
    for i in within:
        start, stop = things[i]
        if stop <= word.start:
            continue
        if start >= word.stop:
            other = out and any(at <= w.start < start for w in words)
            if other or not in_one_phrase(text[at:start], joined=not out):
                break
        out.append(i)
        at = max(at, stop)
    return out


def _preceding(text: str, word: SideWord, things: Sequence[Span], within: Sequence[int]) -> list[int]:
    """The thing before a side, with those that are listed with it."""
    before = [i for i in within if things[i][1] <= word.start]
    if not before:
        return []
    out = [before[-1]]
    for i in reversed(before[:-1]):
        if not in_one_list(text[things[i][1] : things[out[-1]][0]]):
            break
        out.append(i)
    return out


def only(sides: set[str]) -> str | None:
    """The one side of several words, "both" where they differ, None where there are none."""
    if not sides:
        return None
    return next(iter(sides)) if len(sides) == 1 else "both"


def on_side(organs: Sequence[str], side: str | None) -> tuple[str, ...]:
    """The organs on a side; all of them where that leaves none."""
    kept = tuple(o for o in organs if side in (None, "both") or ORGANS[o].side in (None, side))
    return kept or tuple(organs)


def moved(organs: Sequence[str], side: str | None) -> tuple[str, ...]:
    """The organs on a side, or their like on it where all are on the other: what "none on the left" speaks of."""
    if side not in ("left", "right"):
        return tuple(organs)
    kept = tuple(o for o in organs if ORGANS[o].side in (None, side))
    other = {"left": "right", "right": "left"}[side]
    return kept or tuple(o for o in (n.replace(other, side) for n in organs) if o in ORGANS)


def one_side(organs: Sequence[str]) -> bool:
    """Whether organs are all on the same side of the body."""
    sides = {ORGANS[o].side for o in organs}
    return len(sides) == 1 and None not in sides


def is_part_of(gap: str) -> bool:
    """Whether one place is named as a part of the next: "upper lobe of the" right lung, "T6" vertebra."""
    match = _OF_THE.match(gap)
    return match is not None and in_one_phrase(re.sub(r"\b(?:of|in|within|both)\b", " ", gap))
