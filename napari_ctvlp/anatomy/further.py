"""Further words of questions: names of organs and their parts, and where to look for findings without an entry.

They are read with the first question rather than on import, and are for reading alone: none becomes a prompt.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from napari_ctvlp.anatomy.organs import FOREIGN, GROUPS, ORGANS


def _read(name: str) -> Any:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@cache
def _parts() -> Mapping[str, Mapping[str, list[str]]]:
    data: dict[str, dict[str, list[str]]] = _read("parts.yaml")
    return data


def organs_called(name: str) -> tuple[str, ...]:
    """The organs of a table's name: a group, an organ, or a pair without its side.

    Raises
    ------
    KeyError
        When it is none of them.
    """
    if name in ORGANS:
        return (name,)
    pair = tuple(f"{name}_{side}" for side in ("left", "right") if f"{name}_{side}" in ORGANS)
    return pair or GROUPS[name]


def part_words() -> Iterator[tuple[str, str]]:
    """Pairs of a word and the organ that it names or that holds what it names."""
    for name, words in _parts()["organs"].items():
        for organ in organs_called(name):
            yield from ((word, organ) for word in words)


def group_words() -> Iterator[tuple[str, str]]:
    """Pairs of a word and the group it names."""
    for name, words in _parts()["groups"].items():
        yield from ((word, name) for word in words)


def foreign_words() -> Iterator[tuple[str, str]]:
    """Pairs of a word and the structure it names, which is no organ here."""
    for name, words in _parts()["foreign"].items():
        yield from ((word, name) for word in (*(() if name in FOREIGN else (name,)), *words))


def findings_elsewhere() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Spellings of findings that the dictionary has no entry for, with the organs in which they are looked for."""
    for entry in _read("where_to_look.yaml"):
        organs = tuple(dict.fromkeys(o for name in entry["organs"] for o in organs_called(name)))
        for finding in entry["findings"]:
            yield from ((text, organs) for text in spellings(finding))


def spellings(finding: str) -> Iterable[str]:
    """A name as people write it: "Meckel's", "Meckels" and "Meckel diverticulum", accents or none."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", finding) if not unicodedata.combining(c))
    owned = [(text, text.replace("'s ", "s "), text.replace("'s ", " ")) for text in (finding, plain)]
    return dict.fromkeys(text for three in owned for text in three)
