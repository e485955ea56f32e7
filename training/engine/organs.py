"""The live table: per organ how its contrast does against guessing, and how its abnormalities are told apart.

A step keeps its vectors and texts, which costs nothing; the contrasts are computed when a table is asked for. Each is
over the last steps' organs of one kind against the texts about that kind alone, by every method the same, so that
tables of methods can be compared: it is no part of the loss.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from training.data.texts import Classes
from training.objectives.base import Features, Organs, Texts
from training.objectives.contrast import chance_level, soft_cross_entropy
from training.objectives.ctglip import candidates, known_rows

from .metrics import Interval

SCANS = 64
"""Scans of the last steps that a table is made from."""


@dataclass(frozen=True)
class Seen:
    """What a step compared: organs, texts and the inverse temperature, without their graph."""

    organs: Organs
    texts: Texts
    scale: Tensor

    @staticmethod
    def of(features: Features, texts: Texts, scale: Tensor) -> Seen | None:
        """Of one network; None where the method asks for no organs."""
        if features.organs is None:
            return None
        plain = {k: v.detach() for k, v in vars(texts).items() if isinstance(v, Tensor)}
        organs = replace(features.organs, vectors=features.organs.vectors.detach())
        if organs.told is not None:
            # what is not known of an organ may be true of it, and no text against it
            own = (texts.class_organ[None] == organs.organ[:, None]) & ~texts.class_normal[None]
            organs = replace(organs, states=organs.states & (organs.told | ~own).all(1, keepdim=True))
        return Seen(organs, replace(texts, **plain), scale.detach())


def last_seen(batch: int) -> deque[Seen]:
    """Room for the last steps of so many scans each."""
    return deque(maxlen=max(1, SCANS // batch))


@dataclass(frozen=True)
class Contrast:
    """An organ's contrast against its own texts.

    Attributes
    ----------
    rows : int
        Organs with a text that is true of them and one that is not.
    positives, candidates : float
        Texts a row that are true of it, and texts that there are.
    loss, chance : float
        Cross-entropy, and that of guessing among the candidates; with several positives a perfect row comes to the log
        of their number and not to zero.
    """

    rows: int
    positives: float
    candidates: float
    loss: float
    chance: float


@torch.no_grad()
def contrasts(seen: Sequence[Seen], classes: Classes) -> dict[str, Contrast]:
    """The contrast of each organ that has one; means over rows."""
    sums: dict[int, Tensor] = {}
    for each in seen:
        features = Features(each.organs)
        rows, texts = known_rows(features), candidates(features, each.texts)
        logits = (each.scale * rows.vectors @ texts.reports.T).float().cpu()
        holds = rows.states[:, texts.report_class].float().cpu()
        kind, about = rows.organ.cpu(), texts.class_organ[texts.report_class].cpu()
        for organ in kind.unique().tolist():
            own = about == organ
            targets = holds[kind == organ][:, own]
            useful = targets.any(1) & (targets == 0).any(1)
            if not bool(useful.any()):
                continue
            targets, given = targets[useful], logits[kind == organ][:, own][useful]
            loss, chance = soft_cross_entropy(given, targets), chance_level(torch.ones_like(targets).bool(), targets)
            means = torch.tensor([1.0, float(targets.sum(1).mean()), targets.shape[1], float(loss), chance])
            sums[organ] = sums.get(organ, torch.zeros(5)) + len(targets) * means
    found = {}
    for organ, total in sorted(sums.items()):
        rest = (total[1:] / total[0]).tolist()
        found[classes.organs[organ]] = Contrast(int(total[0]), *rest)
    return found


def organ_lines(found: Mapping[str, Contrast], aucs: Mapping[str, Interval]) -> list[str]:
    """The table, a line an organ, for reading; nothing where no organ has anything to tell apart."""
    if not found and not aucs:
        return []
    lines = [f"  {'organ':<28} {'loss-chance':>11} {'positives':>12} {'rows':>5}   AUC of its abnormalities"]
    for organ in sorted(found.keys() | aucs.keys()):
        contrast, auc = found.get(organ), aucs.get(organ)
        left = f"{'-':>11} {'-':>12} {0:>5}"
        if contrast is not None:
            gain, of = contrast.loss - contrast.chance, f"{contrast.positives:.1f} of {contrast.candidates:.0f}"
            left = f"{gain:>+11.2f} {of:>12} {contrast.rows:>5}"
        lines.append(f"  {organ:<28} {left}   {'-' if auc is None else f'{auc} {auc.verdict}'}")
    return lines


def organ_log(found: Mapping[str, Contrast], aucs: Mapping[str, Interval]) -> dict[str, dict[str, Any]]:
    """The table for the log."""
    table: dict[str, dict[str, Any]] = {}
    for organ in sorted(found.keys() | aucs.keys()):
        line: dict[str, Any] = {}
        if organ in found:
            each = found[organ]
            line = {k: round(v, 4) for k, v in vars(each).items()} | {"gain": round(each.loss - each.chance, 4)}
        if organ in aucs:
            auc = aucs[organ]
            line["auc"] = [round(auc.value, 4), round(auc.low, 4), round(auc.high, 4)]
            line["verdict"] = auc.verdict
        table[organ] = line
    return table
