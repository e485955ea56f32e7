"""Contours become the voxels they enclose, holes stay holes, left stays left."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import read_masks, read_scan
from napari_ctvlp.scan.dicom_seg import RTSTRUCT_CLASS

from .makers import body, write_series


def box(scan, plane, p, left, kind="CLOSED_PLANAR"):
    """A rectangular contour half a voxel around the voxels p[0]..p[1]-1, left[0]..left[1]-1 of a slice."""
    corners = [(p[0], left[0]), (p[0], left[1]), (p[1], left[1]), (p[1], left[0])]
    points = [scan.affine @ [plane, a - 0.5, b - 0.5, 1] for a, b in corners]
    contour = Dataset()
    contour.ContourGeometricType = kind
    contour.NumberOfContourPoints = 4
    contour.ContourData = [f"{v:.4f}" for point in points for v in point[:3]]
    return contour


def write(path, structures):
    """An RTSTRUCT from (name, contours) pairs."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTSTRUCT_CLASS
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = RTSTRUCT_CLASS, meta.MediaStorageSOPInstanceUID, "RTSTRUCT"
    data.PatientName = "Mustermann^Erika"
    data.StructureSetROISequence, data.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(structures, 11):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        drawn.ReferencedROINumber, drawn.ContourSequence = number, contours
        data.StructureSetROISequence.append(roi)
        data.ROIContourSequence.append(drawn)
    data.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def scan(tmp_path):
    write_series(tmp_path / "study", body())
    return read_scan(tmp_path / "study")


def test_contours_are_filled_where_they_were_drawn(scan, tmp_path):
    liver = [box(scan, plane, (3, 9), (2, 8)) for plane in range(4, 8)]
    kidney = [box(scan, 5, (4, 10), (9, 15)), box(scan, 5, (6, 8), (11, 13))]  # with a hole
    masks = read_masks(write(tmp_path / "rt.dcm", [("Liver", liver), ("Kidney_L", kidney)]), scan)
    expected = np.zeros(scan.hu.shape, np.uint8)
    expected[4:8, 3:9, 2:8] = 1
    expected[5, 4:10, 9:15] = 2
    expected[5, 6:8, 11:13] = 0
    np.testing.assert_array_equal(masks.labels, expected)
    assert dict(masks.names) == {1: "liver", 2: "kidney_left"} and masks.scheme == "names in the file"
    assert masks.statistics["kidney_left"].centroid[0] > masks.statistics["liver"].centroid[0]


def test_overlaps_and_contours_beyond_the_scan_are_noted(scan, tmp_path):
    a = [box(scan, 4, (3, 9), (2, 8)), box(scan, 40, (3, 9), (2, 8))]
    b = [box(scan, 4, (3, 9), (6, 12))]
    masks = read_masks(write(tmp_path / "rt.dcm", [("liver", a), ("PTV 1", b)]), scan)
    assert dict(masks.names) == {1: "liver", 2: "ptv_1"}
    assert "1 of 3 contours lie above or below the scan" in masks.notes
    assert "12 voxels belong to several structures; the first keeps them" in masks.notes


@pytest.mark.parametrize(
    ("contours", "words"),
    [
        (lambda s: [], "no closed contours"),
        (lambda s: [box(s, 4, (3, 9), (2, 8), "POINT")], "no closed contours"),
        (lambda s: [box(s, 400, (3, 9), (2, 8))], "does not meet the scan"),
        (lambda s: [tilted(s)], "do not lie in the slices"),
    ],
)
def test_what_cannot_be_filled_is_told(scan, tmp_path, contours, words):
    with pytest.raises(UserError, match=rf"^rt\.dcm: .*{words}"):
        read_masks(write(tmp_path / "rt.dcm", [("x", contours(scan))]), scan)


def tilted(scan):
    contour = box(scan, 4, (3, 9), (2, 8))
    contour.ContourData = [float(v) + (9.0 if n == 2 else 0.0) for n, v in enumerate(contour.ContourData)]
    return contour


def test_a_damaged_file_is_told(scan, tmp_path):
    path = write(tmp_path / "rt.dcm", [("liver", [box(scan, 4, (3, 9), (2, 8))])])
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(UserError, match=r"^rt\.dcm: "):
        read_masks(path, scan)
