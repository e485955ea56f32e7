"""Which organs a finding speaks of: those of its own phrase, of its clause, and only then of its neighbours.

In order: the organ before it in one phrase ("left kidney stone"); the one that its own words lead to ("stone in the
left kidney"); the subject of its clause ("the left kidney contains a stone"); the place of a list that it belongs to
("stone and cyst in the left kidney"); any other place of its clause; then the clauses before and after.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property

from training.reports.grammar import (
    clause_at,
    in_one_breath,
    in_one_enumeration,
    in_one_list,
    in_one_phrase,
    is_predicate,
    leads_to_place,
    leads_to_place_after_comma,
)
from training.reports.link import Found, Links, Mention, reach_of
from training.reports.sides import one_side

Mentions = tuple[Mention, ...]


class Attachment:
    """The places of the findings of one sentence."""

    def __init__(self, links: Links) -> None:
        self.links, self.text = links, links.text

    def places(self, index: int, reach: Collection[str], own: bool = False) -> Mentions:
        """The mentions that hold a finding's organs (any organ where ``reach`` is empty), in its own clause.

        With ``own`` only those of its own phrase and list: "bilateral pleural effusions" need no other place.
        """
        found = self.links.found[index]
        fit = [m for m in self.links.beside(found) if not reach or set(reach) & set(m.organs)]
        if not fit:
            return ()
        if own:
            return _narrowest(self._own(found, fit) or self._of_list(index, fit), fit)
        ways = (
            lambda: self._own(found, fit),
            lambda: self._subject(found, fit, strict=True),
            lambda: self._of_list(index, fit),
            lambda: self._after_comma(found, fit),
            lambda: self._subject(found, fit, strict=False),
            lambda: self._nearest(found, fit),
        )
        return next((_narrowest(mentions, fit) for mentions in (way() for way in ways) if mentions), ())

    def directly(self, index: int) -> Mentions:
        """The mentions that a finding is told of by its own phrase or as what its clause says of its subject."""
        found = self.links.found[index]
        every = self.links.beside(found)
        return _narrowest(self._own(found, every) or self._subject(found, every, strict=True), every)

    def listed(self, index: int) -> bool:
        """Whether a finding stands in a list with the one before it."""
        before, found = self.links.found[index - 1], self.links.found[index]
        return index > 0 and in_one_list(self.text[before.stop : found.start])

    def neighbours(self, index: int, reach: Collection[str], later: bool) -> Mentions:
        """The mentions of the nearest clause before, with ``later`` also of one after."""
        start, stop = clause_at(self.links.parts, self.links.found[index].start)
        fit = [m for m in self.links.mentions if not reach or set(reach) & set(m.organs)]
        before, after = [m for m in fit if m.start < start], [m for m in fit if m.start >= stop]
        chosen, at = (before, -1) if before else (after if later else [], 0)
        if not chosen:
            return ()
        clause = clause_at(self.links.parts, chosen[at].start)
        near = tuple(m for m in chosen if clause_at(self.links.parts, m.start) == clause)
        return _narrowest(near, near)

    def _own(self, found: Found, fit: Sequence[Mention]) -> Mentions:
        """In the phrase of the finding, before or after it."""
        within = tuple(m for m in fit if found.start < m.stop and m.start < found.stop)
        if within:
            return within
        before, after = [m for m in fit if m.stop <= found.start], [m for m in fit if m.start >= found.stop]
        owner: Mentions = ()
        if before and in_one_phrase(self.text[before[-1].stop : found.start]):
            owner = self._listed(before, -1)
        if after and not self._between(found.stop, after[0].start):
            gap, predicate = self.text[found.stop : after[0].start], is_predicate(self.text[: found.start])
            part = not owner or {*_organs(owner)} > {*after[0].organs}  # "left lung opacity in the lower lobe"
            if part and leads_to_place(gap, predicate):
                return self._listed(after, 1)
        return owner

    def _after_comma(self, found: Found, fit: Sequence[Mention]) -> Mentions:
        after = [m for m in fit if m.start >= found.stop]
        if not after or self._between(found.stop, after[0].start):
            return ()
        leads = leads_to_place_after_comma(self.text[found.stop : after[0].start])
        return self._listed(after, 1) if leads else ()

    def _subject(self, found: Found, fit: Sequence[Mention], strict: bool) -> Mentions:
        """What stands before the finding and is not the place of another; ``strict``: in one breath with it."""
        before = [m for m in fit if m.stop <= found.start]
        free = [m for m in before if m not in self._taken] or before
        if not free:
            return ()
        gap = self.text[free[-1].stop : found.start]
        if strict and not in_one_breath(gap):
            return ()
        return self._listed(free, -1)

    def _of_list(self, index: int, fit: Sequence[Mention]) -> Mentions:
        """Where the other members of its list are."""
        found = self.links.found
        for step in (1, -1):
            at = index
            while 0 <= at + step < len(found):
                first, second = sorted((at, at + step))
                gap = self.text[found[first].stop : found[second].start]
                if self._mentioned(found[first].stop, found[second].start) or not in_one_list(gap):
                    break
                at += step
                mentions = self._own(found[at], fit)
                if mentions and (step < 0 or mentions[0].start >= found[at].start):
                    return mentions
        return ()

    def _nearest(self, found: Found, fit: Sequence[Mention]) -> Mentions:
        before = [m for m in fit if m.stop <= found.start]
        return self._listed(before, -1) if before else self._listed([m for m in fit if m.start >= found.start], 1)

    def _listed(self, mentions: Sequence[Mention], step: int) -> Mentions:
        """The first of some mentions, or the last where ``step`` is -1, with those that are listed with it."""
        order = mentions[::step]
        out = list(order[:1])
        for m in order[1:]:
            first, second = (out[-1], m) if step > 0 else (m, out[-1])
            gap = self.text[first.stop : second.start]
            listed = not gap.strip() or in_one_enumeration(gap)
            if not listed or self._between(first.stop, second.start) or self._claimed(m, step):
                break
            out.append(m)
        return tuple(out)

    def _claimed(self, mention: Mention, step: int) -> bool:
        """Whether a mention opens the phrase of a later finding: "and left lower lobe consolidation"."""
        later = next((f for f in self.links.found if f.start >= mention.stop), None)
        return step > 0 and later is not None and in_one_phrase(self.text[mention.stop : later.start])

    def _between(self, start: int, stop: int) -> bool:
        return any(start <= f.start < stop for f in self.links.found)

    def _mentioned(self, start: int, stop: int) -> bool:
        return any(start <= m.start < stop for m in self.links.mentions)

    @cached_property
    def _taken(self) -> frozenset[Mention]:
        """The mentions that some finding's own words lead to."""
        return frozenset(
            m
            for f in self.links.found
            for m in self._own(f, [m for m in self.links.beside(f) if not f.keys or set(reach_of(f)) & set(m.organs)])
        )


def _organs(mentions: Sequence[Mention]) -> tuple[str, ...]:
    return tuple(o for m in mentions for o in m.organs)


def _narrowest(mentions: Mentions, others: Sequence[Mention]) -> Mentions:
    """Mentions with, in the place of one that holds all of others, those: "the left lower lobe" for "the lungs"."""
    out = []
    for m in mentions:
        parts = [o for o in others if set(o.organs) < set(m.organs)]
        if m.both and one_side(_organs(parts)):  # a stone in both kidneys, and the largest in the right one
            parts = []
        out += [o for o in parts if not any(set(p.organs) < set(o.organs) for p in parts)] or [m]
    return tuple(dict.fromkeys(out))
