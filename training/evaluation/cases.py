"""Held-out organs and the questions put to them: scores by the plugin's formula, beside the truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from napari_ctvlp.anatomy import ORGANS, load_dictionary
from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.ask.bank import bank_of
from napari_ctvlp.encoder.contract import FloatArray, OrganStatus, ScanEmbedding, ScanEncoder
from napari_ctvlp.sample import scan_of
from training.data.records import OrganRecord, ScanSource, patient_names
from training.engine.validate import Embedded, PairScores

RECORDED = ("organ", "abnormalities", "texts", "known")
"""What a digest of scans covers of an organ."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The embedded organs of held-out scans.

    Attributes
    ----------
    vectors : (n, d) float32
        Unit vectors.
    scan : (n,) int64
        Index of the scan of each organ.
    records : list of OrganRecord
        What is true of each organ.
    patient : (scans,) int64
        Number of the patient of each scan: what is resampled.
    """

    vectors: FloatArray
    scan: NDArray[np.int64]
    records: list[OrganRecord]
    patient: NDArray[np.int64]

    @property
    def patients(self) -> int:
        """How many there are."""
        return len(np.unique(self.patient))

    def embedding(self, scan: int, encoder: ScanEncoder) -> ScanEmbedding:
        """One scan as the plugin holds it."""
        rows = np.flatnonzero(self.scan == scan)
        organs = tuple(self.records[r].organ for r in rows)
        return ScanEmbedding(organs, self.vectors[rows], (OrganStatus.COMPLETE,) * len(rows), encoder)


def held_out(embedded: Embedded, store: ScanSource) -> HeldOut:
    """Embedded organs with the patients of a store."""
    _, patient = np.unique(patient_names(store), return_inverse=True)
    return HeldOut(embedded.vectors, embedded.scan, embedded.records, patient.astype(np.int64))


def embedded_by(encoder: ScanEncoder, store: ScanSource) -> HeldOut:
    """The whole organs of a store by any encoder, through its own preparation of a scan; cut ones are left out."""
    vectors, scans, records = [], [], []
    for number in tqdm(range(store.count), desc=f"scans by {encoder.card.name}", unit="scan"):
        stored = store.load(number)
        organs = {label: record.organ for label, record in stored.organs.items()}
        hu, labels = np.asarray(stored.hu), np.asarray(stored.labels)
        embedding = encoder.encode_scan(*scan_of(hu, labels, store.spacing, f"scan {number}", organs))
        by_organ = {record.organ: record for record in stored.organs.values()}
        for organ, vector, status in zip(embedding.organs, embedding.vectors, embedding.status, strict=True):
            if status is OrganStatus.COMPLETE:
                vectors.append(vector)
                scans.append(number)
                records.append(by_organ[organ])
    stacked = np.stack(vectors) if vectors else np.zeros((0, 1), np.float32)
    return held_out(Embedded(stacked, np.array(scans, np.int64), records), store)


def data_hash(store: ScanSource) -> str:
    """Short digest of what is known of all scans of a store, volumes by their own digests where it keeps them."""
    total = hashlib.sha256()
    for index in range(store.count):
        if hasattr(store, "record"):
            known: Any = store.record(index)
        else:
            records = sorted(store.records(index).items())  # type: ignore[attr-defined]
            known = [store.report(index), [(k, {name: vars(r)[name] for name in RECORDED}) for k, r in records]]
        total.update(json.dumps(known, sort_keys=True, default=str).encode())
    return total.hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class Question:
    """One abnormality, or one label of a protocol, over all cases that it can be asked of.

    Attributes
    ----------
    name : str
    keys : (n,) str
        "organ/abnormality" of each case, by which calibrations go; "scan/label" for labels of a whole scan.
    scores : (n,) float64
        Scores in logits, mean over prompts.
    single : (n, prompts) float64
        The same by each positive prompt alone.
    present : (n,) bool
    patient : (n,) int64
    """

    name: str
    keys: NDArray[np.str_]
    scores: NDArray[np.float64]
    single: NDArray[np.float64]
    present: NDArray[np.bool_]
    patient: NDArray[np.int64]

    @property
    def anatomy(self) -> NDArray[np.str_]:
        """(n,) group of each case's organ, "scan" for whole scans."""
        return np.array([anatomy_of(str(k).split("/")[0]) for k in self.keys])

    def of(self, rows: NDArray[np.bool_]) -> Question:
        """Some of its cases."""
        return Question(
            self.name, self.keys[rows], self.scores[rows], self.single[rows], self.present[rows], self.patient[rows]
        )

    def pairs(self) -> Iterator[PairScores]:
        """By key, as `training.calibrate` takes them."""
        for key in np.unique(self.keys):
            rows = self.keys == key
            yield PairScores(str(key), self.scores[rows], self.present[rows], self.patient[rows])


def anatomy_of(organ: str) -> str:
    """The anatomy that an organ is counted with."""
    return ORGANS[organ].group or organ if organ in ORGANS else organ


def prompt_scores(encoder: ScanEncoder, vectors: FloatArray, entry: Abnormality, organ: str) -> NDArray[np.float64]:
    """(n, prompts) scores of an organ's vectors by each positive prompt: what `napari_ctvlp.ask.score` computes."""
    positive, negative = entry.prompts(organ)
    bank = bank_of(encoder)
    normal = (vectors @ bank.space(negative).T).astype(np.float64).mean(axis=1, keepdims=True)
    scores: NDArray[np.float64] = encoder.logit_scale * ((vectors @ bank.space(positive).T).astype(np.float64) - normal)
    return scores


def questions(
    encoder: ScanEncoder, data: HeldOut, dictionary: Sequence[Abnormality] | None = None
) -> dict[str, Question]:
    """Every abnormality that the encoder was trained on, over all organs whose state is known."""
    known = frozenset(encoder.card.abnormalities)
    rows_of: dict[str, list[int]] = {}
    for row, record in enumerate(data.records):
        if record.known:
            rows_of.setdefault(record.organ, []).append(row)
    result = {}
    for entry in load_dictionary() if dictionary is None else dictionary:
        parts = []
        for organ in entry.organs:
            if organ not in rows_of or entry.pair_key(organ) not in known:
                continue
            rows = np.array(rows_of[organ])
            single = prompt_scores(encoder, data.vectors[rows], entry, organ)
            present = np.array([entry.key in data.records[r].abnormalities for r in rows])
            parts.append(([entry.pair_key(organ)] * len(rows), single, present, data.patient[data.scan[rows]]))
        if parts:
            keys, single, present, patient = (np.concatenate([p[i] for p in parts]) for i in range(4))
            result[entry.key] = Question(entry.key, keys, single.mean(axis=1), single, present, patient)
    return result
