"""Whether an encoder tells left from right: the check behind the doctor and behind a warning at work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_ctvlp.anatomy.organs import display_name

from .contract import BLIND, ScanEmbedding

SURE = 0.01
"""Cosine by which the right side must beat the wrong one before an encoder is said to tell them apart."""


@dataclass(frozen=True)
class Sides:
    """By how much each organ of a pair is nearer to the text with its own side than to the other's.

    ``gain`` is the mean over pairs of half of (L.l + R.r - L.r - R.l), where L and R are the two organs and l and r
    their names; it is below zero where the volume reaches the network mirrored. ``right`` counts pairs above zero.
    """

    gain: float
    right: int
    pairs: int

    @property
    def swapped(self) -> bool:
        """Whether left and right look swapped on the way to the network."""
        return self.gain <= -SURE

    @property
    def blind(self) -> bool:
        """Whether it does not tell left from right by sight."""
        return abs(self.gain) < SURE


def side_pairs(embedding: ScanEmbedding) -> list[tuple[str, str]]:
    """Pairs of a left and a right organ that the encoder sees."""
    index = {organ: i for i, organ in enumerate(embedding.organs)}
    return [
        (organ, other)
        for organ in index
        if "left" in organ.split("_")
        and (other := organ.replace("left", "right")) in index
        and not any(embedding.status[index[o]] in BLIND for o in (organ, other))
    ]


def seen_as_one(embedding: ScanEmbedding, pair: tuple[str, str]) -> bool:
    """Whether both organs of a pair have one vector, so that nothing can be told of their sides."""
    return any(set(pair) <= set(members) for members in embedding.groups.values())


def tell_sides(embedding: ScanEmbedding) -> Sides | None:
    """Compare a left and a right text over every pair of organs; None where the scan shows no pair it knows apart."""
    index = {organ: i for i, organ in enumerate(embedding.organs)}
    pairs = [pair for pair in side_pairs(embedding) if not seen_as_one(embedding, pair)]
    if not pairs:
        return None
    texts = [f"The {display_name(o)}." for pair in pairs for o in pair]
    words = embedding.encoder.encode_text(texts).reshape(len(pairs), 2, -1)
    organs = embedding.vectors[[index[o] for pair in pairs for o in pair]].reshape(len(pairs), 2, -1)
    cosines = np.einsum("pod,ptd->pot", organs, words).astype(np.float64)
    gains = (np.trace(cosines, axis1=1, axis2=2) - cosines[:, 0, 1] - cosines[:, 1, 0]) / 2
    return Sides(float(gains.mean()), int((gains > 0).sum()), len(pairs))
