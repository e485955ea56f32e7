"""A run on four small phantoms with invented reports: no world, no text model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_ctvlp.encoder.native_model import NativeModel
from napari_ctvlp.encoder.text import TextTower
from napari_ctvlp.encoder.vision import VisionConfig
from training.config import ModelConfig, OptimConfig, PretrainConfig
from training.data import batch
from training.data.records import LabelledScan, OrganRecord
from training.data.seeding import generator
from training.data.texts import Classes, classes_of
from training.engine import loop
from training.engine.network import make_learner
from training.engine.sentences import Vocabulary, Wordings
from training.engine.text import StepBank, trained_tower

WIDTH = 16
ORGANS = {1: "spleen", 2: "kidney_right", 3: "kidney_left", 5: "liver"}
BOXES = {
    1: np.s_[4:14, 30:44, 70:84],
    2: np.s_[16:28, 40:54, 24:36],
    3: np.s_[16:28, 40:54, 64:76],
    5: np.s_[4:20, 14:38, 16:46],
}
ILL = {0: {3: "kidney_stone"}, 1: {5: "liver_cyst"}, 2: {2: "kidney_stone"}, 3: {5: "liver_cyst", 3: "kidney_stone"}}
CONFIG = PretrainConfig(
    model=ModelConfig(widths=(8, 16), blocks=(1, 1), heads=2, hidden=32, dim=32, spacing=6.0),
    optim=OptimConfig(steps=4, batch=3, warmup=2, half=False, learning_rate=1e-3, patience=2),
    validate_every=100,
    checkpoint_every=1,
    device="cpu",
)


def low_crops() -> None:
    """Crops of few slices, for speed."""
    batch.HEIGHTS = (96, 96, 108, 120, 144)


class Phantoms:
    """Four scans of boxes."""

    count = 4
    spacing = 6.0
    twins = False

    def __init__(self, broken: Sequence[int] = ()) -> None:
        self.broken = broken

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In another process, where crops have not been lowered yet."""
        low_crops()
        vars(self).update(state)

    def records(self, index: int) -> dict[int, OrganRecord]:
        ill = ILL[index]
        return {
            n: OrganRecord(
                organ,
                (ill[n],) if n in ill else (),
                (f"A left {ill[n]} in the {organ} of {index}.",) if n in ill else (f"The {organ} is normal.",),
            )
            for n, organ in ORGANS.items()
        }

    def load(self, index: int) -> LabelledScan:
        rng = generator("phantom", index)
        hu: Any = rng.normal(-1000, 5, (34, 70, 100))
        hu[:, 8:62, 10:90] = rng.normal(30, 8, (34, 54, 80))
        labels = np.zeros(hu.shape, np.uint8)
        for label, box in BOXES.items():
            labels[box] = label
            hu[box] += 15 * label + (200 if label in ILL[index] else 0)
        if index in self.broken:
            hu = np.full(hu.shape, np.nan, np.float32)
        return LabelledScan(hu.astype(np.float32 if index in self.broken else np.int16), labels, self.records(index))

    def voxels(self, index: int) -> Any:
        return np.bincount(self.load(index).labels.ravel(), minlength=256)

    def report(self, index: int) -> str:
        return " ".join(text for record in self.records(index).values() for text in record.texts)


class Sentences:
    """A vector for any text, drawn from the text."""

    row: dict[str, int] = {}  # noqa: RUF012

    def __call__(self, texts: Sequence[str]) -> Tensor:
        rows = [torch.from_numpy(generator("text", text).standard_normal(WIDTH)).float() for text in texts]
        return F.normalize(torch.stack(rows), dim=-1) if rows else torch.zeros(0, WIDTH)


def classes() -> Classes:
    """Of the phantoms."""
    store = Phantoms()
    return classes_of((r for i in range(4) for r in store.records(i).values()), at_least=1)


def start(config: PretrainConfig, store: Phantoms | None = None, tower: TextTower | None = None) -> loop.Run:
    """A run on the phantoms; with a text tower, as its configuration trains it."""
    known = classes()
    wordings = Wordings(
        {organ: (f"the {organ}", f"this is the {organ}") for organ in known.organs},
        [(f"{organ} {state}", f"{state} of the {organ}") for organ, state in known.states],
    )
    torch.manual_seed(config.seed)
    text = None if tower is None else trained_tower(tower, config.text)
    shape = VisionConfig(**vars(config.model))
    learner = make_learner(config, lambda: NativeModel(shape, WIDTH), len(known.states), text)
    bank = Sentences() if text is None else StepBank(text, config.text.micro, config.optim.half)
    vocabulary = Vocabulary(known, wordings, bank)
    return loop.start(config, learner, store or Phantoms(), vocabulary)


def config_of(method: str, folder: Path | None = None, **optim: Any) -> PretrainConfig:
    """The configuration of a run on the phantoms."""
    changed = replace(CONFIG, method=method, optim=replace(CONFIG.optim, **optim))
    return changed if folder is None else replace(changed, run=folder)


def state_of(run: loop.Run) -> Tensor:
    """All weights and averaged weights, one after the other."""
    return torch.cat([p.detach().flatten() for p in (*run.learner.parameters(), *run.average.parameters())])
