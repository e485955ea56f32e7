"""What a sentence speaks of: organs with their sides and levels, and the findings of the abnormality dictionary."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from napari_ctvlp.anatomy.levels import find_levels
from napari_ctvlp.anatomy.lexicon import Token, tokens
from napari_ctvlp.anatomy.organs import ORGANS
from training.reports.grammar import Span, clause_at, in_one_enumeration, sentence_parts
from training.reports.sides import is_part_of, moved, on_side, one_side, only, side_words, sides_of
from training.reports.words import entries, finding_words, place_words, terms, tokens_of, unspecified

_UNEVEN = re.compile(
    r"\b(?:right|left)\s+(?:greater|larger|more|worse|>)\s*(?:than)?\s+(?:the )?(?:left|right)\b|"
    r"\b(?:larger|greater|more|worse) on the (?:left|right)\b|"
    r"\b(?:compared (?:to|with)|relative to|than)\s+(?:that of )?(?:the )?(?:left|right)(?:\s+\w+)?|"
    r"\bleft anterior descending\b|"
    r"\bright (?:atrium|ventricle|heart)\b",
    re.I,
)

_STEMS = (
    *(
        "hepat",
        "splen",
        "nephro",
        "hydroneph",
        "chole",
        "cardiom",
        "pneumo",
        "pleur",
        "pericard",
        "pancreat",
        "prostat",
    ),
    *("diverticulos", "diverticulit", "cirrho", "emphysem", "atelecta", "bronchiect", "append", "esophag", "coron"),
)
"""Beginnings of words that hold their organ in Greek or Latin: "hepatomegaly" needs no liver beside it."""

_MEASURES = {"enlarged", "large", "small", "increased", "decreased", "low", "density", "attenuation", "dilated"}

_WIDE = {"metal_implant", "hiatal_hernia", "appendicitis"}
"""Entries whose names hold an organ that is not all they touch: a hip prosthesis stands in the femur as well."""


_PAUSE = ","


@dataclass(frozen=True)
class Mention:
    """Organs named in a sentence at (start, stop), sides applied; ``both``: both sides are said."""

    start: int
    stop: int
    organs: tuple[str, ...]
    both: bool = False


@dataclass(frozen=True)
class Found:
    """A finding named in a sentence: dictionary keys it may mean (none: something abnormal); ``named``: says it all.

    ``side`` is the one said with the finding itself, "both" where it is both.
    """

    start: int
    stop: int
    words: tuple[str, ...]
    keys: tuple[str, ...]
    named: bool
    side: str | None = None


@dataclass(frozen=True)
class Links:
    """What one sentence names.

    Attributes
    ----------
    text : str
        The sentence, with comparisons of the sides blanked.
    mentions : tuple of Mention
    found : tuple of Found
        Both in the order of the text.
    parts : tuple of (start, stop)
        Its independent clauses.
    side : str, optional
        The side that all of it speaks of.
    """

    text: str
    mentions: tuple[Mention, ...]
    found: tuple[Found, ...]
    parts: tuple[Span, ...]
    side: str | None = None

    def beside(self, thing: Mention | Found) -> tuple[Mention, ...]:
        """The mentions in the clause of a mention or finding."""
        start, stop = clause_at(self.parts, thing.start)
        return tuple(m for m in self.mentions if start <= m.start < stop)


def open_to(found: Found) -> set[str]:
    """The entries that a finding may be and does not name; a denial denies them all: "no lesion"."""
    words = " ".join(found.words)
    return unspecified().get(words) or unspecified().get(words.removesuffix("s"), set())


def link(sentence: str) -> Links:
    """Find what a sentence names."""
    text = _UNEVEN.sub(lambda m: " " * len(m.group()), sentence)
    levels = list(find_levels(text))
    words = _spoken(text)
    free = [
        None if t.word == _PAUSE or any(a.start < t.stop and t.start < a.stop for a in levels) else t.word
        for t in words
    ]
    found = _with_patterns(
        text,
        [
            Found(words[h.first].start, words[h.stop - 1].stop, tuple(w for w in free[h.first : h.stop] if w), *h.value)
            for h in finding_words().find(free)
        ],
    )
    raw = [Mention(v.start, v.stop, v.organs) for v in levels if v.organs]
    for hit in place_words().find(free):
        start, stop = words[hit.first].start, words[hit.stop - 1].stop
        name = next((f for f in found if f.named and f.start <= start and stop <= f.stop), None)
        if hit.value.organs and (name is None or _narrows(hit.value.organs, name)):
            raw.append(Mention(start, stop, _whole(hit.value.organs)))
    return _sided(text, sorted(raw, key=lambda m: m.start), found)


def _spoken(text: str) -> list[Token]:
    """The words of a sentence and its pauses, over which no phrase goes: "spleen enlarged, liver normal"."""
    pauses = [Token(m.start(), m.end(), _PAUSE) for m in re.finditer(r"[,;:()]", text)]
    return sorted([*tokens(text), *pauses], key=lambda t: t.start)


def _sided(text: str, raw: Sequence[Mention], found: Sequence[Found]) -> Links:
    """Give every mention and finding its side."""
    places, named = [(m.start, m.stop) for m in raw], [(f.start, f.stop) for f in found]
    parts = sentence_parts(text, places, named)
    things = sorted({*places, *named})
    said = sides_of(text, side_words(text), things, parts)
    sides = dict(zip(things, map(only, said), strict=False))
    free = only(said[-1])
    findings = [replace(f, side=sides[f.start, f.stop] or free) for f in found]
    mentions: list[Mention] = []
    joined = _parts_joined(text, raw, sides, named)
    for k, m in enumerate(joined):
        side = sides.get((m.start, m.stop))
        if side is None and _may_take_side(m, text):
            start = clause_at(parts, m.start)[0]
            here = [t for t in mentions if t.start >= start], [f for f in findings if f.start >= start]
            listed = _as_before(m, *here) or _as_listed(text, m, joined[k + 1 :], sides)
            m = listed or _as_before(m, mentions, findings) or _on(m, free)
        mentions.append(replace(_on(m, side), both=side == "both"))
    return Links(text, tuple(mentions), tuple(findings), parts, only(set().union(*said)))


def _parts_joined(
    text: str, raw: Sequence[Mention], sides: Mapping[Span, str | None], found: Sequence[Span]
) -> list[Mention]:
    """Make one mention of "the upper lobe of" "the right lung"."""
    out: list[Mention] = []
    for m in raw:
        if out and is_part_of(text[out[-1].stop : m.start]) and not any(out[-1].stop <= a < m.start for a, _ in found):
            first, whole = (_on(x, sides.get((x.start, x.stop))) for x in (out[-1], m))
            both = tuple(o for o in first.organs if o in whole.organs)
            if both:
                out[-1] = Mention(out[-1].start, m.stop, both)
                continue
        out.append(m)
    return out


def _as_listed(text: str, m: Mention, after: Sequence[Mention], sides: Mapping[Span, str | None]) -> Mention | None:
    """On the side of what it is listed with: "the upper lobe and the middle lobe of the right lung"."""
    if not after or not in_one_enumeration(text[m.stop : after[0].start]):
        return None
    other = _on(after[0], sides.get((after[0].start, after[0].stop))).organs
    return _on(m, ORGANS[other[0]].side) if one_side(other) else None


def _as_before(m: Mention, mentions: Sequence[Mention], found: Sequence[Found]) -> Mention | None:
    """A part of what was spoken of with its side: "the left lung has a nodule in the lower lobe"."""
    named = [Mention(f.start, f.stop, on_side(reach_of(f), f.side)) for f in found if f.named and f.stop <= m.start]
    for other in sorted((*mentions, *named), key=lambda o: -o.start):
        both = tuple(o for o in m.organs if o in other.organs)
        if both and one_side(other.organs):
            return replace(m, organs=both)
        if both:
            return None
    return None


def _on(m: Mention, side: str | None) -> Mention:
    if side == "both" and one_side(m.organs):  # "left and right kidney"
        return replace(m, organs=tuple(dict.fromkeys((*moved(m.organs, "left"), *moved(m.organs, "right")))))
    return replace(m, organs=on_side(m.organs, side))


def _may_take_side(m: Mention, text: str) -> bool:
    """Whether a mention without a side may be on one, as "the kidney", unlike "the kidneys" and "the urinary tract"."""
    return not one_side(m.organs) and all(ORGANS[o].side for o in m.organs) and not _plural(text[m.start : m.stop])


def _plural(words: str) -> bool:
    return words.lower().endswith("s") and not words.lower().endswith(("ss", "us", "is"))


def reach_of(found: Found) -> tuple[str, ...]:
    """The organs that a finding's entries have; none where it has no entry."""
    return tuple(dict.fromkeys(o for k in found.keys for o in entries()[k].organs))


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], tuple[str, ...], bool], ...]:
    """Phrases with a gap: "~" stands for up to five words, none of them a denial."""
    gap = r"(?:(?!(?:not?|nor|without|never)\b)[\w/-]+,?\s+){0,5}"
    out = []
    for row in terms()["patterns"]:
        for text in row["words"]:
            source = text.replace(" ~ ", rf"\s+{gap}").replace(" ", r"\s+")
            keys = finding_words().table[row["sign"]][0] if "sign" in row else tuple(row["of"])
            out.append((re.compile(rf"\b(?:{source})\b", re.I), keys, "sign" not in row))
    return tuple(out)


