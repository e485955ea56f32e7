"""Contours of a radiotherapy structure set (DICOM RTSTRUCT), filled on the grid of their scan."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.contours import filled
from napari_ctvlp.scan.headers import quiet
from napari_ctvlp.scan.types import LabelledGrid, Scan

if TYPE_CHECKING:
    from pydicom import Dataset

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


def read_rtstruct(path: Path, scan: Scan) -> LabelledGrid:
    """Fill the closed contours of every structure, slice by slice.

    A voxel belongs to a structure when its centre lies within an odd number of its contours (DICOM PS3.3 C.8.8.6.3:
    inner contours are holes). Slices between contours that were drawn on every n-th slice are interpolated, see
    `napari_ctvlp.scan.contours`. Where structures overlap, the first keeps a voxel.

    Parameters
    ----------
    path : Path
    scan : Scan
        The scan that the contours were drawn on; they must lie in its slices.

    Raises
    ------
    UserError
        A damaged or truncated file, no closed contours, contours across the slices, or none inside the scan.
    """
    data = _dataset(path)
    described = _described(data, path.name)
    structures = [roi for roi in data.get("ROIContourSequence", []) if roi.get("ContourSequence")]
    if len(structures) > 255:
        raise UserError(f"{path.name}: holds {len(structures)} structures, more than the 255 that can be shown.")
    labels = np.zeros(scan.hu.shape, np.uint8)
    to_index = np.linalg.inv(scan.affine)
    found: dict[int, str] = {}
    frames: set[str] = set()
    sparse: list[str] = []
    holed: list[str] = []
    contours = outside = taken = 0
    for number, roi in enumerate(structures, 1):
        name, frame = _description_of(roi, described, path.name)
        drawn = [points @ to_index[:3, :3].T + to_index[:3, 3] for points in _contours(roi, path.name)]
        if any(np.ptp(index[:, 0]) > 1.0 for index in drawn):
            raise UserError(
                f"{path.name}: its contours do not lie in the slices of this scan; give the scan that they were "
                "drawn on."
            )
        inside = [index for index in drawn if 0 <= round(float(index[:, 0].mean())) < len(labels)]
        contours, outside = contours + len(drawn), outside + len(drawn) - len(inside)
        slices, interpolated, empty = filled(inside, labels.shape, scan.spacing)
        for plane, mask in slices.items():
            free = mask & (labels[plane] == 0)
            taken += int(np.count_nonzero(mask)) - int(np.count_nonzero(free))
            labels[plane][free] = number
        found[number] = name or f"structure {number}"
        frames |= {frame} - {""}
        sparse += [found[number]] if interpolated else []
        holed += [found[number]] if empty else []
    if not contours:
        raise UserError(f"{path.name}: holds no closed contours; export the structures again.")
    if not labels.any():
        raise UserError(f"{path.name}: does not meet the scan: no contour lies in it; give the scan that was drawn on.")
    notes = []
    if outside:
        notes.append(f"{outside} of {contours} contours lie above or below the scan")
    if sparse:
        notes.append(f"not drawn on every slice, interpolated between: {_listed(sparse)}")
    if holed:
        notes.append(f"slices without contours between others were left empty: {_listed(holed)}")
    if taken:
        notes.append(f"{taken} voxels belong to several structures; the first keeps them")
    return LabelledGrid(labels, scan.affine, found, tuple(notes), frozenset(frames))


def _listed(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


class _Complete(io.BytesIO):
    """The bytes of a file that must not end within what it promised; pydicom takes what it gets."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read; a short answer is an error unless nothing, or padding, follows where the next element would begin."""
        data = super().read(size)
        if size is not None and len(data) < size and (size != 8 or data.strip(b"\0")):
            raise OSError("the file ends within an element")  # an EOFError pydicom would only warn of
        return data


def _dataset(path: Path) -> Dataset:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        with quiet():
            data = dcmread(_Complete(path.read_bytes()), force=True)
            list(data.get("ROIContourSequence", []))
            list(data.get("StructureSetROISequence", []))
    except (
        InvalidDicomError,
        OSError,
        EOFError,
        ValueError,
        KeyError,
        AttributeError,
        TypeError,
        NotImplementedError,
        struct.error,
        zlib.error,
    ) as error:
        raise UserError(f"{path.name}: cannot be read (damaged or truncated); export the structures again.") from error
    return data


def _described(data: Dataset, file: str) -> dict[int, tuple[str, str]]:
    """Name and frame of reference of every structure, by its number."""
    try:
        with quiet():
            return {
                int(roi.ROINumber): (str(roi.get("ROIName") or ""), str(roi.get("ReferencedFrameOfReferenceUID") or ""))
                for roi in data.get("StructureSetROISequence", [])
            }
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{file}: a structure in its list has no usable number (damaged); export the structures again."
        ) from error


def _description_of(roi: Any, described: dict[int, tuple[str, str]], file: str) -> tuple[str, str]:
    try:
        with quiet():
            return described[int(roi.ReferencedROINumber)]
    except (AttributeError, TypeError, ValueError, OverflowError, KeyError) as error:
        raise UserError(
            f"{file}: holds contours of a structure that its list of structures does not name (damaged or truncated); "
            "export the structures again."
        ) from error


def _contours(roi: Any, file: str) -> list[NDArray[np.float64]]:
    """(n, 3) points in LPS mm of every closed contour with an area."""
    try:
        with quiet():
            return list(_points(roi.ContourSequence))
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{file}: holds a contour that is no list of points (damaged or truncated); export the structures again."
        ) from error


def _points(contours: Iterable[Any]) -> Iterable[NDArray[np.float64]]:
    for contour in contours:
        if str(contour.get("ContourGeometricType", "")) not in CLOSED:
            continue
        values = np.asarray([float(v) for v in contour.get("ContourData") or ()], np.float64).reshape(-1, 3)
        promised = contour.get("NumberOfContourPoints")
        if not np.isfinite(values).all() or (promised is not None and int(promised) != len(values)):
            raise ValueError
        if len(values) >= 3:
            yield values
