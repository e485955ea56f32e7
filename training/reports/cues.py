"""Words that deny, doubt, call normal or look back, and how far each reaches."""

from __future__ import annotations

import re
from collections.abc import Sequence

from training.reports.labels import Polarity

_DENIED_BEFORE = re.compile(
    r"\b(?:no(?!\s*\.?\s*\d)(?!\s+longer)(?!\s+(?:significant )?change\b)|without|"
    r"w/o|absence of|free of|free from|"
    r"negative for|neither|nor|none of|never|lack of|"
    r"resolution of|resolved|not? (?:show|demonstrate|reveal)|denies|"
    r"(?:is|are|was|were) not|did not|does not)\b",
    re.I,
)
_DENIED_AFTER = re.compile(
    r"\b(?:is|are|was|were|has|have)?\s*not\s+(?:been\s+)?(?:seen|identified|detected|present|evident|visuali[sz]ed|"
    r"noted|found|appreciated|demonstrated|apparent|observed)\b|\bno longer\s+(?:seen|visible|present|identified)\b|"
    r"\b(?:has|have)\s+(?:since\s+)?resolved\b|"
    r"(?<!surgically )(?<!gallbladder )(?<!gallbladder is )\babsent\b|\bexcluded\b",
    re.I,
)
_DOUBTED_BEFORE = re.compile(
    r"\b(?:possib(?:le|ly|ility of)|questionable|question of|suspected|suspicion (?:of|for)|suspicious for|"
    r"may\s+(?:be|represent|indicate|reflect|produce)|might|could|equivocal|versus|vs|concern(?:ing)? for|consider|"
    r"cannot (?:entirely )?(?:exclude|rule out)|perhaps|rule out|indeterminate for)\b",
    re.I,
)
_DOUBTED_AFTER = re.compile(
    r"\bcannot be (?:\w+ )?(?:excluded|ruled out)\b|\b(?:is|are)\s+(?:suspected|possible|questioned|questionable)\b|"
    r"\bnot (?:entirely )?(?:excluded|ruled out)\b|\bdifficult to (?:\w+ )?exclude\b|\bis a consideration\b|"
    r"\bmust be considered\b",
    re.I,
)
_NORMAL = re.compile(
    r"\b(?:unremarkable|(?<!not )normal|within normal limits|clear|intact|patent|healthy|homogen(?:e)?ously|"
    r"no (?:\w+ ){0,2}abnormalit(?:y|ies))\b",
    re.I,
)
_PRIOR = re.compile(
    r"\b(?:unchanged|stable|new since|interval|previous(?:ly)?|prior (?:exam|study|ct|examination)|"
    r"again (?:seen|noted)|compared (?:with|to)|no longer|resolved)\b",
    re.I,
)
_BREAK = re.compile(
    r";|,?\s+\bbut\b|\bhowever\b|\balthough\b|\bexcept\b|\bapart from\b|\bwhile\b|\bwhereas\b|, (?=there (?:is|are)\b)|"
    r"\bas there is\b|, (?=which\b)|\bbecause\b|,?\s+with (?!no\b)|,?\s+(?=without\b|with no\b)",
    re.I,
)


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
    """Whether the words at (start, stop) are stated, doubted or denied in their clause."""
    before, after = sentence[clause[0] : start], sentence[stop : clause[1]]
    if _DOUBTED_AFTER.search(after):
        denied = _DENIED_BEFORE.search(before)
        return "absent" if denied and "cannot" not in after else "uncertain"
    if _DENIED_BEFORE.search(before) or _DENIED_AFTER.search(after):
        return "absent"
    return "uncertain" if _DOUBTED_BEFORE.search(before) else "present"


def says_normal(clause: str) -> bool:
    """Whether a clause calls something normal."""
    return _NORMAL.search(clause) is not None


def looks_back(sentence: str) -> bool:
    """Whether a sentence compares with an earlier examination."""
    return _PRIOR.search(sentence) is not None
