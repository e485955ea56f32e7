"""Statements on a whole region: "the remaining abdominal organs are normal", "no acute intra-abdominal abnormality".

A region that is called normal covers its organs and vessels of which nothing else is said. Its bones and muscles are
not meant: degeneration goes unmentioned in a normal CT of the chest. "No acute ..." denies what is acute alone, of a
region or of an organ, and calls nothing normal. A normal CT without a region covers nothing.
"""

from __future__ import annotations

import re
from functools import cache

from training.reports.link import Links
from training.reports.words import entries, members, terms

_ACUTE = re.compile(
    r"\bno\s+(?:\w+\s+){0,3}acute\s+(?!(?:or|and|on)\b)(?:[\w/-]+,?\s+){0,5}"
    r"(?:abnormalit(?:y|ies)|patholog(?:y|ies)|process(?:es)?|findings?|disease)\b",
    re.I,
)
_NORMAL = re.compile(
    r"\b(?:unremarkable|(?<!not )normal|not remarkable|within normal limits|"
    r"(?:without|no) (?:\w[\w-]* ){0,4}(?:abnormalit|patholog)(?:y|ies))\b",
    re.I,
)
_REST = re.compile(r"\b(?:remain(?:ing|der)|rest|other(?:wise)?)\b", re.I)
_AND = r"\s*(?:,\s*and\b|,|/|&|\band\b|\bor\b)\s*(?:the\s+)?"
_EXAM = r"(?:CT|MDCT|scans?|stud(?:y|ies)|exam(?:ination)?s?|tomogra\w+)"
_KIND = (
    r"(?:organs?|viscera|structures?|contents?|cavit(?:y|ies)|sections?|abnormalit(?:y|ies)|patholog(?:y|ies)|"
    rf"process(?:es)?|findings?|diseases?|{_EXAM})"
)
_ALONE = (
    r"(?![\w-])(?!\s+(?!(?:is|are|was|were|appears?|shows?|demonstrates?|reveals?|with|without|and|or|performed|"
    r"obtained|in|on)\b)\w)"
)


def says_nothing_acute(clause: str) -> bool:
    """Whether a clause denies what is acute, which is not to call anything normal."""
    return _ACUTE.search(clause) is not None


def acute_of(organ: str) -> tuple[str | None, ...]:
    """The entries of an organ that "nothing acute" denies; None for an organ that has no such entry."""
    return tuple(key for key in terms()["acute"] if organ in entries()[key].organs) or (None,)


def covered(links: Links, start: int, stop: int, heading: str) -> tuple[str, ...]:
    """The organs of the regions that a clause calls normal or free of anything acute; none where it names organs.

    Parameters
    ----------
    links : Links
        The sentence; the clause is at (start, stop) of it.
    heading : str
        What stands right before the sentence ("Abdomen"), or nothing.
    """
    clause = links.text[start:stop]
    if not _NORMAL.search(clause) and not says_nothing_acute(clause):
        return ()
    organs_too = any(start <= m.start < stop and not is_region(links.text[m.start : m.stop]) for m in links.mentions)
    if organs_too and not _REST.search(clause):
        return ()
    regions = _regions(clause) or (_regions(f"{heading} CT") if heading and not organs_too else ())
    return members([o for r in regions for o in terms()["regions"][r]["organs"]])


def is_region(words: str) -> bool:
    """Whether words that may name a bone or an organ are those of a region as well ("pelvis", "brain")."""
    return bool(_named(words))


def _regions(clause: str) -> tuple[str, ...]:
    """The regions that a clause speaks of as such: not "abdominal wall", nor "the pelvis", which may be the bone."""
    return tuple(r for m in _spoken_of().finditer(clause) for word in _word().findall(m[0]) for r in _named(word))


def _named(word: str) -> tuple[str, ...]:
    folded = word.lower().replace("-", "")
    return tuple(name for name, region in terms()["regions"].items() if folded in region["words"])


@cache
def _word() -> re.Pattern[str]:
    words = sorted((w for region in terms()["regions"].values() for w in region["words"]), key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(words).replace('intra', 'intra-?')})\b", re.I)


@cache
def _spoken_of() -> re.Pattern[str]:
    """Regions, perhaps several, that a kind of thing follows, that an examination is of, or that stand alone."""
    more = rf"(?:{_AND}{_word().pattern})*"
    listed = rf"{_word().pattern}{more}"
    return re.compile(
        rf"{listed}\s+(?:solid\s+)?{_KIND}\b|{_EXAM}\s+(?:(?:of|through)\s+)?(?:the\s+)?{listed}{_ALONE}|"
        rf"\b(?:(?:upper|lower)\s+)?(?:abdomen|chest|thorax)\b{more}{_ALONE}",
        re.I,
    )
