"""Reading a report: what it states of which organ, in which sentence."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from napari_ctvlp.anatomy.schemes import V2_NAMES
from training.reports.cover import acute_of, covered, is_region, says_nothing_acute
from training.reports.cues import clause_of, clauses, is_past, looks_back, polarity, reason_at, says_normal
from training.reports.labels import UNKNOWN, OrganLabel, Polarity, Statement, labels_of
from training.reports.link import Found, Links, link, open_to
from training.reports.located import Located
from training.reports.omitted import Told, left_out
from training.reports.split import Line, sentences
from training.reports.words import entries

_SIZES = {"small", "large", "big"}
_REMAINS = {"gallbladder_absent", "metal_implant", "pacemaker_lead", "aortic_stent_graft"}
"""What a history of still shows."""


@dataclass(frozen=True)
class ParsedReport:
    """What a report states.

    Attributes
    ----------
    statements : tuple of Statement
        In the order of the text, each with its sentence.
    labels : mapping of str to OrganLabel
        By organ; organs that were asked for and are not spoken of are unknown.
    """

    statements: tuple[Statement, ...]
    labels: Mapping[str, OrganLabel]

    def sentences_of(self, organ: str) -> tuple[str, ...]:
        """The sentences that speak of an organ."""
        return tuple(dict.fromkeys(s.sentence for s in self.statements if s.organ == organ))


def parse_report(text: str, organs: Collection[str] | None = None) -> ParsedReport:
    """Read a report by rule.

    Parameters
    ----------
    text : str
        A whole report or its findings; headings are optional.
    organs : collection of str, optional
        Keep these alone, as those in the field of view; by default all of TotalSegmentator v2.
    """
    kept = set(V2_NAMES if organs is None else organs)
    said: list[Statement] = []
    regional: set[Statement] = set()
    last: tuple[str, ...] = ()
    for line in sentences(text):
        found, of_regions = _statements(line, last)
        last = tuple(dict.fromkeys(s.organ for s in found)) or last
        said += [s for s in (*found, *of_regions) if s.organ in kept]
        regional |= set(of_regions) - set(found)
    told = {s.organ for s in said if s.polarity != "absent" and s not in regional}
    said = [s for s in said if s not in regional or s.organ not in told]
    labels = dict(labels_of(said))
    for organ in organs or ():
        labels.setdefault(organ, UNKNOWN)
    return ParsedReport(tuple(dict.fromkeys(said)), labels)


def _statements(line: Line, last: tuple[str, ...]) -> tuple[list[Statement], list[Statement]]:
    """The statements of one sentence, and those on whole regions; ``last``: the organs of the sentence before."""
    text = line.text
    links = _without_reason(link(text), reason_at(text))
    heading = _organs_of(line.heading)
    spans, prior = _told_apart(clauses(text), links.parts), looks_back(text)
    out: list[Statement] = []
    told: list[Told] = []
    located = Located(links, heading, last)
    for index, found in enumerate(links.found):
        clause = clause_of(spans, found.start)
        past = is_past(text, clause, found.start) and not _REMAINS & set(found.keys)
        if past or _mere_size(found, text, links):
            continue
        where = polarity(text, clause, found.start, found.stop)
        for key, organs in located.of(index):
            told.append((found.start, key, organs))
            out += _each(organs, where, key, text, prior)
            if where == "absent" and key is None:
                for other in sorted(open_to(found)):
                    out += _each((o for o in organs if o in entries()[other].organs), "absent", other, text, prior)
    for key, organs in left_out(links, told):
        out += _each(organs, "absent", key, text, prior)
    ill = {s.organ for s in out if s.polarity in ("present", "uncertain")}
    regional: list[Statement] = []
    for start, stop in spans:
        acute = says_nothing_acute(text[start:stop])
        region = covered(links, start, stop, line.heading if line.own else "")
        regional += _well((o for o in region if o not in ill), acute, text, prior)
        if acute or says_normal(text[start:stop]):
            named = [m for m in links.mentions if start <= m.start < stop]
            if not named and text[start:stop].lower().startswith("which"):
                named = [m for m in links.mentions if m.stop <= start][-1:]
            here = [o for m in named if not (region and is_region(text[m.start : m.stop])) for o in m.organs]
            outer = heading if (line.own or not links.mentions) and not region else ()
            out += _well((o for o in here or outer if o not in ill), acute, text, prior)
    return out, regional


def _well(organs: Iterable[str], acute: bool, text: str, prior: bool) -> Iterator[Statement]:
    """What is said of organs that are called normal, or free of anything acute."""
    for organ in organs:
        for key in acute_of(organ) if acute else (None,):
            yield from _each((organ,), "absent" if acute else "normal", key, text, prior)


def _told_apart(spans: Sequence[tuple[int, int]], parts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pieces of a sentence that are in one span and in one independent clause."""
    pieces = ((max(a, c), min(b, d)) for a, b in spans for c, d in parts)
    return [(a, b) for a, b in pieces if b > a] or list(spans)


def _without_reason(links: Links, at: int) -> Links:
    """Leave out organs that only a reason names: "no obstruction, as there is contrast within the colon"."""
    if any(f.start >= at for f in links.found):
        return links
    return replace(links, mentions=tuple(m for m in links.mentions if m.start < at))


def _each(organs: Iterable[str], how: Polarity, key: str | None, text: str, prior: bool) -> Iterator[Statement]:
    for organ in dict.fromkeys(organs):
        yield Statement(organ, how, key, text, prior)


def _mere_size(found: Found, text: str, links: Links) -> bool:
    """Whether "small" or "large" tells the size of something else than an organ."""
    if found.named or not set(found.words) <= _SIZES:
        return False
    said_of_organ = re.search(r"\b(?:is|are|appears?|looks?)\s+(?:\w+ly\s+)?$", text[: found.start]) is not None
    rest = re.sub(r"^\s*(?:left\b|right\b)?\s*", "", text[found.stop :])
    return not said_of_organ and not any(m.start == len(text) - len(rest) for m in links.mentions)


@lru_cache(4096)
def _organs_of(heading: str) -> tuple[str, ...]:
    """The organs of a heading; many reports share theirs."""
    return tuple(o for m in link(heading).mentions for o in m.organs)
