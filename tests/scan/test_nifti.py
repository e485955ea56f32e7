"""NIfTI values, rescaled once and never copied whole; and every damaged file told in one sentence."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import read_scan

from .makers import body, ipl_affine, patch_scaling, stored_as, write_nifti, write_scan


def item(scan, name):
    return next(i for i in scan.audit.items if i.name == name)


def one_sentence(error: pytest.ExceptionInfo[UserError], name: str) -> str:
    text = str(error.value)
    assert text.startswith(name) and text.endswith(".") and "\n" not in text and len(text) < 400
    assert not re.search(r"\.\s+[A-Z]", text)
    return text


@pytest.mark.parametrize("dtype", ["i2", "u2", "i4", "u4", "i8", "f4", "f8", ">i2", ">f4", "i1", "u1"])
def test_every_type_gives_the_same_hu(dtype, tmp_path):
    hu = np.clip(body(), 0, 100) if dtype in ("u2", "u4", "i1", "u1") else body()
    scan = read_scan(write_scan(tmp_path / "a.nii.gz", hu.astype(dtype)))
    assert scan.hu.dtype == np.int16
    np.testing.assert_array_equal(scan.hu, hu)


@pytest.mark.parametrize("dtype", ["i2", "u2", "f4"])
def test_rescale_is_applied_exactly_once(dtype, tmp_path):
    hu = np.maximum(body(), -1024)
    data, ras = stored_as(hu, ipl_affine(), "LPS")
    stored = ((data.astype(np.float64) + 1024) * 2).astype(dtype)
    path = write_nifti(tmp_path / "a.nii", stored, ras)
    patch_scaling(path, 0.5, -1024)
    np.testing.assert_array_equal(read_scan(path).hu, hu)
    np.testing.assert_array_equal(read_scan(path).hu, hu)  # and not once more on a second reading
    assert "slope 0.5, intercept -1024, applied once" in item(read_scan(path), "rescale").value
    expected = np.rint(np.asarray(nib.load(path).dataobj))
    np.testing.assert_array_equal(np.sort(read_scan(path).hu, axis=None), np.sort(expected, axis=None))


@pytest.mark.parametrize("slope", [0.0, np.nan, np.inf])
def test_no_slope_means_no_rescaling(slope, tmp_path):
    path = write_scan(tmp_path / "a.nii", body())
    patch_scaling(path, slope, 7.0)
    np.testing.assert_array_equal(read_scan(path).hu, body())
    assert item(read_scan(path), "rescale").value == "none given in the file"


def test_float_hu_are_rounded(tmp_path):
    hu = body().astype(np.float32) + np.float32(0.4)
    np.testing.assert_array_equal(read_scan(write_scan(tmp_path / "a.nii.gz", hu)).hu, body())


def test_nan_padding_becomes_air_and_is_said(tmp_path):
    hu = body().astype(np.float32)
    hu[:, :2] = np.nan
    hu[0, 5, 5] = np.inf
    scan = read_scan(write_scan(tmp_path / "a.nii.gz", hu))
    assert (scan.hu[:, :2] == -1024).all() and scan.hu[0, 5, 5] == -1024
    np.testing.assert_array_equal(scan.hu[:, 2:].reshape(-1)[100:], body()[:, 2:].reshape(-1)[100:])
    assert "NaN" in item(scan, "note").value and item(scan, "note").severity == "note"


@pytest.mark.parametrize("value", [-2048, -3024])
def test_padding_outside_a_round_field_becomes_air_and_is_said(value, tmp_path):
    hu = body()
    hu[:, :2, :2] = value
    scan = read_scan(write_scan(tmp_path / "a.nii.gz", hu))
    assert (scan.hu[:, :2, :2] == -1024).all()
    np.testing.assert_array_equal(scan.hu[:, 2:], hu[:, 2:])
    assert str(value) in item(scan, "note").value
    assert item(scan, "HU range").value.startswith(f"{value} to ")


def test_noise_below_air_is_no_padding(tmp_path):
    hu = body()
    hu[0, 0, 0] = -1207
    assert read_scan(write_scan(tmp_path / "a.nii.gz", hu)).hu[0, 0, 0] == -1207


def test_values_beyond_int16_are_clipped_and_said(tmp_path):
    hu = body().astype(np.int32)
    hu[4, 4, 4] = 70000
    scan = read_scan(write_scan(tmp_path / "a.nii.gz", hu))
    assert scan.hu[4, 4, 4] == 32767 and "clipped" in str(scan.audit)


def test_nifti2_and_foreign_names(tmp_path):
    data, ras = stored_as(body(), ipl_affine(), "RAS")
    np.testing.assert_array_equal(
        read_scan(write_nifti(tmp_path / "two.nii.gz", data, ras, kind=nib.Nifti2Image)).hu, body()
    )
    plain = write_scan(tmp_path / "b.nii", body())
    packed_by_content = tmp_path / "packed.nii"
    packed_by_content.write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(read_scan(packed_by_content).hu, body())
    upper = plain.rename(tmp_path / "B.NII")
    assert read_scan(upper).name == "B"


def test_one_volume_of_four_dimensions_is_a_volume(tmp_path):
    data, ras = stored_as(body(), ipl_affine(), "RAS")
    np.testing.assert_array_equal(read_scan(write_nifti(tmp_path / "a.nii.gz", data[..., None], ras)).hu, body())


def test_sform_wins_over_qform_and_qform_is_used_alone(tmp_path):
    data, ras = stored_as(body(), ipl_affine(), "RAS")
    image = nib.Nifti1Image(data, ras)
    shifted = ras.copy()
    shifted[0, 3] += 50
    image.set_sform(ras, 1)
    image.set_qform(shifted, 1)
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(read_scan(tmp_path / "a.nii").affine, ipl_affine(), atol=1e-4)
    image.set_sform(None, 0)
    nib.save(image, tmp_path / "a.nii")
    assert read_scan(tmp_path / "a.nii").affine[0, 3] == pytest.approx(ipl_affine()[0, 3] - 50, abs=1e-3)


def test_a_header_without_orientation_warns(tmp_path):
    data, _ = stored_as(body(), ipl_affine(), "RAS")
    image = nib.Nifti1Image(data, None)
    image.header.set_zooms((1, 1, 2))
    nib.save(image, tmp_path / "a.nii")
    found = item(read_scan(tmp_path / "a.nii"), "orientation")
    assert found.severity == "warning" and "assumed" in found.value


def test_lengths_in_metres(tmp_path):
    affine = np.diag([1e-3, 1e-3, 1e-3, 1]) @ ipl_affine()
    path = write_scan(tmp_path / "a.nii", body(), affine=affine)
    raw = bytearray(path.read_bytes())
    raw[123] = 1
    path.write_bytes(raw)
    scan = read_scan(path)
    np.testing.assert_allclose(scan.affine, ipl_affine(), atol=1e-3)
    assert "metres" in str(scan.audit)


def test_name_and_source(tmp_path):
    path = write_scan(tmp_path / "case 7.v2.nii.gz", body())
    scan = read_scan(str(path))
    assert scan.name == "case 7.v2" and scan.source == str(path) and scan.window is None


# ---------------------------------------------------------------------------------------------------------- bad input


def test_truncated_gzip(tmp_path):
    path = write_scan(
        tmp_path / "a.nii.gz", np.random.default_rng(0).integers(-1000, 1000, (20, 20, 20)).astype(np.int16)
    )
    raw = path.read_bytes()
    for keep in (0.9, 0.5, 0.02):
        path.write_bytes(raw[: int(len(raw) * keep)])
        with pytest.raises(UserError) as error:
            read_scan(path)
        assert "truncated" in one_sentence(error, "a.nii.gz: ")


def test_truncated_only_in_the_gzip_trailer(tmp_path):
    path = write_scan(tmp_path / "a.nii.gz", body())
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(UserError, match="truncated"):
        read_scan(path)


def test_damaged_gzip(tmp_path):
    path = write_scan(
        tmp_path / "a.nii.gz", np.random.default_rng(0).integers(-1000, 1000, (20, 20, 20)).astype(np.int16)
    )
    raw = bytearray(path.read_bytes())
    raw[-8:-4] = b"\1\2\3\4"
    path.write_bytes(raw)
    with pytest.raises(UserError) as error:
        read_scan(path)
    assert "damaged" in one_sentence(error, "a.nii.gz: ")
    raw[3000:3400] = b"\xff" * 400
    path.write_bytes(raw)
    with pytest.raises(UserError):
        read_scan(path)


def test_truncated_plain_file(tmp_path):
    path = write_scan(tmp_path / "a.nii", body())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError) as error:
        read_scan(path)
    assert "truncated" in one_sentence(error, "a.nii: ")


def test_a_header_that_promises_too_much_allocates_nothing(tmp_path):
    path = write_scan(tmp_path / "a.nii.gz", body())
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[42:48] = np.asarray([32767] * 3, "<i2").tobytes()
    path.write_bytes(gzip.compress(bytes(raw)))
    with pytest.raises(UserError, match="truncated"):
        read_scan(path)


def test_empty_file(tmp_path):
    for name in ("a.nii.gz", "a.nii", "a"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(UserError) as error:
            read_scan(tmp_path / name)
        assert "empty" in one_sentence(error, f"{name}: ")


@pytest.mark.parametrize(
    "content",
    [b"hello", b"x" * 2000, gzip.compress(b"hello", mtime=0), gzip.compress(b"y" * 2000, mtime=0)],
    ids=["short", "long", "short packed", "long packed"],
)
def test_not_a_nifti(content, tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(UserError) as error:
        read_scan(tmp_path / "a.nii.gz")
    assert "not a NIfTI" in one_sentence(error, "a.nii.gz: ")


def test_foreign_formats(tmp_path):
    for name, word in (("a.png", "neither"), ("a.mgz", "MGZ"), ("a.zip", "ZIP")):
        (tmp_path / name).write_bytes(b"\x89PNG" * 100)
        with pytest.raises(UserError) as error:
            read_scan(tmp_path / name)
        assert word in one_sentence(error, f"{name}: ")


def test_no_such_file(tmp_path):
    with pytest.raises(UserError) as error:
        read_scan(tmp_path / "none.nii.gz")
    assert "no such file" in one_sentence(error, "none.nii.gz: ")


def test_four_dimensions(tmp_path):
    data, ras = stored_as(body(), ipl_affine(), "RAS")
    with pytest.raises(UserError) as error:
        read_scan(write_nifti(tmp_path / "a.nii.gz", np.stack([data, data], -1), ras))
    assert "several volumes" in one_sentence(error, "a.nii.gz: ")


def test_flat_picture(tmp_path):
    _, ras = stored_as(body(), ipl_affine(), "RAS")
    with pytest.raises(UserError, match="no volume"):
        read_scan(write_nifti(tmp_path / "a.nii.gz", np.zeros((9, 9), np.int16), ras))
    with pytest.raises(UserError, match="no volume"):
        read_scan(write_nifti(tmp_path / "a.nii.gz", np.zeros((9, 9, 1), np.int16), ras))


def test_rgb_and_complex(tmp_path):
    _, ras = stored_as(body(), ipl_affine(), "RAS")
    rgb = np.zeros((6, 6, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(UserError) as error:
        read_scan(write_nifti(tmp_path / "a.nii.gz", rgb, ras))
    assert "RGB" in one_sentence(error, "a.nii.gz: ")
    with pytest.raises(UserError, match="complex"):
        read_scan(write_nifti(tmp_path / "b.nii.gz", np.zeros((6, 6, 6), np.complex64), ras))


def test_all_nan(tmp_path):
    with pytest.raises(UserError) as error:
        read_scan(write_scan(tmp_path / "a.nii.gz", np.full((6, 6, 6), np.nan, np.float32)))
    assert "NaN" in one_sentence(error, "a.nii.gz: ")


def test_header_without_image(tmp_path):
    data, ras = stored_as(body(), ipl_affine(), "RAS")
    nib.save(nib.Nifti1Pair(data, ras), tmp_path / "a.img")
    (tmp_path / "a.hdr").rename(tmp_path / "a.nii")
    with pytest.raises(UserError, match="two-file"):
        read_scan(tmp_path / "a.nii")


def test_unreadable_file_and_folder(tmp_path, monkeypatch):
    path = write_scan(tmp_path / "a.nii", body())

    def denied(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", denied)
    with pytest.raises(UserError) as error:
        read_scan(path)
    assert "permissions" in one_sentence(error, "a.nii: ")
    monkeypatch.setattr(type(path), "iterdir", denied)
    with pytest.raises(UserError) as error:
        read_scan(tmp_path)
    assert "cannot be read" in one_sentence(error, f"{tmp_path.name}: ")


# ------------------------------------------------------------------------------------------------------------- memory

MEASURE = """
import sys
from pathlib import Path
import isal.igzip, nibabel, nibabel.nifti2
from napari_ctvlp.scan import read_scan
def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) * 1024
read_scan(sys.argv[2])
before = status("VmRSS")
scan = read_scan(sys.argv[1])
print((status("VmHWM") - before) / scan.hu.nbytes)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("dtype", "codes"), [("i2", "LAS"), ("i2", "PSR"), ("f4", "RAS")])
def test_peak_memory_is_near_the_raw_size(dtype, codes, tmp_path):
    """No second copy of the volume, whatever the axis order or the type on disk."""
    hu = np.random.default_rng(0).integers(-1000, 1000, (120, 512, 512), dtype=np.int16)
    path = write_scan(tmp_path / "a.nii", hu.astype(dtype), codes)
    small = write_scan(tmp_path / "small.nii", body().astype(dtype), codes)
    command = [sys.executable, "-c", MEASURE, str(path), str(small)]
    peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert peak < (1.5 if dtype == "i2" else 2.6)  # of 63 MB, on which one slab weighs more than on a whole scan
