"""Other prompts for one entry in the text of a dictionary; every other letter of it, comments included, stays.

A YAML library that writes would lay the whole file out anew, so that lines are replaced in the text itself, and the
result is read again before anybody gets it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import yaml

from napari_ctvlp.anatomy.dictionary import Abnormality, parse_dictionary
from napari_ctvlp.errors import UserError

_COMMENT = re.compile(r"(?:^|\s)(#[^\n]*)")


@dataclass
class _Node:
    """A value of the file with its place: characters ``start`` to ``end`` of the text."""

    event: yaml.Event
    start: int
    end: int
    children: list[_Node] = field(default_factory=list)
    target: _Node | None = None

    @property
    def block(self) -> bool:
        """Whether it is a list or mapping laid out in lines."""
        return bool(self.children) and not getattr(self.event, "flow_style", True)

    @property
    def anchored(self) -> bool:
        """Whether it, or something in it, may be used elsewhere in the file."""
        own = getattr(self.event, "anchor", None) is not None and not isinstance(self.event, yaml.AliasEvent)
        return own or any(child.anchored for child in self.children)

    def texts(self) -> list[str]:
        """The texts it stands for, lists within lists laid flat."""
        if isinstance(self.event, yaml.ScalarEvent):
            return [str(self.event.value).strip()]
        inside = self.children if self.target is None else [self.target]
        return [text for child in inside for text in child.texts()]

    def field(self, name: str) -> _Node | None:
        """Value of a field of a mapping."""
        pairs = zip(self.children[::2], self.children[1::2], strict=False)
        return next((value for key, value in pairs if getattr(key.event, "value", None) == name), None)


def with_prompts(text: str, entry: Abnormality, file: str) -> str:
    """The text of a dictionary in which one entry has other prompts.

    Parameters
    ----------
    text : str
        A dictionary that is in order.
    entry : Abnormality
        Its key says which entry, its ``positive`` and ``negative`` are the new prompts.
    file : str
        What to call the file in a complaint.

    Raises
    ------
    UserError
        The text is not in order, has no such entry, the new prompts are not in order, or the lists of this entry are
        shared with others and have to be changed by hand.
    """
    before = {known.key: known for known in parse_dictionary(text, file)}
    if entry.key not in before:
        raise UserError(f"{file}: has no entry '{entry.key}'; add it there first.")
    result = text
    for name, wanted in (("negative", entry.negative), ("positive", entry.positive)):
        place = _entry(_root(result), entry.key)  # anew: what was changed has moved what follows
        value = None if place is None else place.field(name)
        if place is None or value is None:
            raise _by_hand(file, entry.key)
        if list(dict.fromkeys(value.texts())) == list(wanted):
            continue
        if value.anchored:
            line = result.count("\n", 0, value.start) + 1
            raise UserError(f"{file}, line {line}: other entries share this list ('&'); change it by hand.")
        result = _replaced(result, place, name, value, wanted)
    quick = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # no deeper than the text that was read above
    after = {known.key: known for known in parse_dictionary(result, file, quick)}
    wanted_entry = replace(before[entry.key], positive=entry.positive, negative=entry.negative)
    if after != before | {entry.key: wanted_entry}:
        raise _by_hand(file, entry.key)
    return result


def _by_hand(file: str, key: str) -> UserError:
    return UserError(f"{file}: the entry '{key}' is written in a way that only an editor can change.")


def _root(text: str) -> _Node:
    """The file as a tree whose aliases know their targets and keep their own places."""
    anchors: dict[str, _Node] = {}
    events = yaml.parse(text, Loader=yaml.SafeLoader)

    def node(event: yaml.Event) -> _Node:
        made = _Node(event, event.start_mark.index, event.end_mark.index)
        if isinstance(event, yaml.AliasEvent):
            made.target = anchors.get(event.anchor)
            return made
        if isinstance(event, yaml.CollectionStartEvent):
            for inner in events:
                if isinstance(inner, yaml.CollectionEndEvent):
                    # the end of a block is where the next token begins, past any comments
                    made.end = made.children[-1].end if made.block else inner.end_mark.index
                    break
                made.children.append(node(inner))
        elif text[made.start : made.start + 1] in ("|", ">"):
            made.end = made.start + len(text[made.start : made.end].rstrip())
        if anchor := getattr(event, "anchor", None):
            anchors[anchor] = made
        return made

    return next(node(event) for event in events if isinstance(event, yaml.MappingStartEvent))


def _entry(root: _Node, key: str) -> _Node | None:
    """The mapping of an entry, wherever it is listed."""

    def listed(node: _Node) -> Iterator[_Node]:
        if node.target is not None:
            yield from listed(node.target)
        elif isinstance(node.event, yaml.MappingStartEvent):
            yield node
        else:
            for child in node.children:
                yield from listed(child)

    top = root.field("abnormalities")
    found = listed(top) if top is not None else iter(())
    return next((n for n in found if (k := n.field("key")) is not None and k.texts() == [key]), None)


def _replaced(text: str, entry: _Node, name: str, value: _Node, wanted: Sequence[str]) -> str:
    items = value.children if isinstance(value.event, yaml.SequenceStartEvent) else [value]
    kept = _arranged(items, wanted)
    newline = "\r\n" if "\r\n" in text else "\n"
    if value.block:
        return _lines_replaced(text, value, kept, newline)
    written = [_written(text, one) for one in kept]
    if not entry.block:
        return f"{text[: value.start]}[{', '.join(written)}]{text[value.end :]}"
    key = next(k for k, v in zip(entry.children[::2], entry.children[1::2], strict=True) if v is value)
    indent = " " * (key.event.start_mark.column + 2)
    ends = [value.start, *(n.end for n in items)]
    gaps = [text[a:b] for a, b in zip(ends, [*(n.start for n in items), value.end], strict=True)]
    comments = [c for gap in gaps for c in _COMMENT.findall(gap)]
    lines = [f"{indent}{comment}" for comment in comments] + [f"{indent}- {one}" for one in written]
    return text[: value.start].rstrip() + newline + newline.join(lines) + text[value.end :]


def _arranged(items: Sequence[_Node], wanted: Sequence[str]) -> list[_Node | str]:
    """The wanted texts, by the items of the file that already hold them and otherwise as they are."""
    left, place = list(items), 0
    result: list[_Node | str] = []
    while place < len(wanted):
        fits = [n for n in left if (t := n.texts()) and t == list(wanted[place : place + len(t)])]
        best = max(fits, key=lambda n: len(n.texts()), default=None)
        if best is None:
            result.append(wanted[place])
            place += 1
        else:
            left.remove(best)
            result.append(best)
            place += len(best.texts())
    return result


def _lines_replaced(text: str, value: _Node, kept: Sequence[_Node | str], newline: str) -> str:
    """A list laid out in lines: lines of items that stay are kept, with the comments above them."""
    starts = [text.rfind("-", 0, n.start) for n in value.children]
    indent = " " * (starts[0] - text.rfind("\n", 0, starts[0]) - 1)
    lines = text.split("\n")
    line_of = [text.count("\n", 0, place) for place in starts]
    last_of = [text.count("\n", 0, n.end) for n in value.children]
    above = [range(a + 1, b) for a, b in zip([line_of[0] - 1, *last_of], line_of, strict=False)]
    out: list[str] = []
    shown: set[int] = set()

    def comments_until(item: int) -> None:
        for i in range(item + 1):
            if i not in shown:
                shown.add(i)
                out.extend(lines[n] for n in above[i])

    number = {id(n): i for i, n in enumerate(value.children)}
    for one in kept:
        if isinstance(one, str):
            out.append(f"{indent}- {_written(text, one)}" + newline.removesuffix("\n"))
        else:
            comments_until(number[id(one)])
            out.extend(lines[line_of[number[id(one)]] : last_of[number[id(one)]] + 1])
    comments_until(len(value.children) - 1)
    return "\n".join([*lines[: line_of[0]], *out, *lines[last_of[-1] + 1 :]])


def _written(text: str, one: _Node | str) -> str:
    """An item as YAML: as the file has it, where that takes one line."""
    if isinstance(one, _Node):
        source = text[one.start : one.end]
        if "\n" not in source:
            return source
        if len(texts := one.texts()) > 1:
            return f"[{', '.join(json.dumps(t, ensure_ascii=False) for t in texts)}]"
        one = texts[0]
    return json.dumps(one, ensure_ascii=False)
