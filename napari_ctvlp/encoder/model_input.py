"""What an encoder is fed of a scan, asked of any encoder, and written to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.nifti import is_nifti_name
from napari_ctvlp.scan.nifti_out import write_grid_nifti
from napari_ctvlp.scan.types import Scan

from .contract import Cancelled, ModelInput, Progress, ScanEncoder


def model_input(
    encoder: ScanEncoder, scan: Scan, *, progress: Progress | None = None, cancelled: Cancelled | None = None
) -> ModelInput | None:
    """The input of an encoder's network; None where the encoder does not show it.

    Raises
    ------
    EncodingCancelled
        When ``cancelled()`` turns true between two steps.
    """
    show = getattr(encoder, "model_input", None)
    if show is None:
        return None
    given = show(scan, progress=progress, cancelled=cancelled)
    assert isinstance(given, ModelInput)
    return given


def write_model_input(path: Path, encoder: ScanEncoder, scan: Scan) -> list[Path]:
    """Write each channel as NIfTI on the network's own grid; several are numbered (input_1.nii.gz, ...).

    Raises
    ------
    UserError
        When the encoder does not show its input, or the place cannot be written to.
    """
    if not is_nifti_name(path):
        raise UserError(f"{path.name}: call the file .nii or .nii.gz to write NIfTI.")
    given = model_input(encoder, scan)
    if given is None:
        raise UserError(f"{encoder.card.name}: does not show what it is fed.")
    place = np.diag([*given.step, 1.0])
    place[:3, 3] = given.start
    affine = scan.affine @ place
    ending = ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix
    stem = path.name[: -len(ending)]
    several = len(given.channels) > 1
    written = []
    for number, (name, values) in enumerate(zip(given.channels, given.values, strict=True), 1):
        target = path.with_name(f"{stem}_{number}{path.name[len(stem) :]}") if several else path
        write_grid_nifti(target, values, affine, what=f"input of {encoder.card.name}, {name}")
        written.append(target)
    return written
