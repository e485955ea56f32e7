"""Which DICOM files of a folder belong together. Headers only; nothing that names a patient leaves this module."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.headers import Slice, description_of, read_header, slice_of, unusable

if TYPE_CHECKING:
    from pydicom import Dataset

_MOST_FILES = 20_000


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
        reason, image = (unusable(file), None) if header is None else slice_of(file, header)
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
    return _Group(number, str(header.get("Modality") or "unknown"), description_of(header), shape)


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
