"""What a DICOM file says of itself: headers only; nothing that names a patient leaves this module."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydicom import Dataset


_TAGS = [
    "SeriesInstanceUID",
    "Modality",
    "ImageType",
    "SeriesNumber",
    "SeriesDescription",
    "AcquisitionNumber",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PixelSpacing",
    "SliceThickness",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "SharedFunctionalGroupsSequence",
    "PatientName",  # read only to take it out of a description
    "PatientID",
]


@dataclass(frozen=True, eq=False)
class Slice:
    """One image file: where it is, and how it lies in the patient (LPS mm)."""

    path: Path
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    spacing: tuple[float, float]
    thickness: float
    frames: int = 1

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector across the slice."""
        return np.cross(self.orientation[:3], self.orientation[3:])


def is_dicom(path: Path) -> bool:
    """Whether a file starts as DICOM does: "DICM" after 128 bytes, or an element of group 2 or 8 at once."""
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        return False
    return start[128:] == b"DICM" or (
        start[:2] in (b"\x08\x00", b"\x02\x00") and start[3:4] == b"\0" and len(start) == 132
    )


def is_of_dicom(source: str) -> bool:
    """Whether what a scan was read from (`Scan.source`) is DICOM and still there."""
    home = Path(source) if source else None
    return home is not None and (home.is_dir() or is_dicom(home))


def read_header(path: Path) -> Dataset | None:
    """The few header fields that are needed, or None when the file is no DICOM file."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    if not is_dicom(path):
        return None
    try:
        with quiet():
            return dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_TAGS))
    except (InvalidDicomError, OSError, EOFError, ValueError, KeyError, AttributeError):
        return None  # counted as "not DICOM" by the caller, which tells the user


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's warnings back: they quote header values, which can name a patient."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def unusable(path: Path) -> str:
    """Why a file without a header that can be read is passed over."""
    return "not DICOM" if os.access(path, os.R_OK) else "not readable"


def slice_of(path: Path, header: Dataset) -> tuple[str, Slice | None]:
    """The slice in a file, or why it is none."""
    try:
        if not int(header.get("Rows") or 0) or not int(header.get("Columns") or 0):
            return "no images (structures, reports, directories)", None
        if int(header.get("SamplesPerPixel") or 1) != 1:
            return "colour pictures", None
        if header.get("Modality", "") in ("SEG", "RTDOSE", "RTIMAGE"):
            return "segmentations or doses", None
        if "LOCALIZER" in [str(v).upper() for v in _several(header.get("ImageType"))]:
            return "localizers", None
        frames = int(header.get("NumberOfFrames") or 1)
        if frames > 1 or "SharedFunctionalGroupsSequence" in header:
            nowhere = np.zeros(3)
            return "", Slice(path, nowhere, np.array([1.0, 0, 0, 0, 1, 0]), (0.0, 0.0), 0.0, max(frames, 2))
        position = _numbers(header.get("ImagePositionPatient"), 3)
        orientation = _numbers(header.get("ImageOrientationPatient"), 6)
        spacing = _numbers(header.get("PixelSpacing"), 2)
        if position is None or orientation is None or spacing is None or min(spacing) <= 0:
            return "images without a place in the patient", None
        lengths = np.linalg.norm(orientation.reshape(2, 3), axis=1)
        if abs(lengths - 1).max() > 0.05 or abs(orientation[:3] @ orientation[3:]) > 0.05:
            return "images whose orientation is no right angle", None
        thickness = float(header.get("SliceThickness") or 0)
    except (ValueError, TypeError, OverflowError):
        return "headers that cannot be read", None
    orientation = (orientation.reshape(2, 3) / lengths[:, None]).reshape(6)
    return "", Slice(path, position, orientation, (float(spacing[0]), float(spacing[1])), thickness)


def _several(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _numbers(value: Any, count: int) -> NDArray[np.float64] | None:
    numbers = np.asarray([float(v) for v in _several(value)])
    return numbers if numbers.size == count and np.isfinite(numbers).all() else None


def description_of(header: Dataset) -> str:
    """The series description as printable text, left out when a part of the patient's name or number stands in it."""
    text = " ".join(re.sub(r"[^\w .,+*/()-]", " ", str(header.get("SeriesDescription") or "")).split())[:60]
    private = f"{header.get('PatientName') or ''} {header.get('PatientID') or ''}".lower()
    parts = [p for p in re.split(r"[\W_]+", private) if len(p) > 2]
    return "" if any(p in text.lower() for p in parts) else text
