"""Held-out scans through the code that the plugin runs: organs by sight, abnormalities against normal."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.encoder.contract import FloatArray
from napari_ctvlp.encoder.native_model import NativeModel
from napari_ctvlp.encoder.preprocess import NetworkInput, network_input
from napari_ctvlp.encoder.vision import VisionTower
from training.data.records import LabelledScan, OrganRecord, ScanSource, patients_of
from training.data.texts import Bank, Classes

from .metrics import Interval, Resampling, auc, auc_interval, auc_with_interval, percentiles


@dataclass(frozen=True, eq=False)
class Embedded:
    """The organs of held-out scans.

    Attributes
    ----------
    vectors : (n, d) float32
        Unit vectors.
    scan : (n,) int64
        Number of the scan each organ is from.
    records : list of OrganRecord
        What is true of each organ.
    """

    vectors: FloatArray
    scan: NDArray[np.int64]
    records: list[OrganRecord]


def scan_input(tower: VisionTower, store: ScanSource, scan: LabelledScan) -> NetworkInput:
    """What a tower is given of a whole scan of a store, as the plugin gives it."""
    return network_input(
        np.asarray(scan.hu),
        np.asarray(scan.labels),
        (store.spacing,) * 3,
        target=tower.config.spacing,
        windows=tower.config.windows,
    )


@torch.no_grad()
def embed_store(model: NativeModel, store: ScanSource, limit: int | None = None, device: str = "cpu") -> Embedded:
    """Embed whole scans of a store, one at a time, as the plugin does."""
    model.eval()
    tower = model.vision
    vectors, scans, records = [], [], []
    for number in range(min(limit or store.count, store.count)):
        scan = store.load(number)
        given = scan_input(tower, store, scan)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            rows, index = tower(given.image.to(device), given.labels.to(device))
        for row, label in zip(rows.float().cpu().numpy(), index.label.tolist(), strict=True):
            if label in scan.organs:
                vectors.append(row)
                scans.append(number)
                records.append(scan.organs[label])
    stacked = np.stack(vectors) if vectors else np.zeros((0, tower.config.dim), np.float32)
    return Embedded(stacked, np.array(scans, np.int64), records)


@dataclass(frozen=True, eq=False)
class PairScores:
    """Zero-shot scores of one organ and abnormality over held-out scans, with the truth."""

    key: str
    scores: NDArray[np.float64]
    present: NDArray[np.bool_]
    scan: NDArray[np.int64]


def organ_accuracy(
    model: NativeModel, embedded: Embedded, classes: Classes, bank: Bank, prompts: Sequence[str]
) -> float:
    """Share of organs whose nearest name sentence (mean over ``prompts``, with "{organ}") is their own."""
    from napari_ctvlp.anatomy import display_name

    texts = [p.format(organ=display_name(o)) for o in classes.organs for p in prompts]
    device = model.text_projection.weight.device
    with torch.no_grad():
        names = model.project_text(bank(texts).to(device)).cpu().numpy()
    names = names.reshape(len(classes.organs), len(prompts), -1).mean(1)
    number = {organ: i for i, organ in enumerate(classes.organs)}
    known = np.array([r.organ in number for r in embedded.records])
    truth = np.array([number.get(r.organ, -1) for r in embedded.records])
    guess = (embedded.vectors @ names.T).argmax(1)
    return float((guess == truth)[known].mean())


def score_pairs(model: NativeModel, embedded: Embedded, classes: Classes, bank: Bank) -> list[PairScores]:
    """Score every trained organ and abnormality as the plugin scores it: finding prompts against normal prompts."""
    by_organ: dict[str, list[int]] = {}
    for row, record in enumerate(embedded.records):
        by_organ.setdefault(record.organ, []).append(row)
    device = model.text_projection.weight.device
    scale = float(model.log_scale.exp())
    result = []
    for entry in load_dictionary():
        for organ in entry.organs:
            if (organ, entry.key) not in classes.states or organ not in by_organ:
                continue
            rows = np.array([r for r in by_organ[organ] if embedded.records[r].tells(entry.key)], dtype=np.int64)
            if not len(rows):
                continue
            positive, negative = entry.prompts(organ)
            with torch.no_grad():
                texts = model.project_text(bank([*positive, *negative]).to(device)).cpu().numpy()
            similarity = embedded.vectors[rows] @ texts.T
            score = scale * (similarity[:, : len(positive)].mean(1) - similarity[:, len(positive) :].mean(1))
            present = np.array([entry.key in embedded.records[r].abnormalities for r in rows])
            result.append(PairScores(entry.pair_key(organ), score.astype(float), present, embedded.scan[rows]))
    return result


def of_patients(pairs: Sequence[PairScores], store: ScanSource) -> list[PairScores]:
    """The same with the number of the patient in place of the scan's: scans of one patient are no independent draws."""
    patient = patients_of(store)
    return [replace(pair, scan=patient[pair.scan]) for pair in pairs]


