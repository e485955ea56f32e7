"""What a DICOM SEG may learn from the headers of the slices it refers to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

# The link to the scan and the geometry, all of which the Basic Application Level Confidentiality Profile (DICOM PS3.15,
# E.1) may keep; no free text, name, address, number or date is among them, so that an unknown attribute stays out, too.
ALLOWED = frozenset(
    {
        "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality",
        "NumberOfFrames", "Rows", "Columns", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices",
        "ImageOrientationPatient", "ImagePositionPatient", "LossyImageCompression", "LossyImageCompressionRatio",
        "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "PixelMeasuresSequence",
        "PlaneOrientationSequence", "PlanePositionSequence",
    }
)  # fmt: skip
"""Keywords that are kept without the patient; all others, and private ones, are left out, also within sequences."""
_NEEDED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "ReferringPhysicianName",
    "StudyID", "StudyDate", "StudyTime",
)  # fmt: skip
"""Must be there, though they may be empty."""


def prepared(header: Dataset, keep_patient: bool) -> Dataset:
    """A slice's header with what a SEG may copy: without the patient unless asked for, gaps filled."""
    from pydicom.uid import generate_uid

    source = header if keep_patient else _allowed(header)
    if not keep_patient:
        source.SpecificCharacterSet = "ISO_IR 192"  # organ names may be in any script
    source.file_meta = header.file_meta
    for tag in _NEEDED:
        if tag not in source:
            setattr(source, tag, "")
    for tag in ("SOPInstanceUID", "SOPClassUID"):
        if not source.get(tag):
            setattr(source, tag, header.file_meta.get(f"MediaStorage{tag}") or generate_uid())
    return source


def _allowed(header: Dataset) -> Dataset:
    from pydicom import Dataset, Sequence
    from pydicom.datadict import keyword_for_tag

    kept = Dataset()
    for tag in header.keys():  # noqa: SIM118 (values of others may be damaged, and are not decoded)
        if keyword_for_tag(tag) not in ALLOWED:
            continue
        element = header[tag]
        if element.VR == "SQ":
            kept.add_new(tag, "SQ", Sequence([_allowed(item) for item in element.value]))
        else:
            kept.add(element)
    return kept


def same_uids(sources: Sequence[Dataset]) -> None:
    """Give slices that lack them one study, one series and one frame of reference: some exporters empty these."""
    from pydicom.uid import generate_uid

    for tag in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        value = next((one.get(tag) for one in sources if one.get(tag)), None) or generate_uid()
        for one in sources:
            setattr(one, tag, value)


def say_who_is_missing(seg: Dataset) -> None:
    """Note in a SEG that it does not tell the patient."""
    seg.PatientIdentityRemoved = "YES"
    seg.DeidentificationMethod = "UIDs and geometry of the scan kept, all else left out"
