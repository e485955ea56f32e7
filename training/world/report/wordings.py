"""How a report says it: templates per abnormality and for the normal organ, for training and (apart) for evaluation.

The templates stand in ``words/*.yaml``. Fields: {organ} "left kidney", {Organ} the same at the start of a sentence,
{side} "left" ("" where there is none), {size} "7 mm", {severity} "mild", {extent} "small", and both with a capital. A
normal organ is never described by a negated finding: sentence encoders read "no stone" as "stone".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

Templates = Mapping[str, tuple[str, ...]]

NORMAL = "normal"
WORDS = Path(__file__).with_name("words")
_ORGAN, _NOUNS = "organ.yaml", "nouns.yaml"


@dataclass(frozen=True)
class Nouns:
    """An abnormality as a noun, for sentences that a grammar makes.

    Attributes
    ----------
    one : tuple of str
        Singular, or without a number; "{side}" where a side belongs in the middle.
    many : tuple of str
        Plural, empty for what has none.
    counted : bool
        Whether it takes an article ("a cyst") and a size; otherwise it takes a severity.
    urgency : int
        3 heads an impression, 0 is left out of most.
    """

    one: tuple[str, ...]
    many: tuple[str, ...]
    counted: bool
    urgency: int


def read_words(name: str) -> dict[str, Any]:
    """One file of ``words``."""
    text = (WORDS / name).read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return data


def _nouns() -> dict[str, Nouns]:
    return {
        slug: Nouns(tuple(e["one"]), tuple(e.get("many", ())), bool(e.get("counted")), int(e["urgency"]))
        for slug, e in read_words(_NOUNS).items()
    }


def _tables() -> tuple[dict[str, dict[str, tuple[str, ...]]], tuple[str, ...]]:
    organ = read_words(_ORGAN)
    tables: dict[str, dict[str, tuple[str, ...]]] = {
        "plain": {NORMAL: tuple(organ["normal_plain"])},
        "measured": {},
        "held_out": {NORMAL: tuple(organ["normal_held_out"])},
    }
    for path in sorted(WORDS.glob("*.yaml")):
        if path.name not in (_ORGAN, _NOUNS):
            for slug, entry in read_words(path.name).items():
                for kind, texts in entry.items():
                    tables[kind][slug] = tuple(texts)
    return tables, tuple(organ["names"])


_READ, NAMES = _tables()

PLAIN: Templates = MappingProxyType(_READ["plain"])
"""Training wordings without size."""

MEASURED: Templates = MappingProxyType(_READ["measured"])
"""Training wordings with size or severity."""

HELD_OUT: Templates = MappingProxyType(_READ["held_out"])
"""Wordings for evaluation only; training never sees them."""

NOUNS: Mapping[str, Nouns] = MappingProxyType(_nouns())
"""Every abnormality as a noun."""
