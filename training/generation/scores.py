"""How good written reports are: wording by BLEU, content by what the rules read in them.

BLEU (Papineni et al., ACL 2002) is sacrebleu's, of lower-cased text, with one and with up to four words in a row. It
rewards the style of the reports; whether what is said is true shows in the findings: organ and abnormality of every
statement that something is there, as ``training.reports`` reads it in the written and in the real report, compared as
F1 over all reports, as the "clinical efficacy" of report generation is (Chen et al., EMNLP 2020). What neither report
speaks of counts as agreement of no kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU

from training.engine.metrics import Floats, Resampling, percentiles
from training.reports.parse import parse_report

Finding = tuple[str, str]
"""Organ and key of the abnormality."""


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 percent bootstrap interval over patients."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})"


@dataclass(frozen=True)
class Scored:
    """How written reports compare with the real ones."""

    bleu1: Figure
    bleu4: Figure
    precision: Figure
    recall: Figure
    f1: Figure

    @property
    def figures(self) -> dict[str, Figure]:
        """By name."""
        return dict(vars(self))


def findings_in(report: str) -> frozenset[Finding]:
    """What a report says is there, for certain or perhaps."""
    said = parse_report(report).statements
    return frozenset((s.organ, s.abnormality) for s in said if s.abnormality and s.polarity in ("present", "uncertain"))


def counts_of(written: Sequence[str], real: Sequence[str]) -> NDArray[np.float64]:
    """(n, 3) findings that are in both, in the written, in the real report of each scan."""
    rows = []
    for ours, theirs in zip(written, real, strict=True):
        said, true = findings_in(ours), findings_in(theirs)
        rows.append((len(said & true), len(said), len(true)))
    return np.array(rows, float).reshape(-1, 3)


def scored(
    written: Sequence[str], real: Sequence[str], patient: NDArray[np.int64], *, rounds: int = 500, seed: int = 0
) -> Scored:
    """Compare written reports with real ones.

    Parameters
    ----------
    written, real : sequence of str
        Of the same scans.
    patient : (n,) int64
        Number of the patient of each scan, from 0: what is resampled.
    rounds, seed : int
        Of the bootstrap.
    """
    resample = Resampling(int(patient.max()) + 1, rounds, seed)
    both, said, true = counts_of(written, real).T

    def figure(over: NDArray[np.float64], under: NDArray[np.float64]) -> Figure:
        def measure(weights: Floats) -> Floats:
            total = weights @ under
            share: Floats = np.divide(weights @ over, total, out=np.zeros_like(total), where=total > 0)
            return share

        return Figure(float(measure(np.ones((1, len(over))))[0]), *percentiles(resample(measure, patient)))

    one, four = (_bleu(written, real, patient, resample, order) for order in (1, 4))
    return Scored(one, four, figure(both, said), figure(both, true), figure(2 * both, said + true))


def _bleu(
    written: Sequence[str], real: Sequence[str], patient: NDArray[np.int64], resample: Resampling, order: int
) -> Figure:
    """BLEU of all reports together, 0 to 1."""
    bleu = BLEU(lowercase=True, max_ngram_order=order, effective_order=True)
    each = [bleu.sentence_score(ours, [theirs]) for ours, theirs in zip(written, real, strict=True)]
    counts = np.array([[*one.counts, *one.totals, one.sys_len, one.ref_len] for one in each], float)

    def of_counts(row: Floats) -> float:
        right, total, (ours, theirs) = row[:order], row[order:-2], row[-2:]
        found = BLEU.compute_bleu(
            [int(n) for n in right], [int(n) for n in total], int(ours), int(theirs), max_ngram_order=order
        )
        return float(found.score) / 100

    def measure(weights: Floats) -> Floats:
        return np.array([of_counts(row) for row in np.rint(weights @ counts)])

    value = float(measure(np.ones((1, len(counts))))[0])
    return Figure(value, *percentiles(resample(measure, patient)))


def others(count: int, seed: int = 0) -> list[int]:
    """Another scan for each of some, by lot: what reports share by their style and by what is frequent."""
    order = np.random.default_rng(seed).permutation(count)
    nexts = np.empty(count, int)
    nexts[order] = np.roll(order, 1)
    return [int(n) for n in nexts]


def nearest(vectors: NDArray[np.float32], known: NDArray[np.float32]) -> list[int]:
    """The training scan most alike each scan, for (n, d) and (m, d) unit vectors: its report is a baseline that writes
    nothing (report generation by retrieval, Endo et al., ML4H 2021)."""
    return [int(n) for n in (vectors @ known.T).argmax(1)]
