"""The texts of a step: which wordings are drawn, as strings and as vectors; a pure function of (seed, step)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_ctvlp.encoder.native_model import NativeModel
from training.data.records import OrganRecord
from training.data.seeding import derived_seed, generator
from training.data.texts import Bank, Classes
from training.objectives.base import Texts

_SIDES = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
_SIDE = re.compile(r"\b(left|right|Left|Right)\b")
_END = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True)
class Wordings:
    """Training texts: per organ its name sentences, per class its dictionary sentences."""

    names: dict[str, tuple[str, ...]]
    classes: list[tuple[str, ...]]


@dataclass(frozen=True)
class Vocabulary:
    """All that texts are made from: the classes of a run, their wordings, and the vectors of sentences."""

    classes: Classes
    wordings: Wordings
    bank: Bank


def said_of(record: OrganRecord, draw: float) -> str | None:
    """What a report says of an organ: one of its sentences, or all where they tell of several abnormalities."""
    if not record.texts or not record.known:
        return None
    if len(record.abnormalities) > 1:
        return " ".join(record.texts)
    return record.texts[int(draw * len(record.texts))]


def mirror_of(classes: Classes) -> Tensor:
    """(organs,) number of the organ on the other side of the body, -1 where there is none."""
    number = {organ: i for i, organ in enumerate(classes.organs)}
    pairs = [re.sub(r"left|right", lambda m: _SIDES[m.group()], organ) for organ in classes.organs]
    return torch.tensor(
        [number.get(other, -1) if other != organ else -1 for organ, other in zip(classes.organs, pairs, strict=True)]
    )


def false_of(text: str, record: OrganRecord) -> list[str]:
    """Sentences close to an organ's own and false of it: sides swapped for a paired organ, a finding denied."""
    found = []
    if re.search("left|right", record.organ) and _SIDE.search(text):
        found.append(_SIDE.sub(lambda m: _SIDES[m.group()], text))
    if len(record.abnormalities) == 1:
        found.append(f"No evidence of {text[:1].lower()}{text[1:]}")
    return found


def sentences_of(report: str) -> list[str]:
    """The sentences of a report."""
    return [part.strip() for part in _END.split(report) if len(part.strip()) > 3] or ["-"]


def report_vectors(vectors: Tensor, parts: Sequence[Sequence[str]]) -> Tensor:
    """(n, width) unit vectors of whole reports, from those of all their sentences: the mean over the sentences of each,
    since the sentence encoder cuts off what is longer than a paragraph."""
    rows = [F.normalize(each.mean(0), dim=-1) for each in vectors.split([len(part) for part in parts])]
    return torch.stack(rows) if rows else vectors


def step_texts(
    vocabulary: Vocabulary,
    records: Sequence[OrganRecord],
    positions: Sequence[int],
    seed: int,
    step: int,
    *,
    hard: bool = False,
    reports: Sequence[str] | None = None,
    slow: Bank | None = None,
) -> tuple[Texts, Tensor]:
    """The step's texts as vectors of the sentence encoder, and per organ the row of what is said of it (or -1).

    Names and dictionary are drawn for the step; an organ's sentence for the place of its scan in the step, so that all
    views of a scan, and all processes, draw the same.

    Parameters
    ----------
    vocabulary : Vocabulary
        What there is to draw from.
    records : sequence of OrganRecord
        The organs.
    positions : sequence of int
        Place in the step of the scan of each organ.
    seed, step : int
        What the draw is a pure function of.
    hard : bool
        Add sentences that are false of the organs.
    reports : sequence of str, optional
        Whole reports of the scans.
    slow : Bank, optional
        Sentence vectors of an averaged text tower, where the tower is trained and the method asks for momentum.
    """
    classes, wordings, bank = vocabulary.classes, vocabulary.wordings, vocabulary.bank
    rng = generator(seed, "wording", step)
    names = [options[int(rng.integers(len(options)))] for options in (wordings.names[o] for o in classes.organs)]
    dictionary = [options[int(rng.integers(len(options)))] for options in wordings.classes]
    number = {organ: i for i, organ in enumerate(classes.organs)}
    draws = {place: generator(seed, "said", step, place).random(len(number)) for place in set(positions)}
    row_of: dict[str, int] = {}
    rows, false, false_row = [], [], []
    for record, place in zip(records, positions, strict=True):
        text = said_of(record, float(draws[place][number[record.organ]]))
        if text is not None and text not in row_of:
            row_of[text] = len(row_of)
            for other in false_of(text, record) if hard else ():
                false.append(other)
                false_row.append(row_of[text])
        rows.append(-1 if text is None else row_of[text])
    parts = [sentences_of(report) for report in reports or ()]
    sentences = [sentence for part in parts for sentence in part]
    # all in one call: a tower that is trained sees every text of the step once
    groups = (names, dictionary, list(row_of), false, sentences)
    vectors = bank([text for group in groups for text in group])
    first, second, third, fourth, fifth = vectors.split([len(group) for group in groups])
    texts = Texts(
        names=first,
        dictionary=second,
        dictionary_class=torch.arange(len(classes.states)),
        class_organ=classes.class_organ,
        class_normal=classes.class_normal,
        class_kind=classes.class_kind,
        organs=third,
        organs_id=torch.tensor([derived_seed(text) for text in row_of], dtype=torch.int64),
        organs_momentum=None if slow is None else slow(list(row_of)),
        mirror=mirror_of(classes),
        hard=fourth if hard else None,
        hard_of=torch.tensor(false_row, dtype=torch.int64) if hard else None,
        whole=None if reports is None else report_vectors(fifth, parts),
        whole_id=None if reports is None else torch.tensor([derived_seed(r) for r in reports], dtype=torch.int64),
    )
    return texts, torch.tensor(rows, dtype=torch.int64)


def projected(texts: Texts, model: NativeModel, momentum: nn.Linear | None = None) -> Texts:
    """Sentence vectors in the space of the organs of one network."""
    device = model.log_scale.device
    moved = replace(texts, **{k: v.to(device) for k, v in vars(texts).items() if isinstance(v, Tensor)})
    slow = None
    if momentum is not None:
        with torch.no_grad():
            sentences = moved.organs if moved.organs_momentum is None else moved.organs_momentum
            slow = F.normalize(momentum(sentences), dim=-1)
    return replace(
        moved,
        names=model.project_text(moved.names),
        dictionary=model.project_text(moved.dictionary),
        organs=model.project_text(moved.organs),
        organs_momentum=slow,
        whole=None if moved.whole is None else model.project_text(moved.whole),
        hard=None if moved.hard is None else model.project_text(moved.hard),
    )
