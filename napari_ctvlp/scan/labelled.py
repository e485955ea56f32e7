"""Labels of any file format, in canonical axes: the one door behind ``read_masks``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import geometry, itk, naming
from napari_ctvlp.scan.nifti import NiftiVolume, is_nifti_name, open_nifti
from napari_ctvlp.scan.types import LabelledGrid, Scan


def read_labelled(path: Path, scan: Scan | None) -> LabelledGrid:
    """Read the labels of one file.

    Parameters
    ----------
    path : Path
        NIfTI, NRRD, MetaImage, DICOM SEG or RTSTRUCT.
    scan : Scan or None
        The grid on which contours are filled; nothing else is taken from it, and nothing else needs it.

    Raises
    ------
    UserError
        In one sentence: what is wrong, in which file, what to do.
    """
    if is_nifti_name(path):
        return _read_nifti(path)
    if itk.is_itk_name(path):
        return named(itk.read_itk_labels(path))
    from napari_ctvlp.scan import dicom_seg

    kind = dicom_seg.dicom_class(path)
    if kind in dicom_seg.SEG_CLASSES:
        return named(dicom_seg.read_seg(path))
    if kind == dicom_seg.RTSTRUCT_CLASS:
        from napari_ctvlp.scan.rtstruct import read_rtstruct

        if scan is None:
            raise UserError(f"{path.name}: contours are filled on their scan; open the scan first.")
        return named(read_rtstruct(path, scan))
    raise UserError(
        f"{path.name}: is no file with organ masks that can be read; give NIfTI, NRRD, MetaImage, DICOM SEG "
        "or RTSTRUCT."
    )


def named(grid: LabelledGrid) -> LabelledGrid:
    """The grid with its free labels ("Liver", "Kidney left") as organ names where they mean an organ."""
    names = {number: naming.organ_of(text) for number, text in grid.names.items()}
    return dataclasses.replace(grid, names=names)


def _read_nifti(path: Path) -> LabelledGrid:
    source = open_nifti(path)
    affine = geometry.reorientation(source.affine).canonical_affine(source.affine, source.shape)
    return LabelledGrid(_canonical_labels(source), affine, source.names, source.notes)


def _canonical_labels(source: NiftiVolume) -> NDArray[Any]:
    """Labels of a file in canonical order, in the smallest type that they have needed so far."""
    turn = geometry.reorientation(source.affine)
    labels: NDArray[Any] = np.empty(turn.canonical_shape(source.shape), np.uint8)
    for start, stop, part in source.slabs():
        whole = _whole_numbers(part, source)
        if whole.size and int(whole.max()) > np.iinfo(labels.dtype).max:
            labels = labels.astype(np.int32)
        turn.stored_view(labels)[:, :, start:stop] = whole
    return labels


def _whole_numbers(part: NDArray[Any], source: NiftiVolume) -> NDArray[Any]:
    """Labels as whole numbers >= 0; a float that is not nearly whole is no label."""
    name = source.path.name
    if part.dtype.kind == "f" or source.scaled:
        values = part.astype(np.float64) * source.slope + source.inter
        values[~np.isfinite(values)] = 0.0
        whole = np.rint(values)
        if values.size and float(np.abs(values - whole).max()) > 1e-3:
            raise UserError(f"{name}: holds values between whole numbers, so it is no label file; give organ masks.")
        part = whole
    if part.size and (float(part.min()) < 0 or float(part.max()) > 2**31 - 1):
        raise UserError(
            f"{name}: holds negative or huge numbers, so it is no label file; give organ masks, not a scan."
        )
    return part
