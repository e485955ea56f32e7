"""Checkpoints: everything a run needs to go on to the same bits, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from napari_ctvlp.errors import UserError
from training.data.prepared import settle

LAST, BEFORE = "last.pt", "previous.pt"


def write_state(path: Path, state: dict[str, Any], before: str | None = None) -> None:
    """Write tensors, numbers and strings; what lay there before is kept under the name ``before``, if one is given."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as handle:
        torch.save(state, handle)
        handle.flush()
        os.fsync(handle.fileno())
    if before is not None and path.exists():
        path.replace(path.with_name(before))  # until the next line only the one before is there, and it is whole
    temporary.replace(path)
    settle(path.parent)


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write the newest checkpoint of a run; the one before is kept."""
    write_state(folder / LAST, state, BEFORE)


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a run to go on with."""
    return any((folder / name).is_file() for name in (LAST, BEFORE))


def newest_step(folder: Path) -> int:
    """Step of the newest checkpoint of a run, 0 where there is none; its tensors are not read."""
    return int(load_checkpoint(folder, mapped=True)["step"]) if has_checkpoint(folder) else 0


def load_checkpoint(folder: Path, *, mapped: bool = False) -> dict[str, Any]:
    """The newest checkpoint of a run that can be read, pickle-free (``weights_only``); ``mapped`` reads a tensor when
    it is used.

    Raises
    ------
    UserError
        When there is none, or none can be read.
    """
    found = [p for p in (folder / LAST, folder / BEFORE) if p.is_file()]
    for path in found:
        try:
            return dict(torch.load(path, map_location="cpu", weights_only=True, mmap=mapped))
        except Exception as error:  # torch raises many kinds for a damaged or unsafe file
            print(f"'{path.name}' cannot be read ({type(error).__name__}); trying the one before.")
    what = "can be read" if found else "was found"
    raise UserError(f"No checkpoint in '{folder.name}' {what}: start the run again without --resume.")
