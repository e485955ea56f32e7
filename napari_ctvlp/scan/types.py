"""The values of the scan room: a scan, its organ masks, what is known of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Severity = Literal["ok", "note", "warning"]
MaskPaths = str | Path | Sequence[Path]
"""Where organ masks are: one file or folder, or several one-organ files."""


@dataclass(frozen=True)
class AuditItem:
    """One line of the audit: what was looked at, what was found, how worrying it is."""

    name: str
    value: str
    severity: Severity = "ok"


@dataclass(frozen=True)
class Audit:
    """What a scan was as stored and whether it is plausible for CT; free of patient information.

    ``items`` always holds, in this order: orientation, spacing, field of view, HU range, rescale, slices, tilt.
    """

    items: tuple[AuditItem, ...]

    @property
    def severity(self) -> Severity:
        """The worst severity among the items."""
        order: tuple[Severity, ...] = ("ok", "note", "warning")
        return max((i.severity for i in self.items), key=order.index, default="ok")

    def __str__(self) -> str:
        marks = {"ok": " ", "note": "-", "warning": "!"}
        width = max((len(i.name) for i in self.items), default=0)
        return "\n".join(f"{marks[i.severity]} {i.name:<{width}}  {i.value}" for i in self.items)


@dataclass(frozen=True, eq=False)
class StoredGrid:
    """The grid of the file a volume came from, so that results can be written back on it.

    Attributes
    ----------
    shape : tuple of int
        Shape of the stored array (x, y, z for NIfTI; columns, rows, slices for DICOM).
    affine : (4, 4) float64
        Stored array index to LPS mm.
    axcodes : str
        Direction in which each stored axis grows, such as "RAS" (nibabel's convention).
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    axcodes: str


@dataclass(frozen=True, eq=False)
class Scan:
    """One CT volume, canonical: axes grow to Inferior, Posterior, Left.

    Attributes
    ----------
    hu : (I, P, L) int16, C-contiguous
        Hounsfield units. Voxels without data (NaN padding, outside a round field of view) hold -1024.
    spacing : tuple of float
        Voxel size in mm along I, P, L; positive.
    affine : (4, 4) float64
        Array index (i, p, l) to LPS mm. True to the file: an obliquity below one degree stays in it.
    name : str
        Short display name without patient information (the file's or folder's own name).
    stored : StoredGrid
        The grid of the file.
    audit : Audit
        What was found while reading.
    window : tuple of float or None
        (level, width) in HU that the file asks for (DICOM), else None.
    source : str
        Path that was read; never exported.
    frame : str
        Frame of reference (a DICOM UID) that the file names; "" where there is none. Never exported.
    """

    hu: NDArray[np.int16]
    spacing: tuple[float, float, float]
    affine: NDArray[np.float64]
    name: str
    stored: StoredGrid
    audit: Audit
    window: tuple[float, float] | None = None
    source: str = ""
    frame: str = ""

    @property
    def napari_translate(self) -> tuple[float, float, float]:
        """World position (I, P, L mm) of voxel (0, 0, 0): (-z, y, x) of its LPS point."""
        x, y, z = (float(v) for v in self.affine[:3, 3])
        return (-z, y, x)


@dataclass(frozen=True)
class OrganStatistics:
    """What a mask says of one organ.

    ``box`` is (start, stop) voxel index per axis I, P, L; ``centroid`` is in LPS mm, ``centroid_index`` in voxels (I,
    P, L) and lies on a voxel of the organ (the one nearest to the mean), so that jumping there shows the organ.
    ``touches_edge`` says that the field of view, or the end of the masks' own grid within it, cuts the organ;
    ``cut_by_masks`` that it is the latter. ``median_hu`` is of a regular sample of its voxels, None where it was not
    measured.
    """

    organ: str
    label: int
    voxels: int
    volume_ml: float
    mean_hu: float
    sd_hu: float
    box: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    centroid: tuple[float, float, float]
    centroid_index: tuple[int, int, int]
    touches_edge: bool
    median_hu: float | None = None
    cut_by_masks: bool = False


@dataclass(frozen=True, eq=False)
class AsRead:
    """Canonical labels on the grid of the scan's own file, before they were brought onto the straightened scan.

    They are written in place of ``shown``, which was made from them, so that nothing is resampled twice; they are not
    those of masks whose ``labels`` are another array.
    """

    labels: NDArray[np.uint8]
    shown: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class OrganMasks:
    """Organ masks on the grid of their scan.

    Attributes
    ----------
    labels : (I, P, L) uint8, C-contiguous
        0 is background.
    names : mapping of int to str
        Label to organ, by TotalSegmentator v2 name where there is one, else the file's own name or "label_<n>".
        Holds only labels that occur in ``labels``.
    scheme : str
        Where the names come from, in words ("names in the file", "TotalSegmentator v1 (detected)", ...).
    notes : tuple of str
        What was done on the way (resampled by affine, 43 of 104 masks are empty, ...).
    statistics : mapping of str to OrganStatistics
        By organ name.
    source : str
        Path that was read; never exported.
    as_read : AsRead, optional
        The same labels on the grid of the scan's own file, where the scan was straightened and they were read there.
    """

    labels: NDArray[np.uint8]
    names: Mapping[int, str]
    scheme: str
    notes: tuple[str, ...] = ()
    statistics: Mapping[str, OrganStatistics] = field(default_factory=dict)
    source: str = ""
    as_read: AsRead | None = None


@dataclass(frozen=True, eq=False)
class LabelledGrid:
    """Labels of one file in canonical axes, on the grid that the file has.

    Attributes
    ----------
    labels : (I, P, L) array of whole numbers
    affine : (4, 4)
        Index to LPS mm.
    names : mapping of int to str
        As the file calls them.
    notes : tuple of str
    frames : frozenset of str
        Frames of reference (DICOM UIDs) in which the file says that its coordinates are; empty where it says none.
    tight : bool
        Whether the format leaves out what holds no label, so that the end of its grid cuts nothing off.
    """

    labels: NDArray[np.integer]
    affine: NDArray[np.float64]
    names: Mapping[int, str]
    notes: tuple[str, ...] = ()
    frames: frozenset[str] = frozenset()
    tight: bool = False
