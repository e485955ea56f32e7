"""Which of the files given together is the scan and which are its masks: dropped at once, or in one folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import dicom, itk, naming
from napari_ctvlp.scan.itk_data import stored_voxels
from napari_ctvlp.scan.nifti import is_nifti_name, open_nifti, stem
from napari_ctvlp.scan.reader import looks_like_dicom
from napari_ctvlp.scan.types import MaskPaths

Kind = Literal["scan", "masks", ""]

_MOST_ENTRIES = 5000
_FIRST_VOXELS = 1 << 23
"""How much of a file is looked at to see what it holds."""
_MASK_WORDS = {"seg", "segs", "segmentation", "segmentations", "mask", "masks", "label", "labels", "labelmap", "organs",
               "roi", "rois", "multilabel"}  # fmt: skip
_SCAN_WORDS = {"ct", "cta", "scan", "image", "img", "volume", "vol", "hu", "0000"}


@dataclass(frozen=True)
class Given:
    """What to open: a scan, masks for it or for the scan that is open already, or both.

    ``masks`` is one file or folder, or the one-organ files that were given one by one.
    """

    scan: Path | None = None
    masks: Path | tuple[Path, ...] | None = None


class SeveralFound(UserError):
    """Several scans, or several masks, were given at once.

    Attributes
    ----------
    what : {"scans", "masks"}
    choices : tuple of Path
    place : Path
        The folder that they lie in.
    scan : Path or None
        The scan that masks are given with.
    """

    def __init__(self, what: Literal["scans", "masks"], choices: Sequence[Path], place: Path) -> None:
        self.what, self.choices, self.place = what, tuple(choices), place
        self.scan: Path | None = None
        names = ", ".join(self.names[:4]) + (", ..." if len(choices) > 4 else "")
        self.found = f"{place.name}: several {what} are given at once ({names})"
        super().__init__(f"{self.found}; choose one of them.")

    @property
    def names(self) -> list[str]:
        """What to call the choices; with their folders where those are others than the place, since names repeat."""
        below = [path.is_relative_to(self.place) for path in self.choices]
        return [
            path.relative_to(self.place).as_posix() if here else path.name
            for path, here in zip(self.choices, below, strict=True)
        ]


def sort_out(paths: Sequence[str | Path], *, scan_open: bool = False) -> Given:
    """Tell scan and masks apart by what the files hold, and by their names where that does not tell.

    Parameters
    ----------
    paths : sequence of path
        One file, one folder (of a scan, of masks, or of both), a scan and its masks, or slices of one DICOM series.
    scan_open : bool
        Whether a scan is open: what cannot be told is then taken for its masks.

    Raises
    ------
    SeveralFound
        Several scans, or several masks.
    UserError
        Nothing that is known.
    """
    files = [Path(path) for path in paths]
    for file in files:
        if not file.exists():
            raise UserError(f"{file.name}: there is no such file or folder.")
    if len(files) == 1:
        return _folder(files[0]) if files[0].is_dir() else _alone(files[0], scan_open)
    if len({file.parent for file in files}) == 1 and all(_is_slice(file) for file in files):
        return Given(scan=files[0])
    scans: list[Path] = []
    masks: list[Path] = []
    unknown: list[Path] = []
    for file in files:
        if not file.is_dir():
            kind = kind_of(file)
            (scans if kind == "scan" else masks if kind == "masks" else unknown).append(file)
            continue
        given = _folder(file)
        scans += [given.scan] if given.scan is not None else []
        masks += [given.masks] if isinstance(given.masks, Path) else []
    for file in unknown:
        (masks if scans or scan_open else scans).append(file)
    scan = _only(scans, "scans", files[0].parent)
    return Given(scan, tuple(masks) if _one_per_organ(masks) else _only(masks, "masks", files[0].parent, scan))


def scan_in(folder: Path, masks: MaskPaths | None = None) -> Path:
    """The scan of a folder, whatever masks lie beside it; the folder itself for DICOM slices or nothing that is known.

    Parameters
    ----------
    folder : Path
    masks : path or paths, optional
        What was chosen as its masks, and so is no scan.

    Raises
    ------
    UserError
        Several scans.
    """
    chosen = () if masks is None else (masks,) if isinstance(masks, str | Path) else masks
    given = {Path(mask).resolve() for mask in chosen}
    scans = [scan for scan in _contents(folder)[0] if scan.resolve() not in given]
    return folder if folder in scans else _only(scans, "scans", folder) or folder


def kind_of(path: Path) -> Kind:
    """What a file holds: "scan", "masks", or "" when it cannot be told or is neither.

    Reads a header, and of NIfTI, NRRD and MetaImage files the first slices; never raises for what is in them.
    """
    try:
        if is_nifti_name(path):
            return _kind_of_nifti(path)
        if itk.is_itk_name(path):
            return _kind_of_itk(path)
    except UserError:
        return ""  # told when the file is read
    from napari_ctvlp.scan.dicom_seg import RTSTRUCT_CLASS, SEG_CLASSES, dicom_class

    found = dicom_class(path)
    return "masks" if found in (*SEG_CLASSES, RTSTRUCT_CLASS) else "scan" if found else ""


def holds_volumes(folder: Path) -> bool:
    """Whether a folder's names look like a scan, with masks beside it or not, or like masks alone.

    Opens no file and never raises.
    """
    try:
        names = [entry.name for entry in islice(folder.iterdir(), _MOST_ENTRIES)]
    except OSError:
        return False
    kinds = {_kind_by_name(stem(Path(n))) for n in names if is_nifti_name(Path(n)) or itk.is_itk_name(Path(n))}
    return "scan" in kinds or kinds == {"masks"}


def _alone(path: Path, scan_open: bool) -> Given:
    kind = kind_of(path)
    return Given(masks=path) if kind == "masks" or (not kind and scan_open) else Given(scan=path)


def _folder(folder: Path) -> Given:
    scans, masks, below = _contents(folder)
    if not scans and not masks:
        scans, masks = _dicom_below(folder, below)
    elif not scans:
        scans = [entry for entry in below if looks_like_dicom(entry)]
    elif not masks and scans == [folder]:
        masks = _dicom_below(folder, below)[1]
    if not scans:
        # masks alone; or nothing that is known here, but slices may lie in the folders below
        return Given(masks=folder) if masks else Given(scan=folder)
    scan = _only(scans, "scans", folder)
    if _one_per_organ(masks) and all(mask.parent == folder for mask in masks):
        return Given(scan, folder)  # one file per organ, beside the scan
    return Given(scan, _only(masks, "masks", folder, scan))


def _contents(folder: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """Scans and masks that lie in a folder, and the folders in it that may hold more."""
    scans: list[Path] = []
    masks: list[Path] = []
    unknown: list[Path] = []
    below: list[Path] = []
    slices = False
    try:
        entries = sorted(islice((e for e in folder.iterdir() if not e.name.startswith(".")), _MOST_ENTRIES))
    except OSError as error:
        raise UserError(f"{folder.name}: this folder cannot be read; check its permissions.") from error
    for entry in entries:
        if entry.is_dir():
            (masks if _kind_by_name(entry.name) == "masks" else below).append(entry)
            continue
        if is_nifti_name(entry) or itk.is_itk_name(entry):
            kind = kind_of(entry)
            (scans if kind == "scan" else masks if kind == "masks" else unknown).append(entry)
        elif dicom.is_dicom(entry):
            if kind_of(entry) == "masks":
                masks.append(entry)
            else:
                slices = True
    if slices:
        scans.append(folder)
    if not scans and len(unknown) == 1:
        scans, unknown = unknown, []
    return scans, masks, below


def _dicom_below(folder: Path, below: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """What the folders of an export hold, where each series has one: the folder of the scan, and its masks.

    No scan where there are no masks: which of several series it is, is then asked elsewhere.
    """
    scans: list[Path] = []
    masks: list[Path] = []
    for place in below:
        files = (file for file in place.rglob("*") if file.is_file() and dicom.is_dicom(file))
        kinds = {file: kind_of(file) for file in islice(files, _MOST_ENTRIES)}
        masks += sorted(file for file, kind in kinds.items() if kind == "masks")
        scans += [place] if "scan" in kinds.values() else []
    # of several series the user chooses, in all of them
    return ([folder] if len(scans) > 1 else scans) if masks else [], masks


def _one_per_organ(masks: Sequence[Path]) -> bool:
    """Whether these are several files, each called like the organ that it holds."""
    return len(masks) > 1 and all(m.is_file() and is_nifti_name(m) and _is_organ(stem(m)) for m in masks)


def _only(found: list[Path], what: Literal["scans", "masks"], place: Path, scan: Path | None = None) -> Path | None:
    if len(found) < 2:
        return found[0] if found else None
    several = SeveralFound(what, found, place)
    several.scan = scan
    raise several


def _is_slice(path: Path) -> bool:
    return path.is_file() and dicom.is_dicom(path) and kind_of(path) == "scan"


def _kind_by_name(name: str) -> Kind:
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    if words & _MASK_WORDS or _is_organ(name):
        return "masks"
    return "scan" if words & _SCAN_WORDS else ""


def _is_organ(name: str) -> bool:
    from napari_ctvlp.anatomy.organs import ORGANS

    return naming.organ_of(name) in ORGANS


def _kind_of_nifti(path: Path) -> Kind:
    source = open_nifti(path)
    if source.names or source.dtype == np.uint8:
        return "masks"
    parts = (part * source.slope + source.inter if source.scaled else part for _, _, part in source.slabs())
    return _kind_by_values(islice(parts, 2), stem(path))


def _kind_of_itk(path: Path) -> Kind:
    stored = stored_voxels(path)
    if ".seg." in path.name.lower() or (stored is not None and stored.named):
        return "masks"
    if stored is None or stored.components != 1:
        return _kind_by_name(itk.itk_stem(path))
    return "masks" if stored.dtype == np.uint8 else _kind_by_values([stored.first(_FIRST_VOXELS)], itk.itk_stem(path))


def _kind_by_values(parts: Iterable[NDArray[Any]], name: str) -> Kind:
    """Air tells a scan, then the name, then whether all are labels; NaN tells nothing."""
    low, high, whole = np.inf, -np.inf, True
    for part in parts:
        values = part[np.isfinite(part)] if part.dtype.kind == "f" else part
        if not values.size:
            continue
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        if low < -100:
            return "scan"
        whole = whole and (values.dtype.kind != "f" or bool((values % 1 == 0).all()))
    return _kind_by_name(name) or ("masks" if whole and 0 <= low <= high <= 255 else "scan")
