"""Words that deny, doubt, call normal or look back, and how far each reaches."""

from __future__ import annotations

import re
from collections.abc import Sequence

from training.reports.labels import Polarity

_SEEN = (
    r"(?:seen|identified|detected|present|evident|visuali[sz]ed|noted|found|appreciated|demonstrated|apparent|"
    r"observed|shown|recogni[sz]ed|encountered|suspected|established)"
)
_DENIED_BEFORE = re.compile(
    r"\b(?:no(?!\s*\.?\s*\d)(?!\s+longer)(?!\s+(?:\w+\s+){0,2}(?:change|progression|growth|difference)s?\b)|"
    r"without(?!\s+(?:\w+\s+){0,2}(?:change|progression|growth)s?\b)|"
    r"w/o|absence of|absent|free of|free from|"
    r"negative for|neither|nor|none of|never|lack of|lacks|rather than|"
    r"resolution of|resolved|not? (?:show|demonstrate|reveal)|denies|fails to show|rules out|"
    r"(?:is|are|was|were) not|did not|does not)\b",
    re.I,
)
_DENIED_AFTER = re.compile(
    rf"\b(?:is|are|was|were|has|have)?\s*not\s+(?:be(?:en)?\s+)?(?:\w+ly\s+)?{_SEEN}\b|"
    r"\bno longer\s+(?:seen|visible|present|identified|evident|observed)\b|"
    r"\b(?:has|have)\s+(?:since\s+|completely\s+|now\s+)?(?:resolved|regressed completely|disappeared)\b|"
    r"(?<!surgically )(?<!gallbladder )(?<!gallbladder is )\babsent\b|\bexcluded\b|\b(?:is|are|was|were) ruled out\b",
    re.I,
)
_STATED = re.compile(rf"\b(?:is|are|was|were)\s+(?:\w+ly\s+|also\s+|again\s+)?{_SEEN}\b", re.I)
_CLOSED = re.compile(rf"{_STATED.pattern}[^,;]*(?:,|\band\b)(?!\s*(?:or|nor)\b)", re.I)
_DOUBTED_BEFORE = re.compile(
    r"\b(?:possib(?:le|ly|ility of)|probabl[ey]|likely|questionable|question of|suspected|suspicion (?:of|for)|"
    r"suspicious for|may\s+(?:be|represent|indicate|reflect|produce)|might|could|equivocal|versus|vs|"
    r"concern(?:ing)? for|consider|cannot (?:entirely )?(?:exclude|rule out)|perhaps|(?:to )?rule out|to exclude|"
    r"indeterminate for|(?:correlat|evaluat|assess)\w+ (?:\w+ ){0,4}for)\b",
    re.I,
)
_DOUBTED_AFTER = re.compile(
    r"\bcannot be (?:\w+ )?(?:excluded|ruled out)\b|\b(?:is|are)\s+(?:suspected|possible|questioned|questionable)\b|"
    r"\bnot (?:be )?(?:entirely )?(?:excluded|ruled out)\b|\bdifficult to (?:\w+ )?exclude\b|\bis a consideration\b|"
    r"\bmust be considered\b|\b(?:is|are) (?:considered )?(?:un)?likely\b|^[^.,;()]{0,25}\?",
    re.I,
)
NORMAL = re.compile(
    r"\b(?:unremarkable|(?<!not )normal|within normal limits|clear|intact|patent|healthy|homogen(?:e)?ously|"
    r"(?<!not )(?:natural|preserved)|(?:is|are) open|not remarkable|without (?:\w+ )?(?:abnormalit|patholog)(?:y|ies)|"
    r"no (?:\w+ ){0,4}(?:abnormalit|patholog)(?:y|ies))\b",
    re.I,
)
_PRIOR = re.compile(
    r"\b(?:unchanged|stable|new since|interval|previous(?:ly)?|prior (?:exam|study|ct|examination)|"
    r"again (?:seen|noted)|compared (?:with|to)|no longer|resolved)\b",
    re.I,
)
_PAST = re.compile(r"\b(?:(?:past |known |clinical |medical )?history (?:of|significant for)|h/o)\b", re.I)
_BREAK = re.compile(
    r";|,?\s+\bbut\b|\bhowever\b|\balthough\b|\bexcept\b|\bapart from\b|\bwhile\b|\bwhereas\b|, (?=there (?:is|are)\b)|"
    r"\bas there is\b|, (?=which\b)|\bbecause\b|,?\s+with (?!no\b)|,?\s+(?=without\b|with no\b)",
    re.I,
)
_ASIDE = re.compile(r"^,?\s*which\b[^,;]*,\s*(?=(?:is|are|was|were|has|have|cannot|could)\b)", re.I)
_REASON = re.compile(r"\b(?:as there (?:is|are)|because|since (?:there|the))\b", re.I)


def clauses(sentence: str) -> list[tuple[int, int]]:
    """(start, stop) of the parts of a sentence that a denial or doubt does not leave."""
    spans, at = [], 0
    for match in _BREAK.finditer(sentence):
        spans.append((at, match.start()))
        at = match.end()
    return [(a, b) for a, b in (*spans, (at, len(sentence))) if b > a]


def clause_of(spans: Sequence[tuple[int, int]], position: int) -> tuple[int, int]:
    """The clause that holds a position."""
    return next((s for s in spans if s[0] <= position < s[1]), spans[-1])


def polarity(sentence: str, clause: tuple[int, int], start: int, stop: int) -> Polarity:
    """Whether the words at (start, stop) are stated, doubted or denied in their clause.

    The predicate after ", which ...," belongs to what stands before it.
    """
    before, after = sentence[clause[0] : start], sentence[stop : clause[1]]
    aside = _ASIDE.match(sentence[clause[1] :])
    if aside:
        after += " " + sentence[clause[1] + aside.end() :].split(";")[0]
    if _DOUBTED_AFTER.search(after):
        return "absent" if _denied_before(before) and "cannot" not in after else "uncertain"
    if _denied_before(before) or _denied_after(after):
        return "absent"
    return "uncertain" if _DOUBTED_BEFORE.search(before) else "present"


def _denied_before(before: str) -> bool:
    """Whether a denial reaches to here: not beyond "... was seen," of its own."""
    denials = list(_DENIED_BEFORE.finditer(before))
    return bool(denials) and _CLOSED.search(before, denials[-1].end()) is None


def _denied_after(after: str) -> bool:
    """Whether the first predicate that follows denies."""
    denied, stated = _DENIED_AFTER.search(after), _STATED.search(after)
    return denied is not None and (stated is None or denied.start() <= stated.start())


def says_normal(clause: str) -> bool:
    """Whether a clause calls something normal."""
    return NORMAL.search(clause) is not None


def looks_back(sentence: str) -> bool:
    """Whether a sentence compares with an earlier examination."""
    return _PRIOR.search(sentence) is not None


def is_past(sentence: str, clause: tuple[int, int], start: int) -> bool:
    """Whether what stands at a place is the patient's history ("history of pancreatitis"), not what is seen now."""
    return _PAST.search(sentence[clause[0] : start]) is not None


def reason_at(sentence: str) -> int:
    """Where the part of a sentence begins that only gives a reason; its length if there is none."""
    match = _REASON.search(sentence)
    return match.start() if match else len(sentence)
