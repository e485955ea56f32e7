"""One run of a comparison: train a row with a seed, answer the questions of the test scans, keep the answers."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.encoder.native_model import NativeModel
from napari_ctvlp.errors import UserError
from training.config import PretrainConfig
from training.data.prepared import write_bytes
from training.data.records import ScanSource
from training.data.texts import HELD_OUT_NAMES, Bank, Classes
from training.engine import loop
from training.engine.checkpoint import has_checkpoint
from training.engine.features import ScanFeatures, scan_features
from training.engine.processes import run_device
from training.engine.refine import averaged, refine
from training.engine.validate import Embedded, PairScores, organ_accuracy, score_pairs
from training.objectives.base import Needs
from training.objectives.supervised import Supervised
from training.pretrain import asked, begin
from training.settings import write_config

from .beforehand import Data, is_of, note_data
from .rows import READ_WHOLE, Row

ANSWERS = "answers.npz"


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of one run to every question about the test scans.

    Attributes
    ----------
    keys : tuple of str
        "organ/abnormality".
    key, scan : (n,) int64
        Number of the key, and of the test scan, of each question.
    scores : (n,) float64
        Score in logits.
    present : (n,) bool
        The truth.
    about : dict
        ``organ_accuracy``, ``seconds`` of training, ``parameters``, ``test``: digest of the test scans.
    """

    keys: tuple[str, ...]
    key: NDArray[np.int64]
    scan: NDArray[np.int64]
    scores: NDArray[np.float64]
    present: NDArray[np.bool_]
    about: dict[str, Any]


def answers_of(pairs: Sequence[PairScores], about: dict[str, Any]) -> Answers:
    """Scores by pair as one table."""
    keys = tuple(pair.key for pair in pairs)
    number = np.repeat(np.arange(len(pairs)), [len(pair.scores) for pair in pairs])
    scan, scores, present = (
        np.concatenate([getattr(p, name) for p in pairs]) if pairs else np.zeros(0)
        for name in ("scan", "scores", "present")
    )
    return Answers(keys, number, scan.astype(np.int64), scores, present.astype(bool), about)


def save_answers(path: Path, answers: Answers) -> None:
    """Write answers, whole or not at all."""
    arrays = {name: getattr(answers, name) for name in ("key", "scan", "scores", "present")}
    held = io.BytesIO()
    np.savez_compressed(held, keys=np.array(answers.keys), about=json.dumps(answers.about), **arrays)
    write_bytes(path, held.getvalue())


def load_answers(path: Path) -> Answers:
    """Read what :func:`save_answers` wrote."""
    with np.load(path) as kept:
        key, scan, scores, present = (kept[name] for name in ("key", "scan", "scores", "present"))
        return Answers(tuple(kept["keys"].tolist()), key, scan, scores, present, json.loads(str(kept["about"])))


@torch.no_grad()
def embedded(model: NativeModel, features: Sequence[ScanFeatures], *, whole: bool) -> Embedded:
    """Pooled features to vectors; with ``whole`` every organ of a scan gets the vector of the whole scan."""
    model.eval()
    device, vectors = model.log_scale.device, []
    for scan in features:
        rows = scan.whole.expand(len(scan.records), -1) if whole else scan.organs
        vectors.append(torch.nn.functional.normalize(model.vision.head(rows.to(device)), dim=-1).cpu().numpy())
    numbers = np.repeat(np.arange(len(features)), [len(scan.records) for scan in features])
    return Embedded(np.concatenate(vectors), numbers, [r for scan in features for r in scan.records])


@torch.no_grad()
def head_scores(heads: Supervised, scale: float, data: Embedded, classes: Classes) -> list[PairScores]:
    """The logits of supervised heads, for the pairs that :func:`score_pairs` scores by text."""
    vectors = torch.from_numpy(data.vectors).to(heads.weight.device)
    logits = heads.logits(vectors, torch.tensor(scale)).double().cpu().numpy()
    column = {state: i for i, state in enumerate(classes.states)}
    organ = np.array([r.organ for r in data.records], dtype=object)
    told = np.array([r.known for r in data.records], dtype=bool)
    found = []
    for entry in load_dictionary():
        for name in entry.organs:
            rows = np.flatnonzero((organ == name) & told)
            if (name, entry.key) in column and len(rows):
                present = np.array([entry.key in data.records[r].abnormalities for r in rows])
                score = logits[rows, column[name, entry.key]]
                found.append(PairScores(entry.pair_key(name), score, present, data.scan[rows]))
    return found


def answered(run: loop.Run, bank: Bank, held_out: ScanSource, seconds: float) -> dict[str, Answers]:
    """Every question about held-out scans: from the organs, and from the whole scan where a method aligns that."""
    reads_whole = run.config.method in READ_WHOLE
    network = averaged(run).parts[0]
    features = scan_features(network, held_out, needs=Needs(whole=reads_whole))
    scale = float(run.average.log_scale.clamp(max=4.6).exp())
    about = {"seconds": round(seconds, 1), "parameters": sum(p.numel() for p in run.average.parameters())}
    found = {}
    for name in ("whole", "organs") if reads_whole else ("organs",):
        data = embedded(run.average, features, whole=name == "whole")
        if isinstance(run.heads, Supervised):
            found[name] = answers_of(head_scores(run.heads, scale, data, run.classes), about)
            continue
        pairs = score_pairs(run.average, data, run.classes, bank)
        accuracy = organ_accuracy(run.average, data, run.classes, bank, HELD_OUT_NAMES)
        found[name] = answers_of(pairs, about if name == "whole" else {**about, "organ_accuracy": accuracy})
    return found


def places_of(folder: Path, row: Row) -> dict[str, Path]:
    """Where a run's answers lie: those that the row stands for under "row", others by what they were read from."""
    if row.method in READ_WHOLE:
        return {"row": folder / ANSWERS, "organs": folder / f"organs-{ANSWERS}"}
    return {"row": folder / ANSWERS}


def is_answered(place: Path, data: Data) -> bool:
    """Whether there are answers, and about these test scans."""
    return place.is_file() and load_answers(place).about.get("test") == data.test


def train_and_ask(row: Row, config: PretrainConfig, held_out: ScanSource, data: Data) -> None:
    """Train one row with one seed, or go on where it was stopped, and keep its answers.

    A run that is trained already is asked anew where its answers are about other test scans.

    Raises
    ------
    UserError
        When the run's folder holds one of other settings or data, whose answers would stand in the wrong table.
    """
    torch.set_num_threads(config.threads or 1)
    places = places_of(config.run, row)
    config = row.of(config)
    if not is_of(config.run, config, data):
        raise UserError(f"'{config.run}' holds a run of other settings or data: choose another --out.")
    if all(is_answered(place, data) for place in places.values()):
        return
    config = replace(config, resume=has_checkpoint(config.run))
    config.run.mkdir(parents=True, exist_ok=True)
    note_data(config.run, data)
    write_config(config, config.run / "config.json")
    run, _, _ = begin(config, run_device(config.device))
    began = time.monotonic()
    loop.train(run, lambda _: {})
    vocabulary = asked(run)
    if config.refine.steps:
        run.average, run.heads = refine(run, vocabulary)
    found = answered(run, vocabulary.bank, held_out, time.monotonic() - began)
    found = {name: replace(each, about={**each.about, "test": data.test}) for name, each in found.items()}
    save_answers(places["row"], found.get("whole", found["organs"]))
    if "organs" in places:
        save_answers(places["organs"], found["organs"])
