"""Organ masks as DICOM SEG, in and out, through highdicom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ctvlp.atomic import build_file
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import geometry
from napari_ctvlp.scan.dicom import series_grid
from napari_ctvlp.scan.headers import Slice, is_dicom, is_of_dicom, quiet
from napari_ctvlp.scan.seg_source import prepared, same_uids, say_who_is_missing
from napari_ctvlp.scan.series import find_series
from napari_ctvlp.scan.stored import masks_on_stored_grid
from napari_ctvlp.scan.types import LabelledGrid, OrganMasks, Scan

if TYPE_CHECKING:
    from pydicom import Dataset

SEG_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation storage, and label map segmentation storage."""
RTSTRUCT_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"

_TYPES = {
    "rib": "Rib", "vertebrae": "Vertebra", "urinary_bladder": "Bladder", "small_bowel": "SmallIntestine",
    "lung_upper": "UpperLobeOfLung", "lung_middle": "MiddleLobeOfRightLung", "lung_lower": "LowerLobeOfLung",
    "iliac_vena": "IliacVein", "gluteus": "Muscle", "autochthon": "Muscle", "iliopsoas": "Muscle", "heart": "Heart",
    "clavicula": "Clavicle", "hip": "Hip",
}  # fmt: skip


def dicom_class(path: Path) -> str:
    """SOPClassUID of a file; "" when it is no DICOM file."""
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_partial

    if not path.is_file() or not is_dicom(path):
        return ""
    try:
        with quiet(), path.open("rb") as file:
            # no further than the class: what follows may be large, or damaged, which is told when it is read
            head = read_partial(file, lambda tag, _vr, _length: int(tag) > 0x00080016, force=True)
            return str(head.get("SOPClassUID") or "")
    except (InvalidDicomError, OSError, EOFError, ValueError, KeyError, AttributeError):
        return ""


def read_seg(path: Path) -> LabelledGrid:
    """Read a DICOM SEG; where segments overlap, the first keeps a voxel.

    Raises
    ------
    UserError
        A damaged file, frames that form no regular grid, or more than 255 segments.
    """
    from highdicom.seg import segread

    try:
        with quiet():
            seg = segread(path)
            found = {int(n): str(seg.get_segment_description(n).segment_label) for n in seg.segment_numbers}
            if len(found) > 255:
                raise UserError(f"{path.name}: holds {len(found)} segments, more than the 255 that can be shown.")
            grid, taken = _combined(seg, path, list(found))
    except UserError:
        raise
    except (OSError, EOFError, ValueError, RuntimeError, AttributeError, KeyError, TypeError, NotImplementedError) as e:
        raise UserError(
            f"{path.name}: is no DICOM SEG that can be read (damaged, or its frames form no regular grid); "
            "export the segmentation again."
        ) from e
    affine = np.asarray(grid.affine, np.float64)
    geometry.check_affine(affine, path.name)
    turn = geometry.reorientation(affine)
    shape: tuple[int, int, int] = grid.array.shape
    labels = np.zeros(turn.canonical_shape(shape), np.uint8)
    turn.stored_view(labels)[...] = grid.array
    notes = (f"{taken} voxels belong to several segments; the first keeps them",) if taken else ()
    frames = frozenset({str(seg.get("FrameOfReferenceUID") or "")} - {""})
    # frames that hold no segment are usually not written
    return LabelledGrid(labels, turn.canonical_affine(affine, shape), found, notes, frames, tight=True)


def _combined(seg: Any, path: Path, numbers: Sequence[int]) -> tuple[Any, int]:
    """Volume of segment numbers, and how many voxels were taken already."""
    from highdicom.seg import segread

    try:
        return seg.get_volume(combine_segments=True, dtype=np.uint8, rescale_fractional=False), 0
    except RuntimeError:  # highdicom refuses to combine what overlaps, and leaves its tables locked
        seg = segread(path)
        whole, taken = None, 0
        for number in numbers:
            one = seg.get_volume(segment_numbers=[number], combine_segments=True, dtype=np.uint8)
            if whole is None:
                whole = one
                continue
            new = one.array > 0
            taken += int(np.count_nonzero(new & (whole.array > 0)))
            whole.array[new & (whole.array == 0)] = number
        if whole is None:
            raise
        return whole, taken


