"""One training step: batch and texts to a loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_ctvlp.encoder.native import NativeModel
from training.config import OptimConfig
from training.data.batch import Batch
from training.data.records import OrganRecord
from training.data.seeding import generator
from training.data.texts import Classes, TextBank
from training.objectives.ctglip import OrganRows, Term, Texts, ctglip

SMALLEST = 5
"""Organs with fewer voxels in the crop are left out of the step."""


SHALLOW = 32
"""Slices up to which a crop is two voxels deep at one of four halvings."""


@dataclass(frozen=True)
class Wordings:
    """Training texts: per organ its name sentences, per class its dictionary sentences."""

    names: dict[str, tuple[str, ...]]
    classes: list[tuple[str, ...]]


def class_matrix(records: list[OrganRecord], classes: Classes) -> Tensor:
    """(rows, classes) bool: what holds for each organ; a row of an unknown state, or with too rare ones, has none."""
    known = {state: i for i, state in enumerate(classes.states)}
    matrix = torch.zeros(len(records), len(classes.states), dtype=torch.bool)
    for row, record in enumerate(records):
        for state in (record.abnormalities or ("normal",)) if record.known else ():
            column = known.get((record.organ, state))
            if column is not None:
                matrix[row, column] = True
    return matrix


def step_texts(
    records: list[OrganRecord], classes: Classes, wordings: Wordings, bank: TextBank, seed: int, step: int
) -> tuple[list[str], list[str], Tensor]:
    """Choose this step's wordings: name sentences, report sentences, and the class of each report sentence.

    The report sentences are one dictionary sentence a class, then each abnormal organ's own sentence.
    """
    rng = generator(seed, "wording", step)
    names = [options[int(rng.integers(len(options)))] for options in (wordings.names[o] for o in classes.organs)]
    reports = [options[int(rng.integers(len(options)))] for options in wordings.classes]
    number = list(range(len(classes.states)))
    seen = set(reports)
    for record in records:
        # a sentence of an organ with two findings says both; it has no single class and is not used as a candidate
        if len(record.abnormalities) != 1 or not record.texts or not record.known:
            continue
        state = (record.organ, record.abnormalities[0])
        text = record.texts[int(rng.integers(len(record.texts)))]
        if state in classes.states and text not in seen:
            seen.add(text)
            reports.append(text)
            number.append(classes.states.index(state))
    return names, reports, torch.tensor(number)


def organ_rows(vectors: Tensor, records: list[OrganRecord], classes: Classes) -> OrganRows:
    """Organ vectors with what is true of them; every organ must be one of the classes'."""
    number = {organ: i for i, organ in enumerate(classes.organs)}
    organ = torch.tensor([number[r.organ] for r in records], device=vectors.device)
    return OrganRows(vectors, organ, class_matrix(records, classes).to(vectors.device))


def training_texts(
    model: NativeModel,
    records: list[OrganRecord],
    classes: Classes,
    wordings: Wordings,
    bank: TextBank,
    seed: int,
    step: int,
) -> Texts:
    """This step's wordings in the space of the organs."""
    device = model.text_projection.weight.device
    names, reports, report_class = step_texts(records, classes, wordings, bank, seed, step)
    projected = model.project_text(bank([*names, *reports]).to(device))
    return Texts(
        projected[: len(names)],
        projected[len(names) :],
        report_class.to(device),
        classes.class_organ.to(device),
        classes.class_normal.to(device),
    )


def training_loss(
    model: NativeModel,
    batch: Batch,
    classes: Classes,
    wordings: Wordings,
    bank: TextBank,
    *,
    seed: int,
    step: int,
    optim: OptimConfig,
) -> tuple[Tensor, dict[str, Term]]:
    """Loss of one batch under the CT-GLIP objective."""
    device = model.text_projection.weight.device
    image = batch.image.to(device)
    index = model.vision.index(batch.labels.to(device), image)
    # oneDNN's bfloat16 weight gradient of a 3x3x3 convolution is garbage on maps two voxels deep (measured, torch 2.13
    # on a CPU); crops that would come to that are computed in float32, which is right, and cheap as they are small
    shallow = device.type == "cpu" and batch.labels.shape[1] <= SHALLOW
    with torch.autocast(device.type, torch.bfloat16, enabled=not shallow):
        maps = model.vision.features(image)
    vectors = model.vision.pool(maps, index)

    counts = torch.bincount(index.levels[0].segment, index.levels[0].log_count.exp(), minlength=len(index.label)).cpu()
    rows, records = [], []
    for row, (sample, label) in enumerate(zip(index.sample.tolist(), index.label.tolist(), strict=True)):
        record = batch.organs[sample].get(label)
        if record is not None and record.organ in classes.organs and counts[row] >= SMALLEST:
            rows.append(row)
            records.append(record)
    return ctglip(
        organ_rows(vectors[rows], records, classes),
        training_texts(model, records, classes, wordings, bank, seed, step),
        model.log_scale.clamp(max=4.6).exp(),
        within=optim.within,
        abnormal_weight=optim.abnormal_weight,
    )
