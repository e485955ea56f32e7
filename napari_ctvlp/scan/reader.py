"""``read_scan``: one door for NIfTI, NRRD and MetaImage files and DICOM series."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import dicom, itk
from napari_ctvlp.scan.audit import AuditFacts
from napari_ctvlp.scan.nifti import is_nifti_name, open_nifti, stem
from napari_ctvlp.scan.types import Scan
from napari_ctvlp.scan.volume import CanonicalVolume

FIRST_ENTRIES, FIRST_FILES = 200, 20
"""How much of a folder is looked at to see whether it is DICOM."""
_UNREAD = {".mgz": "MGZ", ".zip": "ZIP"}


def looks_like_dicom(path: Path) -> bool:
    """Whether a file, or one of the first files in a folder and the folders in it, starts as DICOM does."""
    if path.is_dir():
        files = (entry for entry in islice(path.rglob("*"), FIRST_ENTRIES) if entry.is_file())
        return any(dicom.is_dicom(file) for file in islice(files, FIRST_FILES))
    return path.is_file() and dicom.is_dicom(path)


def read_scan(path: str | Path, *, series: str | int | None = None) -> Scan:
    """Read a CT volume.

    Parameters
    ----------
    path : str or Path
        A .nii or .nii.gz file, an NRRD or MetaImage file (extra ``itk``), a folder with a DICOM series, or one file of
        such a series (no suffix needed).
    series : str or int, optional
        Which series of a DICOM folder, by its number in ``list_series``.

    Returns
    -------
    Scan
        int16 HU in (Inferior, Posterior, Left) order, rescaled once, with its audit.

    Raises
    ------
    UserError
        In one sentence: what is wrong, in which file, what to do.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path.name}: there is no such file or folder.")
    if path.is_dir():
        return dicom.read_dicom(path, series=series)
    refuse_unread(path)
    if is_nifti_name(path):
        return _read_nifti(path)
    if itk.is_itk_name(path):
        return itk.read_itk_scan(path)
    if path.stat().st_size == 0:
        raise UserError(f"{path.name}: is an empty file; copy or download it again.")
    if dicom.is_dicom(path):
        return dicom.read_dicom(path, series=series)
    raise UserError(
        f"{path.name}: is neither NIfTI nor DICOM; give a .nii, .nii.gz, .nrrd or .mha file, or a folder with a DICOM "
        "series."
    )


def refuse_unread(path: Path) -> None:
    """Name the formats that are known but not read."""
    if kind := _UNREAD.get(path.suffix.lower()):
        raise UserError(f"{path.name}: {kind} files are not read yet; convert it to .nii.gz first.")


def _read_nifti(path: Path) -> Scan:
    source = open_nifti(path)
    volume = CanonicalVolume(source.shape, source.affine, path.name)
    for start, stop, values in source.slabs():
        volume.put(start, stop, values, source.slope, source.inter)
    facts = AuditFacts(
        orientation_known=bool(source.affine_from),
        slope=source.slope,
        inter=source.inter,
        notes=source.notes,
    )
    return volume.finish(facts, source=path, name=stem(path))
