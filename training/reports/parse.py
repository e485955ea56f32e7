"""Reading a report: what it states of which organ, in which sentence."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from napari_ctvlp.anatomy.schemes import V2_NAMES
from training.reports.attach import Attachment
from training.reports.cues import clause_of, clauses, is_past, looks_back, polarity, reason_at, says_normal
from training.reports.labels import UNKNOWN, OrganLabel, Polarity, Statement, labels_of
from training.reports.link import Found, Links, Mention, link, names_organ, open_to, reach_of
from training.reports.omitted import Told, left_out
from training.reports.sides import moved, on_side
from training.reports.split import Line, sentences
from training.reports.words import entries, signs

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
    last: tuple[str, ...] = ()
    for line in sentences(text):
        found = list(_statements(line, last))
        last = tuple(dict.fromkeys(s.organ for s in found)) or last
        said += [s for s in found if s.organ in kept]
    labels = dict(labels_of(said))
    for organ in organs or ():
        labels.setdefault(organ, UNKNOWN)
    return ParsedReport(tuple(dict.fromkeys(said)), labels)


def _statements(line: Line, last: tuple[str, ...]) -> Iterator[Statement]:
    """The statements of one sentence; ``last``: the organs of the sentence before."""
    text = line.text
    links = _without_reason(link(text), reason_at(text))
    heading = _organs_of(line.heading)
    spans, prior = _told_apart(clauses(text), links.parts), looks_back(text)
    located = _Located(links, heading, last)
    ill: set[str] = set()
    told: list[Told] = []
    for index, found in enumerate(links.found):
        clause = clause_of(spans, found.start)
        past = is_past(text, clause, found.start) and not _REMAINS & set(found.keys)
        if past or _mere_size(found, text, links):
            continue
        where = polarity(text, clause, found.start, found.stop)
        for key, organs in located.of(index):
            ill |= set(organs) if where in ("present", "uncertain") else set()
            told.append((found.start, key, organs))
            yield from _each(organs, where, key, text, prior)
            if where == "absent" and key is None:
                for other in sorted(open_to(found)):
                    yield from _each((o for o in organs if o in entries()[other].organs), "absent", other, text, prior)
    for key, organs in left_out(links, told):
        yield from _each(organs, "absent", key, text, prior)
    for start, stop in spans:
        if not says_normal(text[start:stop]):
            continue
        named = [o for m in links.mentions if start <= m.start < stop for o in m.organs]
        named = named or (list(heading) if line.own or not links.mentions else [])
        yield from _each([o for o in named if o not in ill], "normal", None, text, prior)


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


class _Located:
    """The organs of the findings of one sentence."""

    def __init__(self, links: Links, heading: tuple[str, ...], last: tuple[str, ...]) -> None:
        self.links, self.heading, self.last = links, heading, last
        self.attachment = Attachment(links)

    def of(self, index: int) -> list[tuple[str | None, tuple[str, ...]]]:
        """(key, organs) of a finding: the entries that it can mean where it stands."""
        found = self.links.found[index]
        reach = reach_of(found)
        says_place = found.named and names_organ(found)
        here = _organs(self.attachment.places(index, reach))
        if not here and not says_place:
            misfit = _organs(self.attachment.directly(index))
            if misfit:
                return _misfit(found, moved(misfit, found.side))
        if not here and not (says_place and found.side):
            here = _organs(self.attachment.neighbours(index, reach, later=not says_place))
        if not here and not says_place:
            misfit = _organs(self.attachment.places(index, ()) or self.attachment.neighbours(index, (), later=True))
            misfit = misfit or (self.heading if found.named and not set(reach) & set(self.heading) else ())
            if misfit:
                return _misfit(found, moved(misfit, found.side))
        here = moved(here or self._from_outside(index, reach), found.side)
        if not found.keys:
            return [(None, here)] if here else []
        if here:
            return _entries_of(found, here)
        return [(found.keys[0], on_side(entries()[found.keys[0]].organs, found.side))] if found.named else []

    def _from_outside(self, index: int, reach: tuple[str, ...]) -> tuple[str, ...]:
        """The organs of a finding that its sentence names none for: those of what is named before, of the heading."""
        found, links = self.links.found[index], self.links
        if found.named:
            return tuple(o for o in self.heading if o in reach) if len(reach) > 1 else ()
        before = next((f for f in reversed(links.found[:index]) if f.named and names_organ(f)), None)
        if before is not None and not links.mentions:
            return tuple(o for o in on_side(reach_of(before), before.side) if o in reach)
        if links.mentions or any(f.named for f in links.found):
            return ()
        for organs in (self.heading, self.last):
            fit = tuple(o for o in organs if o in reach or not reach)
            if fit:
                return on_side(fit, links.side)
        return ()


@lru_cache(4096)
def _organs_of(heading: str) -> tuple[str, ...]:
    """The organs of a heading; many reports share theirs."""
    return _organs(link(heading).mentions)


def _organs(mentions: Iterable[Mention]) -> tuple[str, ...]:
    return tuple(o for m in mentions for o in m.organs)


def _entries_of(found: Found, here: tuple[str, ...]) -> list[tuple[str | None, tuple[str, ...]]]:
    """The entry of each organ: "plaques in the aorta and the coronary arteries" are two entries, one for each."""
    keys = [k for k in found.keys if set(entries()[k].organs) & set(here)]
    keys.sort(key=lambda k: -len(set(found.words) & set(k.split("_"))))
    left = list(here)
    out: list[tuple[str | None, tuple[str, ...]]] = []
    for key in keys:
        own = tuple(o for o in left if o in entries()[key].organs)
        left = [o for o in left if o not in own]
        if own:
            out.append((key, own))
    return out


def _misfit(found: Found, here: tuple[str, ...]) -> list[tuple[str | None, tuple[str, ...]]]:
    """A finding beside organs that its entries do not have: another entry's sign, or something without an entry.

    "Calcified granuloma" is a lung's where nothing else is said, and the liver's in "the liver contains one".
    """
    words = set(found.words)
    for entry, told in signs():
        fit = tuple(o for o in here if o in entry.organs)
        if fit and any(sign <= words for sign in told):
            return [(entry.key, fit)]
    return [] if found.named else [(None, here)]


def _mere_size(found: Found, text: str, links: Links) -> bool:
    """Whether "small" or "large" tells the size of something else than an organ."""
    if found.named or not set(found.words) <= _SIZES:
        return False
    said_of_organ = re.search(r"\b(?:is|are|appears?|looks?)\s+(?:\w+ly\s+)?$", text[: found.start]) is not None
    rest = re.sub(r"^\s*(?:left\b|right\b)?\s*", "", text[found.stop :])
    return not said_of_organ and not any(m.start == len(text) - len(rest) for m in links.mentions)
