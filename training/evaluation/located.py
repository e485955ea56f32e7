"""Whether the best place of a similarity map lies in the lesion that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from tqdm import tqdm

from napari_ctvlp.anatomy import display_name, load_dictionary
from napari_ctvlp.ask import rank_organs
from napari_ctvlp.ask.locate import locate
from napari_ctvlp.encoder.contract import ScanEncoder
from napari_ctvlp.sample import scan_of
from training.data.store import WorldStore
from training.world.findings.catalogue import ABNORMALITIES

NEAR_MM = 8.0
"""From the lesion, at which a peak still counts."""
FOCAL = 0.3
"""Share of its organ's voxels that a focal lesion takes at most."""


@dataclass(frozen=True)
class Located:
    """One lesion asked for: distance of the map's peak to it in mm, 0 inside, and how often a random place of the organ
    would be as near as ``NEAR_MM``."""

    abnormality: str
    organ: str
    distance_mm: float
    chance: float


def focal_findings(store: WorldStore, index: int) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Organ, abnormality and voxels of what is focal in a scan: all lesions of one kind in one organ together."""
    scan = store.load(index)
    label_of = {record.organ: label for label, record in scan.organs.items()}
    found: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for finding in store.findings(index):
        key = (finding["organ"], finding["abnormality"])
        if ABNORMALITIES[key[1]].where == "in" and ABNORMALITIES[key[1]].factor is None and key[0] in label_of:
            whole = found.setdefault(key, np.zeros(scan.hu.shape, bool))
            whole[tuple(slice(a, b) for a, b in finding["box"])] |= finding["mask"]
    for (organ, kind), lesion in found.items():
        inside = np.asarray(scan.labels) == label_of[organ]
        if (lesion & inside).any() and (lesion & inside).sum() <= FOCAL * inside.sum():
            yield organ, kind, lesion


def locate_all(encoder: ScanEncoder, store: WorldStore, limit: int) -> list[Located]:
    """Ask for every focal lesion of the first ``limit`` scans, as a user would, and see where the map's peak lies."""
    names = {entry.key: entry.name for entry in load_dictionary()}
    known = frozenset(encoder.card.abnormalities)
    result = []
    for index in tqdm(range(min(limit, store.count)), desc="locating", unit="scan"):
        wanted = [f for f in focal_findings(store, index) if f"{f[0]}/{f[1]}" in known]
        if not wanted:
            continue
        stored = store.load(index)
        scan, masks = scan_of(np.asarray(stored.hu), np.asarray(stored.labels), store.spacing, f"scan {index}")
        embedding = encoder.encode_scan(scan, masks)
        for organ, kind, lesion in wanted:
            ranking = rank_organs(embedding, f"{names[kind]} in the {display_name(organ)}")
            shown = locate(embedding, masks, ranking, scan.spacing)
            peak = next((p for p in shown.peaks if p.organ == organ), None) if shown is not None else None
            if peak is None:
                continue
            distance = distance_transform_edt(~lesion, sampling=scan.spacing)
            inside = np.asarray(stored.labels) == masks.statistics[organ].label
            near = float((distance[inside] <= NEAR_MM).mean())
            result.append(Located(kind, organ, float(distance[peak.index]), near))
    return result


def located_figures(found: list[Located], rounds: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Share of lesions whose peak lies in them or near, overall and by abnormality, beside chance."""
    if not found:
        return {"share": None}
    hit = np.array([f.distance_mm <= NEAR_MM for f in found], float)
    rng = np.random.default_rng(seed)
    draws = hit[rng.integers(len(hit), size=(rounds, len(hit)))].mean(1)
    low, high = np.percentile(draws, [2.5, 97.5])
    by_kind = {}
    for kind in sorted({f.abnormality for f in found}):
        mine = [n for n, f in enumerate(found) if f.abnormality == kind]
        by_kind[kind] = {"hit": int(hit[mine].sum()), "of": len(mine)}
    return {
        "share": round(float(hit.mean()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "inside": round(float(np.mean([f.distance_mm == 0 for f in found])), 4),
        "lesions": len(found),
        "chance": round(float(np.mean([f.chance for f in found])), 4),
        "by_kind": by_kind,
    }
