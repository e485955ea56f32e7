"""TotalSegmentator as it is installed here: where it is, what it lacks, how it is called.

Environment variables, tasks and numbers of data sets are those of its own source (totalsegmentator/config.py,
totalsegmentator/python_api.py and totalsegmentator/bin, version 2).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from napari_ctvlp.errors import UserError

EXECUTABLE = "TotalSegmentator"
VARIABLE = "CTVLP_TOTALSEGMENTATOR"
"""Environment variable with the path of the executable, where it lives in an environment of its own."""
INSTALL = 'pip install "napari-ctvlp[segment]"'
DEVICES = ("gpu", "mps", "cpu")


@dataclass(frozen=True)
class Model:
    """One of TotalSegmentator's models for all organs."""

    name: str
    title: str
    weights: tuple[int, ...]
    options: tuple[str, ...]
    download: str


FULL = Model("total", "TotalSegmentator", (291, 292, 293, 294, 295), (), "totalseg_download_weights -t total")
FAST = Model(
    "total_fast", "TotalSegmentator, fast model", (297,), ("--fast",), "totalseg_download_weights -t total_fast"
)


def find_tool() -> Path:
    """The executable: named by the environment variable, beside this Python, or on the path.

    Raises
    ------
    UserError
        With the command that installs it.
    """
    named = os.environ.get(VARIABLE)
    found = named or shutil.which(EXECUTABLE, path=str(Path(sys.executable).parent)) or shutil.which(EXECUTABLE)
    if not found:
        raise UserError(
            f"TotalSegmentator is not installed; install it with {INSTALL}, or set {VARIABLE} to its executable."
        )
    if shutil.which(found) is None:
        raise UserError(f"{VARIABLE} names {Path(found).name}, which is no program that can be run; correct its path.")
    return Path(found)


def weights_folder() -> Path:
    """Where TotalSegmentator keeps its weights."""
    if given := os.environ.get("TOTALSEG_WEIGHTS_PATH"):
        return Path(given)
    home = os.environ.get("TOTALSEG_HOME_DIR")
    return (Path(home) if home else Path.home() / ".totalsegmentator") / "nnunet" / "results"


def check_weights(model: Model) -> None:
    """Refuse to start without weights: TotalSegmentator would download gigabytes unasked.

    Raises
    ------
    UserError
        With the command that downloads them.
    """
    folder = weights_folder()
    missing = [number for number in model.weights if not any(folder.glob(f"Dataset{number}_*"))]
    if missing:
        raise UserError(
            f"The weights of {model.title} are not on this machine; download them once with {model.download}."
        )


def pick_device() -> str:
    """The fastest device that torch sees, in TotalSegmentator's words."""
    import torch

    if torch.cuda.is_available():
        return "gpu"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def command(tool: Path, scan: Path, masks: Path, model: Model, device: str) -> list[str]:
    """The call, with one file for all organs."""
    return [str(tool), "-i", str(scan), "-o", str(masks), "--ml", *model.options, "--device", device]


def environment(home: Path) -> dict[str, str]:
    """Environment of the call.

    TotalSegmentator reports every run to its makers unless its own configuration says otherwise. Nothing leaves this
    machine unasked, so that it gets a home of its own that says so; the user's configuration is not touched.
    """
    home.mkdir(parents=True, exist_ok=True)
    settings = {"totalseg_id": "totalseg_offline", "send_usage_stats": False, "prediction_counter": 0}
    (home / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    return {
        **os.environ,
        "TOTALSEG_WEIGHTS_PATH": str(weights_folder()),
        "TOTALSEG_HOME_DIR": str(home),
        "PYTHONUNBUFFERED": "1",  # its progress would arrive in one piece at the end
    }
