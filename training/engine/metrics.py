"""Figures with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score


@dataclass(frozen=True)
class Interval:
    """A figure with a 95 percent bootstrap interval over scans, and what it was computed from."""

    value: float
    low: float
    high: float
    positives: int
    negatives: int

    @property
    def above_chance(self) -> bool:
        """Whether the whole interval of an AUC lies above one half."""
        return self.low > 0.5

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f}-{self.high:.2f})"


def auc_with_interval(
    scores: NDArray[np.float64],
    present: NDArray[np.bool_],
    scan: NDArray[np.int64],
    *,
    rounds: int = 200,
    seed: int = 0,
) -> Interval | None:
    """Area under the ROC curve with a percentile interval from resampling scans (not organs, which are correlated).

    Returns None when only one class occurs.
    """
    positives, negatives = int(present.sum()), int((~present).sum())
    if not positives or not negatives:
        return None
    value = float(roc_auc_score(present, scores))
    rng = np.random.default_rng(seed)
    by_scan = [np.flatnonzero(scan == s) for s in np.unique(scan)]
    draws = []
    for _ in range(rounds):
        rows = np.concatenate([by_scan[k] for k in rng.integers(len(by_scan), size=len(by_scan))])
        if present[rows].any() and not present[rows].all():
            draws.append(roc_auc_score(present[rows], scores[rows]))
    if not draws:
        return None
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(value, float(low), float(high), positives, negatives)


def expected_calibration_error(probability: NDArray[np.float64], present: NDArray[np.bool_], bins: int = 10) -> float:
    """Mean gap between confidence and frequency over equal-width bins (Guo et al., 2017)."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [
        abs(probability[place == b].mean() - present[place == b].mean()) * (place == b).mean()
        for b in range(bins)
        if (place == b).any()
    ]
    return float(sum(gaps))
