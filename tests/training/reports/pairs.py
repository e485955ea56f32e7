"""Sentences on two organs or two sides with what they state, and how many of them are read so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from napari_ctvlp.anatomy.organs import GROUPS, ORGANS
from training.reports.labels import OrganLabel
from training.reports.parse import parse_report

Stated = tuple[str, frozenset[str], frozenset[str], frozenset[str]]
"""State of an organ, entries that are present, doubtful, denied."""


def pairs(name: str) -> dict[str, dict[str, Stated]]:
    """By sentence: what a file of sentences says that it states, organ by organ."""
    rows = yaml.safe_load(Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8"))
    return {row["text"]: {o: _stated(v) for k, v in row.items() if k != "text" for o in _organs(k)} for row in rows}


def read(text: str) -> dict[str, Stated]:
    """What the rules read, in the same form."""
    return {o: _plain(label) for o, label in parse_report(text).labels.items() if label != OrganLabel("unknown")}


def missed(sentences: Mapping[str, Mapping[str, Stated]]) -> list[str]:
    """The sentences of which not every organ is read as it is stated."""
    return [text for text, wanted in sentences.items() if read(text) != wanted]


def _organs(name: str) -> tuple[str, ...]:
    return (name,) if name in ORGANS else GROUPS[name]


def _stated(text: str) -> Stated:
    state, *entries = text.split()
    present, doubtful, denied = (frozenset(e[1:] for e in entries if e[0] == sign) for sign in "+?-")
    return state, present, doubtful, denied


def _plain(label: OrganLabel) -> Stated:
    return label.state, frozenset(label.abnormalities), frozenset(label.uncertain), frozenset(label.absent)
