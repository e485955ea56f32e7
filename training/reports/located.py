"""The organs and the entry of a finding: where it stands, or, where its sentence names no organ, from around it."""

from __future__ import annotations

from collections.abc import Iterable

from training.reports.attach import Attachment
from training.reports.grammar import clause_at
from training.reports.link import Found, Links, Mention, names_organ, reach_of
from training.reports.sides import moved, on_side
from training.reports.words import entries, signs


class Located:
    """The organs of the findings of one sentence."""

    def __init__(self, links: Links, heading: tuple[str, ...], last: tuple[str, ...]) -> None:
        self.links, self.heading, self.last = links, heading, last
        self.attachment = Attachment(links)

    def of(self, index: int) -> list[tuple[str | None, tuple[str, ...]]]:
        """(key, organs) of a finding: the entries that it can mean where it stands."""
        found = self.links.found[index]
        reach = reach_of(found)
        says_place = found.named and names_organ(found)
        here = _organs(self.attachment.places(index, reach, own=says_place and found.side is not None))
        if not here and not says_place:
            misfit = _organs(self.attachment.directly(index))
            if misfit:
                return _misfit(found, moved(misfit, found.side))
        if not here and not found.named:
            beside = self._of_named(index)
            here = tuple(o for o in beside if not reach or o in reach)
            if beside and not here and not self.attachment.listed(index):
                return _misfit(found, moved(beside, found.side))
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

    def _of_named(self, index: int) -> tuple[str, ...]:
        """The organs of what is named before in the same clause: "left hydronephrosis with a stone"."""
        start = clause_at(self.links.parts, self.links.found[index].start)[0]
        before = [f for f in self.links.found[:index] if f.start >= start and f.named and names_organ(f)]
        return on_side(reach_of(before[-1]), before[-1].side) if before else ()

    def _from_outside(self, index: int, reach: tuple[str, ...]) -> tuple[str, ...]:
        """The organs of a finding that its sentence names none for: those of what is named before, of the heading."""
        found, links = self.links.found[index], self.links
        if found.named:
            return tuple(o for o in self.heading if o in reach) if len(reach) > 1 else ()
        if links.mentions or any(f.named for f in links.found):
            return ()
        for organs in (self.heading, self.last):
            fit = tuple(o for o in organs if o in reach or not reach)
            if fit:
                return on_side(fit, links.side)
        return ()


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
