"""The words of reports: those of the anatomy room and of the abnormality dictionary, with terms.yaml on top."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from napari_ctvlp.anatomy.dictionary import Abnormality, load_dictionary
from napari_ctvlp.anatomy.lexicon import Phrases, Place, findings, phrase, places, tokens
from napari_ctvlp.anatomy.organs import GROUPS


@cache
def terms() -> dict[str, Any]:
    text = Path(__file__).with_name("terms.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return data


@cache
def entries() -> dict[str, Abnormality]:
    """The built-in abnormality dictionary by key."""
    return {a.key: a for a in load_dictionary()}


REGIONS = (
    "chest organs",
    "abdominal organs",
    "upper abdomen",
    "pelvic organs",
    "solid organs",
    "hollow organs",
    "chest wall",
)
"""Groups that a question may ask for, and that reports speak of as regions: `training.reports.cover` reads those."""


@cache
def place_words() -> Phrases[Place]:
    own = [(text, Place(members(names))) for text, names in terms()["places"].items()]
    regions = {frozenset(members((name,))) for name in REGIONS}
    return Phrases([*own, *((t, p) for t, p in places().table.items() if frozenset(p.organs) not in regions)])


def members(names: Sequence[str]) -> tuple[str, ...]:
    """The organs of a list of organs and groups."""
    return tuple(dict.fromkeys(o for n in names for o in GROUPS.get(n, (n,))))


@cache
def finding_words() -> Phrases[tuple[tuple[str, ...], bool]]:
    """Names before signs, the entry that a phrase is the very name of before others, mere abnormality last.

    A sign of the reports (``signs`` in terms.yaml) is one of each of its entries, beside those of the dictionary.
    """
    words = findings(load_dictionary())
    own = [(text, key) for key, texts in terms()["findings"].items() for text in texts]
    exact = {phrase(t): a.key for a in load_dictionary() for t in (a.name, a.key.replace("_", " "))}
    table: dict[str, tuple[tuple[str, ...], bool]] = {phrase(text): ((key,), True) for text, key in own}
    for text, keys in words.names.table.items():
        table.setdefault(text, ((exact[text],) if text in exact else keys, True))
    beside: dict[str, list[str]] = {text: list(keys) for text, keys in words.signs.table.items()}
    for group in terms()["signs"]:
        for text in group["words"]:
            beside.setdefault(phrase(text), []).extend(group["of"])
    for text, meant in beside.items():
        table.setdefault(text, (tuple(dict.fromkeys(meant)), False))
    for text, open_ in unspecified().items():
        keys, says_all = table.pop(text, ((), False))
        if set(keys) - open_:
            table[text] = tuple(k for k in keys if k not in open_), says_all
    for text in terms()["abnormal"]:
        table.setdefault(phrase(text), ((), False))
    return Phrases(table.items())


@cache
def unspecified() -> dict[str, set[str]]:
    """Phrases that leave open which finding they speak of, with the entries that they therefore do not name."""
    out: dict[str, set[str]] = {}
    for group in terms()["unspecified"]:
        for text in group["words"]:
            out.setdefault(phrase(text), set()).update(group["of"])
    return out


@cache
def signs() -> tuple[tuple[Abnormality, tuple[frozenset[str], ...]], ...]:
    """Every entry with the words of each of its signs in the dictionary, without those that leave open what it is."""
    return tuple(
        (a, tuple(frozenset(tokens_of(t)) for t in a.signs if a.key not in unspecified().get(phrase(t), ())))
        for a in load_dictionary()
    )


@cache
def tokens_of(text: str) -> tuple[str, ...]:
    """The folded words of a phrase."""
    return tuple(t.word for t in tokens(text))
