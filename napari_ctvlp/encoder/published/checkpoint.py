"""Weights that others saved: safetensors, or pickles that may hold tensors only."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_ctvlp.errors import UserError

State = dict[str, Tensor]


def read_state(path: Path, *, inside: str | None = None, unpickle: bool = False) -> State:
    """Tensors of a checkpoint by name.

    Parameters
    ----------
    path : Path
        ``.safetensors``, or a file of ``torch.save``, which is read with ``weights_only=True``.
    inside : str, optional
        Key under which the tensors lie; looked for, not required.
    unpickle : bool
        Read whatever else was pickled beside the tensors too. That runs any code the file holds: a warning says so.

    Raises
    ------
    UserError
        When the file is damaged, holds no tensors, or holds other objects and ``unpickle`` is False.
    """
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise UserError(f"'{path.name}' is damaged or no safetensors file: bring it again.") from error
    return _tensors(_unpickled(path, unpickle), inside, path)


def _unpickled(path: Path, unpickle: bool) -> Any:
    if unpickle:
        warnings.warn(
            f"'{path.name}' is unpickled: any code that it holds runs now. Do so only with files of people you trust.",
            stacklevel=3,
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=not unpickle)
    except pickle.UnpicklingError as error:
        if unpickle or "weights_only" not in str(error).lower():
            raise UserError(f"'{path.name}' is damaged or no checkpoint of torch.") from error
        raise UserError(
            f"'{path.name}' holds objects beside its tensors, which can run code when opened: it is not loaded. "
            "If you trust its makers, write its tensors as safetensors once: napari-ctvlp install with --unpickle."
        ) from error
    except FileNotFoundError as error:
        raise UserError(f"There is no file '{path.name}'.") from error
    except Exception as error:  # a damaged archive fails in many ways, deep in torch
        raise UserError(f"'{path.name}' is damaged or no checkpoint of torch ({type(error).__name__}).") from error


def _tensors(value: Any, inside: str | None, path: Path) -> State:
    if inside is not None and isinstance(value, Mapping) and isinstance(value.get(inside), Mapping):
        value = value[inside]
    if not isinstance(value, Mapping):
        raise UserError(f"'{path.name}' holds no tensors by name.")
    named = {str(name): tensor for name, tensor in value.items() if isinstance(tensor, Tensor)}
    if not named:
        raise UserError(f"'{path.name}' holds no tensors by name.")
    return named


def write_state(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors in the precision they have, whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        # a clone each: tensors that share memory are refused
        save_file({name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}, temporary)
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"'{path}' cannot be written ({error.strerror or 'unknown reason'}).") from error
    finally:
        temporary.unlink(missing_ok=True)


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
