"""A small regularised linear probe on embeddings, and how well it does on what it has not seen.

Logistic regression with an L2 penalty, both classes weighted alike (so that three against one does not move the
threshold). Features are centred between the two classes and scaled to unit length on average: the penalty then means
the same for every encoder. The loss is convex and its solution lies in the span of the examples, so that a few Newton
steps in as many dimensions as there are examples give it exactly.

The quality is the AUC by leave-pair-out cross-validation, which unlike leave-one-out is not biased with few examples
(Airola et al. 2011, Computational Statistics & Data Analysis 55). Pairs are of one organ where there are such: a probe
that merely tells the left kidney from the right one must not look good. Where it can be, the other organs of the two
scans are left out as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PENALTY = 1.0
MOST_PAIRS = 200
"""Pairs that are left out, at most; drawn by a fixed seed where there are more."""
MOST_LEFT_OUT = 40
_STEPS = 30


@dataclass(frozen=True, eq=False)
class Probe:
    """``sigmoid((v - middle) @ weights + offset)`` is the probability of one vector v of length d."""

    middle: Floats
    weights: Floats
    offset: float

    def probability(self, vectors: NDArray[np.floating]) -> Floats:
        """(n,) of (n, d) vectors."""
        logits = (np.asarray(vectors, np.float64) - self.middle) @ self.weights + self.offset
        return 1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30)))


@dataclass(frozen=True)
class Quality:
    """What cross-validation says.

    ``auc`` is the share of ``pairs`` (one present, one absent, neither seen) that the probe puts in the right order;
    ``one_organ`` tells whether the two of a pair are the same organ, ``apart`` whether nothing else of their scans was
    seen either; ``chance`` is the probability of so high an AUC from a probe that knows nothing (Mann-Whitney, as if
    all pairs counted).
    """

    auc: float
    pairs: int
    one_organ: bool
    apart: bool
    chance: float


def fit_probe(vectors: NDArray[np.floating], present: NDArray[np.bool_]) -> Probe:
    """Fit to examples.

    Parameters
    ----------
    vectors : (n, d)
    present : (n,) bool
        At least one of each.
    """
    x, basis = _coordinates(np.asarray(vectors, np.float64))
    probe = _fit(x, present)
    return Probe(basis @ probe.middle, basis @ probe.weights, probe.offset)


def fit_leaving_out(vectors: NDArray[np.floating], present: NDArray[np.bool_]) -> tuple[Probe, ...]:
    """Probes that each have not seen one of the examples (of at most `MOST_LEFT_OUT`, evenly taken)."""
    x, basis = _coordinates(np.asarray(vectors, np.float64))
    found = []
    for left in np.unique(np.linspace(0, len(x) - 1, MOST_LEFT_OUT).round().astype(int)):
        rest = np.arange(len(x)) != left
        if _both(present[rest]):
            probe = _fit(x[rest], present[rest])
            found.append(Probe(basis @ probe.middle, basis @ probe.weights, probe.offset))
    return tuple(found)


def cross_validate(
    vectors: NDArray[np.floating], present: NDArray[np.bool_], scans: Sequence[str], organs: Sequence[str]
) -> Quality | None:
    """AUC on pairs that the probe has not seen; None with fewer than two examples of each kind.

    Parameters
    ----------
    vectors : (n, d)
    present : (n,) bool
    scans, organs : n texts
        Which scan and organ each example is from.
    """
    yes, no = np.flatnonzero(present), np.flatnonzero(~present)
    if min(len(yes), len(no)) < 2:
        return None
    x, _ = _coordinates(np.asarray(vectors, np.float64))
    of, organ = np.asarray(scans), np.asarray(organs)
    pairs = [(p, n) for p, n in product(yes, no) if organ[p] == organ[n]]
    one_organ = len(pairs) > 1
    if not one_organ:
        pairs = list(product(yes, no))
    strict = [(p, n) for p, n in pairs if _both(present[(of != of[p]) & (of != of[n])])]
    apart = len(strict) > 1
    chosen = strict if apart else pairs
    if len(chosen) > MOST_PAIRS:
        picked = np.random.default_rng(0).choice(len(chosen), MOST_PAIRS, replace=False)
        chosen = [chosen[i] for i in picked]
    won = 0.0
    for p, n in chosen:
        rest = np.ones(len(x), bool)
        rest[[p, n]] = False
        if apart:
            rest &= (of != of[p]) & (of != of[n])
        direction = _fit(x[rest], present[rest]).weights
        won += float(np.heaviside((x[p] - x[n]) @ direction, 0.5))
    auc = won / len(chosen)
    return Quality(auc, len(chosen), one_organ, apart, chance_of(auc, len(yes), len(no)))


def chance_of(auc: float, present: int, absent: int) -> float:
    """Probability of at least this AUC where ``present`` and ``absent`` examples lie in random order.

    The exact distribution of Mann and Whitney's U, by its recursion; beyond 40 of a kind its normal limit.
    """
    least = auc * present * absent
    if max(present, absent) > 40:
        from math import erfc, sqrt

        spread = sqrt(present * absent * (present + absent + 1) / 12)
        return 0.5 * erfc((least - 0.5 - present * absent / 2) / spread / sqrt(2))
    # counts[n][u]: orders of m present and n absent with U = u, for growing m
    size = present * absent + 1
    counts = [np.eye(1, size)[0] for _ in range(absent + 1)]
    for _ in range(present):
        grown = [counts[0]]
        for n in range(1, absent + 1):
            # the highest is present (it beats n absent ones), or absent (it beats nobody)
            shifted = np.concatenate([np.zeros(n), counts[n][: size - n]])
            grown.append(grown[n - 1] + shifted)
        counts = grown
    return float(counts[absent][int(np.ceil(least - 1e-9)) :].sum() / counts[absent].sum())


def _both(present: NDArray[np.bool_]) -> bool:
    return bool(present.any() and not present.all())


def _coordinates(vectors: Floats) -> tuple[Floats, Floats]:
    """(n, r) coordinates of (n, d) vectors in an orthonormal basis (d, r) of their span."""
    basis, coordinates = np.linalg.qr(vectors.T)
    return coordinates.T, basis


def _fit(x: Floats, present: NDArray[np.bool_]) -> Probe:
    middle = (x[present].mean(0) + x[~present].mean(0)) / 2
    z = x - middle
    # equal examples differ by rounding alone, which must not be blown up
    scale = max(float(np.sqrt((z**2).sum(1).mean())), 1e-6 * float(np.abs(x).max())) or 1.0
    z = np.hstack([z / scale, np.ones((len(z), 1))])
    sign = np.where(present, 1.0, -1.0)
    weight = np.where(present, 1 / present.sum(), 1 / (~present).sum()) * len(x) / 2
    penalty = np.full(z.shape[1], PENALTY)
    penalty[-1] = 1e-6

    def loss(w: Floats) -> float:
        return float(weight @ np.logaddexp(0, -sign * (z @ w)) + penalty @ w**2 / 2)

    w = np.zeros(z.shape[1])
    now = loss(w)
    for _ in range(_STEPS):
        wrong = 1 / (1 + np.exp(np.clip(sign * (z @ w), -30, 30)))
        gradient = penalty * w - z.T @ (weight * sign * wrong)
        curvature = (z.T * (weight * wrong * (1 - wrong))) @ z + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while (after := loss(w - size * step)) > now and size > 1e-4:
            size /= 2
        w, before, now = w - size * step, now, after
        if before - now < 1e-10 * max(1.0, now):
            break
    return Probe(middle, w[:-1] / scale, float(w[-1]))
