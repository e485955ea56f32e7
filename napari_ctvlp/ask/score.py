"""Zero-shot abnormality scores: every organ against every entry of the dictionary.

For one organ with unit vector v and one entry with positive prompts p_k and negative prompts n_j (unit vectors),

    score_k = logit_scale * (v . p_k  -  mean_j v . n_j),

the probability is the encoder's calibration (Platt) of the mean over k, and low and high are the calibrated extremes
over k: how much the wording matters, not how sure one may be about a patient. Comparing with the organ's own normal
prompts follows CT-GLIP's positive/negative prompt pairs, with a normal statement in place of a negated one because
sentence encoders hardly see a negation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.ask.bank import bank_of, dictionary_of
from napari_ctvlp.ask.types import AbnormalityScore
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding

NOT_IN_MASKS = "not in the masks"
Pair = tuple[str, Abnormality]


def score_abnormalities(
    embedding: ScanEmbedding, dictionary: Sequence[Abnormality] | None = None
) -> list[AbnormalityScore]:
    """Score every organ of a scan for every entry of the dictionary that looks there.

    Parameters
    ----------
    embedding : ScanEmbedding
    dictionary : sequence of Abnormality, optional
        The encoder's by default: the built-in one, with entries of its own where it has any.

    Returns
    -------
    list of AbnormalityScore
        Organs in the order of the embedding, then those that only the dictionary speaks of. What cannot be scored has
        no probability (never 0) and the reason as its status.
    """
    entries = dictionary_of(embedding.encoder) if dictionary is None else dictionary
    reach: dict[str, list[Abnormality]] = {organ: [] for organ in embedding.organs}
    for entry in entries:
        for organ in entry.organs:
            reach.setdefault(organ, []).append(entry)
    return score_pairs(embedding, [(organ, entry) for organ, found in reach.items() for entry in found])


def score_pairs(embedding: ScanEmbedding, pairs: Iterable[Pair]) -> list[AbnormalityScore]:
    """Score chosen organs for chosen entries, in the order given; see `score_abnormalities`."""
    pairs = list(pairs)
    index = rows_of(embedding)
    known = frozenset(embedding.encoder.card.abnormalities)
    reasons = [_reason(embedding, index, known, pair) for pair in pairs]
    prompts = [
        entry.prompts(organ) if why is None else ((), ()) for (organ, entry), why in zip(pairs, reasons, strict=True)
    ]
    texts = list(dict.fromkeys(t for positive, negative in prompts for t in (*positive, *negative)))
    column = {text: i for i, text in enumerate(texts)}
    # one product for all organs and all prompts
    scored = list(dict.fromkeys(organ for (organ, _), why in zip(pairs, reasons, strict=True) if why is None))
    vectors = embedding.vectors[[index[organ] for organ in scored]]
    cosines = vectors @ bank_of(embedding.encoder).space(texts).T if texts else None
    line = {organ: i for i, organ in enumerate(scored)}
    rows = []
    for (organ, entry), why, (positive, negative) in zip(pairs, reasons, prompts, strict=True):
        if why is not None or cosines is None:
            rows.append(AbnormalityScore(organ, entry.key, None, None, None, f"N/A: {why}"))
            continue
        own = cosines[line[organ]].astype(np.float64)
        normal = own[[column[t] for t in negative]].mean()
        scores = embedding.encoder.logit_scale * (own[[column[t] for t in positive]] - normal)
        calibrate, key = embedding.encoder.calibration.probability, entry.pair_key(organ)
        spread = [calibrate(key, float(s)) for s in scores]
        rows.append(
            AbnormalityScore(organ, entry.key, calibrate(key, float(scores.mean())), min(spread), max(spread), "scored")
        )
    return rows


def rows_of(embedding: ScanEmbedding) -> dict[str, int]:
    """Row of ``vectors`` for each organ of a scan, and for each name under which the encoder sees several as one."""
    index = {organ: i for i, organ in enumerate(embedding.organs)}
    return {group: index[members[0]] for group, members in embedding.groups.items()} | index


def _reason(embedding: ScanEmbedding, index: dict[str, int], known: frozenset[str], pair: Pair) -> str | None:
    """Why a pair cannot be scored, or None."""
    organ, entry = pair
    if organ not in index:
        return NOT_IN_MASKS
    if entry.pair_key(organ) not in known:
        return OrganStatus.UNKNOWN.value
    status = embedding.status[index[organ]]
    return None if status is OrganStatus.COMPLETE else status.value
