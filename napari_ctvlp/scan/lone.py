"""Organ masks that were opened before their scan: shown where they lie, not measured until it is there."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.scan import geometry
from napari_ctvlp.scan.itk import is_itk_name, itk_stem
from napari_ctvlp.scan.labelled import read_labelled
from napari_ctvlp.scan.labels import present_labels, to_uint8
from napari_ctvlp.scan.masks import known_names
from napari_ctvlp.scan.nifti import stem


@dataclass(frozen=True, eq=False)
class LoneMasks:
    """Labels of one file on a straight grid of their own.

    Attributes
    ----------
    labels : (I, P, L) uint8
    affine : (4, 4)
        Index to LPS mm, along the axes.
    names : mapping of int to str
        Those that the file gives; which scheme it follows shows only with the scan.
    title : str
    path : Path
        What was read; read again when the scan is there.
    checksum : int
        Of the labels as they were read; they are shared with the viewer, which paints into them.
    """

    labels: NDArray[np.uint8]
    affine: geometry.Affine
    names: Mapping[int, str]
    title: str
    path: Path
    checksum: int

    def are(self, labels: NDArray[Any]) -> bool:
        """Whether labels are still what was read: somebody may have painted in them."""
        return labels.shape == self.labels.shape and labels.dtype == np.uint8 and _checksum(labels) == self.checksum


def read_lone_masks(path: Path) -> LoneMasks:
    """Read a file of organ masks without its scan.

    Raises
    ------
    UserError
        In one sentence: what is wrong, in which file, what to do.
    """
    grid = read_labelled(path, None)
    labels, values = to_uint8(grid.labels, path.name)
    affine = grid.affine
    if geometry.tilt_degrees(affine) > geometry.TILT_LIMIT_DEGREES:
        onto, shape = geometry.straight_grid(affine, labels.shape, path.name)
        labels, affine = geometry.resample(labels, affine, onto, shape, order=0, fill=0), onto
    number = values or {label: label for label in present_labels(labels)}
    names, _ = known_names(path, grid.names, list(number.values())) or ({}, "")
    final = {label: names[old] for label, old in number.items() if old in names}
    title = itk_stem(path) if is_itk_name(path) else stem(path)
    return LoneMasks(labels, affine, final, title, path, _checksum(labels))


def _checksum(labels: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(labels).data)
