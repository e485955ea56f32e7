"""The scans of a run, and what its texts are made from."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.encoder.text import TextTower
from napari_ctvlp.errors import UserError
from training.config import PretrainConfig
from training.data.prepared import PreparedStore
from training.data.records import OrganRecord
from training.data.store import WorldStore
from training.data.stream import WorldStream
from training.data.texts import HELD_OUT_NAMES, NORMAL, Classes, TextBank
from training.world.report.sentences import dictionary_sentences, organ_name_texts
from training.world.report.wordings import PLAIN

from .sentences import Wordings, false_of, said_of, sentences_of
from .validate import prompt_texts

Stored = WorldStore | PreparedStore
EVIDENCE = {"ours": 5.0}
"""Weight of the most abnormal place of every organ, of methods that gain by it."""


def prepared(config: PretrainConfig, split: str) -> PreparedStore:
    """A split of the prepared store of a run, with what the run takes as known of its organs."""
    return PreparedStore(Path(config.data), split, own=config.labels == "own")


def sources(config: PretrainConfig, device: str) -> tuple[Stored | WorldStream, Stored]:
    """The training and the validation scans of a run.

    Raises
    ------
    UserError
        When twins are wanted and an odd number of scans.
    """
    if config.data != "world":
        return prepared(config, "train"), prepared(config, "validation")
    world, folder = config.world, config.world.folder or config.run / "scans"
    if world.twins and (world.train_scans % 2 or config.optim.batch % 2):
        raise UserError("With --world.twins the scans of a run and of a step come in twos: take even numbers of them.")
    other = max(1, world.bodies // 4)
    kept = functools.partial(WorldStore, seed=world.seed, spacing=config.model.spacing, abnormal=world.abnormal)
    train: WorldStore | WorldStream
    if world.stream or config.dry_run:
        train = WorldStream(
            "train",
            world.train_scans,
            world.seed,
            world.bodies,
            config.model.spacing,
            world.abnormal,
            world.rarest,
            world.twins,
            device,
            first_body=world.first_body,
        )
    else:
        train = kept(
            folder / "train",
            "train",
            world.train_scans,
            bodies=world.bodies,
            rarest=world.rarest,
            twins=world.twins,
            first_body=world.first_body,
            growing=world.first is not None,
        )
    held_out = kept(folder / "validation", "validation", world.validation_scans, bodies=other)
    return train, held_out


def at_spacing_of_data(config: PretrainConfig) -> PretrainConfig:
    """The model takes the voxel size that a prepared store has."""
    if config.data == "world":
        return config
    return replace(config, model=replace(config.model, spacing=PreparedStore(Path(config.data)).spacing))


def with_evidence(config: PretrainConfig) -> PretrainConfig:
    """With the weight of evidence that is the method's own, where none is given, and what places are judged by.

    Raises
    ------
    UserError
        When lesions are to be looked at in scans that do not tell where they are.
    """
    weight = config.optim.evidence
    if weight is None:
        weight = EVIDENCE.get(config.method, 0.0)
        config = replace(config, optim=replace(config.optim, evidence=weight))
    if config.optim.lesions and config.data != "world":
        raise UserError(
            "--optim.lesions needs scans whose lesions are known voxel by voxel: add --optim.lesions 0, or take "
            "--data world."
        )
    if not (weight or config.optim.lesions) or config.model.evidence:
        return config
    return replace(config, model=replace(config.model, evidence=_abnormalities(config)))


def _abnormalities(config: PretrainConfig) -> tuple[str, ...]:
    if config.data != "world":
        store = prepared(config, "train")
        records = (r for i in range(store.count) for r in store.records(i).values())
        return tuple(sorted({name for record in records for name in (*record.abnormalities, *record.one_of)}))
    from training.world.findings.catalogue import ABNORMALITIES

    return tuple(sorted(ABNORMALITIES))


def wordings_of(classes: Classes) -> Wordings:
    """Training wordings of every organ and class."""
    prompts = {entry.key: entry for entry in load_dictionary()}

    def of(organ: str, state: str) -> tuple[str, ...]:
        if state == NORMAL:
            return dictionary_sentences(organ, None)
        return dictionary_sentences(organ, state) if state in PLAIN else tuple(prompts[state].prompts(organ)[0])

    return Wordings({o: organ_name_texts(o) for o in classes.organs}, [of(*state) for state in classes.states])


def text_bank(
    tower: TextTower,
    classes: Classes,
    wordings: Wordings,
    records: Iterable[OrganRecord],
    reports: Iterable[str],
    cache: Path | None,
    *,
    hard: bool = False,
) -> TextBank:
    """Embed every text that training and validation will ask for; ``hard``: sentences made false on purpose as well."""
    texts: list[str] = [t for options in wordings.names.values() for t in options]
    texts += [t for options in wordings.classes for t in options]
    for record in records:
        said = record.texts if len(record.abnormalities) <= 1 else (said_of(record, 0.0) or "-",)
        texts += said
        texts += [false for text in said for false in false_of(text, record)] if hard else []
    texts += [sentence for report in reports for sentence in sentences_of(report)]
    texts += prompt_texts(classes, HELD_OUT_NAMES)
    return TextBank(tower, texts, cache)
