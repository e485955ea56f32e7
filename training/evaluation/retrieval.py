"""Whole scans looked for by their reports, and reports by their scans: what contrast of wholes is trained for.

R@k is the share of queries of which a right answer is among the k nearest candidates (as in Radford et al., ICML 2021,
and in "report to volume" retrieval on CT-RATE). A candidate is right where its report equals that of the query's scan:
two scans without any finding may have the same one. Candidates that are as near as the right one count half: an encoder
that gives the same vector for all is at chance, and not at the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammaln

from napari_ctvlp.encoder.contract import FloatArray
from napari_ctvlp.encoder.native_files import NativeParts
from training.data.records import ScanSource
from training.engine.metrics import Resampling, percentiles
from training.engine.network import Network
from training.engine.sentences import report_vectors, sentences_of
from training.engine.validate import scan_input
from training.objectives.base import Needs

AT = (1, 5, 10)
"""How many of the nearest candidates are looked at."""


@dataclass(frozen=True)
class Recall:
    """R@k of one direction.

    Attributes
    ----------
    at : int
        How many of the nearest are looked at.
    value, low, high : float
        Share of queries, with the 95 percent bootstrap interval over patients; the candidates stay what they are.
    chance : float
        What drawing the candidates by lot gives.
    """

    at: int
    value: float
    low: float
    high: float
    chance: float


@torch.no_grad()
def scan_vectors(parts: NativeParts, store: ScanSource, device: str = "cpu") -> FloatArray:
    """(n, d) unit vectors of the whole scans of a store, one at a time.

    Tokens of the patient are pooled by the attention that pools organs and projected by the head of the organs, as
    methods are trained that align wholes alone.
    """
    tower = parts.model.to(device).vision
    network = Network(parts.model, Needs(organs=False, whole=True)).eval()
    rows = []
    for number in range(store.count):
        given = scan_input(tower, store, store.load(number))
        image, labels = given.image.to(device), given.labels.to(device)
        rows.append(network(image, network.indices(image, labels), half=True).whole[0].cpu().numpy())
    return np.stack(rows)


@torch.no_grad()
def reports_of(parts: NativeParts, reports: Sequence[str]) -> FloatArray:
    """(n, d) unit vectors of whole reports: the mean over their sentences, projected, as in training."""
    sentences = [sentences_of(report) for report in reports]
    distinct = list(dict.fromkeys(sentence for each in sentences for sentence in each))
    row = {text: i for i, text in enumerate(distinct)}
    vectors = parts.text(distinct)[[row[sentence] for each in sentences for sentence in each]]
    whole = report_vectors(vectors.cpu(), sentences)
    device = parts.model.log_scale.device
    projected: FloatArray = parts.model.project_text(whole.to(device)).cpu().numpy()
    return projected


def ranks(similarity: NDArray[np.floating], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(queries,) rank of the nearest right candidate of each, 1 for the first.

    Parameters
    ----------
    similarity : (queries, candidates)
    right : (queries, candidates) bool
        At least one in each row.
    """
    best = np.where(right, similarity, -np.inf).max(1, keepdims=True)
    before = (~right & (similarity > best)).sum(1)
    ties = (~right & (similarity == best)).sum(1)
    return 1.0 + before + ties / 2


def chance(right: NDArray[np.bool_], at: int) -> NDArray[np.float64]:
    """(queries,) probability that k candidates drawn by lot hold a right one: 1 - C(n - p, k) / C(n, k)."""
    n, p = right.shape[1], right.sum(1)
    k = min(at, n)
    wrong = np.maximum(n - p, 0)
    log = gammaln(wrong + 1) - gammaln(np.maximum(wrong - k, 0) + 1) - gammaln(n + 1) + gammaln(n - k + 1)
    return np.where(wrong < k, 1.0, 1.0 - np.exp(log))


def _share(hit: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rounds,) weighted share of hits; ``weights`` is (rounds, queries)."""
    share: NDArray[np.float64] = weights @ hit / weights.sum(1)
    return share


def recalls(
    similarity: NDArray[np.floating],
    right: NDArray[np.bool_],
    patient: NDArray[np.int64],
    at: Sequence[int] = AT,
    *,
    rounds: int = 500,
    seed: int = 0,
) -> list[Recall]:
    """R@k of all queries, with intervals.

    Parameters
    ----------
    similarity, right
        See `ranks`.
    patient : (queries,) int64
        Number of the patient of each query, from 0: what is resampled.
    at : sequence of int
    rounds, seed : int
        Of the bootstrap.
    """
    rank = ranks(similarity, right)
    resample = Resampling(int(patient.max()) + 1, rounds, seed)
    found = []
    for k in at:
        hit = (rank <= k).astype(float)
        draws = resample(partial(_share, hit), patient)
        found.append(Recall(k, float(hit.mean()), *percentiles(draws), float(chance(right, k).mean())))
    return found
