"""Which DICOM files of a folder belong together. Headers only; nothing that names a patient leaves this module."""

from __future__ import annotations

import os
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

_MOST_FILES = 20_000

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


@dataclass(frozen=True)
class SeriesInfo:
    """One series of a DICOM folder, as offered for choice.

    Attributes
    ----------
    key : str
        What to pass as ``series``; "1" is the first.
    description : str
        As the scanner's operator called it, without the patient's name or number.
    modality : str
    n_slices : int
    shape : (rows, columns)
    spacing : tuple of float or None
        Slice distance, row and column spacing in mm; None when the headers do not say.
    """

    key: str
    description: str
    modality: str
    n_slices: int
    shape: tuple[int, int]
    spacing: tuple[float, float, float] | None

    @property
    def number(self) -> int:
        """The key as a number, for ``--series N``."""
        return int(self.key)

    def __str__(self) -> str:
        spacing = (
            ""
            if self.spacing is None
            else f", {self.spacing[0]:.3g} x {self.spacing[1]:.3g} x {self.spacing[2]:.3g} mm"
        )
        name = f'"{self.description}", ' if self.description else ""
        return f"{self.key}: {name}{self.n_slices} slices{spacing}"


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


@dataclass(frozen=True, eq=False)
class Series:
    """Files that form one series."""

    info: SeriesInfo
    slices: tuple[Slice, ...]


@dataclass(frozen=True, eq=False)
class Folder:
    """What a folder holds: series to choose from, and what was left aside and why."""

    series: tuple[Series, ...]
    skipped: tuple[str, ...]


@dataclass(eq=False)
class _Group:
    number: float
    modality: str
    description: str
    shape: tuple[int, int]
    slices: list[Slice] = field(default_factory=list)


def list_series(folder: str | Path) -> list[SeriesInfo]:
    """Series of a DICOM folder (or of the folder that a file lies in), to offer the choice; free of patient data.

    Raises
    ------
    UserError
        If the folder cannot be read or holds no CT image.
    """
    return [s.info for s in find_series(Path(folder)).series]


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


def find_series(path: Path) -> Folder:
    """Group the DICOM images of a folder and the folders in it; of a file, those that lie beside it.

    Files with one SeriesInstanceUID form a series; where that is empty, those with one orientation, size, spacing and
    acquisition. Whatever the identifier says, slices of different orientation or size are never mixed.
    """
    folder = path if path.is_dir() else path.parent
    groups: defaultdict[tuple[object, ...], list[_Group]] = defaultdict(list)
    skipped: defaultdict[str, int] = defaultdict(int)
    for file in _files(folder, deep=path.is_dir()):
        header = read_header(file)
        reason, image = (_foreign(file), None) if header is None else _slice(file, header)
        if header is None or image is None:
            skipped[reason] += 1
            continue
        alike = groups[_key(header, image)]
        group = next((g for g in alike if _lies_alike(g.slices[0], image)), None)
        if group is None:
            group = _new_group(header)
            alike.append(group)
        group.slices.append(image)
    ordered = sorted((g for alike in groups.values() for g in alike), key=lambda g: (g.number, str(g.slices[0].path)))
    ordered = _only_ct(ordered, skipped)
    if not ordered:
        raise UserError(f"{folder.name}: {_nothing(skipped)}; give a folder with the slices of a CT series.")
    series = tuple(Series(_info(str(n), group), tuple(group.slices)) for n, group in enumerate(ordered, 1))
    left_out = tuple(f"{count} {'file' if count == 1 else 'files'} skipped: {why}" for why, count in skipped.items())
    return Folder(series, left_out)


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


