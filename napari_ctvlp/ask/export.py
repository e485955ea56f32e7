"""Answers as files: one stable JSON layout, one flat CSV table. Nothing in them tells who the patient is."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_ctvlp.anatomy.dictionary import Abnormality, load_dictionary
from napari_ctvlp.anatomy.prompts import PROMPTS_VERSION
from napari_ctvlp.ask.audit_card import fit_item
from napari_ctvlp.ask.provenance import masks_as_json, prompts_as_json, provenance_as_json, taught_as_json
from napari_ctvlp.ask.teach import TaughtFinding
from napari_ctvlp.ask.types import AbnormalityScore, Finding, Ranking
from napari_ctvlp.encoder.contract import ScanEmbedding
from napari_ctvlp.files import write_whole
from napari_ctvlp.scan.types import OrganMasks, Scan

DIGITS = 4
CSV_COLUMNS = (
    "kind", "query", "organ", "abnormality", "probability", "low", "high", "score", "visual", "name", "status",
    "encoder",
)  # fmt: skip


def answers_as_json(
    scan: Scan,
    embedding: ScanEmbedding,
    rankings: Sequence[Ranking],
    scores: Sequence[AbnormalityScore],
    masks: OrganMasks | None = None,
    *,
    dictionary: Sequence[Abnormality] | None = None,
    taught: Sequence[TaughtFinding] = (),
    region: str = "",
    use_names: bool = True,
) -> dict[str, Any]:
    """Answers as plain values, ready for JSON; floats rounded to four digits.

    Parameters
    ----------
    scan, embedding, rankings, scores
        What was asked and what came out.
    masks : OrganMasks, optional
        Adds the statistics of the organs, and the hash of the masks to the provenance.
    dictionary : sequence of Abnormality, optional
        The dictionary that the scores were made with; the built-in one by default.
    taught : sequence of TaughtFinding
        Those that the scores were made with, too.
    region : str
        One sentence where the scan lies outside of what the encoder was trained on.
    use_names : bool
        Whether organ names counted in the rankings; goes into the provenance.

    Returns
    -------
    dict
        ``scan`` (name, shape and spacing_mm along I, P, L, audit), ``encoder`` (name, revision, licence,
        prompts_version, preprocessing_version, trained_on, spacing_mm, hu_windows, calibrated, region_warning: a
        sentence or None), ``queries`` (text, matched, finding or None, message, organs best first; a finding has
        ``places`` where it was asked for in several organs and ``kinds`` where the question may mean several findings,
        both as findings), ``abnormalities`` (organ, abnormality, probability, low, high, status), ``masks`` (scheme,
        notes, organs with their statistics), ``prompts`` (what the encoder was asked) and ``provenance`` (software,
        hashes of voxels, masks and prompts, use_names). No path, no identifier. Taught findings stand among the
        abnormalities as "taught:<name>"; where there are any, ``taught`` tells of each its organs, how many examples it
        has and how it was cross-validated.
    """
    card = embedding.encoder.card
    entries = load_dictionary() if dictionary is None else dictionary
    amiss = [] if masks is None else [item for item in [fit_item(scan, masks)] if item.severity == "warning"]
    audit = (*scan.audit.items, *amiss)
    return {
        "scan": {
            "name": scan.name,
            "shape": [int(n) for n in scan.hu.shape],
            "spacing_mm": [_rounded(s) for s in scan.spacing],
            "audit": [{"name": i.name, "value": i.value, "severity": i.severity} for i in audit],
        },
        "encoder": {
            "name": card.name,
            "revision": card.revision,
            "licence": card.licence,
            "prompts_version": PROMPTS_VERSION,
            "preprocessing_version": card.preprocessing,
            "trained_on": card.trained_on,
            "spacing_mm": card.spacing_mm,
            "hu_windows": [list(window) for window in card.hu_windows],
            "calibrated": embedding.encoder.calibration.fitted,
            "region_warning": region or None,
        },
        "queries": [
            {
                "text": r.text,
                "matched": r.matched,
                "finding": _finding(r.finding),
                "message": r.message,
                "organs": [
                    {
                        "organ": o.organ,
                        "score": _rounded(o.score),
                        "visual": _rounded(o.visual),
                        "name": _rounded(o.name),
                    }
                    for o in r.organs
                ],
            }
            for r in rankings
        ],
        "abnormalities": [
            {
                "organ": s.organ,
                "abnormality": s.abnormality,
                "probability": _rounded(s.probability),
                "low": _rounded(s.low),
                "high": _rounded(s.high),
                "status": s.status,
            }
            for s in scores
        ],
        "masks": None if masks is None else masks_as_json(masks, embedding),
        "prompts": (prompts := prompts_as_json(scores, entries)),
        "provenance": provenance_as_json(scan, masks, prompts, use_names),
        **({"taught": told} if (told := taught_as_json(scores, taught, card)) else {}),
    }


def answer_lines(query: dict[str, Any]) -> list[str]:
    """What the window says of an answer, line by line; ``query`` as `answers_as_json` gives it."""
    lines = [line for line in query["message"].splitlines() if line] or ["Nothing here matches."]
    finding = query["finding"]
    if finding is None or finding["probability"] is None or finding.get("places") or finding.get("kinds"):
        return lines
    spread = "" if finding["low"] is None else f" ({finding['low']:.2f}–{finding['high']:.2f})"
    return [*lines, f"Probability {finding['probability']:.2f}{spread}"]


def write_json(path: str | Path, answers: dict[str, Any]) -> None:
    """Write the answers as JSON; the file is complete or not there.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    write_whole(Path(path), json.dumps(answers, indent=1, ensure_ascii=False) + "\n")


def write_csv(path: str | Path, answers: dict[str, Any]) -> None:
    """Write the answers as one table: a row per abnormality score ("abnormality") and per organ of a query ("organ").

    Where several encoders were asked ("others" of the answers) each has its rows.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, CSV_COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    for each in (answers, *answers.get("others", ())):
        encoder = each["encoder"]["name"]
        for row in each["abnormalities"]:
            table.writerow({"kind": "abnormality", "encoder": encoder, **row})
        for query in each["queries"]:
            status = "matched" if query["matched"] else "nothing matches"
            for row in query["organs"]:
                told = {"kind": "organ", "encoder": encoder, "query": query["text"]}
                table.writerow({**told, **row, "status": status})
    write_whole(Path(path), text.getvalue())


def _finding(finding: Finding | None) -> dict[str, Any] | None:
    if finding is None:
        return None
    return {
        "abnormality": finding.abnormality,
        "organ": finding.organ,
        "probability": _rounded(finding.probability),
        "low": _rounded(finding.low),
        "high": _rounded(finding.high),
        "status": finding.status,
        "reason": finding.reason,
        **({"places": [_finding(place) for place in finding.places]} if finding.places else {}),
        **({"kinds": [_finding(replace(kind, kinds=())) for kind in finding.kinds]} if finding.kinds else {}),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), DIGITS)
