"""What a run writes of itself: one JSON object a line, and TensorBoard where it is installed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from .processes import rank


class Log:
    """The run's ``log.jsonl``, and TensorBoard where it is installed; the first process writes."""

    def __init__(self, folder: Path, step: int = 0) -> None:
        """``step``: the one that the run goes on from; what was written of later ones is taken back."""
        self.folder = folder
        if rank() == 0:
            forget_after(folder, step)
        self.board: Any = None
        if rank() == 0 and importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else None)

    def __call__(self, line: dict[str, Any]) -> None:
        """Append one line."""
        log(self.folder, line)
        if self.board is not None:
            for name, value in line.items():
                if isinstance(value, dict) and "loss" in value:
                    self.board.add_scalars(name, value, line["step"])
                elif isinstance(value, dict) and "mean_auc" in value:
                    if value["mean_auc"] is not None:
                        self.board.add_scalar("validation AUC", value["mean_auc"], line["step"])
                    for organ, entry in value.get("organs", {}).items():
                        if "gain" in entry:
                            self.board.add_scalar(f"loss minus chance/{organ}", entry["gain"], line["step"])
                            self.board.add_scalar(f"positives a row/{organ}", entry["positives"], line["step"])
                        if "auc" in entry:
                            self.board.add_scalar(f"validation AUC/{organ}", entry["auc"][0], line["step"])

    def close(self) -> None:
        """Write what is left."""
        if self.board is not None:
            self.board.close()


def log(folder: Path, line: dict[str, Any]) -> None:
    """Append one line to the run's ``log.jsonl``."""
    if rank() == 0:
        # unbuffered: a kill leaves a line whole or not at all
        with (folder / "log.jsonl").open("ab", buffering=0) as handle:
            handle.write((json.dumps(line) + "\n").encode())


def forget_after(folder: Path, step: int) -> None:
    """Take lines of later steps out of a run's ``log.jsonl``: it was killed behind its last checkpoint, and will write
    them again."""
    path = folder / "log.jsonl"
    if not path.is_file():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if _step_of(line) <= step]
    if len(kept) < len(lines):
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(b"".join(kept))
        temporary.replace(path)


def _step_of(line: bytes) -> float:
    """The step that a line tells of; a torn line goes with the later ones."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
