"""Abnormalities painted into real scans: a finding in front of a background that no simulator made.

Of each patient so many copies are painted that every abnormality has ``placements``; a copy shows several, each in
another part of the body. An organ's score for what was painted into it is compared with the scores of the same organ
for the same in the untouched scan and in the copies in which it shows something else or nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.encoder.contract import ScanEmbedding, ScanEncoder
from napari_ctvlp.scan import OrganMasks, Scan
from napari_ctvlp.scan.statistics import organ_statistics
from training.data.seeding import derived_seed
from training.engine.metrics import auc_within, percentiles
from training.world.findings.catalogue import ABNORMALITIES
from training.world.paint import Wish, paint_scan

from .cases import prompt_scores
from .patients import BLIND, Patient

FINE_MM = 2.0
"""Finer scans are painted on a grid of this voxel size."""
MOST_COPIES = 5
"""Of a patient and placement: painting takes a while."""
FEWEST = 10
"""Placements that an abnormality needs to be counted."""


@dataclass(frozen=True, eq=False)
class Copy:
    """One painted copy of a scan: its file, and organs by what was painted into them."""

    file: Path
    shown: Mapping[str, tuple[str, ...]]


def groups_of(organs: Sequence[str], kinds: Sequence[str], placement: int, most: int = MOST_COPIES) -> list[list[Wish]]:
    """Kinds by copy, one finding an organ, and one an anatomical group that has no other organ; kinds for which
    ``most`` copies have no room are left out."""
    copies: list[list[Wish]] = []
    taken: list[set[str]] = []
    for kind in kinds:
        entry = ABNORMALITIES[kind]
        possible = [organ for organ in entry.organs if organ in organs]
        if not possible:
            continue
        organ = possible[placement % len(possible)]
        needs = {organ, entry.anatomy} if len(possible) == 1 else {organ}
        for wishes, used in zip(copies, taken, strict=True):
            if not needs & used:
                wishes.append((kind, organ))
                used |= needs
                break
        else:
            if len(copies) < most:
                copies.append([(kind, organ)])
                taken.append(set(needs))
    return copies


def paint_copies(patient: Patient, kinds: Sequence[str], folder: Path, placements: int = 20) -> Iterator[Copy]:
    """Paint what is not there yet into a folder, and give all copies.

    Parameters
    ----------
    patient : Patient
    kinds : sequence of str
        Abnormalities.
    folder : Path
        Where the copies are kept: one ``.npz`` each.
    placements : int
        Of each abnormality.
    """
    scan, masks = patient.read()
    folder.mkdir(parents=True, exist_ok=True)
    spacing = None if min(scan.spacing) >= FINE_MM else FINE_MM
    organs = list(masks.statistics)
    plan = [(n, k, w) for n in range(placements) for k, w in enumerate(groups_of(organs, kinds, n))]
    for placement, number, wishes in tqdm(plan, desc=f"painting {patient.name}", unit="copy"):
        file = folder / f"{patient.name}-{placement:03d}-{number:02d}.npz"
        if not file.is_file():
            painted = paint_scan(scan, masks, wishes, derived_seed(patient.name, placement, number), spacing=spacing)
            shown: dict[str, list[str]] = {}
            for finding in painted.findings:
                for organ in finding.organs:
                    shown.setdefault(organ, []).append(finding.abnormality)
            about = json.dumps({"shown": shown, "names": {str(k): n for k, n in painted.names.items()}})
            temporary = file.with_suffix(".tmp")
            with temporary.open("wb") as handle:
                np.savez_compressed(handle, hu=painted.hu, labels=painted.labels, about=np.array(about))
            temporary.replace(file)
        with np.load(file) as stored:
            found = json.loads(str(stored["about"]))["shown"]
        yield Copy(file, {organ: tuple(kinds) for organ, kinds in found.items()})


def embedded(copy: Copy, encoder: ScanEncoder, scan: Scan, masks: OrganMasks) -> ScanEmbedding:
    """A copy as the encoder sees it."""
    with np.load(copy.file) as stored:
        hu, labels, about = stored["hu"], stored["labels"], json.loads(str(stored["about"]))
    names = {int(k): str(n) for k, n in about["names"].items()}
    painted = replace(scan, hu=hu)
    return encoder.encode_scan(
        painted, replace(masks, labels=labels, names=names, statistics=organ_statistics(painted, labels, names))
    )


class Judged(NamedTuple):
    """An organ's score for one abnormality, and what it was given in."""

    score: float
    present: bool
    untouched: bool = False
    """Whether in the scan as it is."""


