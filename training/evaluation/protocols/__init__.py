"""Labels of whole scans by published protocols, as data: see the head of each file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from napari_ctvlp.anatomy import GROUPS, ORGANS, load_dictionary
from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.anatomy.prompts import NORMAL_TEMPLATES
from napari_ctvlp.encoder.contract import ScanEncoder
from napari_ctvlp.errors import UserError
from training.data.own_labels import entries_called, plain
from training.evaluation.cases import HeldOut, Question, prompt_scores

FOLDER = Path(__file__).parent
OWN = "own"
"""The protocol of labels that a manifest brings under names of the dictionary."""


@dataclass(frozen=True)
class Label:
    """A label of whole scans: its names in tables, and what is asked of which organs."""

    name: str
    aliases: tuple[str, ...]
    look: tuple[Abnormality, ...]

    def of(self, labels: Mapping[str, int]) -> bool | None:
        """What a table says of a scan; None where it says nothing."""
        said = [labels[name] for name in (self.name, *self.aliases) if name in labels]
        return any(v == 1 for v in said) if said else None


@dataclass(frozen=True)
class Protocol:
    """Labels under a name, with where they are from."""

    name: str
    title: str
    source: str
    labels: tuple[Label, ...]


@dataclass(eq=False)
class Asked:
    """The questions of a protocol, and the cases left out of each label for want of its organs."""

    questions: dict[str, Question] = field(default_factory=dict)
    without_organ: dict[str, int] = field(default_factory=dict)


def names() -> tuple[str, ...]:
    """The protocols there are."""
    return tuple(sorted(p.stem for p in FOLDER.glob("*.yaml")))


def load(name: str) -> Protocol:
    """A protocol by name."""
    if name not in names():
        raise UserError(f"There is no protocol '{name}': choose world, {OWN}, {', '.join(names())}.")
    value = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    entries = {e.key: e for e in load_dictionary()}
    labels = [
        Label(v["label"], tuple(v.get("aliases", ())), tuple(_look(v["label"], w, entries) for w in v["look"]))
        for v in value["labels"]
    ]
    return Protocol(value["name"], value["title"], value["source"], tuple(labels))


def own(labels: Sequence[Mapping[str, int]]) -> tuple[Protocol, tuple[str, ...]]:
    """A store's own labels as a protocol, and the names that no entry of the dictionary has.

    A label is found by the key, the name or a synonym of an entry, whatever its case, and is looked for in all organs
    of the entry.

    Raises
    ------
    UserError
        When no label is known.
    """
    entries = entries_called(loosely=True)
    given = tuple(dict.fromkeys(name for row in labels for name in row))
    known = tuple(Label(name, (), (entries[plain(name)],)) for name in given if plain(name) in entries)
    unknown = tuple(name for name in given if plain(name) not in entries)
    if not known:
        what = f"none of {', '.join(unknown[:8])}" if unknown else "there are no label:NAME columns, so no label"
        raise UserError(
            f"The protocol '{OWN}' asks for labels of the manifest that the dictionary knows, and {what} is one: "
            "name label:NAME columns by keys or names of the dictionary, such as label:kidney_stone."
        )
    return Protocol(OWN, "labels of the manifest", "the manifest's label:NAME columns", known), unknown


def _look(label: str, value: Mapping[str, Any], entries: Mapping[str, Abnormality]) -> Abnormality:
    organs = tuple(dict.fromkeys(_organs(value.get("organs", ()))))
    if "abnormality" in value:
        entry = entries[value["abnormality"]]
        return replace(entry, organs=organs) if organs else entry
    key = "_".join(label.lower().split())
    return Abnormality(key, label, organs, (), tuple(value["positive"]), NORMAL_TEMPLATES)


def _organs(said: Sequence[str]) -> Iterator[str]:
    for name in said:
        if name not in ORGANS and name not in GROUPS:
            raise UserError(f"'{name}' in a protocol is neither an organ nor a group of organs.")
        yield from (name,) if name in ORGANS else GROUPS[name]


def ask(protocol: Protocol, encoder: ScanEncoder, data: HeldOut, labels: Sequence[Mapping[str, int]]) -> Asked:
    """Score whole scans for the labels of a protocol: the largest score over organs and over what a label looks at.

    A score of a prompt alone takes the largest in the same way, up to the fewest prompts that any entry has. Scans
    whose table does not say a label are left out of it.
    """
    organ = np.array([r.organ for r in data.records], dtype=object)
    found = Asked()
    for label in protocol.labels:
        truth = [label.of(row) for row in labels]
        fewest = min(len(entry.positive) for entry in label.look)
        best = np.full(len(labels), -np.inf)
        single = np.full((len(labels), fewest), -np.inf)
        for entry in label.look:
            for name in entry.organs:
                rows = np.flatnonzero(organ == name)
                if not len(rows):
                    continue
                scores = prompt_scores(encoder, data.vectors[rows], entry, name)
                np.maximum.at(best, data.scan[rows], scores.mean(axis=1))
                np.maximum.at(single, data.scan[rows], scores[:, :fewest])
        said = np.array([t is not None for t in truth], bool)
        seen = np.isfinite(best)
        kept = said & seen
        found.without_organ[label.name] = int((said & ~seen).sum())
        if kept.any():
            present = np.array([bool(t) for t in truth])[kept]
            keys = np.array([f"scan/{label.name}"] * int(kept.sum()))
            found.questions[label.name] = Question(
                label.name, keys, best[kept], single[kept], present, data.patient[kept]
            )
    return found
