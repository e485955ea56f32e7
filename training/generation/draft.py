"""A report drafted: of the whole scan at once, or organ by organ, where each line says of which organ it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_ctvlp.anatomy import display_name, load_dictionary
from napari_ctvlp.anatomy.schemes import V2_NAMES
from napari_ctvlp.encoder.native_files import NativeParts
from napari_ctvlp.scan.types import OrganMasks
from training.engine.sentences import sentences_of
from training.reports.parse import parse_report
from training.world.report.sentences import dictionary_sentences
from training.world.report.wordings import PLAIN

from .slots import Slots
from .tokens import Tokens
from .writer import Writer


@dataclass(frozen=True)
class Line:
    """A line of a draft.

    Attributes
    ----------
    text : str
    organs : tuple of str
        TotalSegmentator v2 names of what it was written of; empty where it was written of the whole scan.
    """

    text: str
    organs: tuple[str, ...] = ()

    @property
    def is_finding(self) -> bool:
        """Whether it says that something is there, for certain or perhaps, as the rules read it."""
        return any(said.polarity in ("present", "uncertain") for said in parse_report(self.text).statements)


def told_once(parts: Sequence[str]) -> list[str]:
    """Sentences or lines without those that were there before."""
    return list(dict.fromkeys(part for part in map(str.strip, parts) if part))


def draft(writer: Writer, tokens: Tokens, vectors: Tensor, there: Tensor, *, by_organ: bool = False) -> list[Line]:
    """Write of one scan.

    Parameters
    ----------
    writer, tokens
        What writes.
    vectors : (SLOTS, d)
        Of the scan.
    there : (SLOTS,) bool
    by_organ : bool
        Write of each organ by itself, from its own vector alone; what comes out for several alike is one line.
    """
    if not by_organ:
        text = tokens.text(writer.write(vectors[None], there[None])[0])
        return [Line(line) for line in told_once(text.splitlines())]
    slots = [slot for slot in there.nonzero()[:, 0].tolist() if slot > 0]
    if not slots:
        return []
    said: dict[str, list[str]] = {}
    for slot, ids in zip(slots, writer.write_of_organs(vectors[slots], slots), strict=True):
        if text := tokens.text(ids):
            said.setdefault(" ".join(told_once(sentences_of(text))), []).append(V2_NAMES[slot - 1])
    return [Line(text, tuple(organs)) for text, organs in said.items()]


def laid_out(lines: Sequence[Line]) -> str:
    """A draft as a text: of single organs what is found in which, then of which organs nothing was."""
    if not any(line.organs for line in lines):
        return "\n".join(line.text for line in lines)
    found = [line for line in lines if line.is_finding]
    told = [f"{line.text} [{', '.join(map(display_name, line.organs))}]" for line in found]
    others = dict.fromkeys(organ for line in lines if line not in found for organ in line.organs)
    if others:
        told.append(f"Nothing abnormal is written of: {', '.join(map(display_name, others))}.")
    return "\n".join(told)


def v2_labels(masks: OrganMasks) -> NDArray[np.uint8]:
    """(I, P, L) labels by TotalSegmentator v2; what it has no name for is left out."""
    number = {name: place + 1 for place, name in enumerate(V2_NAMES)}
    table = np.zeros(256, np.uint8)
    for label, name in masks.names.items():
        table[label] = number.get(name, 0)
    labels: NDArray[np.uint8] = table[masks.labels]
    return labels


@torch.no_grad()
def told_by_scores(parts: NativeParts, slots: Slots, threshold: float = 0.5) -> list[str]:
    """A report of what an encoder scores above a threshold, in fixed sentences: what one has without a writer.

    Abnormalities of single organs that the encoder's card names are scored as the plugin scores them, prompts against
    prompts, calibrated.
    """
    model = parts.model.cpu()
    scale, known = float(model.log_scale.exp()), set(parts.provenance.abnormalities)
    lines: list[list[str]] = [[] for _ in slots.vectors]
    for entry in load_dictionary():
        for organ in entry.organs:
            key = entry.pair_key(organ)
            if key not in known or entry.key not in PLAIN or organ not in V2_NAMES:
                continue
            positive, negative = entry.prompts(organ)
            texts = model.project_text(parts.known([*positive, *negative]).cpu())
            slot = V2_NAMES.index(organ) + 1
            close = slots.vectors[:, slot].float() @ texts.T
            score = scale * (close[:, : len(positive)].mean(1) - close[:, len(positive) :].mean(1))
            for scan in slots.there[:, slot].nonzero()[:, 0].tolist():
                if parts.calibration.probability(key, float(score[scan])) > threshold:
                    lines[scan].append(dictionary_sentences(organ, entry.key)[0])
    return ["\n".join(each) for each in lines]
