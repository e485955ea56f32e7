"""An encoder on disk: ``config.json``, ``model.safetensors``, ``calibration.json``, ``README.md`` and ``text/``.

No pickle is ever read. Everything is checked by name and shape before it is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from napari_ctvlp.atomic import write_bytes
from napari_ctvlp.errors import UserError

from .contract import Calibration

FORMAT = 1
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
CALIBRATION = "calibration.json"
CARD = "README.md"
MOST_NAMES = 8
"""Tensors that a message names."""
PICKLES = (".pt", ".pth", ".pkl", ".ckpt", ".bin")


def read_json(path: Path) -> dict[str, Any]:
    """Read one JSON object; a damaged file is a :class:`UserError`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"'{path.name}' of the encoder in '{path.parent.name}' is damaged or unreadable.") from error
    if not isinstance(value, dict):
        raise UserError(f"'{path.name}' of the encoder in '{path.parent.name}' does not hold a JSON object.")
    return value


def read_calibration(folder: Path, revision: str) -> Calibration:
    """Read ``calibration.json`` of an encoder's folder; the plain logistic map where there is none.

    Parameters
    ----------
    folder : Path
    revision : str
        Of the weights. A calibration that was fitted for others is not used, which a warning and its ``note`` say; one
        that does not name its weights, as they did not at first, is.

    Raises
    ------
    UserError
        When it is damaged.
    """
    if not (folder / CALIBRATION).is_file():
        return Calibration()
    value = read_json(folder / CALIBRATION)
    try:
        slope, offset = value["default"]
        by_key = {str(k): (float(a), float(b)) for k, (a, b) in value["by_key"].items()}
        found = Calibration((float(slope), float(offset)), by_key)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"'{CALIBRATION}' of the encoder in '{folder.name}' is damaged.") from error
    fitted_for = value.get("revision") or revision
    if fitted_for == revision:
        return found
    note = f"'{CALIBRATION}' in '{folder.name}' was fitted for other weights ({fitted_for}) and is not used."
    warnings.warn(note, stacklevel=2)
    return Calibration(note=note)


def calibration_json(calibration: Calibration, revision: str) -> str:
    """What ``calibration.json`` holds, for weights of a revision."""
    told = {"default": calibration.default, "by_key": calibration.by_key, "revision": revision}
    return json.dumps(told, indent=1) + "\n"


def write_calibration(folder: Path, calibration: Calibration, revision: str) -> None:
    """Write what :func:`read_calibration` reads, whole or not at all.

    Raises
    ------
    UserError
        When the folder cannot be written to.
    """
    write_bytes(folder / CALIBRATION, calibration_json(calibration, revision).encode())


def check_folder(folder: Path) -> None:
    """Refuse what is no encoder of ours, in words that say what to do.

    Raises
    ------
    UserError
        For a missing folder, a pickled checkpoint, or a folder without the files of an encoder.
    """
    if folder.suffix.lower() in PICKLES:
        raise UserError(
            f"'{folder.name}' is a pickled checkpoint, which can run code when opened: it is not loaded. "
            "Pass a folder with config.json and model.safetensors."
        )
    if not folder.is_dir():
        raise UserError(f"There is no encoder at '{folder}': pass the folder that save_pretrained or training wrote.")
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        pickles = [p.name for p in folder.iterdir() if p.suffix.lower() in PICKLES]
        hint = f" ('{pickles[0]}' is a pickle and is not opened)" if pickles else ""
        raise UserError(f"The folder '{folder.name}' is no encoder: it lacks {' and '.join(missing)}{hint}.")


def read_weights(folder: Path, model: nn.Module) -> None:
    """Load ``model.safetensors`` into a model, in float32; every name and shape must agree.

    Raises
    ------
    UserError
        Naming what is missing and unexpected, or the first misshapen tensor.
    """
    try:
        stored = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"'{WEIGHTS}' in '{folder.name}' is damaged: copy or train the encoder again.") from error
    fill(model, stored, f"'{WEIGHTS}' in '{folder.name}'", "config.json")


def fill(model: nn.Module, stored: Mapping[str, Tensor], place: str, asker: str) -> None:
    """Copy tensors into a model; every name and shape must agree.

    Parameters
    ----------
    model : nn.Module
    stored : mapping of str to Tensor
        Whatever their precision; the model keeps its own.
    place : str
        What to call the file in a message.
    asker : str
        What asks for the shapes.

    Raises
    ------
    UserError
        Naming what is missing and what is unexpected, or the first misshapen or not finite tensor.
    """
    expected = model.state_dict()
    lacking, unknown = sorted(expected.keys() - stored.keys()), sorted(stored.keys() - expected.keys())
    told = []
    if lacking:
        told.append(f"lacks the {_tensors(lacking)}")
    if unknown:
        told.append(f"holds {'the' if len(unknown) > 1 else 'an'} unknown {_tensors(unknown)}")
    if told:
        raise UserError(f"{place} {' and '.join(told)}.")
    for name, tensor in stored.items():
        if tensor.shape != expected[name].shape:
            raise UserError(
                f"The tensor '{name}' of {place} has shape {tuple(tensor.shape)}; "
                f"{asker} asks for {tuple(expected[name].shape)}."
            )
        if not torch.isfinite(tensor.float()).all():
            raise UserError(f"The tensor '{name}' of {place} holds values that are not finite.")
    model.load_state_dict({name: tensor.to(expected[name].dtype) for name, tensor in stored.items()})


def _tensors(names: Sequence[str]) -> str:
    """Tensors by name, of many the first."""
    shown = ", ".join(f"'{name}'" for name in names[:MOST_NAMES])
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"tensor{'s' if len(names) > 1 else ''} {shown}{more}"


def digest(state: Mapping[str, Tensor]) -> str:
    """Short digest of weights, independent of how they were stored beyond float16."""
    total = hashlib.sha256()
    for name in sorted(state):
        total.update(name.encode())
        total.update(state[name].detach().cpu().half().contiguous().numpy().tobytes())
    return total.hexdigest()[:12]


def replace_folder(target: Path, build: Any) -> None:
    """Write a folder whole or not at all: ``build(folder)`` fills a neighbour, which takes the place of ``target``."""
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    old = temporary.with_name(temporary.name + "-old")
    try:
        build(temporary)
        for path in temporary.rglob("*"):
            if path.is_file():
                path.chmod(0o644)
                with path.open("rb+") as handle:
                    os.fsync(handle.fileno())
        if target.exists():
            target.replace(old)
        temporary.replace(target)
        target.chmod(0o755)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_weights(folder: Path, state: Mapping[str, Tensor]) -> None:
    """Write weights as float16 safetensors."""
    save_file({k: v.detach().cpu().half().contiguous() for k, v in state.items()}, folder / WEIGHTS)
