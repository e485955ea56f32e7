"""What a sentence speaks of: organs with their sides and levels, and the findings of the abnormality dictionary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from napari_ctvlp.anatomy.dictionary import Abnormality, load_dictionary
from napari_ctvlp.anatomy.levels import find_levels
from napari_ctvlp.anatomy.lexicon import Phrases, Place, findings, phrase, places, tokens
from napari_ctvlp.anatomy.organs import GROUPS, ORGANS

_SIDE = re.compile(r"\b(left|right|lt|rt|bilateral(?:ly)?|both)(?:[- ]?sided)?\b", re.I)
_UNEVEN = re.compile(
    r"\b(?:right|left)\s+(?:greater|larger|more|worse|>)\s*(?:than)?\s+(?:the )?(?:left|right)\b|"
    r"\b(?:larger|greater|more|worse) on the (?:left|right)\b|\bleft anterior descending\b|"
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


@dataclass(frozen=True)
class Mention:
    """Organs named in a sentence at (start, stop), sides applied."""

    start: int
    stop: int
    organs: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """A finding named in a sentence: dictionary keys it may mean (none: something abnormal); ``named``: says it all."""

    start: int
    stop: int
    words: tuple[str, ...]
    keys: tuple[str, ...]
    named: bool


@dataclass(frozen=True)
class Links:
    """Mentions and findings of one sentence, each in the order of the text, and its words for sides."""

    mentions: tuple[Mention, ...]
    found: tuple[Found, ...]
    sides: tuple[tuple[int, str], ...]


@cache
def _terms() -> dict[str, Any]:
    text = Path(__file__).with_name("terms.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return data


@cache
def entries() -> dict[str, Abnormality]:
    """The built-in abnormality dictionary by key."""
    return {a.key: a for a in load_dictionary()}


@cache
def _place_words() -> Phrases[Place]:
    own = [(text, Place(_members(names))) for text, names in _terms()["places"].items()]
    table = places()
    return Phrases([*own, *table.table.items()])


def _members(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(o for n in names for o in GROUPS.get(n, (n,))))


@cache
def _finding_words() -> Phrases[tuple[tuple[str, ...], bool]]:
    """Names before signs, the entry that a phrase is the very name of before others, mere abnormality last.

    A sign of the reports (``signs`` in terms.yaml) is one of each of its entries, beside those of the dictionary.
    """
    words = findings(load_dictionary())
    own = [(text, key) for key, texts in _terms()["findings"].items() for text in texts]
    exact = {phrase(t): a.key for a in load_dictionary() for t in (a.name, a.key.replace("_", " "))}
    table: dict[str, tuple[tuple[str, ...], bool]] = {phrase(text): ((key,), True) for text, key in own}
    for text, keys in words.names.table.items():
        table.setdefault(text, ((exact[text],) if text in exact else keys, True))
    signs: dict[str, list[str]] = {text: list(keys) for text, keys in words.signs.table.items()}
    for group in _terms()["signs"]:
        for text in group["words"]:
            signs.setdefault(phrase(text), []).extend(group["of"])
    for text, meant in signs.items():
        table.setdefault(text, (tuple(dict.fromkeys(meant)), False))
    for text in _terms()["abnormal"]:
        table.setdefault(phrase(text), ((), False))
    return Phrases(table.items())


def link(sentence: str) -> Links:
    """Find what a sentence names."""
    text = _UNEVEN.sub(lambda m: " " * len(m.group()), sentence)
    sides = tuple((m.start(), _side(m[1])) for m in _SIDE.finditer(text))
    levels = list(find_levels(text))
    words = tokens(text)
    free = [None if any(a.start < t.stop and t.start < a.stop for a in levels) else t.word for t in words]
    found = _with_patterns(
        text,
        [
            Found(words[h.first].start, words[h.stop - 1].stop, tuple(w for w in free[h.first : h.stop] if w), *h.value)
            for h in _finding_words().find(free)
        ],
    )
    raw = [Mention(v.start, v.stop, v.organs) for v in levels if v.organs]
    for hit in _place_words().find(free):
        start, stop = words[hit.first].start, words[hit.stop - 1].stop
        name = next((f for f in found if f.named and f.start <= start and stop <= f.stop), None)
        if hit.value.organs and (name is None or _narrows(hit.value.organs, name)):
            raw.append(Mention(start, stop, _whole(hit.value.organs)))
    raw.sort(key=lambda m: m.start)
    mentions = tuple(Mention(m.start, m.stop, on_side(m.organs, _near(m, raw, sides))) for m in raw)
    return Links(mentions, tuple(found), sides)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], tuple[str, ...], bool], ...]:
    """Phrases with a gap: "~" stands for up to five words, none of them a denial."""
    gap = r"(?:(?!(?:not?|nor|without|never)\b)[\w/-]+,?\s+){0,5}"
    out = []
    for row in _terms()["patterns"]:
        for text in row["words"]:
            source = text.replace(" ~ ", rf"\s+{gap}").replace(" ", r"\s+")
            keys = _finding_words().table[row["sign"]][0] if "sign" in row else tuple(row["of"])
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
    reach = {o for k in name.keys for o in entries()[k].organs}
    return bool(reach & set(organs)) and not reach <= set(organs) and not set(name.keys) & _WIDE


def names_organ(found: Found) -> bool:
    """Whether a finding's own words say where it is, as "renal cyst" does and "calcified granuloma" does not."""
    return bool(_place_words().find(found.words)) or any(w.startswith(_STEMS) for w in found.words)


@cache
def tokens_of(text: str) -> tuple[str, ...]:
    """The folded words of a phrase."""
    return tuple(t.word for t in tokens(text))


def _whole(organs: tuple[str, ...]) -> tuple[str, ...]:
    """Parts that masks do not hold stand for their organ too."""
    return tuple(dict.fromkeys(o for n in organs for o in (n, ORGANS[n].whole) if o))


def _side(word: str) -> str:
    return {"lt": "left", "rt": "right", "left": "left", "right": "right"}.get(word.lower(), "both")


def _near(mention: Mention, mentions: Sequence[Mention], sides: Sequence[tuple[int, str]]) -> str | None:
    """The side that goes with a mention: said since the mention before it, or up to the one after it."""
    before = max((m.stop for m in mentions if m.stop <= mention.start), default=0)
    after = min((m.start for m in mentions if m.start >= mention.stop), default=1 << 30)
    near = {s for at, s in sides if before <= at < mention.start} or {
        s for at, s in sides if mention.stop <= at < after and at - mention.stop < 30
    }
    if not near and len({s for _, s in sides}) == 1:
        near = {sides[0][1]}
    return near.pop() if len(near) == 1 else None


def on_side(organs: Sequence[str], side: str | None) -> tuple[str, ...]:
    """The organs on a side; all of them where that leaves none."""
    kept = tuple(o for o in organs if side in (None, "both") or ORGANS[o].side in (None, side))
    return kept or tuple(organs)
