"""Scores to probabilities: Platt scaling per organ and abnormality, on validation scans only (Platt, 1999)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from napari_ctvlp.encoder.contract import Calibration
from training.engine.validate import PairScores

FEWEST = 6
"""Cases of each state that a map of its own needs; with fewer, a key uses its abnormality's or the common map."""


def _fit(scores: NDArray[np.float64], present: NDArray[np.bool_]) -> tuple[float, float]:
    # mild ridge: a perfectly separated pair would otherwise get an endless slope
    model = LogisticRegression(C=10.0).fit(scores[:, None], present)
    return max(0.05, float(model.coef_[0, 0])), float(model.intercept_[0])


def fit_calibration(pairs: Sequence[PairScores]) -> Calibration:
    """Fit a map per pair, else per abnormality over its organs, else one for all.

    The base rate of the synthetic world stays in the offsets: a probability answers for a world in which the finding is
    as frequent as it was there.
    """

    def pooled(group: Sequence[PairScores]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        return np.concatenate([p.scores for p in group]), np.concatenate([p.present for p in group])

    def enough(present: NDArray[np.bool_]) -> bool:
        return bool(min(present.sum(), (~present).sum()) >= FEWEST)

    if not pairs:
        return Calibration()
    scores, present = pooled(pairs)
    default = _fit(scores, present) if enough(present) else (1.0, 0.0)
    by_key: dict[str, tuple[float, float]] = {}
    for pair in pairs:
        family = [p for p in pairs if p.key.split("/")[1] == pair.key.split("/")[1]]
        family_scores, family_present = pooled(family)
        if enough(pair.present):
            by_key[pair.key] = _fit(pair.scores, pair.present)
        elif enough(family_present):
            by_key[pair.key] = _fit(family_scores, family_present)
    return Calibration(default, by_key)
