"""Where a text tells a finding, an organ or a side: what the rules for clauses and for questions go by."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari_ctvlp.anatomy.asides import normal_in
from napari_ctvlp.anatomy.clauses import BARRIER, BREAK, Landmarks, Negations, Span, Told, blanked
from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.anatomy.levels import Level, find_levels
from napari_ctvlp.anatomy.lexicon import (
    FindingWords,
    Hit,
    Place,
    Token,
    corrected,
    elsewhere,
    findings,
    longer_of,
    places,
    tokens,
    within,
)
from napari_ctvlp.anatomy.unread import SIZES

SIDE_PHRASE = re.compile(
    r"\b(?:(?:on|at|to|in)\s+)?(?:(?:the|my|his|her|their)\s+)?(left|right)(?:[- ]?hand)?(?:ed)?[- ]?side[ds]?\b"
    r"|\b(?:on|at|to)\s+(?:the\s+)?(left|right)(?=\s*(?:$|[^\w\s]|(?:of|in|on|at|and|with|is|are)\b))"
    r"|\b(?:on|at|to|in)\s+both\s+sides\b"
    r"|\b(left|right|lt|rt|bilateral(?:ly)?|both|either|[lr](?=\s+[^\W\d_]{3}))(?![\w'’])",
    re.IGNORECASE,
)


def landmarks(text: str, found: Negations, entries: tuple[Abnormality, ...], first: Sequence[Abnormality]) -> Landmarks:
    """Where a text tells a finding, an organ, a side."""
    levels = list(find_levels(found.text))
    working, side_hits = blanked(SIDE_PHRASE, found.text)
    seen = words_of(working, levels, entries, tuple(first))
    cuts = [m.start() for m in BREAK.finditer(found.text)]
    at: dict[int, set[str]] = {}  # organs by the piece of the text that names them
    for start, named_here in [
        *((level.start, level.organs) for level in levels),
        *((seen.span(hit).start, hit.value.organs) for hit in seen.places),
    ]:
        at.setdefault(bisect(cuts, start), set()).update(named_here)
    organs = set().union(*at.values())
    reach = organs | {o for hit in seen.names for k in hit.value for o in seen.words.entries[k].organs}
    told = []
    for hit in [*seen.names, *seen.rare]:
        s = seen.span(hit)
        rare = hit in seen.rare
        may = set(hit.value) if rare else {o for k in hit.value for o in seen.words.entries[k].organs}
        beside = {o for level in levels for o in level.organs}
        beside |= {o for p in seen.places if not within(p, [hit]) for o in p.value.organs}
        keys = frozenset([text[s.start : s.stop].lower()] if rare else hit.value)
        told.append(Told(s.start, s.stop, keys, named=True, apart=bool(may & beside)))
    for hit in loose_signs(seen):
        s = seen.span(hit)
        near = at.get(bisect(cuts, s.start), set())
        here = _may_mean(hit, near, seen) or _may_mean(hit, reach, seen)
        if here or any(seen.outside[i] not in SIZES for i in range(hit.first, hit.stop)):
            told.append(Told(s.start, s.stop, here or frozenset(hit.value), apart=bool(here)))
    places = [Span(level.start, level.stop) for level in levels] + [seen.span(hit) for hit in seen.places]
    told.sort(key=lambda t: t.start)
    return Landmarks(told, places, [Span(*m.span()) for m in side_hits], normal_in(found.text))


def _may_mean(hit: Hit[tuple[str, ...]], organs: set[str], seen: Words) -> frozenset[str]:
    return frozenset(k for k in hit.value if organs & set(seen.words.entries[k].organs))


@dataclass(frozen=True)
class Words:
    """A text in words, and the phrases found in them.

    ``outside`` holds the words, None for those of a bone named by number; ``named`` the user's own findings,
    ``entered`` those of the dictionary, ``rare`` those without an entry.
    """

    found: list[Token]
    outside: list[str | None]
    words: FindingWords
    named: list[Hit[tuple[str, ...]]]
    entered: list[Hit[tuple[str, ...]]]
    rare: list[Hit[tuple[str, ...]]]
    places: list[Hit[Place]]

    @property
    def names(self) -> list[Hit[tuple[str, ...]]]:
        """Findings of the dictionary, called by name."""
        return [*self.named, *self.entered]

    def span(self, hit: Hit[Any]) -> Span:
        """Where a hit stands."""
        return Span(self.found[hit.first].start, self.found[hit.stop - 1].stop)


def words_of(
    working: str, levels: Sequence[Level], entries: tuple[Abnormality, ...], first: tuple[Abnormality, ...]
) -> Words:
    """Find names of findings and words for organs in a text without sides."""
    found = [Token(t.start, t.stop, corrected(t.word, entries)) for t in tokens(working)]
    found += [Token(m.start(), m.start(), "") for m in BARRIER.finditer(working)]  # an empty word is in no phrase
    found.sort(key=lambda t: t.start)
    outside = [
        None if not t.word or any(a.start < t.stop and t.start < a.stop for a in levels) else t.word for t in found
    ]
    words = findings(entries)
    named = findings(first).names.find(outside)
    taken = {i for hit in named for i in range(hit.first, hit.stop)}
    rest = [None if i in taken else w for i, w in enumerate(outside)]
    entered, rare = longer_of(words.names.find(rest), elsewhere().find(rest))
    hits = [p for p in places().find(outside) if not within(p, rare)]
    return Words(found, outside, words, named, entered, rare, hits)


def loose_signs(seen: Words) -> list[Hit[tuple[str, ...]]]:
    """Signs that are part of no name and of no organ's ("mitral valve" is no finding)."""
    longer = [p for p in seen.places if p.value.organs and p.stop - p.first > 1]
    around: list[Hit[Any]] = [*seen.names, *seen.rare, *longer]
    return [s for s in seen.words.signs.find(seen.outside) if not within(s, around)]
