"""Taught findings as entries that a question can speak of by their names."""

from __future__ import annotations

from collections.abc import Sequence

from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.ask.score import Pair
from napari_ctvlp.ask.teach import EncoderKey, TaughtFinding, score_taught
from napari_ctvlp.ask.types import AbnormalityScore
from napari_ctvlp.encoder.contract import ScanEmbedding


def as_entries(embedding: ScanEmbedding, taught: Sequence[TaughtFinding]) -> tuple[Abnormality, ...]:
    """Taught findings of the encoder of a scan as entries without prompts, each looked for where it was taught."""
    here = EncoderKey.of(embedding.encoder.card)
    return tuple(
        Abnormality(f.key, f.name, f.organs, (f.name.removesuffix("s"),), (), ())
        for f in taught
        if f.encoder == here and f.organs
    )


def score_words(
    embedding: ScanEmbedding, pairs: Sequence[Pair], taught: Sequence[TaughtFinding]
) -> list[AbnormalityScore]:
    """Score pairs of an organ and an entry of `as_entries`, in the order given.

    What cannot be scored has the reason as its status; that there are too few examples is one.
    """
    by_key = {f.key: f for f in taught}
    asked = [by_key[key] for key in dict.fromkeys(entry.key for _, entry in pairs)]
    known = {(row.organ, row.abnormality): row for row in score_taught(embedding, asked)}
    return [
        known.get((organ, entry.key))
        or AbnormalityScore(organ, entry.key, None, None, None, f"N/A: {by_key[entry.key].note}")
        for organ, entry in pairs
    ]
