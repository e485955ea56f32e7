"""Checkpoints: everything a run needs to go on to the same bits, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from napari_ctvlp.errors import UserError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers and strings; the one before is kept as ``previous.pt``."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as handle:
        torch.save(state, handle)
        handle.flush()
        os.fsync(handle.fileno())
    if path.exists():
        path.replace(path.with_name("previous.pt"))
    temporary.replace(path)


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """The newest checkpoint of a run that can be read, pickle-free (``weights_only``).

    Raises
    ------
    UserError
        When there is none, or none can be read.
    """
    found = [p for p in (folder / "last.pt", folder / "previous.pt") if p.is_file()]
    for path in found:
        try:
            return dict(torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # torch raises many kinds for a damaged or unsafe file
            print(f"'{path.name}' cannot be read ({type(error).__name__}); trying the one before.")
    what = "can be read" if found else "was found"
    raise UserError(f"No checkpoint in '{folder.name}' {what}: start the run again without --resume.")
