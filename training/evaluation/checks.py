"""Left against right, and "no X" against X, asked as a user asks: through `napari_ctvlp.ask`.

Sides
    *organs*: "left kidney" by sight alone must score the left kidney above the right one, and the other way round.
    *findings*: in scans with a finding on one side only, the question that names this side must get the higher
    probability of the two.
Negation
    *read*: the answer to "no kidney stone in the left kidney" must say that absence was asked for, and be that of the
    question without "no".
    *encoder alone*: in organs with a finding X whose sentence the encoder scores above the normal prompts, whether the
    sentence "no X" scores below them: what it makes of a negation without the rules, and why they are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from napari_ctvlp.anatomy import ORGANS, display_name, load_dictionary
from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.ask import rank_organs
from napari_ctvlp.ask.bank import bank_of
from napari_ctvlp.ask.doubts import NO_DOUBTS
from napari_ctvlp.encoder.contract import Calibration, FloatArray, ScanEmbedding, ScanEncoder

from .cases import HeldOut

NEGATIONS = ("no {finding} in the {organ}", "the {organ} without {finding}", "no evidence of {finding} in the {organ}")
MARK = "Asked for absence"


class RememberingEncoder:
    """The text side of an encoder, which encodes each text once: the checks ask the same of many scans."""

    def __init__(self, encoder: ScanEncoder) -> None:
        self.card, self.logit_scale = encoder.card, encoder.logit_scale
        self.calibration: Calibration = encoder.calibration
        self._encoder = encoder
        self._kept: dict[tuple[str, str], FloatArray] = {}
        self.encode_scan = encoder.encode_scan

    def _encode(self, kind: str, texts: Sequence[str]) -> FloatArray:
        missing = [t for t in dict.fromkeys(texts) if (kind, t) not in self._kept]
        if missing:
            self._kept |= {(kind, t): v for t, v in zip(missing, getattr(self._encoder, kind)(missing), strict=True)}
        return np.stack([self._kept[kind, t] for t in texts])

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """As the encoder does."""
        return self._encode("encode_text", texts)

    def encode_text_meaning(self, texts: Sequence[str]) -> FloatArray:
        """As the encoder does."""
        return self._encode("encode_text_meaning", texts)


def side_pairs(organs: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Left and right of each paired organ."""
    for left in organs:
        if left in ORGANS and ORGANS[left].side == "left":
            right = "_".join("right" if part == "left" else part for part in left.split("_"))
            if right in organs:
                yield left, right


def _share(right: Sequence[bool]) -> dict[str, Any]:
    return {"right": int(sum(right)), "of": len(right), "share": round(float(np.mean(right)), 4) if right else None}


def _by_organ(found: Mapping[str, Sequence[bool]]) -> dict[str, Any]:
    together = _share([b for v in found.values() for b in v])
    return together | {"by_organ": {k: _share(v) for k, v in sorted(found.items())}}


def organ_sides(scans: Sequence[ScanEmbedding]) -> dict[str, Any]:
    """Per paired organ, how often the named side scores above the other by sight; a pair counts its two questions."""
    found: dict[str, list[bool]] = {}
    for embedding in scans:
        for pair in side_pairs(embedding.organs):
            for asked, other in (pair, pair[::-1]):
                ranking = rank_organs(embedding, display_name(asked), use_names=False)
                seen = {m.organ: m.visual for m in ranking.organs}
                found.setdefault(pair[0].replace("_left", ""), []).append(seen[asked] > seen[other])
    return _by_organ(found)


def finding_sides(
    scans: Mapping[int, ScanEmbedding], data: HeldOut, dictionary: Sequence[Abnormality]
) -> dict[str, Any]:
    """Per paired organ, how often the question for the side that has the finding gets the higher probability."""
    found: dict[str, list[bool]] = {}
    for number, embedding in scans.items():
        truth = {data.records[r].organ: data.records[r] for r in np.flatnonzero(data.scan == number)}
        for left, right in side_pairs(embedding.organs):
            if not (truth[left].known and truth[right].known):
                continue
            for entry in dictionary:
                ill = [o for o in (left, right) if entry.key in truth[o].abnormalities]
                if len(ill) != 1 or not {left, right} <= set(entry.organs):
                    continue
                other = right if ill[0] == left else left
                has, free = (_probability(embedding, entry, organ) for organ in (ill[0], other))
                if has is not None and free is not None:
                    found.setdefault(left.replace("_left", ""), []).append(has > free)
    return _by_organ(found)


def _probability(embedding: ScanEmbedding, entry: Abnormality, organ: str) -> float | None:
    question = f"{entry.name} in the {display_name(organ)}"
    finding = rank_organs(embedding, question, doubts=NO_DOUBTS).finding
    return finding.probability if finding is not None and finding.organ == organ else None


def negation_read(embedding: ScanEmbedding, dictionary: Sequence[Abnormality]) -> dict[str, Any]:
    """Every trained finding with every negation in one scan; those not understood are named."""
    known, wrong, asked = frozenset(embedding.encoder.card.abnormalities), [], 0
    for entry in dictionary:
        organ = next((o for o in entry.organs if o in embedding.organs and entry.pair_key(o) in known), None)
        if organ is None:
            continue
        plain = rank_organs(embedding, f"{entry.name} in the {display_name(organ)}", doubts=NO_DOUBTS)
        for template in NEGATIONS:
            text = template.format(finding=entry.name, organ=display_name(organ))
            answer = rank_organs(embedding, text, doubts=NO_DOUBTS)
            asked += 1
            if not answer.message.startswith(MARK) or answer.finding != plain.finding:
                wrong.append(text)
    return _share([False] * len(wrong) + [True] * (asked - len(wrong))) | {"wrong": wrong[:20]}


def negation_alone(encoder: ScanEncoder, data: HeldOut, dictionary: Sequence[Abnormality]) -> dict[str, Any]:
    """Organs with X, seen by the bare sentence "X in the organ", in which "No X in the organ" is below normal."""
    known, right = frozenset(encoder.card.abnormalities), []
    rows_of: dict[tuple[str, str], list[int]] = {}
    for row, record in enumerate(data.records):
        for key in record.abnormalities if record.known else ():
            rows_of.setdefault((record.organ, key), []).append(row)
    for entry in dictionary:
        for organ in entry.organs:
            rows = rows_of.get((organ, entry.key))
            if rows is None or entry.pair_key(organ) not in known:
                continue
            said = f"{entry.name} in the {display_name(organ)}."
            texts = bank_of(encoder).space([said[0].upper() + said[1:], f"No {said}"])
            usual = bank_of(encoder).space(entry.prompts(organ)[1])
            margin = data.vectors[rows] @ texts.T - (data.vectors[rows] @ usual.T).mean(1, keepdims=True)
            right += (margin[margin[:, 0] > 0, 1] < 0).tolist()
    return _share(right)


def checks(encoder: ScanEncoder, data: HeldOut, limit: int) -> dict[str, Any]:
    """All checks, sides of organs in at most ``limit`` scans."""
    remembering, dictionary = RememberingEncoder(encoder), load_dictionary()
    every = np.unique(data.scan)
    scans = {int(n): data.embedding(int(n), remembering) for n in every}
    if not scans:
        return {}
    most = max(scans.values(), key=lambda e: len(e.organs))
    return {
        "organ_sides": organ_sides([scans[int(n)] for n in every[:limit]]),
        "finding_sides": finding_sides(scans, data, dictionary),
        "negation_read": negation_read(most, dictionary),
        "negation_alone": negation_alone(encoder, data, dictionary),
    }
