"""What made an answer: the software, the prompts, and hashes of everything that went in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from napari_ctvlp import __version__
from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.anatomy.prompts import NORMAL_TEMPLATES
from napari_ctvlp.ask.teach import EncoderKey, TaughtFinding
from napari_ctvlp.ask.types import AbnormalityScore
from napari_ctvlp.encoder.contract import EncoderCard, ScanEmbedding
from napari_ctvlp.scan.fingerprint import combined_hash, masks_hash, scan_hash
from napari_ctvlp.scan.types import OrganMasks, OrganStatistics, Scan

LIBRARIES = ("torch", "transformers", "numpy", "nibabel", "highdicom", "pydicom")
"""Those that can change a number."""


def statistics_row(statistics: OrganStatistics) -> dict[str, Any]:
    """One organ's statistics as plain values; the centroid in LPS mm."""
    x, y, z = statistics.centroid
    return {
        "organ": statistics.organ,
        "label": statistics.label,
        "voxels": statistics.voxels,
        "volume_ml": round(statistics.volume_ml, 3),
        "mean_hu": round(statistics.mean_hu, 2),
        "sd_hu": round(statistics.sd_hu, 2),
        "cut_by_field_of_view": statistics.touches_edge,
        "centroid_left_mm": round(x, 2),
        "centroid_posterior_mm": round(y, 2),
        "centroid_superior_mm": round(z, 2),
    }


def masks_as_json(masks: OrganMasks, embedding: ScanEmbedding | None = None) -> dict[str, Any]:
    """Where the organs' names come from, and every organ's statistics and status."""
    status = {} if embedding is None else dict(zip(embedding.organs, embedding.status, strict=True))
    organs = []
    for organ, statistics in masks.statistics.items():
        row = statistics_row(statistics)
        if organ in status:
            row["status"] = status[organ].value
        organs.append(row)
    return {"scheme": masks.scheme, "notes": list(masks.notes), "organs": organs}


def prompts_as_json(scores: Iterable[AbnormalityScore], dictionary: Sequence[Abnormality]) -> dict[str, Any]:
    """The prompts behind the scores ("{organ}" stands for the organ's name), and those that call an organ normal."""
    scored = {score.abnormality for score in scores if score.probability is not None}
    return {
        "normal": list(NORMAL_TEMPLATES),
        "abnormalities": {
            entry.key: {"positive": list(entry.positive), "negative": list(entry.negative)}
            for entry in dictionary
            if entry.key in scored
        },
    }


def taught_as_json(
    scores: Iterable[AbnormalityScore], taught: Sequence[TaughtFinding], card: EncoderCard
) -> list[dict[str, Any]]:
    """The taught findings behind the scores: what they were taught by, and how far they can be trusted."""
    used, key = {score.abnormality for score in scores}, EncoderKey.of(card)
    rows = []
    for finding in taught:
        quality = finding.quality if finding.key in used and finding.encoder == key else None
        if quality is not None:
            rows.append(
                {
                    "abnormality": finding.key,
                    "organs": list(finding.organs),
                    "examples_present": finding.present,
                    "examples_absent": finding.absent,
                    "cross_validated_auc": round(quality.auc, 3),
                    "pairs": quality.pairs,
                    "pairs_of_one_organ": quality.one_organ,
                    "whole_scans_left_out": quality.apart,
                    "chance_of_such_an_auc": round(quality.chance, 4),
                    "examples_hash": examples_hash(finding),
                }
            )
    return rows


def examples_hash(finding: TaughtFinding) -> str:
    """The same for the same examples, whatever their order."""
    return combined_hash(
        *sorted(f"{e.organ} {e.scan} {e.present} {e.vector.tobytes().hex()}" for e in finding.examples)
    )


def provenance_as_json(
    scan: Scan, masks: OrganMasks | None, prompts: dict[str, Any], use_names: bool
) -> dict[str, Any]:
    """Software, hashes and settings: where these and the encoder's revision are equal, so are the answers."""
    return {
        "software": {"napari-ctvlp": __version__, **_versions()},
        "scan_hash": scan_hash(scan),
        "masks_hash": None if masks is None else masks_hash(masks),
        "prompts_hash": combined_hash(json.dumps(prompts, sort_keys=True)),
        "use_names": use_names,
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