def _with_patterns(text: str, found: Sequence[Found]) -> list[Found]:
    """Add what patterns find to what phrases found, unless a name is there already; mere signs give way."""
    out = list(found)
    for pattern, keys, named in _patterns():
        for match in pattern.finditer(text):
            start, stop = match.span()
            within = [f for f in out if f.start < stop and start < f.stop]
            if any(f.named or (not named and set(f.words) - _MEASURES) for f in within):
                continue
            if not named and _grown_thing(text, start, out):
                continue
            out = [f for f in out if f not in within]
            out.append(Found(start, stop, tokens_of(match.group()), keys, named))
    return sorted(out, key=lambda f: f.start)


def _grown_thing(text: str, start: int, found: Sequence[Found]) -> bool:
    """Whether what has grown or shrunk is a finding named before ("the cyst has increased in size"), not an organ."""
    return any(f.stop <= start and not re.search(r"[.;]|\band\b", text[f.stop : start]) for f in found)


def _narrows(organs: tuple[str, ...], name: Found) -> bool:
    """Whether an organ within a finding's name leaves out some of its organs: "small bowel obstruction"."""
    reach = set(reach_of(name))
    return bool(reach & set(organs)) and not reach <= set(organs) and not set(name.keys) & _WIDE


def names_organ(found: Found) -> bool:
    """Whether a finding's own words say where it is, as "renal cyst" does and "calcified granuloma" does not."""
    return bool(place_words().find(found.words)) or any(w.startswith(_STEMS) for w in found.words)


def _whole(organs: tuple[str, ...]) -> tuple[str, ...]:
    """Parts that masks do not hold stand for their organ too."""
    return tuple(dict.fromkeys(o for n in organs for o in (n, ORGANS[n].whole) if o))
