"""The clauses of a question, each with its own finding, organs, sides and negation.

A negation reaches to the end of its clause and no further, as in NegEx (Chapman et al. 2001, A simple algorithm for
identifying negated findings and diseases in discharge summaries): conjunctions, commas and the next negation end it.
What ends a scope parts two questions only where either side has a finding of its own: "cyst in liver and kidney" is
one, and so is "kidney without stones".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

_FORWARD = re.compile(
    r"\b(?:(?:there\s+)?(?:is|are|was|were)\s+)?(?:"
    r"no\s+(?:evidence|signs?|indications?|suspicion|features?|history)\s+(?:of|for)(?:\s+(?:any|an?))?"
    r"|(?:no|without|w/o)\s+(?:any|an?)\b|no(?!\s*\.?\s*\d)(?!\s+doubt)|without|w/o"
    r"|not(?!\s+(?:only|sure|normal))(?:\s+(?:an?|any|the))?|isn['’]?t|aren['’]?t|hasn['’]?t|doesn['’]?t(?:\s+have)?"
    r"|(?:absence|lack)\s+of(?:\s+(?:any|an?))?|free\s+of|free\s+from|negative\s+for|never|neither|nor|none|lacks?"
    r"|lacking|den(?:y|ies|ied)"
    r")(?![\w])",
    re.IGNORECASE,
)
_BACKWARD = re.compile(
    r"\b(?:(?:is|are|was|were|has\s+been|have\s+been|isn['’]?t|aren['’]?t)\s+)?(?:"
    r"(?:not|never|no\s+longer)\s+(?:been\s+)?(?:seen|present|identified|visible|detected|found|shown|evident|there)"
    r"|(?<=t\s)(?:seen|present|identified|visible|detected|found|there)"
    r"|excluded|ruled\s+out|(?<!surgically )(?<!gallbladder )absent(?! gall)"
    r")(?![\w])|(?<=\w)-free\b",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(?:yes\s*(?:/|,|or)\s*no|(?:cannot|can['’]?t|can\s+not|could\s+not|couldn['’]?t|not)\s+(?:be(?:en)?\s+)?"
    r"(?:excluded|ruled\s+out)|be\s+(?:excluded|ruled\s+out)|rule\s+out|r/o|exclude|question\s+of|query|suspicion\s+of"
    r"|suspected|s/p|(?<!no\s)(?:evidence|signs?)\s+of)(?![\w])",
    re.I,
)
BARRIER = re.compile(r"[;?!]|(?<!\d),|,(?!\d)|(?<!\b[a-z])(?<!\brt)(?<!\blt)(?<!\bno)\.(?=\s|$)", re.IGNORECASE)
"""What no name of a finding or an organ reaches across."""
BREAK = re.compile(
    rf"{BARRIER.pattern}|[()&]"
    r"|(?<=\w)/(?=[^\W\d])|\s[-–—]\s"
    r"|\b(?:but|however|although|though|whereas|yet|except|and|or|plus|with|versus|vs)\b",
    re.IGNORECASE,
)
"""What ends the scope of a negation."""
_LEADING = re.compile(r"(?:\b(?:in|of|at|on|within|around|near|along|the|my|his|her)\s+)+$", re.IGNORECASE)


@dataclass(frozen=True)
class Span:
    """Characters of a text."""

    start: int
    stop: int

    def meets(self, other: Span) -> bool:
        """Whether they share a character."""
        return self.start < other.stop and other.start < self.stop


@dataclass(frozen=True)
class Told(Span):
    """A finding in a text.

    ``keys`` says what it may mean (entries, or its own words), ``named`` whether it was called by name, and ``apart``
    whether the text speaks of an organ in which it may be.
    """

    keys: frozenset[str] = frozenset()
    named: bool = False
    apart: bool = False


@dataclass(frozen=True)
class Landmarks:
    """What a text holds: findings, words for organs and structures (those within a finding's name too), sides, and
    words that call something normal."""

    findings: Sequence[Told]
    places: Sequence[Span]
    sides: Sequence[Span]
    normal: Sequence[Span] = ()


@dataclass(frozen=True)
class Negations:
    """A text without its negations and doubts, as many spaces in their place, and where the negations stood."""

    text: str
    forward: tuple[Span, ...]
    backward: tuple[Span, ...]


@dataclass(frozen=True)
class Clause(Span):
    """A question of its own within a text.

    ``borrowed`` is what stands with another clause and tells this one's place ("stone and cyst in the left kidney").
    """

    negated: bool = False
    keys: frozenset[str] = frozenset()
    borrowed: str = ""

    def of(self, text: str) -> str:
        """The words of the clause."""
        return f"{text[self.start : self.stop]} {self.borrowed}".strip(" ,;&/")


@dataclass(frozen=True)
class _Segment(Span):
    negated: bool
    keys: frozenset[str] = frozenset()
    placed: bool = False
    local: bool = False
    """Whether it says where beyond what the name of its finding says."""
    sided: bool = False
    normal: bool = False
    denies: bool = False
    """Whether it denies what comes before it."""


def blanked(pattern: re.Pattern[str], text: str) -> tuple[str, list[re.Match[str]]]:
    """Text with every match replaced by as many spaces, so that positions stay, and the matches."""
    hits = list(pattern.finditer(text))
    for m in hits:
        text = text[: m.start()] + " " * (m.end() - m.start()) + text[m.end() :]
    return text, hits


def negations(text: str) -> Negations:
    """Find what negates, and what only doubts, which is taken out alike: "rule out" asks, "ruled out" denies."""
    text = re.sub(r"\bnot normal\b", "  abnormal", text, flags=re.I)
    text, _ = blanked(_DOUBT, _shielded(text))
    text, backward = blanked(_BACKWARD, text)
    text, forward = blanked(_FORWARD, text.replace("\0", " "))
    return Negations(text, tuple(Span(*m.span()) for m in forward), tuple(Span(*m.span()) for m in backward))


def _shielded(text: str) -> str:
    """ "no evidence of" with a sign in place of its spaces, for it is no doubt."""
    shield = r"\b(?:no|without|any|absence\s+of)\s+(?:any\s+)?(?:evidence|signs?|suspicion)\s+of\b"
    return re.sub(shield, lambda m: m.group().replace(" ", "\0"), text, flags=re.I)


def clauses(text: str, found: Negations, marks: Landmarks) -> list[Clause]:
    """The questions of a text in their order; at least one, all of the text where there is no second finding.

    Parameters
    ----------
    text : str
        The question.
    found : Negations
        Of the same text.
    marks : Landmarks
        Of the same text.
    """
    made = _merged(_segments(text, found, marks))
    whole = len(made) == 1
    if whole:
        made = [replace(made[0], start=0, stop=len(text))]
    return [
        replace(c, borrowed=_lent(found.text, c, (*made[i + 1 :], *reversed(made[:i])), marks))
        for i, c in enumerate(made)
    ]


def _segments(text: str, found: Negations, marks: Landmarks) -> list[_Segment]:
    """The text between what ends the scope of a negation, and between findings by name that are not the same."""
    solid = [*marks.findings, *marks.places]
    cuts = [Span(*m.span()) for m in BREAK.finditer(text)]
    cuts += [Span(n.start, n.start) for n in found.forward]
    inner = [c for c in cuts if not any(s.start < c.start and c.stop < s.stop for s in solid)]
    cues = (*found.forward, *found.backward)
    inner = [c for c in inner if not any(n.start < c.start and c.stop <= n.stop for n in cues)]
    for one, two in pairwise(marks.findings):
        between = any(one.stop <= c.start <= two.start for c in inner)
        if one.named and (two.named or two.apart) and not one.keys & two.keys and not between:
            before = [s.start for s in marks.sides if one.stop <= s.start and not text[s.stop : two.start].strip()]
            at = min([two.start, *before])
            inner.append(Span(at, at))
    edges = [Span(0, 0), *sorted(inner, key=lambda c: (c.start, c.stop)), Span(len(text), len(text))]
    made = []
    for a, b in pairwise(edges):
        here = Span(a.stop, max(a.stop, b.start))
        if not any(c.isalnum() for c in text[here.start : here.stop]):
            continue
        made.append(
            _Segment(
                here.start,
                here.stop,
                any(here.start <= n.start < here.stop for n in found.forward),
                frozenset().union(*(f.keys for f in marks.findings if f.meets(here))),
                any(p.meets(here) for p in marks.places),
                any(p.meets(here) for p in marks.places if not any(p.meets(f) for f in marks.findings)),
                any(s.meets(here) for s in marks.sides),
                any(n.meets(here) for n in marks.normal),
                any(n.meets(here) for n in found.backward),
            )
        )
    return made


def _merged(segments: Sequence[_Segment]) -> list[Clause]:
    """Segments that have no finding of their own go with the one before, or with the first that has one."""
    made: list[Clause] = []
    placed = local = sided = False  # whether the last clause says where
    waiting: list[_Segment] = []
    for i, seg in enumerate(segments):
        negated = seg.negated or seg.denies
        if not seg.keys:
            after = segments[i + 1] if i + 1 < len(segments) else None
            if not made or not (seg.placed or seg.sided):
                if made:
                    made[-1] = replace(made[-1], stop=seg.stop, negated=made[-1].negated or seg.denies)
                else:
                    waiting.append(seg)
            elif placed and seg.placed and after is not None and after.keys and not after.placed:
                waiting.append(seg)  # "left kidney: stone, right kidney: cyst"
            elif seg.normal or (negated and not made[-1].negated):
                made.append(Clause(seg.start, seg.stop, negated))
                placed, local, sided = True, True, True
            else:
                made[-1] = replace(made[-1], stop=seg.stop)
                placed, local, sided = placed or seg.placed, local or seg.local, sided or seg.sided
            continue
        start = min([seg.start, *(w.start for w in waiting)])
        bare = not (seg.local or seg.sided or waiting)
        if made and made[-1].keys & seg.keys and negated == made[-1].negated and (bare or not (local or sided)):
            made[-1] = replace(made[-1], stop=seg.stop, keys=made[-1].keys | seg.keys)
            placed, local, sided = placed or seg.placed, local or seg.local, sided or seg.sided
        else:
            made.append(Clause(start, seg.stop, negated, seg.keys))
            placed = seg.placed or any(w.placed for w in waiting)
            local = seg.local or any(w.local for w in waiting)
            sided = seg.sided or any(w.sided for w in waiting)
        waiting = []
    if waiting and made:
        made[-1] = replace(made[-1], stop=waiting[-1].stop)
    if made:
        return made
    where = [w for w in waiting if w.placed]
    if len({w.negated or w.denies for w in where}) > 1:  # "not the liver but the spleen"
        return [Clause(w.start, w.stop, w.negated or w.denies) for w in where]
    return [Clause(0, 0, any(w.negated or w.denies for w in waiting))]


def _lent(text: str, clause: Clause, others: Iterable[Clause], marks: Landmarks) -> str:
    """Where a clause without a place looks: what the next one, or the last, says of it, its finding left out.

    A sign takes it from any clause where it means something, a finding by name, which may imply a place, only the place
    of the next that "and", "or" or "with" binds to it, and only where that may be meant.
    """
    own = [f for f in marks.findings if f.meets(clause)]
    named = any(f.named for f in own)
    inner = (
        [p for p in marks.places if not any(p.meets(f) for f in marks.findings if f.named)] if named else marks.places
    )
    if not own or any(s.meets(clause) for s in (*inner, *(marks.sides if named else ()))):
        return ""
    for other in others:
        where = [s for s in (*inner, *marks.sides) if s.meets(other)]
        if not any(p.meets(other) for p in inner):
            continue
        between = text[clause.stop : other.start] if other.start >= clause.stop else text[other.stop : clause.start]
        bound = re.fullmatch(r"\W*(?:and|or|with)\W*", between, re.IGNORECASE)
        if named and not (bound and other.start > clause.start and all(f.apart for f in own)):
            return ""
        if not bound and not all(f.apart for f in own) and re.search(r"[;.?!]|\bbut\b", between):
            return ""
        start, stop = min(s.start for s in where), max(s.stop for s in where)
        leading = _LEADING.search(text[other.start : start])
        letters = list(text[start:stop])
        for f in marks.findings:
            for at in range(max(f.start, start), min(f.stop, stop)):
                if not any(p.start <= at < p.stop for p in marks.places):
                    letters[at - start] = " "
        return " ".join(f"{leading.group() if leading else ''}{''.join(letters)}".split())
    return ""
