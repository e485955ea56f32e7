"""Zero-shot abnormality scores: every organ against every entry of the dictionary.

For one organ with unit vector v and one entry with positive prompts p_k and negative prompts n_j (unit vectors),

    score_k = logit_scale * (v . p_k  -  mean_j v . n_j),

the probability is the encoder's calibration (Platt) of the mean over k, and low and high are the calibrated extremes
over k: how much the wording matters, not how sure one may be about a patient. Comparing with the organ's own normal
prompts follows CT-GLIP's positive/negative prompt pairs, with a normal statement in place of a negated one because
sentence encoders hardly see a negation.

Entries may look beyond one organ (ORACLE-CT's table of diseases and regions is the precedent): "union" takes the organ
where the entry is likeliest for all of its organs, "comparative" subtracts the mean score of the organs it is compared
with, "global" is the mean score of all its organs and speaks of the scan as a whole.

In an organ that the field of view cuts a finding may be called present, where it does not need the whole organ, but
never absent: the rest may hold it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.anatomy.organs import GROUPS, ORGANS
from napari_ctvlp.ask.bank import bank_of, dictionary_of
from napari_ctvlp.ask.types import AbnormalityScore
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding

NOT_IN_MASKS = "not in the masks"
NOTHING_TO_COMPARE = "no whole organ to compare with"
IN_VIEW = "scored: in the part in view"
"""Status of what is present in an organ that the field of view cuts."""
PRESENT = 0.5
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
        for organ in entry.places:
            reach.setdefault(organ, []).append(entry)
    rows = score_pairs(embedding, [(organ, entry) for organ, found in reach.items() for entry in found])
    return _united(rows, {entry.key for entry in entries if entry.region == "union"})


def _united(rows: Sequence[AbnormalityScore], keys: set[str]) -> list[AbnormalityScore]:
    """Of each entry of ``keys`` the one row that speaks for all: the likeliest, else the first with a reason."""
    best: dict[str, AbnormalityScore] = {}
    for row in rows:
        if row.abnormality in keys:
            known = best.get(row.abnormality)
            if known is None or _rank(row) > _rank(known):
                best[row.abnormality] = row
    return [row for row in rows if row.abnormality not in keys or best[row.abnormality] is row]


def _rank(row: AbnormalityScore) -> tuple[float, bool]:
    """Scored before not scored; of what is not, an organ that is there before one that is missing."""
    return (-1.0 if row.probability is None else row.probability, row.status != f"N/A: {NOT_IN_MASKS}")


def score_pairs(embedding: ScanEmbedding, pairs: Iterable[Pair]) -> list[AbnormalityScore]:
    """Score chosen places (organs, or the whole scan) for chosen entries, in the order given."""
    pairs = list(pairs)
    index = rows_of(embedding)
    known = frozenset(embedding.encoder.card.abnormalities)
    reasons = [_reason(embedding, index, known, pair) for pair in pairs]
    terms = [
        () if why is not None else terms_of(embedding, index, place, entry)
        for (place, entry), why in zip(pairs, reasons, strict=True)
    ]
    asked = list(dict.fromkeys((organ, e) for (_, e), parts in zip(pairs, terms, strict=True) for organ, _ in parts))
    prompts = {(organ, entry): entry.prompts(organ) for organ, entry in asked}
    texts = list(dict.fromkeys(t for positive, negative in prompts.values() for t in (*positive, *negative)))
    column = {text: i for i, text in enumerate(texts)}
    # one product for all organs and all prompts
    scored = list(dict.fromkeys(organ for organ, _ in asked))
    vectors = embedding.vectors[[index[organ] for organ in scored]]
    cosines = vectors @ bank_of(embedding.encoder).space(texts).T if texts else None
    line = {organ: i for i, organ in enumerate(scored)}
    rows = []
    for (place, entry), why, parts in zip(pairs, reasons, terms, strict=True):
        if why is not None or cosines is None:
            rows.append(AbnormalityScore(place, entry.key, None, None, None, f"N/A: {why}"))
            continue
        scores = np.zeros(len(entry.positive))
        for organ, weight in parts:
            own = cosines[line[organ]].astype(np.float64)
            positive, negative = prompts[organ, entry]
            scores += weight * (own[[column[t] for t in positive]] - own[[column[t] for t in negative]].mean())
        scores *= embedding.encoder.logit_scale
        calibrate, key = embedding.encoder.calibration.probability, entry.pair_key(place)
        spread = [calibrate(key, float(s)) for s in scores]
        probability = calibrate(key, float(scores.mean()))
        if embedding.status[index[parts[0][0]]] is not OrganStatus.CUT:
            rows.append(AbnormalityScore(place, entry.key, probability, min(spread), max(spread), "scored"))
        elif probability > PRESENT:
            rows.append(AbnormalityScore(place, entry.key, probability, min(spread), max(spread), IN_VIEW))
        else:
            rows.append(AbnormalityScore(place, entry.key, None, None, None, f"N/A: {OrganStatus.CUT.value}"))
    return rows


def terms_of(
    embedding: ScanEmbedding, index: dict[str, int], place: str, entry: Abnormality
) -> tuple[tuple[str, float], ...]:
    """Organs that a score is made of, each with its weight; of a group those that can be trusted."""
    found = []
    for organs, weight in entry.terms(place):
        here = [o for o in organs if o in index and embedding.status[index[o]] in _trusted(entry)]
        found += [(organ, weight / len(here)) for organ in here]
    return tuple(found)


def _trusted(entry: Abnormality) -> tuple[OrganStatus, ...]:
    """States of an organ in which an entry may be looked for; several organs together have to be whole."""
    partly = entry.region in ("organ", "union") and not entry.whole
    return (OrganStatus.COMPLETE, OrganStatus.CUT) if partly else (OrganStatus.COMPLETE,)


def rows_of(embedding: ScanEmbedding) -> dict[str, int]:
    """Row of ``vectors`` for each organ of a scan, and for each name under which the encoder sees several as one."""
    index = {organ: i for i, organ in enumerate(embedding.organs)}
    return {group: index[members[0]] for group, members in embedding.groups.items()} | index


def members(embedding: ScanEmbedding, name: str) -> tuple[str, ...]:
    """The organs themselves for a name under which the encoder sees several as one."""
    return embedding.groups.get(name) or ((name,) if name in ORGANS else GROUPS.get(name, (name,)))


def _reason(embedding: ScanEmbedding, index: dict[str, int], known: frozenset[str], pair: Pair) -> str | None:
    """Why a pair cannot be scored, or None."""
    place, entry = pair
    first, *others = (organs for organs, _ in entry.terms(place))
    here = [organ for organ in first if organ in index]
    if not here:
        return NOT_IN_MASKS
    if entry.pair_key(place) not in known:
        return OrganStatus.UNKNOWN.value
    trusted = [organ for organ in here if embedding.status[index[organ]] in _trusted(entry)]
    if not trusted:
        return embedding.status[index[here[0]]].value
    for organs in others:
        if not any(o in index and embedding.status[index[o]] is OrganStatus.COMPLETE for o in organs):
            return NOTHING_TO_COMPARE
    return None
