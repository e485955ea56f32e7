"""Reading a question by rule: what organs, which side, which finding, asked for or asked away.

Sentence encoders are blind to negation and nearly blind to sides (measured), so both are taken out of the text here and
put back on the answer by whoever ranks. Of several questions in one text the first is read, the others are told.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from napari_ctvlp.anatomy.asides import as_written, normal_in, quantities_in, sizes_in, stands_for, substances
from napari_ctvlp.anatomy.clauses import Clause, Negations, blanked, clauses, negations
from napari_ctvlp.anatomy.dictionary import Abnormality, load_dictionary
from napari_ctvlp.anatomy.language import foreign_words
from napari_ctvlp.anatomy.levels import Level, find_levels
from napari_ctvlp.anatomy.lexicon import Hit, Place, Token, within
from napari_ctvlp.anatomy.marks import SIDE_PHRASE, landmarks, loose_signs, words_of
from napari_ctvlp.anatomy.organs import ORGANS
from napari_ctvlp.anatomy.parsed import MAX_CHARACTERS, ParsedQuery, SideWord
from napari_ctvlp.anatomy.unread import called, core_of, meant, nothing_else, unread
from napari_ctvlp.errors import UserError

_SIDES: dict[str, SideWord] = {"left": "left", "lt": "left", "l": "left", "right": "right", "rt": "right", "r": "right"}


@dataclass(frozen=True)
class _Mention:
    """Organs named at one place of the text, before sides are applied; ``start`` and ``stop`` count characters."""

    start: int
    stop: int
    organs: tuple[str, ...]
    foreign: str | None = None
    in_name: bool = False
    """Part of a finding's own name ("hip" in "hip replacement")."""


def normalised(text: str) -> tuple[str, bool]:
    """Text in normal form KC with single spaces and no control characters, and whether it was cut.

    Raises
    ------
    UserError
        When nothing is left.
    """
    head = unicodedata.normalize("NFKC", text[: 8 * MAX_CHARACTERS])
    visible = "".join(c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else " " for c in head)
    plain = " ".join(visible.split())
    if not plain:
        raise UserError("Type a question first.")
    cut = len(plain) > MAX_CHARACTERS or len(text) > 8 * MAX_CHARACTERS
    if len(plain) > MAX_CHARACTERS:
        end = plain.rfind(" ", 0, MAX_CHARACTERS + 1)
        plain = plain[: end if end > 0 else MAX_CHARACTERS]
    return plain, cut


def parse_query(
    text: str, dictionary: Sequence[Abnormality] | None = None, first: Sequence[Abnormality] = ()
) -> ParsedQuery:
    """Read a question.

    A negation and a side belong to their clause, a side within it to the nearest organ. Of several clauses the first
    that says anything is read, and the others are ``unanswered``.

    Parameters
    ----------
    text : str
        Anything a person may type.
    dictionary : sequence of Abnormality, optional
        The findings to recognise; the built-in dictionary by default.
    first : sequence of Abnormality, optional
        More of them, whose names are looked for before all others (the user's own).

    Raises
    ------
    UserError
        When there is no text.
    """
    entries = (*first, *(dictionary if dictionary is not None else load_dictionary()))
    plain, truncated = normalised(text)
    if other := foreign_words(plain):
        return ParsedQuery(plain, plain, (), None, False, (), truncated=truncated, not_english=other)
    written = plain.replace("_", " ")
    found = negations(written)
    made = clauses(written, found, landmarks(written, found, entries, first))
    asked, query = 0, _read(made[0].of(found.text), entries, tuple(first))
    if len(made) > 1 and not (query.abnormalities or query.elsewhere):  # rather a finding that is known
        read = [_read(c.of(found.text), entries, tuple(first)) for c in made]
        known = [i for i, q in enumerate(read) if q.abnormalities or q.elsewhere]
        asked = next(iter([*known, *(i for i, q in enumerate(read) if q.recognised)]), 0)
        query = read[asked]
    core = query.core
    left = tuple(_said(written, found, c) for i, c in enumerate(made) if i != asked)
    return replace(
        query,
        text=plain,
        core=core or plain,
        negated=bool(made[asked].negated and core),
        truncated=truncated,
        unanswered=tuple(dict.fromkeys(text for text in left if text)),
        sizes=as_written(written, sizes_in(written, bool(query.abnormalities))),
        quantities=as_written(written, quantities_in(written)),
        normality=query.normality or (not query.recognised and bool(normal_in(written))),
    )


