"""NRRD and MetaImage: the same scan as from NIfTI, names as 3D Slicer writes them, one sentence for what is wrong."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import read_masks, read_scan
from napari_ctvlp.scan.itk import looks_like_itk
from napari_ctvlp.scan.itk_data import stored_voxels

from .makers import body, ipl_affine, stored_as, write_scan

sitk = pytest.importorskip("SimpleITK", reason="the extra itk is not installed")
NAMES = ("ct.nrrd", "ct.nhdr", "ct.mha", "ct.mhd")


def image_of(canonical, axcodes="LPS", affine=None):
    """A canonical array as an ITK image stored in some axis order."""
    data, ras = stored_as(canonical, ipl_affine() if affine is None else affine, axcodes)
    lps = np.diag([-1.0, -1, 1, 1]) @ ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


@pytest.mark.parametrize("axcodes", ["LPS", "RAS", "PSR", "IPL"])
@pytest.mark.parametrize("name", NAMES)
def test_a_scan_is_the_same_in_every_format(tmp_path, name, axcodes):
    hu = body()
    sitk.WriteImage(image_of(hu, axcodes), str(tmp_path / name), useCompression=name == "ct.nrrd")
    scan, nifti = read_scan(tmp_path / name), read_scan(write_scan(tmp_path / "n.nii", hu, axcodes))
    np.testing.assert_array_equal(scan.hu, hu)
    np.testing.assert_allclose(scan.affine, ipl_affine(), atol=1e-4)
    assert scan.stored.axcodes == nifti.stored.axcodes == axcodes and scan.name == "ct"
    assert scan.audit.items[1] == nifti.audit.items[1] and looks_like_itk(tmp_path / name)


def test_an_nrrd_without_a_space_is_told(tmp_path):
    sitk.WriteImage(image_of(body()), str(tmp_path / "ct.nrrd"))
    raw = (tmp_path / "ct.nrrd").read_bytes()
    head, rest = raw.split(b"\n\n", 1)
    kept = [line for line in head.split(b"\n") if not line.startswith((b"space", b"kinds"))]
    (tmp_path / "ct.nrrd").write_bytes(b"\n".join([*kept, b"spacings: 2 1.5 3"]) + b"\n\n" + rest)
    assert "assumed" in read_scan(tmp_path / "ct.nrrd").audit.items[0].value


@pytest.fixture
def labels():
    made = np.zeros((12, 14, 16), np.uint8)
    made[6:9, 5:9, 4:12] = 5
    made[1:3, 1:4, -4:-1] = 7
    return made


@pytest.fixture
def scan(tmp_path):
    return read_scan(write_scan(tmp_path / "ct.nii.gz", body()))


def test_names_of_a_slicer_segmentation(tmp_path, labels, scan):
    image = image_of(labels, "PSR")
    for n, (value, name) in enumerate([(5, "Liver"), (7, "Kidney, left")]):
        for key, text in (("ID", f"Segment_{n}"), ("Name", name), ("LabelValue", str(value)), ("Layer", "0")):
            image.SetMetaData(f"Segment{n}_{key}", text)
    sitk.WriteImage(image, str(tmp_path / "case.seg.nrrd"), useCompression=True)
    masks = read_masks(tmp_path / "case.seg.nrrd", scan)
    assert dict(masks.names) == {5: "liver", 7: "kidney_left"} and masks.scheme == "names in the file"
    np.testing.assert_array_equal(masks.labels, labels)


def test_overlapping_segments_lie_in_layers(tmp_path, labels, scan):
    first, second = (labels == 5).astype(np.uint8) * 3, np.zeros_like(labels)
    second[7:11, 5:9, 4:12] = 1
    image = sitk.Compose([image_of(first), image_of(second)])
    for n, (layer, value, name) in enumerate([(0, 3, "liver"), (1, 1, "Tumor Größe 2")]):
        for key, text in (("ID", "x"), ("Name", name), ("LabelValue", str(value)), ("Layer", str(layer))):
            image.SetMetaData(f"Segment{n}_{key}", text)
    sitk.WriteImage(image, str(tmp_path / "case.seg.nrrd"))
    masks = read_masks(tmp_path / "case.seg.nrrd", scan)
    assert dict(masks.names) == {1: "liver", 2: "tumor_größe_2"}
    np.testing.assert_array_equal(masks.labels == 1, labels == 5)
    np.testing.assert_array_equal(masks.labels == 2, (second == 1) & (labels != 5))
    assert any(note.startswith(f"{2 * 4 * 8} voxels belong to several") for note in masks.notes)


def test_a_plain_label_map_is_named_by_what_it_shows(tmp_path, labels, scan):
    sitk.WriteImage(image_of(labels), str(tmp_path / "seg.mha"))
    assert "detected" in read_masks(tmp_path / "seg.mha", scan).scheme
    sitk.WriteImage(image_of((labels == 5).astype(np.uint8)), str(tmp_path / "liver.seg.nrrd"))
    assert dict(read_masks(tmp_path / "liver.seg.nrrd", scan).names) == {1: "liver"}


@pytest.mark.parametrize("case", ["empty", "foreign", "cut", "colours", "flat", "no_data", "scan_as_masks", "float"])
def test_bad_files_end_in_a_sentence(tmp_path, scan, case):
    path = tmp_path / ("bad.mhd" if case == "no_data" else "bad.nrrd")
    image = image_of(body())
    if case == "colours":
        image = sitk.Compose([image, image, image])
    elif case == "flat":
        image = image[:, :, 3:4]
    elif case == "float":
        image = sitk.Cast(image, sitk.sitkFloat32) + 0.25
    sitk.WriteImage(image, str(path))
    if case == "empty":
        path.write_bytes(b"")
    elif case == "foreign":
        path.write_bytes(b"NRRD but not really" * 9)
    elif case == "cut":
        path.write_bytes(path.read_bytes()[:-500])
    elif case == "no_data":
        (tmp_path / "bad.raw").unlink()
    with pytest.raises(UserError) as error:
        read_masks(path, scan) if case in ("scan_as_masks", "float") else read_scan(path)
    told = str(error.value)
    assert told.startswith(path.name) and "\n" not in told and told.endswith(".")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["zeroed", "one bit", "cut", "cut by one"])
def test_damaged_voxels_are_neither_scan_nor_masks(tmp_path, scan, capfd, name, packed, damage):
    path = tmp_path / name
    sitk.WriteImage(image_of(np.random.default_rng(0).integers(0, 9, (12, 14, 16)).astype(np.uint8)), str(path), packed)
    voxels = next((f for f in tmp_path.iterdir() if f.name in ("ct.raw", "ct.raw.gz", "ct.zraw")), path)
    raw = bytearray(voxels.read_bytes())
    middle = len(raw) - 300
    if damage == "zeroed":
        raw[middle : middle + 40] = bytes(40)
    elif damage == "one bit":
        raw[middle] ^= 4
    voxels.write_bytes(raw[: {"cut": -300, "cut by one": -1}.get(damage, len(raw))])
    if not packed and damage in ("zeroed", "one bit"):
        assert read_scan(path).hu.shape == (12, 14, 16)  # nothing in the file can tell
        return
    for read in (read_scan, lambda file: read_masks(file, scan)):
        with pytest.raises(UserError, match=rf"^{name}: .*(damaged|truncated)") as told:
            read(path)
        assert "\n" not in str(told.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_headers_are_understood_without_itk(tmp_path, name, dtype):
    values = np.arange(12 * 14 * 16).reshape(12, 14, 16).astype(dtype)
    image = image_of(values)
    for packed in (False, True):
        sitk.WriteImage(image, str(tmp_path / name), packed)
        stored = stored_voxels(tmp_path / name)
        assert (stored.dtype, stored.count, stored.components, stored.packed) == (dtype, values.size, 1, packed)
        np.testing.assert_array_equal(stored.first(1000), sitk.GetArrayFromImage(image).reshape(-1)[:1000])
    sitk.WriteImage(sitk.Compose([image, image]), str(tmp_path / name))
    assert (stored_voxels(tmp_path / name).count, stored_voxels(tmp_path / name).components) == (2 * values.size, 2)


def test_what_only_itk_reads_is_left_to_it(tmp_path):
    sitk.WriteImage(image_of(body()), str(tmp_path / "ct.nrrd"))
    head = (tmp_path / "ct.nrrd").read_bytes().split(b"\n\n", 1)[0].replace(b"encoding: raw", b"encoding: ascii")
    text = " ".join(map(str, body().transpose(0, 1, 2).reshape(-1))).encode()
    (tmp_path / "ct.nrrd").write_bytes(head + b"\n\n" + text + b"\n")
    assert stored_voxels(tmp_path / "ct.nrrd") is None
    assert read_scan(tmp_path / "ct.nrrd").hu.size == body().size


def test_without_simpleitk_the_command_is_told(tmp_path):
    sitk.WriteImage(image_of(body()), str(tmp_path / "ct.nrrd"))
    code = (
        "import sys; sys.modules['SimpleITK'] = None\n"
        "from napari_ctvlp.scan import read_scan\nfrom napari_ctvlp.errors import UserError\n"
        f"try: read_scan({str(tmp_path / 'ct.nrrd')!r})\nexcept UserError as e: print(e)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 'pip install "napari-ctvlp[itk]"' in told


def test_real_files(shared_data):
    folder = shared_data / "ct/ts_abdomen_nrrd"
    own, nifti = read_scan(folder / "ct.nrrd"), read_scan(shared_data / "ct/ts_abdomen/ct.nii.gz")
    np.testing.assert_array_equal(own.hu, nifti.hu)
    np.testing.assert_allclose(own.affine, nifti.affine, atol=1e-3)
    masks = read_masks(folder / "seg_v2_multilabel.nrrd", own)
    reference = read_masks(shared_data / "ct/ts_abdomen/seg_v2_multilabel.nii.gz", nifti)
    np.testing.assert_array_equal(masks.labels, reference.labels)
    lung = read_scan(shared_data / "ct/elastix_right_lung.mha")
    assert lung.stored.axcodes == "LPS" and lung.hu.shape == (64, 78, 57)
    three = read_scan(shared_data / "dicom/dcmqi_ct_3slice")
    by_nrrd = read_masks(shared_data / "dicom/dcmqi_seg/liver_seg.nrrd", three)
    by_dicom = read_masks(shared_data / "dicom/dcmqi_seg/liver.dcm", three)
    np.testing.assert_array_equal(by_nrrd.labels > 0, by_dicom.labels > 0)