Scores = dict[tuple[str, str], list[Judged]]


def _add(
    scores: Scores, embedding: ScanEmbedding, shown: Mapping[str, tuple[str, ...]] | None, skip: frozenset[str]
) -> None:
    """Add the scores of one copy; ``shown`` is None for the untouched scan."""
    known = frozenset(embedding.encoder.card.abnormalities)
    for entry in load_dictionary():
        for organ, vector, status in zip(embedding.organs, embedding.vectors, embedding.status, strict=True):
            key = entry.pair_key(organ)
            if organ in entry.organs and key in known and key not in skip and status not in BLIND:
                score = float(prompt_scores(embedding.encoder, vector[None], entry, organ).mean())
                present = shown is not None and entry.key in shown.get(organ, ())
                scores.setdefault((organ, entry.key), []).append(Judged(score, present, shown is None))


def painted_scores(
    encoder: ScanEncoder, patient: Patient, copies: Sequence[Copy], scan: Scan, masks: OrganMasks
) -> Scores:
    """Scores by (organ, abnormality) in the untouched scan and in all copies; what the patient has is left out."""
    scores: Scores = {}
    skip = frozenset(patient.present)
    _add(scores, encoder.encode_scan(scan, masks), None, skip)
    for copy in tqdm(copies, desc=f"scoring {patient.name}", unit="copy"):
        _add(scores, embedded(copy, encoder, scan, masks), copy.shown, skip)
    return scores


def painted_figures(scores: Sequence[Scores], rounds: int = 500, seed: int = 0) -> dict[str, Any]:
    """AUC within organs of each abnormality over all patients, and their mean; intervals over placements.

    Beside it the share of placements whose score is above that of the same organ in the untouched scan (ties count
    half): the AUC also asks that the organ's other findings raise the score less. Organs that the untouched scan does
    not show are left out.

    Parameters
    ----------
    scores : sequence of Scores
        One of each patient.
    rounds, seed : int
        Of the bootstrap, which draws cases within each patient and organ.
    """
    rng = np.random.default_rng(seed)
    rows: dict[str, Any] = {}
    draws_of, above_of = [], []
    for kind in sorted({kind for each in scores for _, kind in each}):
        value, present, group, above = [], [], [], []
        for number, each in enumerate(scores):
            for (organ, other), found in each.items():
                before = [case.score for case in found if case.untouched]
                if other == kind and before and any(case.present for case in found):
                    value += [case.score for case in found]
                    present += [case.present for case in found]
                    group += [f"{number} {organ}"] * len(found)
                    above += [_above(case.score, before) for case in found]
        if sum(present) < FEWEST:
            continue
        where = np.unique(group, return_inverse=True)[1].astype(np.int64)
        held = np.array(present)
        weights = np.zeros((rounds + 1, len(held)))
        weights[0] = 1
        strata = where * 2 + held
        for stratum in np.unique(strata):
            some = np.flatnonzero(strata == stratum)
            weights[1:, some] = rng.multinomial(len(some), np.full(len(some), 1 / len(some)), rounds)
        drawn = auc_within(np.array(value), held, where, weights)
        mine = weights[:, held]
        raised = mine @ np.array(above)[held] / mine.sum(axis=1)
        rows[kind] = {
            **_told(drawn, "auc"),
            "above_untouched": round(float(raised[0]), 4),
            "placements": int(held.sum()),
            "organs": len(np.unique(where)),
        }
        draws_of.append(drawn)
        above_of.append(raised)
    if not rows:
        return {"macro": None, "rows": {}}
    return {
        "macro": _told(np.nanmean(np.stack(draws_of), axis=0)),
        "above_untouched": _told(np.nanmean(np.stack(above_of), axis=0)),
        "count": len(rows),
        "rows": rows,
    }


def _above(score: float, before: Sequence[float]) -> float:
    """The share of the untouched scan's scores that a score is above; ties count half."""
    return float(np.mean([(score > b) + 0.5 * (score == b) for b in before]))


def _told(drawn: NDArray[np.float64], name: str = "value") -> dict[str, float]:
    """The first of some draws, with the interval of the others."""
    low, high = percentiles(drawn[1:])
    return {name: round(float(drawn[0]), 4), "low": round(float(low), 4), "high": round(float(high), 4)}
