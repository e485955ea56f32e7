"""What the encoder sees of a text in each organ of a scan, 0..1, whatever the organs are called.

Three readings of the same cosines, each for what it has to tell:

beside names, for a finding
    logistic(logit_scale * (cos(organ, text) - mean cos(organ, the organ's own normal prompts))): which of the organs
    that are named shows it. The plain cosine does not separate, the difference does (measured).
beside names, otherwise
    exp(logit_scale * (cos(organ, text) - max over organ names of cos(organ, name))), at most 1: how well the text
    describes what is seen, against the best name there is for it.
alone
    logistic(logit_scale * (cos(organ, text) - mean cos(organ, its ten nearest organ names))): which organ it is. Some
    organs are near to every text, the more so the less a scan looks like those of training; what they are near to
    anyway is taken off, as in cross-domain similarity local scaling (Conneau et al. 2018, Word translation without
    parallel data, section 2.3, with their ten neighbours). Own normal prompts would not do, since they are found by
    the names of the masks.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.anatomy.parsed import ParsedQuery
from napari_ctvlp.ask.bank import bank_of, reference_organs
from napari_ctvlp.encoder.contract import BLIND, FloatArray, ScanEmbedding

NEAREST = 10
"""Names whose likeness to an organ is what any text would get there."""

Values = NDArray[np.float64]


def seen_in(embedding: ScanEmbedding, query: ParsedQuery, *, alone: bool = False) -> Values:
    """What the encoder sees of a question in each organ; 0 where it cannot see the organ.

    Parameters
    ----------
    embedding : ScanEmbedding
    query : ParsedQuery
    alone : bool
        Whether nothing else will tell which organ is meant. The side is then put back in front of the text; otherwise
        it is for the names to tell.

    Returns
    -------
    (organs,) float64
        0..1, in the order of ``embedding.organs``.
    """
    rows = [i for i, status in enumerate(embedding.status) if status not in BLIND]
    result = np.zeros(len(embedding.organs))
    if not rows:
        return result
    encoder = embedding.encoder
    organs, vectors = tuple(embedding.organs[i] for i in rows), embedding.vectors[rows]
    text = f"{query.side} {query.core}" if alone and query.side in ("left", "right") else query.core
    asked = vectors @ encoder.encode_text([text])[0]
    if alone:
        result[rows] = _logistic(encoder.logit_scale * (asked - _near_names(embedding)[rows].mean(axis=1)))
    elif query.abnormalities:
        normal = np.einsum("od,od->o", vectors, bank_of(encoder).normals(organs))
        result[rows] = _logistic(encoder.logit_scale * (asked - normal))
    else:
        logit = encoder.logit_scale * (asked - _near_names(embedding)[rows, -1]).astype(np.float64)
        result[rows] = np.exp(np.clip(logit, -30, 0))
    return result


def _logistic(logit: FloatArray) -> Values:
    return 1 / (1 + np.exp(-np.clip(logit.astype(np.float64), -30, 30)))


_NEAR_NAMES: WeakKeyDictionary[ScanEmbedding, FloatArray] = WeakKeyDictionary()


def _near_names(embedding: ScanEmbedding) -> FloatArray:
    """(organs, `NEAREST`) cosines of each organ to the organ names nearest to it, the best last; once per scan, for
    questions come quickly. Fewer where there are fewer names."""
    near = _NEAR_NAMES.get(embedding)
    if near is None:
        names = bank_of(embedding.encoder).names(reference_organs(embedding.encoder, embedding.organs))
        near = _NEAR_NAMES[embedding] = np.sort(embedding.vectors @ names.T, axis=1)[:, -NEAREST:]
    return near
