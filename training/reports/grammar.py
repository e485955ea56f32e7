"""The little grammar that tells which words of a sentence belong together: verbs, prepositions, lists, clauses."""

from __future__ import annotations

import re
from collections.abc import Sequence

from training.reports.cues import NORMAL, says_normal

VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|had|shows?|showed|demonstrates?|contains?|appears?|appeared|looks?|remains?|"
    r"remained|reveals?|measures?|exhibits?|displays?|lies|lie|enhances?|does|do|did|can|cannot|could|may|might|lacks?|"
    r"carries|surrounds?|seems?|harbou?rs?|extends?|involves?|compresses|encases|abuts|bears)\b",
    re.I,
)
_TELLS = re.compile(rf"{VERB.pattern}|\b(?:with|without)\b", re.I)
_PREPOSITION = re.compile(
    r"\b(?:of|in|within|at|on|along|involving|throughout|into|inside|around|near|surrounding|beside|next|adjacent|"
    r"affecting|over|to|from|through|across|behind|under|between|about|abutting|both)\b",
    re.I,
)
_APART = re.compile(r"\b(?:compared|than|relative|versus|vs|similar|distinct|separate|away)\b", re.I)
_STOP = re.compile(r"[,:;]|\b(?:and|or|nor|but|no|not|without|with|which|that|who|none|plus)\b", re.I)
_JOINS = re.compile(r"[,/&]|\b(?:and|or|nor|plus|as well as)\b", re.I)
_ASIDE = re.compile(r"\([^()]*\)")
_HARD = re.compile(
    r";|,?\s*\b(?:but|however|although|though|while|whereas|except(?:ing)?(?:\s+for)?|apart from|aside from|other than|"
    r"save for|with the exception of)\b,?",
    re.I,
)
_SOFT = re.compile(r",?\s+\b(?:and|yet)\b(?!/)|,(?!\d)", re.I)
_ELLIPTIC = re.compile(r"^\s*(?:none\b|not (?:on|in|of|at|the)\b)", re.I)
_THERE = re.compile(r"^\s*(?:there (?:is|are)|it (?:is|has))\b", re.I)
_RELATIVE = re.compile(r"\b(?:which|that|who|whose)\b", re.I)
_BARE_VERB = re.compile(r"^\s*(?:without|with no)\b", re.I)
_COPULA = re.compile(r"\b(?:is|are|was|were|appears?|looks?|remains?)\s+(?:\w+ly\s+|also\s+|again\s+)*$", re.I)
_DETERMINER = re.compile(r"\b(?:the|an?|its|both|all|any|remaining|other|visuali[sz]ed)\b", re.I)

Span = tuple[int, int]


def in_one_phrase(gap: str, joined: bool = False) -> bool:
    """Whether the words between two things are no more than adjectives; with ``joined`` also "and" between them."""
    plain = _ASIDE.sub(" ", gap)
    if VERB.search(plain) or _PREPOSITION.search(plain):
        return False
    stop = _STOP.search(re.sub(r"\b(?:and|or|nor)\b", " ", plain, flags=re.I) if joined else plain)
    return stop is None and len(plain.split()) <= 6


def in_one_list(gap: str) -> bool:
    """Whether two things are members of one list: "and" or a comma between them, and no verb and no place."""
    plain = _ASIDE.sub(" ", gap)
    others = re.sub(r"\b(?:no|without|any)\b", " ", _JOINS.sub(" ", plain), flags=re.I)
    return _JOINS.search(plain) is not None and in_one_phrase(others) and not says_normal(plain)


def in_one_enumeration(gap: str) -> bool:
    """Whether two places are members of one list: "in the liver and in the spleen"."""
    plain = _PREPOSITION.sub(" ", _JOINS.sub(" ", _ASIDE.sub(" ", gap)))
    return _JOINS.search(gap) is not None and in_one_phrase(plain) and not says_normal(plain)


def in_one_breath(gap: str) -> bool:
    """Whether what follows is told of what stands before: "the liver" contains "a cyst"."""
    return "," not in gap and not says_normal(gap) and _TELLS.search(gap) is not None


