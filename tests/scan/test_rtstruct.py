"""Contours become the voxels they enclose, holes stay holes, left stays left."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from napari_ctvlp.ask.audit_card import full_audit
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import read_masks, read_scan
from napari_ctvlp.scan.contours import between
from napari_ctvlp.scan.dicom_seg import RTSTRUCT_CLASS
from napari_ctvlp.scan.masks import OTHER_FRAME

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


@pytest.mark.parametrize("undefined", [False, True])
def test_a_file_that_ends_early_is_refused_wherever_it_ends(scan, tmp_path, undefined):
    path = write(tmp_path / "rt.dcm", [("liver", [box(scan, k, (3, 9), (2, 8)) for k in range(3, 9)])])
    data = dcmread(path)
    for sequence in (data.ROIContourSequence, data.ROIContourSequence[0].ContourSequence):
        sequence.is_undefined_length = undefined
    data["ROIContourSequence"].is_undefined_length = undefined
    data.save_as(path, enforce_file_format=True)
    whole = path.read_bytes()
    assert read_masks(path, scan).names == {1: "liver"}
    first = whole.index(b"\x06\x30\x39\x00")  # of the contours
    for end in range(first, len(whole), 23):
        path.write_bytes(whole[:end])
        with pytest.raises(UserError, match=r"^rt\.dcm: .*export the structures again\.$"):
            read_masks(path, scan)
    path.write_bytes(whole + b"\0" * 5)  # some programs pad
    assert read_masks(path, scan).names == {1: "liver"}


def _text_for_a_number(data):
    raw = data.ROIContourSequence[0].ContourSequence[0]
    raw._dict[0x30060050] = raw.get_item("ContourData")._replace(value=b"1\\2\\x3\\4\\5\\6\\7\\8\\9 ", length=18)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: delattr(d.StructureSetROISequence[0], "ROINumber"), "no usable number"),
        (lambda d: delattr(d.ROIContourSequence[0], "ReferencedROINumber"), "does not name"),
        (lambda d: setattr(d.ROIContourSequence[0], "ReferencedROINumber", 99), "does not name"),
        (lambda d: delattr(d, "StructureSetROISequence"), "does not name"),
        (
            lambda d: setattr(d.ROIContourSequence[0].ContourSequence[0], "ContourData", list(range(10))),
            "no list of points",
        ),
        (
            lambda d: setattr(d.ROIContourSequence[0].ContourSequence[0], "NumberOfContourPoints", 5),
            "no list of points",
        ),
        (_text_for_a_number, "no list of points"),
    ],
)
def test_a_damaged_file_is_told(scan, tmp_path, change, words):
    path = write(tmp_path / "rt.dcm", [("liver", [box(scan, 4, (3, 9), (2, 8))])])
    data = dcmread(path)
    for structure in data.ROIContourSequence:
        list(structure.ContourSequence)
    change(data)
    data.save_as(path, enforce_file_format=True)
    with pytest.raises(UserError, match=rf"^rt\.dcm: .*{words}.*\.$"):
        read_masks(path, scan)


def test_slices_between_contours_are_interpolated(scan, tmp_path):
    growing = [box(scan, plane, (3, 7 + plane // 2), (2, 10)) for plane in (2, 4, 6, 8)]
    masks = read_masks(write(tmp_path / "rt.dcm", [("liver", growing)]), scan)
    per_slice = np.count_nonzero(masks.labels, axis=(1, 2)).tolist()
    assert per_slice[2:9:2] == [8 * 5, 8 * 6, 8 * 7, 8 * 8] and not any(per_slice[:2] + per_slice[9:])
    for plane in (3, 5, 7):
        assert per_slice[plane - 1] <= per_slice[plane] <= per_slice[plane + 1]
    assert masks.notes == ("not drawn on every slice, interpolated between: liver",)


def test_parts_of_a_structure_that_lie_apart_are_not_joined(scan, tmp_path):
    apart = [box(scan, plane, (3, 9), (2, 10)) for plane in (1, 2, 3, 8, 9, 10)]
    masks = read_masks(write(tmp_path / "rt.dcm", [("liver", apart)]), scan)
    assert np.flatnonzero(masks.labels.any(axis=(1, 2))).tolist() == [1, 2, 3, 8, 9, 10]
    assert masks.notes == ("slices without contours between others were left empty: liver",)


def test_contours_denser_than_slices_do_not_cancel_each_other(scan, tmp_path):
    dense = [box(scan, plane / 2, (3, 9), (2, 10)) for plane in range(6, 13)]
    masks = read_masks(write(tmp_path / "rt.dcm", [("liver", dense)]), scan)
    assert np.count_nonzero(masks.labels, axis=(1, 2)).tolist() == [0, 0, 0, 48, 48, 48, 48, 0, 0, 0, 0, 0]
    assert masks.notes == ()


def test_outlines_between_two_are_halfway():
    a, b = np.zeros((30, 30), bool), np.zeros((30, 30), bool)
    a[10:20, 5:25], b[10:20, 5:15] = True, True
    np.testing.assert_array_equal(between(a, b, 0.0, (1, 1)), a)
    np.testing.assert_array_equal(between(a, b, 1.0, (1, 1)), b)
    assert between(a, b, 0.5, (1, 1))[15].sum() == pytest.approx(15, abs=1)
    assert not between(a, np.zeros_like(a), 0.5, (1, 1)).any()


@pytest.mark.parametrize(("uid", "noted"), [("1.2.3.5", False), ("1.2.3.99", True), ("", False)])
def test_another_frame_of_reference_is_warned_of(scan, tmp_path, uid, noted):
    path = write(tmp_path / "rt.dcm", [("liver", [box(scan, k, (3, 9), (2, 8)) for k in range(3, 9)])])
    data = dcmread(path)
    data.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = uid
    data.save_as(path, enforce_file_format=True)
    assert scan.frame == "1.2.3.5"
    masks = read_masks(path, scan)
    assert (OTHER_FRAME in masks.notes) is noted
    assert ("warning" in [item.severity for item in full_audit(scan, masks).items[len(scan.audit.items) :]]) is noted
