"""Tables from phrases to organs, groups, findings; finding the phrases in a text, misspelt ones too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Generic, TypeVar

from rapidfuzz.distance import OSA

from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.anatomy.further import findings_elsewhere, foreign_words, group_words, part_words
from napari_ctvlp.anatomy.organs import FOREIGN, GROUP_WORDS, GROUPS, ORGANS

Value = TypeVar("Value")

MIN_FUZZY = 5
LONG = 9
DICTIONARIES = 8
"""So many dictionaries have their phrases kept, a megabyte each: every entry that a user saves makes another."""
_WORD = re.compile(r"[^\W_]+")
_SHORT = {"mets": "metastases", "masses": "mass", "hydro": "hydronephrosis"}
"""Short forms of single words, and a plural that no table lists."""
_BRITISH = (("ae", "e"), ("oe", "e"), ("our", "or"))


def fold(word: str) -> str:
    """Lower case, and British spellings as American ones ("oesophagus", "tumour"); applied to both sides of a match."""
    word = word.lower()
    for british, american in _BRITISH:
        word = word.replace(british, american)
    return word


@dataclass(frozen=True)
class Token:
    """One word of a text: as written, where it stands, folded."""

    start: int
    stop: int
    word: str


def tokens(text: str) -> list[Token]:
    """The words of a text; every sign that is neither letter nor digit separates."""
    return [Token(m.start(), m.end(), fold(m.group())) for m in _WORD.finditer(text)]


def phrase(text: str) -> str:
    """The key of a phrase in a table."""
    return " ".join(t.word for t in tokens(text))


@dataclass(frozen=True)
class Hit(Generic[Value]):
    """A phrase found: index of its first word and of the word after its last, and what it stands for."""

    first: int
    stop: int
    value: Value


class Phrases(Generic[Value]):
    """A table of phrases in which the longest match wins."""

    def __init__(self, entries: Iterable[tuple[str, Value]]) -> None:
        self.table: dict[str, Value] = {}
        for text, value in entries:
            self.table.setdefault(phrase(text), value)
        self._longest: dict[str, int] = {}  # words of the longest phrase, by its first word: most words open none
        for key in self.table:
            first = key.split(" ", 1)[0]
            self._longest[first] = max(self._longest.get(first, 1), key.count(" ") + 1)

    @property
    def words(self) -> set[str]:
        """Every single word that occurs in a phrase."""
        return {word for key in self.table for word in key.split()}

    def find(self, words: Sequence[str | None]) -> list[Hit[Value]]:
        """Non-overlapping hits from left to right; ``None`` in ``words`` belongs to no phrase."""
        hits, i = [], 0
        while i < len(words):
            hit = self._at(words, i)
            if hit is not None:
                hits.append(hit)
            i = hit.stop if hit else i + 1
        return hits

    def _at(self, words: Sequence[str | None], i: int) -> Hit[Value] | None:
        longest = self._longest.get(words[i] or "", 1)
        for n in range(min(longest, len(words) - i), 0, -1):
            part = [w for w in words[i : i + n] if w is not None]
            if len(part) < n:
                continue
            key = " ".join(part)
            singular = key[:-1] if key.endswith("s") and len(key) > 3 else key  # a plural that no table lists
            for candidate in (key, singular):
                if candidate in self.table:
                    return Hit(i, i + n, self.table[candidate])
        return None


def within(hit: Hit[Any], others: Iterable[Hit[Any]]) -> bool:
    """Whether all words of a hit are in one of the others."""
    return any(o.first <= hit.first and hit.stop <= o.stop for o in others)


def longer_of(names: Sequence[Hit[Value]], rare: Sequence[Hit[Value]]) -> tuple[list[Hit[Value]], list[Hit[Value]]]:
    """Findings with and without an entry; where both claim a word the longer name is meant, of equals the entry."""

    def wins(hit: Hit[Value], others: Sequence[Hit[Value]], tie: bool) -> bool:
        rivals = [o for o in others if o.first < hit.stop and hit.first < o.stop]
        own = hit.stop - hit.first
        return all(own > o.stop - o.first or (tie and own == o.stop - o.first) for o in rivals)

    return [n for n in names if wins(n, rare, True)], [r for r in rare if wins(r, names, False)]


@dataclass(frozen=True)
class Place:
    """What a phrase says of place: organs, or the name of a structure that no organ here is."""

    organs: tuple[str, ...] = ()
    foreign: str | None = None


def _organ_words() -> Iterator[tuple[str, str]]:
    for organ in ORGANS.values():
        for text in (organ.name.replace("_", " "), organ.display, *organ.words, *organ.sided):
            yield text, organ.name


def _own_words() -> Iterator[str]:
    """Phrases of organs.yaml."""
    yield from (text for text, _ in _organ_words())
    yield from (text for words in (*GROUP_WORDS.values(), *FOREIGN.values()) for text in words)


@cache
def places() -> Phrases[Place]:
    """Phrases for organs and groups without their sides, and for foreign structures."""
    by_phrase: dict[str, tuple[str, ...]] = {}
    for text, name in (*_organ_words(), *part_words()):
        by_phrase[phrase(text)] = (*by_phrase.get(phrase(text), ()), name)
    named = [(key, Place(tuple(dict.fromkeys(organs)))) for key, organs in by_phrase.items()]
    groups = [(word, Place(GROUPS[group])) for group, words in GROUP_WORDS.items() for word in words]
    groups += [(word, Place(GROUPS[group])) for word, group in group_words()]
    foreign = [(word, Place(foreign=name)) for name, words in FOREIGN.items() for word in words]
    foreign += [(word, Place(foreign=name)) for word, name in foreign_words()]
    return Phrases([*groups, *foreign, *named])


@cache
def elsewhere() -> Phrases[tuple[str, ...]]:
    """Phrases for findings that the dictionary has no entry for, with the organs in which they are looked for."""
    return Phrases(findings_elsewhere())


@dataclass(frozen=True, eq=False)
class FindingWords:
    """Phrases for the entries of one dictionary: those that say it all, and bare signs that need an organ."""

    entries: Mapping[str, Abnormality]
    names: Phrases[tuple[str, ...]]
    signs: Phrases[tuple[str, ...]]


def _shared(pairs: Iterable[tuple[str, str]]) -> Phrases[tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for text, key in pairs:
        table[phrase(text)] = tuple(dict.fromkeys((*table.get(phrase(text), ()), key)))
    return Phrases(table.items())


@lru_cache(DICTIONARIES)
def findings(dictionary: tuple[Abnormality, ...]) -> FindingWords:
    """The phrases of a dictionary."""
    named = [(text, a.key) for a in dictionary for text in a.said]
    signs = [(text, a.key) for a in dictionary for text in a.signs]
    return FindingWords({a.key: a for a in dictionary}, _shared(named), _shared(signs))


@cache
def _everyday() -> frozenset[str]:
    text = files(__package__).joinpath("everyday.txt").read_text(encoding="utf-8")
    return frozenset(fold(w) for line in text.splitlines() if not line.startswith("#") for w in line.split())


@lru_cache(DICTIONARIES)
def vocabulary(dictionary: tuple[Abnormality, ...]) -> frozenset[str]:
    """Every word that some phrase holds."""
    words = findings(dictionary)
    return frozenset(places().words | elsewhere().words | words.names.words | words.signs.words)


@lru_cache(DICTIONARIES)
def _mere_parts(dictionary: tuple[Abnormality, ...]) -> frozenset[str]:
    """Words of `further` that mean nothing by themselves ("line" in "trough line sign"), unless they are long.

    They are too many and too ordinary for a word of everyday speech to be taken for a misspelling of them.
    """
    words = findings(dictionary)
    core = {w for text in _own_words() for w in phrase(text).split()} | words.names.words | words.signs.words
    alone = {key for table in (places().table, elsewhere().table) for key in table}
    return frozenset(
        w for w in places().words | elsewhere().words if len(w) < LONG and w not in core and w not in alone
    )


@lru_cache(DICTIONARIES)
def _long_words(dictionary: tuple[Abnormality, ...]) -> Mapping[str, tuple[str, ...]]:
    """Words a misspelling may be corrected to, by first letter."""
    table: dict[str, list[str]] = {}
    for word in sorted(vocabulary(dictionary) - _mere_parts(dictionary)):
        if len(word) >= MIN_FUZZY and word.isalpha():
            table.setdefault(word[0], []).append(word)
    return {letter: tuple(words) for letter, words in table.items()}


def corrected(word: str, dictionary: tuple[Abnormality, ...]) -> str:
    """The known word that a misspelt one most likely means, or the word itself.

    Deliberately timid: same first letter, at least five letters, one edit or transposition, one nearest candidate, and
    never for an everyday word (a list of those a slip away from a known one). From nine letters on two edits may be,
    but not at the end alone, where "obstructing" and "obstruction" are two words rather than one misspelt, and never
    from "hypo" to "hyper".
    """
    if word in _SHORT:
        return _SHORT[word]
    if len(word) < MIN_FUZZY or not word.isalpha() or word in vocabulary(dictionary) or word in _everyday():
        return word
    if word.removesuffix("s") in vocabulary(dictionary):
        return word
    best = 3
    nearest: list[str] = []
    for known in _long_words(dictionary).get(word[0], ()):
        limit = 2 if min(len(known), len(word)) >= LONG and known[:3] == word[:3] else 1
        distance = OSA.distance(word, known, score_cutoff=limit)
        if distance == 2 and (word.startswith(known[:-3]) or (word.startswith("hypo") and known.startswith("hyper"))):
            continue
        if distance <= limit and distance <= best:
            nearest = [known] if distance < best else [*nearest, known]
            best = distance
    if len(nearest) > 1:  # singular and plural of one word
        nearest = [w for w in nearest if w.removesuffix("s") == nearest[0].removesuffix("s")]
        return nearest[0] if len({w.removesuffix("s") for w in nearest}) == 1 else word
    return nearest[0] if nearest else word
