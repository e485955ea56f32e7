"""What a step learns from: some whole reports, and what is said of some single organs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_ctvlp.anatomy.schemes import V2_NAMES
from training.data.records import OrganRecord
from training.data.seeding import generator, scans_of_step

from .slots import SLOTS, Slots
from .tokens import ORGAN, PAD, REPORT, Tokens

_SLOT = {name: number + 1 for number, name in enumerate(V2_NAMES)}


@dataclass(frozen=True, eq=False)
class Examples:
    """Everything that a writer learns from.

    Attributes
    ----------
    slots : Slots
        Of the scans.
    reports : list of str
        Findings of each, "" where there is no report.
    said : list of tuple
        (scan, slot, sentences, whether anything is abnormal) of every organ that its report speaks of.
    """

    slots: Slots
    reports: list[str]
    said: list[tuple[int, int, tuple[str, ...], bool]]


def examples_of(
    slots: Slots, reports: Sequence[str], records: Sequence[dict[int, OrganRecord]], *, most: int | None = None
) -> Examples:
    """Examples of scans; of an organ with several abnormalities all is said, of another one of its sentences a step.

    Parameters
    ----------
    slots : Slots
    reports : sequence of str
        Findings.
    records : sequence of dict
        What is known of the organs of each scan, by label.
    most : int, optional
        Take the first so many scans.
    """
    said = []
    for scan, organs in enumerate(records[:most]):
        for record in organs.values():
            slot = _SLOT.get(record.organ, 0)
            if slot and record.known and record.texts and bool(slots.there[scan, slot]):
                several = len(record.abnormalities) > 1
                texts = (" ".join(record.texts),) if several else record.texts
                said.append((scan, slot, texts, bool(record.abnormalities)))
    return Examples(slots, list(reports[:most]), said)


@dataclass(frozen=True, eq=False)
class Batch:
    """Arguments of `Writer.forward`."""

    vectors: Tensor
    slot: Tensor
    there: Tensor
    tokens: Tensor


def report_batch(examples: Examples, tokens: Tokens, most: int, seed: int, step: int, count: int) -> Batch:
    """The reports of a step: a new order of the scans every epoch, a pure function of (seed, step)."""
    told = [scan for scan, report in enumerate(examples.reports) if report]
    picked = [told[n] for n in scans_of_step(seed, step, len(told), min(count, len(told)))]
    slots = examples.slots
    return Batch(
        slots.vectors[picked],
        torch.arange(SLOTS).expand(len(picked), -1),
        slots.there[picked],
        padded(tokens([examples.reports[scan] for scan in picked], REPORT, most)),
    )


def organ_batch(examples: Examples, tokens: Tokens, most: int, seed: int, step: int, count: int) -> Batch | None:
    """What is said of some organs, half of them abnormal where there are such: most organs of most scans are not, and
    to say so is soon learned. None where reports speak of no organ."""
    rng = generator(seed, "organs", step)
    kinds = [[n for n, one in enumerate(examples.said) if one[3] is ill] for ill in (True, False)]
    there = [kind for kind in kinds if kind]
    if not there:
        return None
    picked = [int(n) for kind in there for n in rng.choice(kind, max(1, count // len(there)))]
    chosen = [examples.said[n] for n in picked]
    texts = [said[int(rng.integers(len(said)))] for _, _, said, _ in chosen]
    slot = torch.tensor([slot for _, slot, _, _ in chosen])
    scan = torch.from_numpy(np.array([scan for scan, _, _, _ in chosen]))
    return Batch(
        examples.slots.vectors[scan, slot][:, None],
        slot[:, None],
        torch.ones(len(chosen), 1, dtype=torch.bool),
        padded(tokens(texts, ORGAN, most)),
    )


def padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """(n, longest) int64, padded at the end."""
    table = torch.full((len(rows), max(map(len, rows))), PAD)
    for number, row in enumerate(rows):
        table[number, : len(row)] = torch.tensor(row)
    return table
