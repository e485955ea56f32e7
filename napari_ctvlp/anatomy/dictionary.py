"""The abnormality dictionary: what can be looked for in which organ, and in which words the encoder is asked.

A dictionary is one YAML file (abnormalities.yaml beside this module is the built-in one and says what the fields mean).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import yaml

from napari_ctvlp.anatomy.organs import GROUPS, ORGANS
from napari_ctvlp.anatomy.prompts import fill
from napari_ctvlp.errors import UserError

BUILT_IN = Path(__file__).with_name("abnormalities.yaml")
MIN_PROMPTS = 5
MAX_ITEMS = 100_000

Region = Literal["organ", "union", "comparative", "global"]
WHOLE_SCAN = "whole_scan"
"""Stands for the organ where an entry speaks of the scan as a whole."""

_FIELDS = {
    *("key", "name", "organs", "synonyms", "narrower", "related", "signs", "positive", "negative", "region"),
    *("reference", "whole", "needs_contrast"),
}
_NEGATED = re.compile(r"\b(no|not|without|absent|absence|free of|negative for|nor|neither)\b", re.I)


@dataclass(frozen=True)
class Abnormality:
    """One entry of the dictionary.

    Attributes
    ----------
    key : str
        Stable name, lower case with underscores.
    name : str
        As people call it.
    organs : tuple of str
        Where it is looked for, as organ names.
    synonyms : tuple of str
        Other words for it.
    positive, negative : tuple of str
        Prompts that state it, and prompts that call the organ normal; "{organ}" stands for the organ's display name.
    signs : tuple of str
        Words that mean it only beside one of its organs ("enlarged" beside the spleen).
    region : "organ", "union", "comparative" or "global"
        Each organ by itself; the organ where it is likeliest for all of them; each organ against ``reference``; all
        organs together (their mean) for the scan as a whole.
    reference : tuple of str
        Organs to compare with; an organ is never compared with itself.
    whole : bool
        Whether it cannot be told from a part of its organ, such as a size.
    narrower : tuple of str
        Single diseases that have no entry of their own and are scored only as this one, which is broader.
    related : tuple of str
        What has no entry either and is no kind of this one, but is scored in its place as the nearest there is.
    needs_contrast : bool
        Whether it hardly differs in HU from its organ without contrast medium, so that its absence cannot be told then.
    """

    key: str
    name: str
    organs: tuple[str, ...]
    synonyms: tuple[str, ...]
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    signs: tuple[str, ...] = ()
    region: Region = "organ"
    reference: tuple[str, ...] = ()
    whole: bool = False
    narrower: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    needs_contrast: bool = False

    def __hash__(self) -> int:
        """Of the key alone: the phrases of a dictionary are looked up by all of its entries, several times a word."""
        return hash(self.key)

    @property
    def said(self) -> tuple[str, ...]:
        """Everything that means it wherever it stands: name, key, synonyms, narrower and related diseases."""
        return (self.name, self.key.replace("_", " "), *self.synonyms, *self.narrower, *self.related)

    @property
    def places(self) -> tuple[str, ...]:
        """What it is scored in: its organs, or the scan as a whole."""
        return (WHOLE_SCAN,) if self.region == "global" else self.organs

    def terms(self, place: str) -> tuple[tuple[tuple[str, ...], float], ...]:
        """What a score at one of its places is made of: groups of organs, whose mean counts with a weight."""
        if self.region == "global":
            return ((self.organs, 1.0),)
        if self.region == "comparative":
            return (((place,), 1.0), (tuple(o for o in self.reference if o != place), -1.0))
        return (((place,), 1.0),)

    def pair_key(self, organ: str) -> str:
        """What calibrations and encoder cards call this entry in one organ: "organ/key"."""
        return f"{organ}/{self.key}"

    def prompts(self, organ: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Positive and negative prompts with the organ's display name filled in."""
        return tuple(fill(p, organ) for p in self.positive), tuple(fill(p, organ) for p in self.negative)


def prompt_fault(text: str) -> str:
    """Why a text cannot be a prompt, in words; empty where it can."""
    if _NEGATED.search(text):
        return f"'{text}' is negated, which encoders cannot read; say what is seen instead."
    if text.count("{") != text.count("{organ}") or text.count("}") != text.count("{organ}"):
        return f"'{text}' holds a brace other than {{organ}}."
    return ""


