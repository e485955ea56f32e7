"""Figures with intervals: each takes weights, so that a resampling of scans is one more row of a matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST = 5
"""Scans with a finding, and without, that a statement about it needs."""
BLOCK = 4_000_000
"""Weights that are held at once."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Measure = Callable[[Floats], Floats]
"""From (rounds, n) weights of the cases to (rounds,) figures; NaN where a round holds one class only."""


@dataclass(frozen=True)
class Interval:
    """A figure with a 95 percent bootstrap interval over scans, and what it was computed from.

    Attributes
    ----------
    value, low, high : float
        ``low`` and ``high`` are 0 and 1 where there is too little to say.
    positives, negatives : int
        Cases of each class.
    enough : bool
        Whether at least `FEWEST` scans hold each class.
    """

    value: float
    low: float
    high: float
    positives: int
    negatives: int
    enough: bool = True

    @property
    def above_chance(self) -> bool:
        """Whether the whole interval of an AUC lies above one half, from enough scans."""
        return self.enough and self.low > 0.5

    @property
    def verdict(self) -> str:
        """What an AUC says: "above chance", "not above chance" or "too few to say"."""
        if not self.enough:
            return "too few to say"
        return "above chance" if self.above_chance else "not above chance"

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f}-{self.high:.2f})" if self.enough else f"{self.value:.2f} (too few)"


class Resampling:
    """Draws of scans with replacement, the same for every figure, so that means of figures have intervals too.

    Parameters
    ----------
    scans : int
        Number of scans (patients, where one has several).
    rounds, seed : int
        How many draws, and from what.
    """

    def __init__(self, scans: int, rounds: int = 500, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.counts: Floats = rng.multinomial(scans, np.full(scans, 1 / scans), size=rounds).astype(float)

    def __call__(self, measure: Measure, scan: NDArray[np.int64]) -> Floats:
        """(rounds,) figures of the draws; ``scan`` is the scan of each case."""
        rows = max(1, BLOCK // max(1, len(scan)))
        parts = [measure(self.counts[k : k + rows][:, scan]) for k in range(0, len(self.counts), rows)]
        return np.concatenate(parts)


def percentiles(draws: Floats, default: tuple[float, float] = (0.0, 1.0)) -> tuple[float, float]:
    """The 95 percent percentile interval of the draws that could be computed."""
    good = draws[np.isfinite(draws)]
    if not len(good):
        return default
    low, high = np.percentile(good, [2.5, 97.5])
    return float(low), float(high)


def enough(present: Bools, scan: NDArray[np.int64]) -> bool:
    """Whether at least `FEWEST` scans hold each class."""
    return min(len(np.unique(scan[present])), len(np.unique(scan[~present]))) >= FEWEST


def auc(scores: Floats, present: Bools, weights: Floats) -> Floats:
    """Area under the ROC curve: the share of pairs in the right order, ties as half (Hanley & McNeil, 1982)."""
    positive, negative = _by_score(scores, present, weights)
    below = np.cumsum(negative, axis=1) - negative
    right = (positive * (below + negative / 2)).sum(axis=1)
    return _ratio(right, positive.sum(axis=1) * negative.sum(axis=1))


def auc_within(scores: Floats, present: Bools, group: NDArray[np.int64], weights: Floats) -> Floats:
    """The share of pairs *of one group* in the right order, ties as half: cases of different groups are never compared
    (a stratified Mann-Whitney statistic; van Elteren, 1960)."""
    right, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for one in np.unique(group):
        rows = group == one
        if not present[rows].any() or present[rows].all():
            continue
        positive, negative = _by_score(scores[rows], present[rows], weights[:, rows])
        below = np.cumsum(negative, axis=1) - negative
        right += (positive * (below + negative / 2)).sum(axis=1)
        pairs += positive.sum(axis=1) * negative.sum(axis=1)
    return _ratio(right, pairs)


def average_precision(scores: Floats, present: Bools, weights: Floats) -> Floats:
    """Precision at each threshold, weighted by the gain in recall there."""
    positive, negative = (part[:, ::-1] for part in _by_score(scores, present, weights))
    found = np.cumsum(positive, axis=1)
    called = found + np.cumsum(negative, axis=1)
    precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
    return _ratio((positive * precision).sum(axis=1), positive.sum(axis=1))


def at_threshold(called: Bools, present: Bools, weights: Floats) -> dict[str, Floats]:
    """F1, sensitivity and specificity of a decision."""
    sums = {
        (c, p): weights[:, (called == c) & (present == p)].sum(axis=1) for c in (False, True) for p in (False, True)
    }
    hit, false = sums[True, True], sums[True, False]
    missed, clear = sums[False, True], sums[False, False]
    return {
        "f1": _ratio(2 * hit, 2 * hit + false + missed),
        "sensitivity": _ratio(hit, hit + missed),
        "specificity": _ratio(clear, clear + false),
    }


def calibration_error(probability: Floats, present: Bools, weights: Floats, bins: int = 10) -> Floats:
    """Mean gap between confidence and frequency over equal-width bins (Guo et al., 2017)."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    gap = probability - present
    sums = [np.abs(weights[:, place == b] @ gap[place == b]) for b in np.unique(place)]
    return _ratio(np.sum(sums, axis=0), weights.sum(axis=1))


def expected_calibration_error(probability: Floats, present: Bools, bins: int = 10) -> float:
    """:func:`calibration_error` of the cases as they are."""
    return float(calibration_error(probability, present, np.ones((1, len(probability))), bins)[0])


def auc_with_interval(
    scores: Floats, present: Bools, scan: NDArray[np.int64], *, rounds: int = 200, seed: int = 0
) -> Interval | None:
    """Area under the ROC curve with a percentile interval from resampling scans (not organs, which are correlated).

    Returns None when only one class occurs.
    """
    if not present.any() or present.all():
        return None
    _, number = np.unique(scan, return_inverse=True)
    draws = Resampling(int(number.max()) + 1, rounds, seed)(lambda w: auc(scores, present, w), number)
    return auc_interval(float(auc(scores, present, np.ones((1, len(scores))))[0]), draws, present, scan)


def auc_interval(value: float, draws: Floats, present: Bools, scan: NDArray[np.int64]) -> Interval:
    """The interval of an AUC from its draws.

    Where the classes do not overlap every draw is 1 (or 0) and says nothing: the bound is then that of as many
    successes without a failure as there are scans of the rarer class (Clopper & Pearson, 1934).
    """
    positives, negatives = int(present.sum()), int((~present).sum())
    if not enough(present, scan):
        return Interval(value, 0.0, 1.0, positives, negatives, enough=False)
    low, high = percentiles(draws)
    bound = 0.025 ** (1 / min(len(np.unique(scan[present])), len(np.unique(scan[~present]))))
    if value == 1:
        low = min(low, bound)
    if value == 0:
        high = max(high, 1 - bound)
    return Interval(value, low, high, positives, negatives)


def _by_score(scores: Floats, present: Bools, weights: Floats) -> tuple[Floats, Floats]:
    """Weight of positives and of negatives at each distinct score, ascending: (rounds, scores) each."""
    order = np.argsort(scores, kind="stable")
    ordered, truth, weights = scores[order], present[order], weights[:, order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    return np.add.reduceat(weights * truth, starts, axis=1), np.add.reduceat(weights * ~truth, starts, axis=1)


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