def auc_by_abnormality(pairs: Sequence[PairScores]) -> dict[str, Interval]:
    """AUC of each abnormality over all organs that can have it; abnormalities seen in one state only are left out."""
    grouped: dict[str, list[PairScores]] = {}
    for pair in pairs:
        grouped.setdefault(pair.key.split("/")[1], []).append(pair)
    result = {}
    for key, group in sorted(grouped.items()):
        interval = auc_with_interval(
            np.concatenate([p.scores for p in group]),
            np.concatenate([p.present for p in group]),
            np.concatenate([p.scan for p in group]),
        )
        if interval is not None:
            result[key] = interval
    return result


def auc_by_organ(pairs: Sequence[PairScores], *, rounds: int = 200, seed: int = 0) -> dict[str, Interval]:
    """Mean AUC of each organ's abnormalities, each counted the same, with an interval of the mean over the same draws.

    Abnormalities with enough scans of both states count; an organ without any has the mean of the others and too few
    scans to say. Where every draw of the mean is one (or zero), the bound is that of the abnormality with the fewest
    scans.
    """
    if not pairs:
        return {}
    _, numbers = np.unique(np.concatenate([p.scan for p in pairs]), return_inverse=True)
    resample = Resampling(int(numbers.max()) + 1, rounds, seed)
    found: dict[str, list[tuple[Interval, NDArray[np.float64]]]] = {}
    for pair, number in zip(pairs, np.split(numbers, np.cumsum([len(p.scan) for p in pairs])[:-1]), strict=True):
        if not pair.present.any() or pair.present.all():
            continue
        measure = functools.partial(auc, pair.scores, pair.present)
        draws, value = resample(measure, number), float(measure(np.ones((1, len(number))))[0])
        interval = auc_interval(value, draws, pair.present, number)
        found.setdefault(pair.key.split("/")[0], []).append((interval, draws))
    return {organ: _mean(group) for organ, group in sorted(found.items())}


def _mean(group: list[tuple[Interval, NDArray[np.float64]]]) -> Interval:
    sure = [each for each in group if each[0].enough]
    used = sure or group
    value = float(np.mean([interval.value for interval, _ in used]))
    positives, negatives = sum(i.positives for i, _ in used), sum(i.negatives for i, _ in used)
    if not sure:
        return Interval(value, 0.0, 1.0, positives, negatives, enough=False)
    draws = np.array([draw for _, draw in used])
    known = np.isfinite(draws)
    means = np.where(known, draws, 0).sum(0) / np.maximum(known.sum(0), 1)
    low, high = percentiles(np.where(known.any(0), means, np.nan))
    if value == 1:
        low = min(low, *(interval.low for interval, _ in used))
    if value == 0:
        high = max(high, *(interval.high for interval, _ in used))
    return Interval(value, low, high, positives, negatives)


def prompt_texts(classes: Classes, prompts: Sequence[str]) -> list[str]:
    """All texts that the functions above look up in the bank."""
    from napari_ctvlp.anatomy import display_name

    texts = [p.format(organ=display_name(o)) for o in classes.organs for p in prompts]
    for entry in load_dictionary():
        for organ in entry.organs:
            if (organ, entry.key) in classes.states:
                positive, negative = entry.prompts(organ)
                texts += [*positive, *negative]
    return texts
