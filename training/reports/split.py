"""A report's text as sentences, each with the heading that it stands under."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_HEADER = re.compile(r"^\s*(?:\d+[.)]\s*)?([A-Z][A-Za-z ,&/()-]{1,48}?)\s*:\s*")
_SILENT = re.compile(
    r"\b(?:exam(?:ination)?|indications?|history|technique|comparison|reason|procedure|protocol|contrast|clinical|"
    r"information|dose|referring|date)\b",
    re.I,
)
_SPOKEN = re.compile(r"\b(?:findings?|impressions?|conclusions?|opinion|summary|interpretation|result|report)\b", re.I)
_END = re.compile(
    r"(?<=[.!?])(?<!\bDr\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)(?<!\bapprox\.)\s+(?=[A-Z0-9(\"])|\n+(?!\s*[a-z])"
)
# transcripts that lost their line breaks: ",IMPRESSION:,1. Renal cyst.,2. Normal liver."
_LOST = (
    (re.compile(r",(?=\s*[A-Z][A-Z &/]{3,40}:)"), "\n"),
    (re.compile(r"(?<=:)(\s*),"), r"\1 "),
    (re.compile(r",(?=\s*\d{1,2}\.\s*[A-Z])"), "\n"),
    (re.compile(r"(?<=[.!?]),(?=\s*[A-Z])"), "\n"),
    (re.compile(r"\s*[•●▪]\s*"), "\n• "),
)


@dataclass(frozen=True)
class Line:
    """A sentence.

    Attributes
    ----------
    text : str
        Without its heading and number.
    heading : str
        "Liver" of "Liver: normal."; on the following sentences of the same line as well.
    own : bool
        Whether the heading stands right before this sentence.
    """

    text: str
    heading: str
    own: bool


def sentences(report: str) -> Iterator[Line]:
    """The sentences of the parts that state findings; history, technique and comparison are left out.

    Parameters
    ----------
    report : str
        Any text; one without headings is taken as findings.
    """
    text = report
    for pattern, put in _LOST:
        text = pattern.sub(put, text)
    spoken, heading, begun, lines = True, "", False, 0
    for part, fresh in _parts(text):
        if fresh:
            heading = ""
        if begun and fresh and lines and not spoken and not _HEADER.match(part):
            spoken = True  # a history told in the midst of the findings ends with its line
        lines += 1
        own = False
        match = _HEADER.match(part)
        while match:
            name = match[1].strip()
            part = part[match.end() :]
            own = False
            if _SPOKEN.search(name):
                spoken, heading, begun = True, "", True
            elif _SILENT.search(name):
                spoken, heading, lines = False, "", 1
            else:
                heading, own = name, True
                if name.isupper():
                    spoken = True
            match = _HEADER.match(part)
        part = re.sub(r"^\s*(?:\d+[.)]|[-*•\"])\s*", "", part).strip()
        if spoken and re.search(r"[A-Za-z]{2}", part):
            yield Line(part, heading, own)


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """Pieces between sentence ends, and whether each opens a line."""
    at, fresh = 0, True
    for match in _END.finditer(text):
        yield text[at : match.start()].replace("\n", " "), fresh
        fresh = "\n" in match.group()
        at = match.end()
    yield text[at:].replace("\n", " "), fresh
