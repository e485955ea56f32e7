"""DICOM series: grouped, sorted, rescaled once, never mixed, never silently interpolated."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGLosslessSV1, generate_uid

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import list_series, read_scan

from .makers import ORIGIN, SPACING, body, dicom_slice, ipl_affine, write_dataset, write_series


@pytest.fixture
def hu():
    return np.maximum(body(), -1024)


def item(scan, name):
    return next(i for i in scan.audit.items if i.name == name)


def refused(path, **kwargs) -> str:
    with pytest.raises(UserError) as error:
        read_scan(path, **kwargs)
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and not re.search(r"\.\s+[A-Z]", text)
    assert not re.search("mustermann|erika|pid4711|1970", text, re.IGNORECASE)
    return text


def edit(path, **tags):
    data = pydicom.dcmread(path)
    for key, value in tags.items():
        if value is None:
            delattr(data, key)
        else:
            setattr(data, key, value)
    return write_dataset(path, data)


def test_a_series_lands_in_canonical_order(hu, tmp_path):
    write_series(tmp_path / "case", hu, WindowCenter=[60, -600], WindowWidth=[350, 1500])
    scan = read_scan(tmp_path / "case")
    np.testing.assert_array_equal(scan.hu, hu)
    np.testing.assert_allclose(scan.affine, ipl_affine(), atol=1e-6)
    np.testing.assert_allclose(scan.spacing, SPACING)
    assert scan.hu.flags.c_contiguous and scan.name == "case" and scan.window == (60.0, 350.0)
    assert scan.stored.shape == (hu.shape[2], hu.shape[1], hu.shape[0]) and scan.stored.axcodes == "LPS"
    assert scan.audit.severity == "note"  # a field of view of a few centimetres
    assert "3 mm apart, none missing" in item(scan, "slices").value


def test_one_file_stands_for_its_series(hu, tmp_path):
    paths = write_series(tmp_path / "case", hu)
    (tmp_path / "case" / "deeper").mkdir()
    write_series(tmp_path / "case" / "deeper", hu, SeriesInstanceUID="9.9.9")
    np.testing.assert_array_equal(read_scan(paths[3]).hu, hu)


@pytest.mark.parametrize("names", ["IM{:04d}", "{}.dcm", "1.2.840.{}"])
def test_file_names_do_not_matter(names, hu, tmp_path):
    write_series(tmp_path / "case", hu, names=names)
    np.testing.assert_array_equal(read_scan(tmp_path / "case").hu, hu)


def test_files_without_a_preamble(hu, tmp_path):
    for path in write_series(tmp_path / "case", hu):
        raw = path.read_bytes()
        path.write_bytes(raw[132:])
    np.testing.assert_array_equal(read_scan(tmp_path / "case").hu, hu)


def test_empty_series_uid_groups_by_geometry(hu, tmp_path):
    write_series(tmp_path / "case", hu, SeriesInstanceUID="")
    np.testing.assert_array_equal(read_scan(tmp_path / "case").hu, hu)
    wide = np.pad(hu, ((0, 0), (0, 0), (0, 4)), constant_values=-1000)
    write_series(tmp_path / "case", wide, names="B{:03d}", SeriesInstanceUID="")
    assert [s.n_slices for s in list_series(tmp_path / "case")] == [12, 12]


@pytest.mark.parametrize("kind", ["i2", "u2"])
def test_rescale_is_applied_exactly_once_and_per_slice(kind, hu, tmp_path):
    """Every slice has a slope and an intercept of its own, as PET and some CT writers do."""
    folder = tmp_path / "case"
    folder.mkdir()
    for k, plane in enumerate(hu):
        slope, inter = (0.5, -1024.0) if k % 2 else (1.0, -1024.0 - k)
        stored = np.rint((plane - inter) / slope).astype(kind)
        position = (ORIGIN[0], ORIGIN[1], ORIGIN[2] - SPACING[0] * k)
        data = dicom_slice(stored, position, spacing=SPACING[1:], RescaleSlope=slope, RescaleIntercept=inter)
        write_dataset(folder / f"{k}", data)
    scan = read_scan(folder)
    np.testing.assert_array_equal(scan.hu, hu)
    assert "applied once" in item(scan, "rescale").value


def test_missing_rescale_is_said(hu, tmp_path):
    write_series(tmp_path / "case", hu, RescaleSlope=None, RescaleIntercept=None)
    scan = read_scan(tmp_path / "case")
    np.testing.assert_array_equal(scan.hu, hu + 1024)
    assert item(scan, "rescale").severity == "warning" and "not applied" in item(scan, "rescale").value


@pytest.mark.parametrize(("representation", "value"), [(1, -2000), (1, 63536), (0, 63536)])
def test_padding_value(representation, value, hu, tmp_path):
    folder = tmp_path / "case"
    folder.mkdir()
    for k, plane in enumerate(hu):
        stored = (plane.astype(np.int32) + 1024).astype(np.int16)
        stored[:2, :2] = -2000
        data = dicom_slice(
            stored if representation else stored.view(np.uint16), (0, 0, -3.0 * k), PixelRepresentation=representation
        )
        data.add_new("PixelPaddingValue", "SS" if value < 0 else "US", value)
        write_dataset(folder / f"{k}", data)
    scan = read_scan(folder)
    assert (scan.hu[:, :2, :2] == -1024).all()
    np.testing.assert_array_equal(scan.hu[:, 2:], hu[:, 2:])
    assert "outside the field of view" in item(scan, "note").value


def test_rotated_in_plane_axes(hu, tmp_path):
    """Sagittal slices (rows down, columns to the back) make the same volume."""
    folder = tmp_path / "case"
    folder.mkdir()
    i, p, left = SPACING
    for k in range(hu.shape[2]):
        stored = (hu[:, :, k].astype(np.int32) + 1024).astype(np.int16)
        position = (ORIGIN[0] + left * k, ORIGIN[1], ORIGIN[2])
        data = dicom_slice(stored, position, orientation=(0, 1, 0, 0, 0, -1), spacing=(i, p))
        write_dataset(folder / f"{k}", data)
    scan = read_scan(folder)
    np.testing.assert_array_equal(scan.hu, hu)
    np.testing.assert_allclose(scan.affine, ipl_affine(), atol=1e-6)


def test_other_files_are_left_aside_and_counted(hu, tmp_path):
    folder = tmp_path / "case"
    write_series(folder, hu)
    scout = dicom_slice(np.zeros((9, 9), np.int16), (0, 0, 0), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_dataset(folder / "scout", scout)
    structures = dicom_slice(np.zeros((9, 9), np.int16), (0, 0, 0), Modality="RTSTRUCT", Rows=None, Columns=None)
    write_dataset(folder / "rs.dcm", structures)
    write_dataset(folder / "seg.dcm", dicom_slice(np.zeros((9, 9), np.int16), (0, 0, 0), Modality="SEG"))
    (folder / "readme.txt").write_text("hello")
    scan = read_scan(folder)
    np.testing.assert_array_equal(scan.hu, hu)
    notes = str(scan.audit)
    for word in ("localizers", "no images", "segmentations", "not DICOM"):
        assert f"1 file skipped: {word}" in notes


# ------------------------------------------------------------------------------------------------------ several series


def test_several_series_are_offered_not_mixed(hu, tmp_path):
    folder = tmp_path / "study"
    write_series(
        folder, hu, names="A{}", SeriesInstanceUID="1.2.1", SeriesNumber=7, SeriesDescription="Lung 1.0 Mustermann"
    )
    write_series(folder / "sub", hu[:8] + 1, names="B{}", SeriesInstanceUID="1.2.2", SeriesNumber=3)
    found = list_series(folder)
    assert [(s.key, s.number, s.description, s.n_slices, s.modality) for s in found] == [
        ("1", 1, "Abdomen 5.0", 8, "CT"),
        ("2", 2, "", 12, "CT"),  # the patient's name stood in the description
    ]
    assert found[0].spacing == pytest.approx(SPACING) and found[0].shape == hu.shape[1:]
    text = refused(folder)
    assert "--series N" in text and '1: "Abdomen 5.0", 8 slices, 3 x 1.5 x 2 mm' in text and "2: 12 slices" in text
    np.testing.assert_array_equal(read_scan(folder, series=2).hu, hu)
    np.testing.assert_array_equal(read_scan(folder, series="1").hu, hu[:8] + 1)
    assert read_scan(folder, series=1).name == "study series 1"
    assert 'no series "5"' in refused(folder, series=5)


def test_one_uid_with_two_orientations_is_two_series(hu, tmp_path):
    write_series(tmp_path / "case", hu, names="A{}")
    write_series(tmp_path / "case", hu, names="B{}", orientation=(0, 1, 0, 0, 0, -1))
    assert len(list_series(tmp_path / "case")) == 2
    assert "2 series" in refused(tmp_path / "case")


def test_ct_is_preferred_to_other_images(hu, tmp_path):
    write_series(tmp_path / "case", hu, names="A{}")
    write_series(tmp_path / "case", hu, names="B{}", Modality="PT", SeriesInstanceUID="1.9")
    scan = read_scan(tmp_path / "case")
    np.testing.assert_array_equal(scan.hu, hu)
    assert "12 files skipped: series that are not CT" in str(scan.audit)


def test_another_modality_opens_with_a_note(hu, tmp_path):
    mr = np.abs(np.random.default_rng(0).normal(300, 200, hu.shape)).astype(np.int16)
    write_series(tmp_path / "case", mr - 1024, Modality="MR", RescaleIntercept=0)
    scan = read_scan(tmp_path / "case")
    assert "MR, not CT" in str(scan.audit) and item(scan, "HU range").severity == "warning"


# ----------------------------------------------------------------------------------------------------------- bad input


def test_missing_slices(hu, tmp_path):
    paths = write_series(tmp_path / "case", hu)
    paths[4].unlink()
    text = refused(tmp_path / "case")
    assert text.startswith("case: 1 slice is missing") and "95.0 and 101.0 mm" in text
    paths[5].unlink()
    paths[9].unlink()
    assert "3 slices are missing" in refused(tmp_path / "case")


def test_four_slices_at_one_place(hu, tmp_path):
    write_series(tmp_path / "case", hu, each={k: {"position": (*ORIGIN[:2], ORIGIN[2] - 9.0)} for k in (3, 4, 5, 6)})
    assert "4 slices lie at one place (z = 101.0 mm)" in refused(tmp_path / "case")


def test_phases_in_one_series(hu, tmp_path):
    for phase in range(4):
        write_series(tmp_path / "case", hu, names=f"{phase}-{{}}")
    assert "4 slices lie at one place" in refused(tmp_path / "case")


def test_copied_files(hu, tmp_path):
    path = write_series(tmp_path / "case", hu)[2]
    shutil.copy(path, path.with_name("copy"))
    assert "2 slices lie at one place" in refused(tmp_path / "case")


def test_uneven_slices(hu, tmp_path):
    moved = {k: {"position": (*ORIGIN[:2], ORIGIN[2] - 3.0 * k - 1.2)} for k in range(6, 12)}
    write_series(tmp_path / "case", hu, each=moved)
    assert "unevenly, 3 to 4.2 mm" in refused(tmp_path / "case")


def test_rounded_positions_are_even(hu, tmp_path):
    wobble = {k: {"position": (*ORIGIN[:2], ORIGIN[2] - 3.0 * k + 0.05 * (-1) ** k)} for k in range(12)}
    write_series(tmp_path / "case", hu, each=wobble)
    np.testing.assert_array_equal(read_scan(tmp_path / "case").hu, hu)


@pytest.mark.parametrize("degrees", [15, -15])
def test_gantry_tilt_is_resampled_and_said(degrees, tmp_path):
    """The gantry leans: the slices are tilted while the table moves straight, so the stack is sheared."""
    a = np.radians(degrees)
    orientation = (1, 0, 0, 0, np.cos(a), np.sin(a))
    hu = np.full((30, 40, 20), 40, np.int16)
    hu[12:18, 16:24, 8:12] = 800
    write_series(
        tmp_path / "case",
        hu,
        orientation=orientation,
        GantryDetectorTilt=float(degrees),
        each={k: {"position": (0.0, 0.0, -3.0 * k)} for k in range(30)},
    )
    scan = read_scan(tmp_path / "case")
    found = item(scan, "tilt")
    assert found.severity == "warning" and "15.0 degrees" in found.value and "gantry" in found.value
    centre = np.array([9.5 * 2.0, 19.5 * 1.5 * np.cos(a), 19.5 * 1.5 * np.sin(a) - 3.0 * 14.5])
    bright = np.argwhere(scan.hu > 420).mean(axis=0)
    np.testing.assert_allclose(scan.affine[:3, :3] @ bright + scan.affine[:3, 3], centre, atol=0.6)
    assert scan.spacing == pytest.approx((3.0 * np.cos(a), 1.5, 2.0))


def test_single_slice(hu, tmp_path):
    write_series(tmp_path / "case", hu[:1])
    assert "single slice" in refused(tmp_path / "case")


def test_missing_pixel_data(hu, tmp_path):
    path = write_series(tmp_path / "case", hu)[2]
    edit(path, PixelData=None)
    assert f"{path.name}: holds no pixel data" in refused(tmp_path / "case")


def test_truncated_slice(hu, tmp_path):
    path = write_series(tmp_path / "case", hu)[2]
    path.write_bytes(path.read_bytes()[:-200])
    text = refused(tmp_path / "case")
    assert text.startswith(path.name) and "damaged or truncated" in text


def test_bad_rescale(hu, tmp_path):
    path = write_series(tmp_path / "case", hu)[2]
    edit(path, RescaleSlope=0)
    assert "rescale" in refused(tmp_path / "case")


def test_folder_without_ct(hu, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "folder is empty" in refused(tmp_path / "empty")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("hello")
    assert "no DICOM file" in refused(tmp_path / "text")
    with pytest.raises(UserError, match="empty"):
        list_series(tmp_path / "empty")


def test_a_file_that_is_no_slice(hu, tmp_path):
    write_series(tmp_path / "case", hu)
    seg = write_dataset(tmp_path / "case" / "seg", dicom_slice(np.zeros((9, 9), np.int16), (0, 0, 0), Modality="SEG"))
    assert "no slice of a CT series" in refused(seg)


def test_nothing_of_the_patient_leaves(hu, tmp_path):
    write_series(tmp_path / "case", hu)
    scan = read_scan(tmp_path / "case")
    text = f"{scan.audit}{scan.name}{scan.stored}{list_series(tmp_path / 'case')}"
    assert not re.search("mustermann|erika|pid4711|1970|1\\.2\\.3", text, re.IGNORECASE)


# ---------------------------------------------------------------------------------------------------------- compressed


def jpeg_lossless(path) -> None:
    gdcm = pytest.importorskip("gdcm", reason="python-gdcm is not installed")
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def test_jpeg_lossless(hu, tmp_path):
    for path in write_series(tmp_path / "case", hu):
        jpeg_lossless(path)
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == JPEGLosslessSV1
    np.testing.assert_array_equal(read_scan(tmp_path / "case").hu, hu)


def test_a_missing_decoder_is_named(hu, tmp_path, monkeypatch):
    from pydicom.pixels.decoders import base

    for path in write_series(tmp_path / "case", hu):
        data = pydicom.dcmread(path)
        data.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        data.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
        write_dataset(path, data)
    monkeypatch.setattr(base.Decoder, "is_available", property(lambda self: False))
    text = refused(tmp_path / "case")
    assert "JPEG Lossless" in text and "pip install python-gdcm" in text


def test_damaged_jpeg_data(hu, tmp_path):
    for path in write_series(tmp_path / "case", hu):
        data = pydicom.dcmread(path)
        data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.90"
        data.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51" + b"\0" * 60])
        write_dataset(path, data)
    assert "cannot be decoded" in refused(tmp_path / "case")


# --------------------------------------------------------------------------------------------------------- multi-frame


def enhanced(folder, hu, **kwargs):
    """The same series as one enhanced multi-frame file, converted by highdicom."""
    from highdicom.legacy import LegacyConvertedEnhancedCTImage

    paths = write_series(folder, hu, **kwargs)
    series = [pydicom.dcmread(p) for p in paths]
    image = LegacyConvertedEnhancedCTImage(
        series, series_instance_uid=generate_uid(), series_number=2, sop_instance_uid=generate_uid(), instance_number=1
    )
    for path in paths:
        path.unlink()
    image.save_as(folder / "multi.dcm")
    return folder / "multi.dcm"


def test_enhanced_multi_frame(hu, tmp_path):
    path = enhanced(tmp_path / "case", hu)
    for source in (path, path.parent):
        scan = read_scan(source)
        np.testing.assert_array_equal(scan.hu, hu)
        np.testing.assert_allclose(scan.affine, ipl_affine(), atol=1e-5)
    assert list_series(path.parent)[0].n_slices == len(hu)


def test_enhanced_multi_frame_with_a_gap(hu, tmp_path):
    path = enhanced(tmp_path / "case", hu, each={11: {"position": (*ORIGIN[:2], ORIGIN[2] - 36.0)}})
    assert "no regular volume" in refused(path)