def _said(text: str, found: Negations, clause: Clause) -> str:
    """A clause as written, with the negation that stands before it."""
    start = min([clause.start, *(n.start for n in found.forward if n.start <= clause.start <= n.stop)])
    return text[start : clause.stop].strip(" ,;.?!&/()")


def _read(working: str, entries: tuple[Abnormality, ...], first: tuple[Abnormality, ...]) -> ParsedQuery:
    """Read one clause, negations taken out of it."""
    levels = list(find_levels(working))
    working, side_hits = blanked(SIDE_PHRASE, working)
    sides = [(m.start(), _side_of(m)) for m in side_hits]
    seen = words_of(working, levels, entries, first)
    found, outside, words, rare = seen.found, seen.outside, seen.words, seen.rare
    names = seen.names
    mentions = _mentions(seen.places, found, levels, names)
    reach = {o for hit in names for key in hit.value for o in words.entries[key].organs}
    mentions = [
        replace(m, organs=tuple(o for o in ORGANS if o in reach)) if m.in_name and reach & set(m.organs) else m
        for m in mentions
    ]
    located = [_with_side(m, i, mentions, sides) for i, m in enumerate(mentions)]
    organs = [o for m in located for o in m]
    signs = loose_signs(seen)
    own = [p for p in seen.places if p.value.organs and not within(p, names)]
    every, signs = signs, meant(signs, outside, own, names) if organs else signs

    foreign = tuple(dict.fromkeys(m.foreign for m in mentions if m.foreign))
    keys = [key for hit in names for key in hit.value]
    amounts = [*sizes_in(working), *quantities_in(working)]
    told = ["" if any(s.start <= t.start < s.stop for s in amounts) else w for t, w in zip(found, outside, strict=True)]
    alone: tuple[str, ...] = ()
    if organs:
        here = set(organs)
        signs = [s for s in signs if any(here & set(words.entries[k].organs) for k in s.value)]
        keys += [k for s in signs for k in s.value if here & set(words.entries[k].organs)]
    elif keys:
        signs = [s for s in signs if set(s.value) & set(keys)]
    elif not foreign and not rare:
        alone = substances(outside, signs)
        bare = nothing_else([w for w in told if w not in alone] if not signs else told, [*signs, *seen.places])
        alone = alone if bare else ()
        keys += [] if alone or not bare else [k for s in signs for k in s.value]
    keys = list(dict.fromkeys(keys))

    side = _overall([s for _, s in sides])
    organs = _joined(organs, located, [words.entries[k] for k in keys], side)
    rare = [] if organs or keys or foreign else rare
    left = unread(found, told, [*names, *seen.places, *signs], every, working)
    stand = {k: w for k, w in stands_for(signs, outside, words.entries) if k in keys}
    return ParsedQuery(
        text=working,
        core=core_of(working, found),
        organs=tuple(dict.fromkeys(organs)),
        side=side,
        negated=False,
        abnormalities=tuple(keys),
        foreign=foreign,
        unread=left,
        narrower=called(names, outside, words.entries, lambda entry: entry.narrower),
        related=(*called(names, outside, words.entries, lambda entry: entry.related), *stand.items()),
        by_name=tuple(dict.fromkeys(key for hit in names for key in hit.value)),
        elsewhere=tuple(dict.fromkeys(working[found[h.first].start : found[h.stop - 1].stop] for h in rare)),
        candidates=tuple(dict.fromkeys(_on_side((o for h in rare for o in h.value), side))),
        normality=bool(not keys and not rare and normal_in(working)),
        beside=_beside(mentions, located, [words.entries[k] for k in keys]),
        unspecific=alone,
        idle=not (keys or organs or rare or foreign or alone or left) and nothing_else(told, seen.places),
    )