def leads_to_place(gap: str, predicate: bool) -> bool:
    """Whether the words after a finding lead to its place: "in the", or nothing but adjectives.

    What follows "is enlarged and" is no longer its place; ``predicate`` says that the finding stands after such a verb.
    """
    plain = _ASIDE.sub(" ", gap)
    if re.search(r"[,:;]", plain) or _APART.search(plain):
        return False
    if in_one_phrase(_DETERMINER.sub(" ", plain), joined=not predicate):
        return True
    return _ends_in_preposition(plain)


def leads_to_place_after_comma(gap: str) -> bool:
    """The same across a comma: "a stone, 3 mm, in the"."""
    return not re.search(r"[:;]", gap) and not _APART.search(gap) and _ends_in_preposition(_ASIDE.sub(" ", gap))


def _ends_in_preposition(gap: str) -> bool:
    found = list(_PREPOSITION.finditer(gap))
    return bool(found) and in_one_phrase(_DETERMINER.sub(" ", gap[found[-1].end() :]), joined=True)


def is_predicate(before: str) -> bool:
    """Whether what follows is said of a subject: "the liver is" enlarged."""
    return _COPULA.search(before) is not None


def clause_at(spans: Sequence[Span], position: int) -> Span:
    """The clause that holds a position; the one before it for what stands between two."""
    return next((s for s in reversed(spans) if s[0] <= position), spans[0] if spans else (0, 1 << 30))


def sentence_parts(text: str, places: Sequence[Span], findings: Sequence[Span]) -> tuple[Span, ...]:
    """The independent clauses of a sentence: a subject and what is said of it.

    Parameters
    ----------
    text : str
    places, findings : sequence of (start, stop)
        Where organs and findings stand: a clause that opens after "and" or a comma must have one as its subject, and
        a verb, and something must be told before: "liver, spleen and pancreas are normal" is one clause.
    """
    told = [*findings, *((m.start(), m.end()) for m in NORMAL.finditer(text))]
    things = sorted({*places, *findings})
    spans: list[Span] = []
    at = 0
    for match in [*_HARD.finditer(text), None]:
        stop = match.start() if match else len(text)
        spans += _divided(text, at, stop, things, told)
        at = match.end() if match else stop
    return tuple((a, b) for a, b in spans if text[a:b].strip(" .,"))


def _divided(text: str, at: int, stop: int, things: Sequence[Span], told: Sequence[Span]) -> list[Span]:
    spans = []
    for match in _SOFT.finditer(text, at, stop):
        if match.start() > at and _opens(text, (at, match.start()), (match.end(), stop), things, told):
            spans.append((at, match.start()))
            at = match.end()
    return [*spans, (at, stop)]


def _opens(text: str, left: Span, right: Span, things: Sequence[Span], told: Sequence[Span]) -> bool:
    """Whether a clause of its own opens on the right."""
    if not _any(told, *left):
        return False
    after = text[right[0] : right[1]]
    if _ELLIPTIC.match(after) or _THERE.match(after):
        return True
    verb = VERB.search(after)
    if verb and _is_subject(text, right[0], right[0] + verb.start(), things):
        begun = right[0] + verb.end()
        stop = re.search(r"[,;]|$", text[begun : right[1]])
        return (
            _any(told, begun, begun + (stop.start() if stop else 0)) or VERB.search(text[left[0] : left[1]]) is not None
        )
    return _says_normal_of_subject(text, right, things)


def _any(spans: Sequence[Span], start: int, stop: int) -> bool:
    return any(start <= a < stop for a, _ in spans)


def _is_subject(text: str, start: int, stop: int, things: Sequence[Span]) -> bool:
    words = text[start:stop]
    return not _RELATIVE.search(words) and _any(things, start, stop)


def _says_normal_of_subject(text: str, right: Span, things: Sequence[Span]) -> bool:
    """ "spleen normal", "left kidney without stone": a clause that leaves out its verb."""
    first = next((t for t in things if t[0] >= right[0]), None)
    if first is None or not in_one_phrase(_DETERMINER.sub(" ", text[right[0] : first[0]])):
        return False
    rest = re.split(r"[,;]", text[first[1] : right[1]])[0]
    return bool(_BARE_VERB.match(rest)) or (says_normal(rest) and in_one_phrase(rest) and len(rest.split()) < 4)
