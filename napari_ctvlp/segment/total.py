"""``segment_scan``: organ masks of a scan by TotalSegmentator, from the cache when the scan was segmented before."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from napari_ctvlp.atomic import build_file
from napari_ctvlp.errors import UserError
from napari_ctvlp.folders import cache_folder, prune_folder
from napari_ctvlp.scan.fingerprint import scan_hash
from napari_ctvlp.scan.masks import read_masks
from napari_ctvlp.scan.nifti_out import write_straight_scan
from napari_ctvlp.scan.types import OrganMasks, Scan
from napari_ctvlp.segment import tool
from napari_ctvlp.segment.guard import guarded
from napari_ctvlp.segment.process import SILENCE_S, run

LIMIT_BYTES = 1 << 30
SUFFIX = ".nii.gz"


def segment_scan(
    scan: Scan,
    *,
    fast: bool = False,
    device: str | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    silence_s: float = SILENCE_S,
) -> OrganMasks:
    """Segment all organs of a scan with TotalSegmentator, in a process of its own.

    Parameters
    ----------
    scan : Scan
    fast : bool
        The 3 mm model: a minute or two on a CPU where the full one takes half an hour or more.
    device : str, optional
        "gpu", "mps" or "cpu"; the fastest there is by default.
    progress : callable, optional
        Gets 0..1, read from what TotalSegmentator prints.
    cancelled : callable, optional
        Looked at ten times a second; when true, the process and its children are killed.
    silence_s : float
        Seconds without a printed line after which it is taken for dead.

    Returns
    -------
    OrganMasks
        On the grid of the scan. Kept in the user's cache folder under the hash of the voxels.

    Raises
    ------
    UserError
        TotalSegmentator or its weights are missing (with the command to get them), it failed, or it gave no masks.
    SegmentationCancelled
        When cancelled.
    """
    model = tool.FAST if fast else tool.FULL
    kept = cache_folder("masks") / f"{scan_hash(scan).split(':')[1]}-{model.name}{SUFFIX}"
    if (known := _kept(kept, scan, model)) is not None:
        if progress is not None:
            progress(1.0)
        return known
    program = tool.find_tool()
    tool.check_weights(model)
    report = Progress(progress or (lambda done: None))
    with tempfile.TemporaryDirectory(prefix="ctvlp-segment-") as folder, guarded(Path(folder)) as started:
        place = Path(folder)
        write_straight_scan(place / "ct.nii", scan)
        report(0.02)
        run(
            tool.command(program, place / "ct.nii", place / f"masks{SUFFIX}", model, device or tool.pick_device()),
            tool.environment(place / "home"),
            on_line=report.line,
            cancelled=cancelled or (lambda: False),
            name="TotalSegmentator",
            silence_s=silence_s,
            on_start=started,
        )
        masks = dataclasses.replace(_named(read_masks(_result(place), scan), model), source="")
        if _result(place).name.endswith(SUFFIX) and _keep(kept, _result(place)):
            masks = dataclasses.replace(masks, source=str(kept))
    report(1.0)
    return masks


class Progress:
    """Turns what TotalSegmentator prints into a fraction that only grows.

    It resamples, predicts one to five parts (each with nnU-Net's bar over tiles), resamples back and saves.
    """

    BEFORE, AFTER = 0.08, 0.92

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell = tell
        self._done = -1.0
        self._part, self._parts = 1, 1

    def __call__(self, done: float) -> None:
        """Tell a fraction unless more was told already."""
        if done > self._done:
            self._done = done
            self._tell(done)

    def line(self, text: str) -> None:
        """Learn from one printed line."""
        if part := re.search(r"Predicting part (\d+) of (\d+)", text):
            self._part, self._parts = int(part[1]), max(1, int(part[2]))
            self._within(0.0)
        elif bar := re.match(r"\s*(\d{1,3})%\|", text):
            self._within(min(100, int(bar[1])) / 100)
        elif text.startswith("Predicting"):
            self._within(0.0)
        elif text.startswith("Resampling") and self._done < self.BEFORE / 2:
            self(self.BEFORE / 2)
        elif text.startswith("Saving"):
            self(self.AFTER)

    def _within(self, share: float) -> None:
        parts = (self._part - 1 + share) / self._parts
        self(self.BEFORE + (self.AFTER - self.BEFORE) * min(1.0, parts))


def _result(folder: Path) -> Path:
    """What it wrote: versions differ in the ending they give to one file for all organs."""
    for name in (f"masks{SUFFIX}", "masks.nii", f"masks{SUFFIX}.nii.gz", f"masks{SUFFIX}.nii"):
        if (folder / name).is_file():
            return folder / name
    raise UserError("TotalSegmentator ended without an error and wrote no masks; run it in a terminal to see why.")


def _named(masks: OrganMasks, model: tool.Model) -> OrganMasks:
    return dataclasses.replace(masks, scheme=model.title)


def _kept(path: Path, scan: Scan, model: tool.Model) -> OrganMasks | None:
    if not path.is_file():
        return None
    try:
        masks = _named(read_masks(path, scan), model)
    except UserError:  # damaged: it is only a copy
        with suppress(OSError):
            path.unlink()
        return None
    with suppress(OSError):
        os.utime(path)
    return masks


def _keep(path: Path, made: Path) -> bool:
    """Keep a copy; a full disk costs no answer."""
    with suppress(OSError, UserError):
        path.parent.mkdir(parents=True, exist_ok=True)
        build_file(path, lambda temporary: shutil.copyfile(made, temporary))
        prune_folder(path.parent, SUFFIX, LIMIT_BYTES)
    return path.is_file()