def suggestions(dictionary: Sequence[Abnormality] | None = None) -> tuple[str, ...]:
    """Words for a query line to complete: organs as people call them, then findings."""
    entries = dictionary if dictionary is not None else load_dictionary()
    return tuple(dict.fromkeys([*(o.display for o in ORGANS.values()), *(a.name for a in entries)]))


def _side_of(match: re.Match[str]) -> SideWord:
    word = next((g for g in match.groups() if g), "both").lower()
    return _SIDES.get(word, "both")


def _overall(sides: Sequence[SideWord]) -> SideWord | None:
    kinds = set(sides)
    if not kinds:
        return None
    return kinds.pop() if len(kinds) == 1 else "both"


def _mentions(
    hits: Sequence[Hit[Place]], found: Sequence[Token], levels: Iterable[Level], names: Sequence[Hit[tuple[str, ...]]]
) -> list[_Mention]:
    """Organs and foreign structures in the order of the text; what a narrower mention makes idle is dropped."""
    mentions = [_Mention(level.start, level.stop, level.organs, level.foreign) for level in levels]
    for hit in hits:
        within = any(n.first <= hit.first and hit.stop <= n.stop for n in names)
        if hit.value.foreign and within:  # "degenerative disc disease" is a finding, not a wish to see a disc
            continue
        start, stop = found[hit.first].start, found[hit.stop - 1].stop
        mentions.append(_Mention(start, stop, hit.value.organs, hit.value.foreign, within))
    mentions.sort(key=lambda m: m.start)
    return [m for m in mentions if not any(set(o.organs) and set(o.organs) < set(m.organs) for o in mentions)]


def _with_side(
    mention: _Mention, index: int, mentions: Sequence[_Mention], sides: Sequence[tuple[int, SideWord]]
) -> tuple[str, ...]:
    """The mention's organs on the side that the text says; organs without a side stay."""
    side = _overall([s for _, s in sides])
    if len({s for _, s in sides}) > 1:
        before = mentions[index - 1].stop if index else -1
        after = mentions[index + 1].start if index + 1 < len(mentions) else 1 << 30
        near = [s for at, s in sides if before <= at < mention.start] or [
            s for at, s in sides if mention.stop <= at < after
        ]
        side = _overall(near)
    return tuple(_on_side(mention.organs, side))


def _on_side(organs: Iterable[str], side: SideWord | None) -> Iterator[str]:
    organs = tuple(organs)
    kept = [o for o in organs if side in (None, "both") or ORGANS[o].side in (None, side)]
    yield from kept or organs  # "left lobe of the liver" and "left middle lobe" must not end up with nothing


def _beside(
    mentions: Sequence[_Mention], located: Sequence[tuple[str, ...]], entries: Sequence[Abnormality]
) -> tuple[str, ...]:
    """Organs outside the finding's name in which it is not looked for."""
    reach = {o for e in entries for o in e.organs}
    groups = [group for m, group in zip(mentions, located, strict=True) if not m.in_name and not reach & set(group)]
    return tuple(dict.fromkeys(o for group in groups for o in group)) if entries else ()


def _joined(
    organs: list[str], located: Sequence[tuple[str, ...]], entries: Sequence[Abnormality], side: SideWord | None
) -> list[str]:
    """Organs named, narrowed to where the finding can be, or those that the finding implies."""
    if not entries:
        return organs
    reach = {o for e in entries for o in e.organs}
    if organs:
        if not reach & set(organs):
            return [*_on_side(entries[0].organs, side), *organs] if len(entries) == 1 else organs
        return [o for group in located for o in (group if not reach & set(group) else [g for g in group if g in reach])]
    families = {ORGANS[o].group for o in reach if o in ORGANS}
    if (len(entries) == 1 and len(families) == 1) or len(reach) == 1:
        return list(_on_side([o for e in entries for o in e.organs], side))
    return organs