class _Reader:
    """Walks the nodes of one dictionary file, so that a complaint can name the line."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.items = 0

    def fail(self, node: yaml.Node, what: str) -> UserError:
        return UserError(f"{self.file}, line {node.start_mark.line + 1}: {what}")

    def mapping(self, node: yaml.Node) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self.fail(node, "expected fields such as 'key: ...'.")
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self.text(key)
            if name in fields:
                raise self.fail(key, f"'{name}' is given twice.")
            fields[name] = value
        return fields

    def text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            raise self.fail(node, "expected a text here.")
        return str(node.value).strip()

    def leaves(self, node: yaml.Node) -> Iterator[yaml.Node]:
        """The items of a list; lists within it (shared ones, by YAML alias) are laid flat."""
        if not isinstance(node, yaml.SequenceNode):
            raise self.fail(node, "expected a list here.")
        for item in node.value:
            self.items += 1  # aliases within aliases can make a small file endless
            if self.items > MAX_ITEMS:
                raise self.fail(item, f"more than {MAX_ITEMS} items.")
            if isinstance(item, yaml.SequenceNode):
                yield from self.leaves(item)
            else:
                yield item

    def texts(self, node: yaml.Node | None) -> tuple[str, ...]:
        return () if node is None else tuple(dict.fromkeys(self.text(n) for n in self.leaves(node)))

    def organs(self, node: yaml.Node) -> tuple[str, ...]:
        names: list[str] = []
        for item in self.leaves(node):
            name = self.text(item)
            if name in ORGANS:
                names.append(name)
            elif name in GROUPS:
                names += GROUPS[name]
            else:
                raise self.fail(
                    item, f"'{name}' is neither an organ nor a group of organs; write its TotalSegmentator v2 name."
                )
        if not names:
            raise self.fail(node, "name at least one organ.")
        return tuple(dict.fromkeys(names))

    def prompts(self, node: yaml.Node) -> tuple[str, ...]:
        for item in self.leaves(node):
            if fault := prompt_fault(self.text(item)):
                raise self.fail(item, fault)
        texts = self.texts(node)
        if len(texts) < MIN_PROMPTS:
            raise self.fail(node, f"at least {MIN_PROMPTS} different prompts are needed, {len(texts)} given.")
        return texts

    def entry(self, node: yaml.Node) -> Abnormality:
        fields = self.mapping(node)
        for name in fields.keys() - _FIELDS:
            raise self.fail(fields[name], f"unknown field '{name}'; known are {', '.join(sorted(_FIELDS))}.")
        for name in ("key", "name", "organs", "positive", "negative"):
            if name not in fields:
                raise self.fail(node, f"the field '{name}' is missing.")
        region = self.region(fields)
        key = self.text(fields["key"])
        if not re.fullmatch(r"[a-z][a-z0-9_]*", key):
            raise self.fail(fields["key"], f"the key '{key}' may hold only lower-case letters, digits and underscores.")
        return Abnormality(
            key=key,
            name=self.text(fields["name"]),
            organs=self.organs(fields["organs"]),
            synonyms=self.texts(fields.get("synonyms")),
            signs=self.texts(fields.get("signs")),
            positive=self.prompts(fields["positive"]),
            negative=self.prompts(fields["negative"]),
            region=region,
            reference=self.organs(fields["reference"]) if "reference" in fields else (),
            whole=self.flag(fields.get("whole")),
            narrower=self.texts(fields.get("narrower")),
            related=self.texts(fields.get("related")),
            needs_contrast=self.flag(fields.get("needs_contrast")),
        )

    def flag(self, node: yaml.Node | None) -> bool:
        text = "false" if node is None else self.text(node)
        if text not in ("true", "false"):
            assert node is not None
            raise self.fail(node, f"expected true or false, not '{text}'.")
        return text == "true"

    def region(self, fields: dict[str, yaml.Node]) -> Region:
        node, rules = fields.get("region"), get_args(Region)
        rule = "organ" if node is None else self.text(node)
        if rule not in rules:
            raise self.fail(fields["region"], f"unknown region '{rule}'; known are {', '.join(rules)}.")
        if rule == "comparative" and "reference" not in fields:
            raise self.fail(fields["region"], "a comparative entry needs a 'reference': the organs to compare with.")
        if rule != "comparative" and "reference" in fields:
            raise self.fail(fields["reference"], "'reference' belongs to entries with 'region: comparative' only.")
        return rule  # type: ignore[return-value]


def load_dictionary(path: Path | None = None) -> tuple[Abnormality, ...]:
    """Read and check an abnormality dictionary; the built-in one without a path.

    Raises
    ------
    UserError
        With file name and line number: not YAML, a field missing, misspelt or of the wrong kind, an unknown organ,
        a key given twice, fewer than five prompts, a negated prompt.
    """
    return _built_in() if path is None else _load(Path(path))


@cache
def _built_in() -> tuple[Abnormality, ...]:
    return _load(BUILT_IN, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _load(path: Path, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> tuple[Abnormality, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"The dictionary {path.name} cannot be read: not a text file.") from error
    except OSError as error:
        raise UserError(f"The dictionary {path.name} cannot be read: {error.strerror or 'unknown reason'}.") from error
    return parse_dictionary(text, path.name, loader)


def parse_dictionary(text: str, file: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> tuple[Abnormality, ...]:
    """Check the text of a dictionary; the loader in Python, unlike the one in C, survives any depth of nesting.

    Raises
    ------
    UserError
        As `load_dictionary`; ``file`` is what it calls the file.
    """
    try:
        return _entries(_Reader(file), yaml.compose(text, Loader=loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{file}{line}: not valid YAML ({getattr(error, 'problem', None) or 'odd signs'}).") from error
    except RecursionError as error:
        raise UserError(f"{file}: lists are nested too deeply.") from error


def _entries(reader: _Reader, root: yaml.Node | None) -> tuple[Abnormality, ...]:
    if root is None:
        raise UserError(f"{reader.file}: the dictionary is empty.")
    top = reader.mapping(root)
    if "abnormalities" not in top:
        raise reader.fail(root, "a list called 'abnormalities' is missing.")
    entries: dict[str, Abnormality] = {}
    for node in reader.leaves(top["abnormalities"]):
        entry = reader.entry(node)
        if entry.key in entries:
            raise reader.fail(node, f"the key '{entry.key}' is used twice.")
        entries[entry.key] = entry
    if not entries:
        raise reader.fail(top["abnormalities"], "the dictionary is empty.")
    return tuple(entries.values())
