"""The probability from which a finding is called, chosen on validation scans alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.engine.metrics import enough

from .calibration import Calibrator
from .cases import Question


@dataclass(frozen=True)
class Threshold:
    """A probability, and whether it is an abnormality's own or the common one of all."""

    value: float
    own: bool


def nearest_to_corner(probability: NDArray[np.float64], present: NDArray[np.bool_]) -> float:
    """The threshold whose point on the ROC curve is nearest to (0, 1), halfway between two cases.

    CT-CLIP and fVLM choose theirs by the same rule (CT-CLIP, ``scripts/eval.py``), but on the test scans.
    """
    levels = np.unique(probability)
    if len(levels) == 1:
        return float(levels[0])
    candidates = np.r_[levels[0], (levels[1:] + levels[:-1]) / 2]
    hits, misses = np.sort(probability[present]), np.sort(probability[~present])
    missed = np.searchsorted(hits, candidates, side="left") / len(hits)
    false = 1 - np.searchsorted(misses, candidates, side="left") / len(misses)
    return float(candidates[np.argmin(missed**2 + false**2)])


def choose(validation: Mapping[str, Question], calibrate: Calibrator) -> dict[str, Threshold]:
    """A threshold per question; with too few validation scans of either class that of all together, under "*"."""
    result = {}
    seen = [(name, q, calibrate(q.keys, q.scores)) for name, q in validation.items()]
    for name, q, probability in seen:
        if enough(q.present, q.patient):
            result[name] = Threshold(nearest_to_corner(probability, q.present), own=True)
    if seen:
        present = np.concatenate([q.present for _, q, _ in seen])
        if 0 < present.sum() < len(present):
            common = nearest_to_corner(np.concatenate([p for _, _, p in seen]), present)
            result["*"] = Threshold(common, own=False)
    return result
