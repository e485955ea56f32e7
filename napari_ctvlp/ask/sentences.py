"""The sentences behind a score: how near each is to what the encoder sees, and what it would say alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from napari_ctvlp.anatomy.dictionary import WHOLE_SCAN, Abnormality
from napari_ctvlp.ask.bank import bank_of
from napari_ctvlp.ask.score import rows_of, score_abnormalities, terms_of
from napari_ctvlp.ask.types import AbnormalityScore
from napari_ctvlp.encoder.contract import ScanEmbedding


@dataclass(frozen=True)
class Sentence:
    """One prompt of an entry in one place.

    Attributes
    ----------
    text : str
        With the organ's name in it; of a score for the whole scan with "{organ}".
    positive : bool
        Whether it states the finding or calls the organ normal.
    similarity : float
        Cosine with what the encoder sees; of a comparative entry the difference to what it is compared with.
    alone : float or None
        The probability if it were the only prompt of its kind; None where the score has none.
    """

    text: str
    positive: bool
    similarity: float
    alone: float | None


@dataclass(frozen=True)
class Trial:
    """An entry tried on a scan.

    ``scores`` has a row a place, and ``sentences`` what is behind those that the encoder sees at all.
    """

    entry: Abnormality
    scores: tuple[AbnormalityScore, ...]
    sentences: dict[str, tuple[Sentence, ...]]


def try_entry(embedding: ScanEmbedding, entry: Abnormality) -> Trial:
    """Score an entry wherever it looks, each place by itself (of a union, too), with the sentences behind each score.

    Parameters
    ----------
    embedding : ScanEmbedding
    entry : Abnormality
        From the dictionary, or with prompts that somebody is writing; at least one of each kind.
    """
    here = {*embedding.organs, *embedding.groups}
    rows = score_abnormalities(embedding, (replace(entry, region="organ") if entry.region == "union" else entry,))
    # what the masks do not hold is worth a line only where nothing else is there
    rows = [r for r in rows if r.organ in here or r.organ not in entry.organs] or rows
    return Trial(entry, tuple(rows), {r.organ: found for r in rows if (found := sentences_of(embedding, r, entry))})


def sentences_of(embedding: ScanEmbedding, score: AbnormalityScore, entry: Abnormality) -> tuple[Sentence, ...]:
    """The prompts behind a score, those that state the finding first, and within each kind the nearest first.

    Where there is no score (an encoder that was not trained on the entry) similarities are still what they are; empty
    where the encoder does not see the organ.
    """
    index = rows_of(embedding)
    terms = terms_of(embedding, index, score.organ, entry)
    if not terms and score.organ in index:  # cut or unknown: seen, but not to be scored
        terms = ((score.organ, 1.0),)
    terms = tuple((organ, weight) for organ, weight in terms if embedding.vectors[index[organ]].any())
    if not terms:
        return ()
    bank, encoder = bank_of(embedding.encoder), embedding.encoder
    similar = np.zeros(len(entry.positive) + len(entry.negative))
    for organ, weight in terms:
        positive, negative = entry.prompts(organ)
        similar += weight * (bank.space([*positive, *negative]) @ embedding.vectors[index[organ]]).astype(np.float64)
    whole = score.organ == WHOLE_SCAN
    positive, negative = (entry.positive, entry.negative) if whole else entry.prompts(score.organ)
    yes, no = similar[: len(positive)], similar[len(positive) :]

    def alone(difference: float) -> float | None:
        if score.probability is None:
            return None
        return encoder.calibration.probability(entry.pair_key(score.organ), encoder.logit_scale * difference)

    found = [Sentence(t, True, float(s), alone(float(s - no.mean()))) for t, s in zip(positive, yes, strict=True)]
    found += [Sentence(t, False, float(s), alone(float(yes.mean() - s))) for t, s in zip(negative, no, strict=True)]
    return tuple(sorted(found, key=lambda s: (not s.positive, -s.similarity)))
