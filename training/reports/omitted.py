"""Clauses that leave out the finding which they deny: "the right kidney contains a stone, the left kidney does not"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from training.reports.grammar import Span
from training.reports.link import Links
from training.reports.sides import moved, only, side_words
from training.reports.words import entries

Told = tuple[int, str | None, tuple[str, ...]]
"""Where a finding stands, its entry, its organs."""

_DENIES = re.compile(
    r"\b(?:does|do|did|is|are|was|were|has|have)\s+not\s*[.,]?\s*$|\b(?:has|shows?|contains?)\s+none\b|"
    r"^\s*(?:and\s+)?(?:none|not)\b(?!\s+\w+ed\b)|\bis (?:spared|not affected|not involved)\b",
    re.I,
)


def left_out(links: Links, told: Sequence[Told]) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    """(entry, organs) of what clauses without a finding deny: the findings of the clause before, on their side."""
    before: list[Told] = []
    for part in links.parts:
        own = [t for t in told if part[0] <= t[0] < part[1]]
        if not own and before and _DENIES.search(links.text[part[0] : part[1]]):
            yield from _denied(links, part, before)
        before = own or before


def _denied(links: Links, part: Span, before: Sequence[Told]) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    named = [o for m in links.mentions if part[0] <= m.start < part[1] for o in m.organs]
    side = only({w.side for w in side_words(links.text[part[0] : part[1]])})
    for _, key, organs in before:
        reach = entries()[key].organs if key else ()
        here = [o for o in named if not key or o in reach]
        if not here and side and not named:
            here = [o for o in moved(organs, side) if o not in organs]
        if here:
            yield key, tuple(here)
