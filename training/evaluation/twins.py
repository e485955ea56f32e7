"""Whether a score rests on its finding: a scan with it against the same scan without it.

An AUC over scans asks whether scans with a finding score higher than others; what goes along with a finding in training
scans, or what the painting of other things leaves behind, can be enough for that. Between twins nothing else differs
than what the second lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.encoder.contract import ScanEncoder
from training.engine.metrics import FEWEST

from .cases import HeldOut, prompt_scores


@dataclass(frozen=True)
class Told:
    """A finding that the second of two twins lacks: how much higher the first scores, in logits."""

    pair: int
    organ: str
    abnormality: str
    more: float


def told_apart(encoder: ScanEncoder, data: HeldOut) -> Iterator[Told]:
    """Ask both twins for what only the first has.

    Parameters
    ----------
    encoder : ScanEncoder
    data : HeldOut
        Organs of a store with twins: scan 2k + 1 is the twin of scan 2k.
    """
    entries, known = {e.key: e for e in load_dictionary()}, frozenset(encoder.card.abnormalities)
    row_of = {(int(scan), r.organ): n for n, (scan, r) in enumerate(zip(data.scan, data.records, strict=True))}
    for (scan, organ), row in row_of.items():
        other = row_of.get((scan + 1, organ))
        if scan % 2 or other is None or not (data.records[row].known and data.records[other].known):
            continue
        for name in data.records[row].abnormalities:
            if name in data.records[other].abnormalities or entries[name].pair_key(organ) not in known:
                continue
            scores = prompt_scores(encoder, data.vectors[[row, other]], entries[name], organ).mean(1)
            yield Told(scan // 2, organ, name, float(scores[0] - scores[1]))


def twin_figures(found: list[Told], rounds: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Share of findings that raise their score, as the mean over abnormalities, with its interval over pairs of twins.

    Half of them would by chance. Of fewer than ``FEWEST`` pairs there is no interval.
    """
    if not found:
        return {"value": None}
    kinds = sorted({t.abnormality for t in found})
    right = np.array([t.more > 0 for t in found], float)
    kind = np.array([kinds.index(t.abnormality) for t in found])
    pairs, pair = np.unique([t.pair for t in found], return_inverse=True)
    of_kind = np.eye(len(kinds))[kind]
    times = np.random.default_rng(seed).multinomial(len(pairs), np.full(len(pairs), 1 / len(pairs)), size=rounds)
    weights = times[:, pair].astype(float)
    with np.errstate(invalid="ignore"):  # a kind that a draw holds nothing of
        draws = np.nanmean((weights * right) @ of_kind / (weights @ of_kind), axis=1)
    low, high = np.percentile(draws, [2.5, 97.5]) if len(pairs) >= FEWEST else (None, None)
    shares = {k: (int(right[kind == n].sum()), int((kind == n).sum())) for n, k in enumerate(kinds)}
    return {
        "value": round(float(np.mean([hits / of for hits, of in shares.values()])), 4),
        "low": None if low is None else round(float(low), 4),
        "high": None if high is None else round(float(high), 4),
        "findings": len(found),
        "pairs": len(pairs),
        "by_kind": {k: {"right": hits, "of": of} for k, (hits, of) in shares.items()},
    }
