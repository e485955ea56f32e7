"""Scans and masks that the tests write themselves, in every form that the readers meet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SPACING = (3.0, 1.5, 2.0)
ORIGIN = (-20.0, -35.0, 110.0)


def ipl_affine(spacing=SPACING, origin=ORIGIN) -> np.ndarray:
    """Canonical index (I, P, L) to LPS mm."""
    i, p, left = spacing
    x, y, z = origin
    return np.array([[0, 0, left, x], [0, p, 0, y], [-i, 0, 0, z], [0, 0, 0, 1]], float)


def body(shape=(12, 14, 16), seed=0) -> np.ndarray:
    """Canonical HU: air around fat around soft tissue; a bright block at one corner lets no flip go unseen."""
    rng = np.random.default_rng(seed)
    hu = rng.normal(-1000, 8, shape)
    inner = tuple(slice(n // 6, n - n // 6) for n in shape)
    hu[inner] = rng.normal(-100, 8, hu[inner].shape)
    core = tuple(slice(n // 4, n - n // 4) for n in shape)
    hu[core] = rng.normal(45, 8, hu[core].shape)
    hu[1:3, 1:4, -4:-1] = 900
    return np.rint(hu).astype(np.int16)


def stored_as(canonical: np.ndarray, affine: np.ndarray, axcodes: str) -> tuple[np.ndarray, np.ndarray]:
    """A canonical array as nibabel lays it out for ``axcodes``: the array and its RAS affine (not our own code)."""
    turn = ornt_transform(axcodes2ornt("IPL"), axcodes2ornt(axcodes))
    return apply_orientation(canonical, turn), RAS_LPS @ affine @ inv_ornt_aff(turn, canonical.shape)


def write_nifti(path: Path, data: np.ndarray, ras_affine: np.ndarray, *, kind: Any = nib.Nifti1Image, **header) -> Path:
    """Write a NIfTI file with its sform and qform set."""
    image = kind(data, ras_affine, dtype=data.dtype)
    image.set_sform(ras_affine, 1)
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


def write_scan(path: Path, hu: np.ndarray, axcodes: str = "RAS", *, affine: np.ndarray | None = None, **kwargs) -> Path:
    """Write a canonical array as a NIfTI file in some axis order."""
    data, ras = stored_as(hu, ipl_affine() if affine is None else affine, axcodes)
    return write_nifti(path, np.ascontiguousarray(data), ras, **kwargs)


def patch_scaling(path: Path, slope: float, inter: float) -> None:
    """Set scl_slope and scl_inter of an uncompressed file by hand: nibabel would change the data as well."""
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.asarray([slope, inter], "<f4").tobytes()
    path.write_bytes(raw)


def dicom_slice(
    pixels: np.ndarray, position, *, orientation=(1, 0, 0, 0, 1, 0), spacing=(2.0, 2.0), number=1, **tags
) -> FileDataset:
    """One CT slice; ``pixels`` are stored values, rescaled by slope 1 and intercept -1024 unless told otherwise."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    values: dict[str, Any] = {
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "FrameOfReferenceUID": "1.2.3.5",
        "PatientName": "Mustermann^Erika",
        "PatientID": "PID4711",
        "PatientBirthDate": "19700101",
        "PatientSex": "F",
        "StudyDate": "20200101",
        "StudyTime": "000000",
        "StudyID": "1",
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
        "Manufacturer": "none",
        "PositionReferenceIndicator": "",
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SeriesNumber": 2,
        "AcquisitionNumber": 1,
        "InstanceNumber": number,
        "SeriesDescription": "Abdomen 5.0",
        "ImageOrientationPatient": [float(v) for v in orientation],
        "ImagePositionPatient": [float(v) for v in position],
        "PixelSpacing": [float(v) for v in spacing],
        "SliceThickness": 3.0,
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
    } | tags
    for key, value in values.items():
        if value is not None:
            setattr(data, key, value)
    if "PixelData" not in tags:
        data.PixelData = np.ascontiguousarray(pixels).tobytes()
        data["PixelData"].VR = "OW"
    elif tags["PixelData"] is None and "PixelData" in data:
        del data.PixelData
    return data


def write_series(
    folder: Path, hu: np.ndarray, *, names: str = "IM{:04d}", each: Mapping[int, dict] | None = None, **tags
):
    """Write canonical HU (I, P, L) as an axial series, scattered over file names; returns the paths from head to feet.

    ``each`` overrides tags of single slices by their number from the head.
    """
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(1).permutation(len(hu))
    paths = []
    for k, plane in enumerate(hu):
        position = (ORIGIN[0], ORIGIN[1], ORIGIN[2] - SPACING[0] * k)
        stored = (plane.astype(np.int32) + 1024).astype(np.int16)
        options: dict[str, Any] = {"position": position, "spacing": SPACING[1:], "number": k + 1} | tags
        data = dicom_slice(stored, **(options | dict((each or {}).get(k, {}))))
        path = folder / names.format(order[k])
        data.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def write_dataset(path: Path, data: Dataset) -> Path:
    """Save a changed DICOM file."""
    data.save_as(path, enforce_file_format=True)
    return path
