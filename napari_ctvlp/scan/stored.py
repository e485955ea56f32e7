"""From the grid of the project back to the grid of the file, for everything that is written."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.scan import geometry
from napari_ctvlp.scan.geometry import Affine, AnyScalar
from napari_ctvlp.scan.types import AsRead, OrganMasks, Scan


def on_stored_grid(
    scan: Scan, data: NDArray[AnyScalar], *, order: int, affine: Affine | None = None
) -> NDArray[AnyScalar]:
    """An array of the scan as the scan's file would hold it.

    Only flipped and permuted where the scan lies on the file's own voxels; resampled where the scan was straightened
    or the array has a grid of its own.

    Parameters
    ----------
    scan : Scan
    data : (I, P, L) array
        On the grid of the scan, or of ``affine``.
    order : int
        0 takes the nearest voxel (labels), 1 interpolates; outside ``data`` is 0.
    affine : (4, 4), optional
        Index of ``data`` to LPS mm when that is another grid than the scan's (a coarse map).

    Returns
    -------
    array
        Shape and axis order of ``scan.stored``; a view where nothing had to be resampled.
    """
    turn = geometry.reorientation(scan.stored.affine)
    shape = turn.canonical_shape(scan.stored.shape)
    onto = turn.canonical_affine(scan.stored.affine, scan.stored.shape)
    grid = scan.affine if affine is None else affine
    if affine is None and data.shape != scan.hu.shape:
        raise ValueError(f"array {data.shape} and scan {scan.hu.shape} are not on one grid")
    if data.shape != shape or not geometry.same_grid(grid, onto, shape):
        data = geometry.resample(data, grid, onto, shape, order=order, fill=0)
    return turn.stored_view(data)


def as_read(scan: Scan, labels: NDArray[np.uint8], affine: Affine, shown: NDArray[np.uint8]) -> AsRead | None:
    """Canonical labels of a file, where ``shown`` was resampled from them and they lie on the scan's own grid."""
    if shown is labels:
        return None
    turn = geometry.reorientation(scan.stored.affine)
    onto, shape = turn.canonical_affine(scan.stored.affine, scan.stored.shape), turn.canonical_shape(scan.stored.shape)
    return AsRead(labels, shown) if labels.shape == shape and geometry.same_grid(affine, onto, shape) else None


def masks_on_stored_grid(scan: Scan, masks: OrganMasks) -> NDArray[np.uint8]:
    """Labels of all organs as the scan's file would hold them: those that were read, where they were read so."""
    if masks.as_read is None or masks.as_read.shown is not masks.labels:
        return on_stored_grid(scan, masks.labels, order=0)
    return geometry.reorientation(scan.stored.affine).stored_view(masks.as_read.labels)


def part_affine(scan: Scan, start: tuple[int, int, int], step: int) -> Affine:
    """Affine of an array that holds every ``step``-th voxel of a scan from ``start`` on (I, P, L), to LPS mm.

    With it a map of a part of the scan, or a coarse one, is written by `napari_ctvlp.scan.nifti_out.write_map_nifti`.
    """
    part = np.diag([float(step)] * 3 + [1.0])
    part[:3, 3] = start
    return scan.affine @ part


def painted(labels: NDArray[np.uint8], values: dict[int, float]) -> NDArray[np.float32]:
    """A map that holds one value per organ: (I, P, L) float32, 0 where there is no organ or no value for it."""
    table = np.zeros(256, np.float32)
    for label, value in values.items():
        table[label] = value
    return table[labels]
