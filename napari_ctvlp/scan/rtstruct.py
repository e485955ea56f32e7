"""Contours of a radiotherapy structure set (DICOM RTSTRUCT), filled on the grid of their scan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.headers import quiet
from napari_ctvlp.scan.types import LabelledGrid, Scan

if TYPE_CHECKING:
    from pydicom import Dataset

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


def read_rtstruct(path: Path, scan: Scan) -> LabelledGrid:
    """Fill the closed contours of every structure, slice by slice.

    A voxel belongs to a structure when its centre lies within an odd number of its contours (DICOM PS3.3 C.8.8.6.3:
    inner contours are holes). Where structures overlap, the first keeps a voxel.

    Parameters
    ----------
    path : Path
    scan : Scan
        The scan that the contours were drawn on; they must lie in its slices.

    Raises
    ------
    UserError
        No structure set, no closed contours, contours across the slices, or none inside the scan.
    """
    data = _dataset(path)
    names = {int(roi.ROINumber): str(roi.get("ROIName") or "") for roi in data.get("StructureSetROISequence", [])}
    structures = [roi for roi in data.get("ROIContourSequence", []) if roi.get("ContourSequence")]
    if len(structures) > 255:
        raise UserError(f"{path.name}: holds {len(structures)} structures, more than the 255 that can be shown.")
    labels = np.zeros(scan.hu.shape, np.uint8)
    to_index = np.linalg.inv(scan.affine)
    found: dict[int, str] = {}
    contours = outside = taken = 0
    for number, roi in enumerate(structures, 1):
        planes: dict[int, NDArray[np.bool_]] = {}
        for points in _contours(roi):
            contours += 1
            index = points @ to_index[:3, :3].T + to_index[:3, 3]
            if np.ptp(index[:, 0]) > 1.0:
                raise UserError(
                    f"{path.name}: its contours do not lie in the slices of this scan; give the scan that they were "
                    "drawn on."
                )
            plane = round(float(index[:, 0].mean()))
            if not 0 <= plane < len(labels):
                outside += 1
                continue
            _fill(planes.setdefault(plane, np.zeros(labels.shape[1:], bool)), index[:, 1:])
        for plane, inside in planes.items():
            free = inside & (labels[plane] == 0)
            taken += int(np.count_nonzero(inside)) - int(np.count_nonzero(free))
            labels[plane][free] = number
        found[number] = names.get(int(roi.get("ReferencedROINumber", 0))) or f"structure {number}"
    if not contours:
        raise UserError(f"{path.name}: holds no closed contours; export the structures again.")
    if not labels.any():
        raise UserError(f"{path.name}: does not meet the scan: no contour lies in it; give the scan that was drawn on.")
    notes = []
    if outside:
        notes.append(f"{outside} of {contours} contours lie above or below the scan")
    if taken:
        notes.append(f"{taken} voxels belong to several structures; the first keeps them")
    return LabelledGrid(labels, scan.affine, found, tuple(notes))


def _dataset(path: Path) -> Dataset:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        with quiet():
            data = dcmread(path, force=True)
            list(data.get("ROIContourSequence", []))
    except (InvalidDicomError, OSError, EOFError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path.name}: cannot be read (damaged or truncated); export the structures again.") from error
    return data


def _contours(roi: Any) -> Iterator[NDArray[np.float64]]:
    """(n, 3) points in LPS mm of every closed contour with an area."""
    for contour in roi.ContourSequence:
        values = contour.get("ContourData")
        if str(contour.get("ContourGeometricType", "")) in CLOSED and values and len(values) >= 9:
            yield np.asarray([float(v) for v in values], np.float64).reshape(-1, 3)


def _fill(plane: NDArray[np.bool_], points: NDArray[np.float64]) -> None:
    """Turn over the pixels whose centre lies within the polygon: a second contour within the first makes a hole."""
    from skimage.draw import polygon

    rows, columns = polygon(points[:, 0], points[:, 1], plane.shape)
    plane[rows, columns] ^= True