def _files(folder: Path, deep: bool) -> list[Path]:
    """Files of a folder; one that may not be listed is an error and not empty (``rglob`` would pass over it)."""
    try:
        list(islice(folder.iterdir(), 1))
        each = (
            f for f in (folder.rglob("*") if deep else folder.iterdir()) if f.is_file() and not f.name.startswith(".")
        )
        found = list(islice(each, _MOST_FILES + 1))
    except OSError as error:
        raise UserError(f"{folder.name}: this folder cannot be read; check its permissions.") from error
    if not found:
        raise UserError(f"{folder.name}: this folder is empty; give a folder with the slices of a CT series.")
    if len(found) > _MOST_FILES:
        raise UserError(f"{folder.name}: holds more than {_MOST_FILES} files; give the folder of one scan.")
    return sorted(found)


def _foreign(path: Path) -> str:
    return "not DICOM" if os.access(path, os.R_OK) else "not readable"


def _slice(path: Path, header: Dataset) -> tuple[str, Slice | None]:
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


def _key(header: Dataset, image: Slice) -> tuple[object, ...]:
    """What slices of one series share."""
    size = (int(header.Rows), int(header.Columns))
    uid = str(header.get("SeriesInstanceUID") or "")
    modality = str(header.get("Modality") or "")
    if image.frames > 1:
        return ("frames", image.path)
    if uid:
        return (uid, modality, *size)
    return (modality, str(header.get("AcquisitionNumber") or ""), str(header.get("SeriesNumber") or ""), *size)


def _lies_alike(a: Slice, b: Slice) -> bool:
    """Whether two slices are parallel and equally spaced, but for the last digits of their headers."""
    return bool(np.allclose(a.orientation, b.orientation, atol=0.01) and np.allclose(a.spacing, b.spacing, rtol=0.01))


def _new_group(header: Dataset) -> _Group:
    try:
        number = float(header.get("SeriesNumber") or np.inf)
    except (ValueError, TypeError):
        number = np.inf
    shape = (int(header.Rows), int(header.Columns))
    return _Group(number, str(header.get("Modality") or "unknown"), _description(header), shape)


def _description(header: Dataset) -> str:
    """The series description as printable text, left out when a part of the patient's name or number stands in it."""
    text = " ".join(re.sub(r"[^\w .,+*/()-]", " ", str(header.get("SeriesDescription") or "")).split())[:60]
    private = f"{header.get('PatientName') or ''} {header.get('PatientID') or ''}".lower()
    parts = [p for p in re.split(r"[\W_]+", private) if len(p) > 2]
    return "" if any(p in text.lower() for p in parts) else text


def _only_ct(groups: list[_Group], skipped: defaultdict[str, int]) -> list[_Group]:
    """CT before anything else, and volumes before single slices."""
    for keep, why in (
        (lambda g: g.modality == "CT", "series that are not CT"),
        (lambda g: len(g.slices) > 1 or g.slices[0].frames > 1, "single slices"),
    ):
        chosen = [g for g in groups if keep(g)]
        if chosen and len(chosen) < len(groups):
            skipped[why] += sum(len(g.slices) for g in groups if not keep(g))
            groups = chosen
    return groups


def _info(key: str, group: _Group) -> SeriesInfo:
    first = group.slices[0]
    if first.frames > 1:
        return SeriesInfo(key, group.description, group.modality, first.frames, group.shape, None)
    spacing = (slice_step(group.slices), *first.spacing)
    return SeriesInfo(key, group.description, group.modality, len(group.slices), group.shape, spacing)


def slice_step(slices: Iterable[Slice]) -> float:
    """Median distance of neighbouring slices along their normal in mm; of a single slice its thickness."""
    several = list(slices)
    along = np.sort([s.position @ several[0].normal for s in several])
    steps = np.diff(along)
    steps = steps[steps > 1e-3]
    return float(np.median(steps)) if steps.size else several[0].thickness


def _nothing(skipped: dict[str, int]) -> str:
    if set(skipped) == {"not DICOM"}:
        return "no DICOM file in this folder"
    found = ", ".join(f"{why} ({count})" for why, count in skipped.items())
    return f"no CT slice in this folder, only {found}"
