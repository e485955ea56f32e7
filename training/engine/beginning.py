"""Weights that a run begins with: those of an encoder that is there already."""

from __future__ import annotations

import copy
from dataclasses import fields, replace
from pathlib import Path

from napari_ctvlp.encoder.native_files import read_folder
from napari_ctvlp.encoder.registry import list_entries
from napari_ctvlp.errors import UserError
from training.config import ModelConfig, PretrainConfig

from .network import Learner


def folder_of(encoder: str) -> Path:
    """Where an encoder lies that is named, or whose folder is given.

    Raises
    ------
    UserError
        If there is none.
    """
    entry = list_entries().get(encoder)
    folder = Path(encoder) if entry is None or entry.place is None else entry.place
    if not (folder / "config.json").is_file():
        raise UserError(f"There is no encoder '{encoder}' to begin with: give the folder of one, or an installed name.")
    return folder


def at_shape_of_start(config: PretrainConfig) -> PretrainConfig:
    """The model takes the shape of the encoder that it begins with, where no other is asked for.

    Raises
    ------
    UserError
        If there is no such encoder.
    """
    if config.start_from is None or config.model != ModelConfig():
        return config
    shape = read_folder(folder_of(config.start_from)).model.vision.config
    return replace(config, model=ModelConfig(**{f.name: getattr(shape, f.name) for f in fields(ModelConfig)}))


def begin_from(learner: Learner, encoder: str) -> None:
    """Give every network the weights of an encoder; a head for whole scans begins as that of organs does.

    Parameters
    ----------
    learner : Learner
        Of a fresh run.
    encoder : str
        Name of an installed encoder of this project, or a folder.

    Raises
    ------
    UserError
        If there is none, or it is of another shape than the run.
    """
    folder = folder_of(encoder)
    weights = read_folder(folder).model.state_dict()
    for network in learner.parts:
        own = network.model.state_dict()
        other = sorted(k for k in own.keys() | weights.keys() if k not in own or k not in weights)
        other = other or sorted(k for k, value in own.items() if value.shape != weights[k].shape)
        if other:
            raise UserError(
                f"The encoder '{folder.name}' is of another shape than the run (it differs in {other[0]}): begin with "
                "one of the same --model settings and text tower, or give no --model settings to take its shape."
            )
        network.model.load_state_dict(weights)
        if network.whole_head is not None:
            network.whole_head = copy.deepcopy(network.model.vision.head)
