"""Reading a question by rule: what organs, which side, which finding, asked for or asked away.

Sentence encoders are blind to negation and nearly blind to sides (measured), so both are taken out of the text here and
put back on the answer by whoever ranks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from napari_ctvlp.anatomy.dictionary import Abnormality, load_dictionary
from napari_ctvlp.anatomy.levels import Level, find_levels
from napari_ctvlp.anatomy.lexicon import (
    Hit,
    Place,
    Token,
    corrected,
    elsewhere,
    findings,
    longer_of,
    places,
    tokens,
    within,
)
from napari_ctvlp.anatomy.organs import ORGANS
from napari_ctvlp.anatomy.parsed import MAX_CHARACTERS, ParsedQuery, SideWord
from napari_ctvlp.anatomy.unread import core_of, meant, narrower, nothing_else, unread
from napari_ctvlp.errors import UserError

_NEGATION = re.compile(
    r"\b(?:(?:there\s+)?(?:is|are|was|were)\s+)?(?:"
    r"no\s+(?:evidence|signs?|indications?|suspicion|features?|history)\s+(?:of|for)(?:\s+(?:any|an?))?"
    r"|(?:no|without|w/o)\s+(?:any|an?)\b|no(?!\s*\.?\s*\d)(?!\s+doubt)|without|w/o"
    r"|not(?!\s+(?:only|sure|normal))(?:\s+(?:an?|any|the))?|isn['’]?t|aren['’]?t|hasn['’]?t|doesn['’]?t(?:\s+have)?"
    r"|(?:absence|lack)\s+of(?:\s+(?:any|an?))?|(?<!surgically )(?<!gallbladder )absent(?! gall)"
    r"|free\s+of|free\s+from|negative\s+for|never|neither|nor|lacks?|lacking"
    r")(?![\w])",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(?:rule\s+out|r/o|exclude|question\s+of|query|suspicion\s+of|suspected|(?:evidence|signs?)\s+of)\b", re.I
)
_SIDE_PHRASE = re.compile(
    r"\b(?:(?:on|at|to|in)\s+)?(?:(?:the|my|his|her|their)\s+)?(left|right)(?:[- ]?hand)?(?:ed)?[- ]?side[ds]?\b"
    r"|\b(?:on|at|to)\s+(?:the\s+)?(left|right)(?=\s*(?:$|[^\w\s]|(?:of|in|on|at|and|with|is|are)\b))"
    r"|\b(?:on|at|to|in)\s+both\s+sides\b"
    r"|\b(left|right|lt|rt|bilateral(?:ly)?|both|either|[lr](?=\s+[^\W\d_]{3}))(?![\w'’])",
    re.IGNORECASE,
)
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

    One negation turns the whole question; sides belong to the nearest organ when a text holds both.

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
    working = plain.replace("_", " ")
    working, negations = _blank(_NEGATION, working)
    working = re.sub(r"\bnot normal\b", "  abnormal", working, flags=re.I)
    working, _ = _blank(_DOUBT, working)
    levels = list(find_levels(working))
    working, side_hits = _blank(_SIDE_PHRASE, working)
    sides = [(m.start(), _side_of(m)) for m in side_hits]
    found = [Token(t.start, t.stop, corrected(t.word, entries)) for t in tokens(working)]
    outside = [None if any(a.start < t.stop and t.start < a.stop for a in levels) else t.word for t in found]

    words = findings(entries)
    named = findings(tuple(first)).names.find(outside)
    taken = {i for hit in named for i in range(hit.first, hit.stop)}
    rest = [None if i in taken else w for i, w in enumerate(outside)]
    entered, rare = longer_of(words.names.find(rest), elsewhere().find(rest))
    names = [*named, *entered]
    place_hits = [p for p in places().find(outside) if not within(p, rare)]
    mentions = _mentions(place_hits, found, levels, names)
    reach = {o for hit in names for key in hit.value for o in words.entries[key].organs}
    mentions = [
        replace(m, organs=tuple(o for o in ORGANS if o in reach)) if m.in_name and reach & set(m.organs) else m
        for m in mentions
    ]
    located = [_with_side(m, i, mentions, sides) for i, m in enumerate(mentions)]
    organs = [o for m in located for o in m]
    signs = words.signs.find(outside)
    longer = [p for p in place_hits if p.value.organs and p.stop - p.first > 1]  # a "mitral valve" is no finding
    signs = [s for s in signs if not within(s, [*names, *rare, *longer])]
    own = [p for p in place_hits if p.value.organs and not within(p, names)]
    every, signs = signs, meant(signs, outside, own, names) if organs else signs

    foreign = tuple(dict.fromkeys(m.foreign for m in mentions if m.foreign))
    keys = [key for hit in names for key in hit.value]
    if organs:
        here = set(organs)
        signs = [s for s in signs if any(here & set(words.entries[k].organs) for k in s.value)]
        keys += [k for s in signs for k in s.value if here & set(words.entries[k].organs)]
    elif signs and not keys and not foreign and nothing_else(outside, [*signs, *place_hits]):
        keys += [k for s in signs for k in s.value]
    keys = list(dict.fromkeys(keys))

    core = core_of(working, found)
    side = _overall([s for _, s in sides])
    organs = _joined(organs, located, [words.entries[k] for k in keys], side)
    rare = [] if organs or keys or foreign else rare
    return ParsedQuery(
        text=plain,
        core=core or plain,
        organs=tuple(dict.fromkeys(organs)),
        side=side,
        negated=bool(negations and core),
        abnormalities=tuple(keys),
        foreign=foreign,
        truncated=truncated,
        unread=unread(found, outside, [*names, *place_hits, *signs], every, working),
        narrower=narrower(names, outside, words.entries),
        by_name=tuple(dict.fromkeys(key for hit in names for key in hit.value)),
        elsewhere=tuple(dict.fromkeys(working[found[h.first].start : found[h.stop - 1].stop] for h in rare)),
        candidates=tuple(dict.fromkeys(_on_side((o for h in rare for o in h.value), side))),
    )


def suggestions(dictionary: Sequence[Abnormality] | None = None) -> tuple[str, ...]:
    """Words for a query line to complete: organs as people call them, then findings."""
    entries = dictionary if dictionary is not None else load_dictionary()
    return tuple(dict.fromkeys([*(o.display for o in ORGANS.values()), *(a.name for a in entries)]))


def _blank(pattern: re.Pattern[str], text: str) -> tuple[str, list[re.Match[str]]]:
    """Text with every match replaced by as many spaces, so that positions stay, and the matches."""
    hits = list(pattern.finditer(text))
    for m in hits:
        text = text[: m.start()] + " " * (m.end() - m.start()) + text[m.end() :]
    return text, hits


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
