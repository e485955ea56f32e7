"""Reading a report: what it states of which organ, in which sentence."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from napari_ctvlp.anatomy.schemes import V2_NAMES
from training.reports.cues import clause_of, clauses, is_past, looks_back, polarity, reason_at, says_normal
from training.reports.labels import UNKNOWN, OrganLabel, Polarity, Statement, labels_of
from training.reports.link import Found, Links, Mention, entries, link, names_organ, on_side, tokens_of
from training.reports.split import Line, sentences

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
    heading = tuple(o for m in link(line.heading).mentions for o in m.organs) if line.heading else ()
    spans, prior = clauses(text), looks_back(text)
    ill: set[str] = set()
    for index, found in enumerate(links.found):
        clause = clause_of(spans, found.start)
        past = is_past(text, clause, found.start) and not _REMAINS & set(found.keys)
        if past or _mere_size(found, text, links):
            continue
        where = polarity(text, clause, found.start, found.stop)
        for key, organs in _located(found, index, links, heading, last, spans):
            ill |= set(organs) if where in ("present", "uncertain") else set()
            yield from _each(organs, where, key, text, prior)
    for start, stop in spans:
        if not says_normal(text[start:stop]):
            continue
        named = [o for m in links.mentions if start <= m.start < stop for o in m.organs]
        named = named or (list(heading) if line.own or not links.mentions else [])
        yield from _each([o for o in named if o not in ill], "normal", None, text, prior)


def _without_reason(links: Links, at: int) -> Links:
    """Leave out organs that only a reason names: "no obstruction, as there is contrast within the colon"."""
    if any(f.start >= at for f in links.found):
        return links
    return replace(links, mentions=tuple(m for m in links.mentions if m.start < at))


def _each(organs: Iterable[str], how: Polarity, key: str | None, text: str, prior: bool) -> Iterator[Statement]:
    for organ in dict.fromkeys(organs):
        yield Statement(organ, how, key, text, prior)


def _located(
    found: Found,
    index: int,
    links: Links,
    heading: tuple[str, ...],
    last: tuple[str, ...],
    spans: Sequence[tuple[int, int]],
) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    """(key, organs) of a finding: the entries that it can mean where it stands."""
    reach = {o for k in found.keys for o in entries()[k].organs}
    mentions = _own(found, index, links, reach, spans)
    here = tuple(o for m in mentions for o in m.organs)
    if not here and not (found.named and names_organ(found)):
        beside = tuple(o for m in _own(found, index, links, set(), spans) for o in m.organs)
        beside = beside or (heading if found.named and not reach & set(heading) else ())
        if beside:
            yield from _misfit(found, beside)
            return
    if not here and not found.named and not links.mentions and not any(f.named for f in links.found):
        here = tuple(o for o in heading if o in reach or not reach) or on_side(
            tuple(o for o in last if o in reach or not reach), _side_near(found, index, links)
        )
    if not here and found.named and heading and reach & set(heading) and len(reach) > 1:
        here = tuple(o for o in on_side(heading, _side_near(found, index, links)) if o in reach)
    if not found.keys:
        if here:
            yield None, here
        return
    if here:
        keys = [k for k in found.keys if set(entries()[k].organs) & set(here)]
        keys.sort(key=lambda k: -len(set(found.words) & set(k.split("_"))))
        left = list(here)
        for key in keys:  # "plaques in the aorta and the coronary arteries" are two entries, one for each
            own = tuple(o for o in left if o in entries()[key].organs)
            left = [o for o in left if o not in own]
            if own:
                yield key, own
    elif found.named:
        side = _side_near(found, index, links)
        yield found.keys[0], on_side(entries()[found.keys[0]].organs, side)


def _misfit(found: Found, here: tuple[str, ...]) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    """A finding beside organs that its entries do not have: another entry's sign, or something without an entry.

    "Calcified granuloma" is a lung's where nothing else is said, and the liver's in "the liver contains one".
    """
    for entry in entries().values():
        fit = tuple(o for o in here if o in entry.organs)
        if fit and any(set(tokens_of(sign)) <= set(found.words) for sign in entry.signs):
            yield entry.key, fit
            return
    if not found.named:
        yield None, here


def _mere_size(found: Found, text: str, links: Links) -> bool:
    """Whether "small" or "large" tells the size of something else than an organ."""
    if found.named or not set(found.words) <= _SIZES:
        return False
    said_of_organ = re.search(r"\b(?:is|are|appears?|looks?)\s+(?:\w+ly\s+)?$", text[: found.start]) is not None
    rest = re.sub(r"^\s*(?:left\b|right\b)?\s*", "", text[found.stop :])
    return not said_of_organ and not any(m.start == len(text) - len(rest) for m in links.mentions)


def _own(
    found: Found, index: int, links: Links, reach: set[str], spans: Sequence[tuple[int, int]]
) -> tuple[Mention, ...]:
    """The mentions that say where a finding is: after it, else before it, else anywhere in its clause or sentence."""
    fit = [m for m in links.mentions if not reach or reach & set(m.organs)]
    fit = [m for m in fit if not any(set(o.organs) < set(m.organs) for o in fit)]
    before = links.found[index - 1].stop if index else 0
    after = links.found[index + 1].start if index + 1 < len(links.found) else 1 << 30
    clause = clause_of(spans, found.start)
    for low, high in ((found.start, after), (before, found.stop), clause, (0, 1 << 30)):
        own = tuple(m for m in fit if low <= m.start < high)
        if own:
            return own
    return ()


def _side_near(found: Found, index: int, links: Links) -> str | None:
    """The side said with a finding that has no organ beside it."""
    before = links.found[index - 1].stop if index else 0
    after = links.found[index + 1].start if index + 1 < len(links.found) else 1 << 30
    near = {s for at, s in links.sides if before <= at < found.stop} or {
        s for at, s in links.sides if found.stop <= at < after
    }
    near = near or {s for _, s in links.sides}
    return near.pop() if len(near) == 1 else None
