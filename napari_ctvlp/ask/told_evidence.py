"""Evidence as plain values: what is written to files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari_ctvlp.ask.evidence import Change, Evidence, lps
from napari_ctvlp.ask.types import AbnormalityScore
from napari_ctvlp.scan.types import Scan


def evidence_as_json(
    evidence: Evidence, scan: Scan, after: Sequence[tuple[Change, AbnormalityScore]]
) -> dict[str, Any]:
    """Evidence as plain values, ready for JSON; floats rounded to four digits.

    Returns
    -------
    dict
        ``organ``, ``abnormality``, ``score`` (probability, low, high, status), ``regions`` (organ, place_lps_mm,
        logit), ``changes`` (change, probability, low, high, status, difference), ``sentences`` (text, states_finding,
        cosine, probability_alone), ``notes``.
    """
    score = evidence.score

    def plain(row: AbnormalityScore) -> dict[str, Any]:
        return {
            "probability": _rounded(row.probability),
            "low": _rounded(row.low),
            "high": _rounded(row.high),
            "status": row.status,
        }

    return {
        "organ": score.organ,
        "abnormality": score.abnormality,
        "score": plain(score),
        "regions": [
            {"organ": s.organ, "place_lps_mm": [round(v, 1) for v in lps(scan, s)], "logit": _rounded(s.value)}
            for s in evidence.regions
        ],
        "changes": [
            {"change": change.name, **plain(row), "difference": _rounded(difference(score, row))}
            for change, row in after
        ],
        "sentences": [
            {
                "text": s.text,
                "states_finding": s.positive,
                "cosine": _rounded(s.similarity),
                "probability_alone": _rounded(s.alone),
            }
            for s in evidence.sentences
        ],
        "notes": list(evidence.notes),
    }


def difference(before: AbnormalityScore, after: AbnormalityScore) -> float | None:
    """By how much a probability has changed; None where one of them is none."""
    if before.probability is None or after.probability is None:
        return None
    return after.probability - before.probability


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)