def write_seg(path: str | Path, scan: Scan, masks: OrganMasks, *, keep_patient: bool = False) -> None:
    """Write all organs as one DICOM SEG that refers to the slices of the scan.

    Parameters
    ----------
    path : str or Path
    scan : Scan
        Read from DICOM files that are still there.
    masks : OrganMasks
    keep_patient : bool
        Copy the patient's name, number and dates, and whatever else the slices say of patient and study, as an archive
        needs them. By default only the UIDs of the scan and its geometry are copied: with them the SEG belongs to its
        scan wherever that is, so that whoever holds the scan can tell whose it is.

    Raises
    ------
    UserError
        When the scan was not DICOM, its files are gone, or the place cannot be written to.
    """
    import highdicom as hd
    from pydicom.uid import generate_uid

    path = Path(path)
    sources = [prepared(one, keep_patient) for one in _source_headers(scan)]
    if len({one.StudyInstanceUID for one in sources}) > 1 or any(not one.StudyInstanceUID for one in sources):
        same_uids(sources)
    numbers = {label: n for n, label in enumerate(sorted(masks.names), 1)}
    table = np.zeros(256, np.uint8)
    for label, number in numbers.items():
        table[label] = number
    stored = table[masks_on_stored_grid(scan, masks)]
    # (columns, rows, slices) to highdicom's (slices, rows, columns); an enhanced file is stored so already
    swap = sources[0].get("NumberOfFrames") is None
    array = np.ascontiguousarray(stored.transpose(2, 1, 0) if swap else stored)
    affine = scan.stored.affine @ np.eye(4)[[2, 1, 0, 3]] if swap else scan.stored.affine
    volume = hd.Volume(array, affine, "PATIENT", str(sources[0].FrameOfReferenceUID))
    with quiet():
        seg = hd.seg.Segmentation(
            source_images=sources,
            pixel_array=volume,
            segmentation_type="BINARY",
            segment_descriptions=[_description(n, masks.names[label], masks.scheme) for label, n in numbers.items()],
            series_instance_uid=generate_uid(),
            series_number=300,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="napari-ctvlp",
            manufacturer_model_name="napari-ctvlp",
            software_versions=_version(),
            device_serial_number="0",
            content_description="organ masks",
            content_label="ORGANS",
        )
        seg.SpecificCharacterSet = "ISO_IR 192"  # UTF-8: highdicom's own choice lacks most letters of names
        if not keep_patient:
            say_who_is_missing(seg)
        build_file(path, lambda temporary: seg.save_as(temporary))


def series_key(scan: Scan) -> str:
    """Which series of its folder a scan is, as ``read_scan`` takes it; "" when it was not DICOM or is gone."""
    try:
        return _source_series(scan)[0]
    except UserError:
        return ""


def source_slices(scan: Scan) -> list[Slice]:
    """The slices that a scan was read from, at least one.

    Raises
    ------
    UserError
        When it was not read from DICOM files, or they are gone or have changed.
    """
    return _source_series(scan)[1]


def _source_headers(scan: Scan) -> list[Dataset]:
    """Headers of the slices that a scan was read from, in its order."""
    from pydicom import dcmread

    with quiet():
        return [dcmread(one.path, stop_before_pixels=True, force=True) for one in _source_series(scan)[1]]


def _source_series(scan: Scan) -> tuple[str, list[Slice]]:
    """Key and slices of the series that a scan was read from, found again by its grid."""
    home = Path(scan.source)
    if not is_of_dicom(scan.source):
        raise UserError(
            f"{scan.name}: was not read from DICOM files (or they are gone), so there is nothing that a DICOM SEG "
            "could refer to; write the masks as NIfTI instead."
        )
    for series in find_series(home).series:
        if series.slices[0].frames > 1:
            if home.is_dir() or series.slices[0].path != home:
                continue
            slices = list(series.slices)
        else:
            try:
                slices, affine, _ = series_grid(series, scan.name)
            except UserError:
                continue  # another, broken series of the same folder
            shape = (series.info.shape[1], series.info.shape[0], len(slices))
            if shape != scan.stored.shape or not geometry.same_grid(affine, scan.stored.affine, shape):
                continue
        return series.info.key, slices
    raise UserError(f"{scan.name}: its DICOM files have changed since they were read; open the scan again.")


def _description(number: int, organ: str, scheme: str) -> Any:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    made_by = hd.AlgorithmIdentificationSequence(
        name="organ masks", family=codes.DCM.ArtificialIntelligence, version="unknown", source=scheme[:64]
    )
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=organ[:64],
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=_code(organ),
        algorithm_type="AUTOMATIC",
        algorithm_identification=made_by,
        tracking_uid=hd.UID(),
        tracking_id=organ[:64],
    )


def _code(organ: str) -> Any:
    """SNOMED CT code of an organ where pydicom's dictionary has one under a plain name, else "anatomical structure"."""
    from pydicom.sr.codedict import codes

    base = organ.removesuffix("_left").removesuffix("_right")
    known = next((name for start, name in _TYPES.items() if base.startswith(start)), "")
    for name in (known, "".join(word.capitalize() for word in base.split("_")), "AnatomicalStructure"):
        if name and name in dir(codes.SCT):
            return getattr(codes.SCT, name)
    return codes.SCT.AnatomicalStructure


def _version() -> str:
    from napari_ctvlp import __version__

    return __version__
