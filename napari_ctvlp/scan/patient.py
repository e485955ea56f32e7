"""Whether two scans are of one patient, and how far apart in time, without ever handing out who or when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.types import Scan

_TAGS = ["PatientID", "IssuerOfPatientID", "AcquisitionDate", "SeriesDate", "StudyDate"]


@dataclass(frozen=True)
class Pair:
    """What DICOM headers say of two scans.

    ``same`` is None where one of them does not say who it is of; ``days`` is from the first to the second, None where
    a date is missing.
    """

    same: bool | None
    days: int | None


def compare_patients(prior: Scan, now: Scan) -> Pair:
    """Compare the patient numbers and the dates of two scans; the headers are read again and not kept."""
    (first, then), (second, later) = _read(prior), _read(now)
    same = None if not first or not second else first == second
    return Pair(same, None if then is None or later is None else (later - then).days)


def _read(scan: Scan) -> tuple[tuple[str, str] | None, date | None]:
    """Patient number with who gave it, and the date; None where the scan does not say or is not DICOM."""
    from pydicom import dcmread

    from napari_ctvlp.scan.dicom_seg import source_slices
    from napari_ctvlp.scan.headers import quiet

    try:
        path = source_slices(scan)[0].path
        with quiet():
            header = dcmread(path, stop_before_pixels=True, force=True, specific_tags=_TAGS)
    except (UserError, OSError):
        return None, None
    number = str(header.get("PatientID") or "").strip()
    who = (number, str(header.get("IssuerOfPatientID") or "").strip()) if number else None
    for tag in _TAGS[2:]:
        text = str(header.get(tag) or "").replace(".", "").strip()
        try:
            return who, date(int(text[:4]), int(text[4:6]), int(text[6:8]))
        except ValueError:
            continue
    return who, None
