"""Weights that others saved: safetensors, or pickles that may hold tensors only."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_ctvlp.atomic import build_file
from napari_ctvlp.errors import UserError

State = dict[str, Tensor]


INSIDE = ("model", "state_dict", "model_state_dict")
"""Keys under which training frameworks keep the tensors, beside an optimiser and so on."""
WRAPPED = "module."
"""What begins every name where a network was saved in a wrapper for several GPUs."""


def read_state(path: Path, *, unpickle: bool = False, advice: str = "") -> State:
    """Tensors of a checkpoint by name, wherever they lie in it.

    Parameters
    ----------
    path : Path
        ``.safetensors``, or a file of ``torch.save``, which is read with ``weights_only=True``.
    unpickle : bool
        Read whatever else was pickled beside the tensors too. That runs any code the file holds: a warning says so.
    advice : str
        What to do about a file that holds objects beside its tensors, in one sentence.

    Raises
    ------
    UserError
        When the file is damaged, holds no tensors, or holds other objects and ``unpickle`` is False.
    """
    if path.suffix == ".safetensors":
        try:
            return _plain_names(load_file(path))
        except (SafetensorError, OSError, ValueError) as error:
            raise UserError(f"'{path.name}' is damaged or no safetensors file: bring it again.") from error
    return _plain_names(_tensors(_unpickled(path, unpickle, advice), path))


def _unpickled(path: Path, unpickle: bool, advice: str) -> Any:
    if not path.is_file():
        raise UserError(f"There is no file '{path.name}'.")
    if not (is_zipfile(path) or _begins_as_pickle(path)):
        raise UserError(f"'{path.name}' is no checkpoint of torch.")
    if unpickle:
        warnings.warn(
            f"'{path.name}' is unpickled: any code that it holds runs now. Do so only with files of people you trust.",
            stacklevel=3,
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=not unpickle)
    except pickle.UnpicklingError as error:
        if unpickle or "unsupported" not in str(error).lower():
            raise UserError(f"'{path.name}' is damaged or no checkpoint of torch.") from error
        told = f"'{path.name}' holds objects beside its tensors, which can run code when opened: it is not loaded."
        raise UserError(f"{told} {advice}".strip()) from error
    except Exception as error:  # a damaged archive fails in many ways, deep in torch
        raise UserError(f"'{path.name}' is damaged or no checkpoint of torch ({type(error).__name__}).") from error


def _begins_as_pickle(path: Path) -> bool:
    """As the files of torch.save from before they were archives do."""
    try:
        with path.open("rb") as source:
            return source.read(1) == b"\x80"
    except OSError as error:
        raise UserError(f"'{path.name}' cannot be read ({error.strerror or 'unknown reason'}).") from error


def _tensors(value: Any, path: Path) -> State:
    named: State = {}
    while isinstance(value, Mapping) and not named:
        nested = next((value[key] for key in INSIDE if isinstance(value.get(key), Mapping)), None)
        if nested is None:
            named = {str(name): tensor for name, tensor in value.items() if isinstance(tensor, Tensor)}
            break
        value = nested
    if not named:
        raise UserError(f"'{path.name}' holds no tensors by name.")
    return named


def _plain_names(state: State) -> State:
    wrapped = all(name.startswith(WRAPPED) for name in state)
    return {name.removeprefix(WRAPPED): tensor for name, tensor in state.items()} if wrapped else state


def write_state(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors in the precision they have, whole or not at all."""
    # a clone each: tensors that share memory are refused
    own = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
    try:
        build_file(path, lambda temporary: save_file(own, temporary))
    except SafetensorError as error:  # as a full disk comes out of it
        raise UserError(f"{path.name} cannot be written: {error}.") from error


def without(state: Mapping[str, Tensor], *beginnings: str) -> State:
    """The tensors whose names begin with none of these."""
    return {name: tensor for name, tensor in state.items() if not name.startswith(beginnings)}


def shape_of(state: Mapping[str, Tensor], name: str, dimensions: int, place: str) -> tuple[int, ...]:
    """Shape of a tensor that decides how large the network is.

    Raises
    ------
    UserError
        When it is missing, or has another number of dimensions.
    """
    if name not in state:
        raise UserError(f"{place} lacks the tensor '{name}'.")
    shape = tuple(state[name].shape)
    if len(shape) != dimensions:
        raise UserError(f"The tensor '{name}' of {place} has shape {shape}, not one of {dimensions} dimensions.")
    return shape


def count(state: Mapping[str, Tensor], beginning: str) -> int:
    """How many numbered parts there are under a name ("blocks." of "blocks.0.norm", "blocks.1.norm": 2)."""
    numbers = {name.removeprefix(beginning).split(".")[0] for name in state if name.startswith(beginning)}
    return len({n for n in numbers if n.isdigit()})
