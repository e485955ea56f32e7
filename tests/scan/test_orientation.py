"""Every axis order lands in one and the same (I, P, L) volume; nothing oblique is drawn wrongly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import geometry, read_masks, read_scan

from .makers import ORIGIN, RAS_LPS, SPACING, body, ipl_affine, stored_as, write_nifti, write_scan

AXCODES = ["".join(p) for pairs in itertools.permutations(("RL", "AP", "SI")) for p in itertools.product(*pairs)]


def test_there_are_48_axis_orders():
    assert len(set(AXCODES)) == 48


@pytest.mark.parametrize("codes", AXCODES)
def test_each_axis_order_gives_one_volume(codes, tmp_path):
    hu = body()
    labels = np.zeros(hu.shape, np.uint8)
    labels[1:3, 1:4, -4:-1] = 5
    labels[6:9, 5:9, 2:6] = 1
    scan = read_scan(write_scan(tmp_path / "a.nii.gz", hu, codes))
    assert scan.hu.dtype == np.int16 and scan.hu.flags.c_contiguous
    np.testing.assert_array_equal(scan.hu, hu)
    np.testing.assert_allclose(scan.affine, ipl_affine(), atol=1e-4)
    np.testing.assert_allclose(scan.spacing, SPACING, atol=1e-5)
    np.testing.assert_allclose(scan.napari_translate, (-ORIGIN[2], ORIGIN[1], ORIGIN[0]), atol=1e-4)
    assert scan.stored.axcodes == codes
    assert f"stored as {codes}" in str(scan.audit)
    # masks in the opposite axis order belong to the same voxels, without resampling
    other = AXCODES[-1 - AXCODES.index(codes)]
    masks = read_masks(write_scan(tmp_path / "m.nii.gz", labels, other), scan)
    np.testing.assert_array_equal(masks.labels, labels)
    assert not masks.notes


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    codes=st.sampled_from(AXCODES),
    spacing=st.tuples(*[st.floats(0.3, 8.0)] * 3),
    origin=st.tuples(*[st.floats(-900, 900)] * 3),
    shape=st.tuples(*[st.integers(2, 9)] * 3),
    compressed=st.booleans(),
)
def test_any_spacing_and_origin(codes, spacing, origin, shape, compressed, tmp_path):
    hu = np.random.default_rng(3).integers(-1000, 1000, shape).astype(np.int16)
    affine = ipl_affine(spacing, origin)
    path = tmp_path / ("a.nii.gz" if compressed else "a.nii")
    scan = read_scan(write_scan(path, hu, codes, affine=affine))
    np.testing.assert_array_equal(scan.hu, hu)
    np.testing.assert_allclose(scan.affine, affine, atol=1e-3)  # NIfTI keeps float32
    # the stored grid leads back to the file: same voxel, same place
    stored, ras = stored_as(hu, affine, codes)
    assert scan.stored.shape == stored.shape
    np.testing.assert_allclose(scan.stored.affine, RAS_LPS @ ras, atol=1e-3)


def rotation(degrees: float) -> np.ndarray:
    a = np.radians(degrees)
    return np.array([[1, 0, 0, 0], [0, np.cos(a), -np.sin(a), 0], [0, np.sin(a), np.cos(a), 0], [0, 0, 0, 1]])


def test_small_obliquity_stays_in_the_affine(tmp_path):
    hu = body()
    affine = rotation(0.7) @ ipl_affine()
    scan = read_scan(write_scan(tmp_path / "a.nii.gz", hu, "LAS", affine=affine))
    np.testing.assert_array_equal(scan.hu, hu)
    np.testing.assert_allclose(scan.affine, affine, atol=1e-4)
    tilt = next(i for i in scan.audit.items if i.name == "tilt")
    assert tilt.severity == "note" and "0.70" in tilt.value


@pytest.mark.parametrize("kind", ["rotated", "sheared"])
@pytest.mark.parametrize("codes", ["RAS", "PSR"])
def test_tilt_is_resampled_to_its_true_place(kind, codes, tmp_path):
    """A bright ball keeps its centre in the patient; the grid becomes straight; the audit says so."""
    affine = ipl_affine((2.0, 2.0, 2.0))
    if kind == "rotated":
        affine = rotation(12) @ affine
    else:
        affine[1, 0] += 2.0 * np.tan(np.radians(12))
    index = np.moveaxis(np.indices((30, 32, 34)), 0, -1)
    middle = np.array([14.0, 17.0, 12.0])
    hu = np.where(((index - middle) ** 2).sum(-1) < 30, 700, 30).astype(np.int16)
    scan = read_scan(write_scan(tmp_path / "a.nii.gz", hu, codes, affine=affine))
    straight = scan.affine[:3, :3]
    assert np.count_nonzero(straight) == 3 and straight[2, 0] < 0 < straight[1, 1] and straight[0, 2] > 0
    bright = np.argwhere(scan.hu > 365).mean(axis=0)
    found = scan.affine[:3, :3] @ bright + scan.affine[:3, 3]
    expected = affine[:3, :3] @ middle + affine[:3, 3]
    np.testing.assert_allclose(found, expected, atol=0.5)
    assert (scan.hu == -1024).any()  # corners that the tilted grid does not reach
    tilt = next(i for i in scan.audit.items if i.name == "tilt")
    assert tilt.severity == "warning" and "12.0 degrees" in tilt.value and "resampled" in tilt.value
    assert ("gantry" in tilt.value) == (kind == "sheared")
    volume = (scan.hu > 365).sum() * np.prod(scan.spacing)
    np.testing.assert_allclose(volume, (hu > 365).sum() * abs(np.linalg.det(affine)), rtol=0.12)


def test_masks_of_a_tilted_scan_follow_it(tmp_path):
    affine = rotation(10) @ ipl_affine((2.0, 2.0, 2.0))
    hu = np.full((24, 26, 28), 30, np.int16)
    hu[8:16, 8:18, 10:20] = 400
    scan = read_scan(write_scan(tmp_path / "a.nii.gz", hu, affine=affine))
    labels = np.zeros(hu.shape, np.uint8)
    labels[8:16, 8:18, 10:20] = 5
    labels[20:24, 10:16, 10:20] = 1  # reaches the last slice of the file, which is slanted now
    masks = read_masks(write_scan(tmp_path / "m.nii.gz", labels, affine=affine), scan, scheme="v2")
    assert "another grid" in masks.notes[0]
    assert masks.statistics["liver"].mean_hu > 330
    assert not masks.statistics["liver"].touches_edge
    assert masks.statistics["spleen"].touches_edge


@pytest.mark.parametrize(
    "break_it",
    [
        lambda a: a * np.array([[1.0], [0.0], [1.0], [1.0]]),
        lambda a: a * np.array([[np.nan], [1.0], [1.0], [1.0]]),
        lambda a: a @ np.diag([1.0, 1.0, 500.0, 1.0]),
    ],
    ids=["singular", "nan", "huge voxels"],
)
def test_nonsense_affine_is_refused(break_it, tmp_path):
    data, ras = stored_as(body(), ipl_affine(), "RAS")
    path = write_nifti(tmp_path / "a.nii", data, ras)
    raw = bytearray(path.read_bytes())
    raw[280:328] = break_it(ras)[:3].astype("<f4").tobytes()
    raw[252:254] = b"\0\0"  # no qform to fall back on
    path.write_bytes(raw)
    with pytest.raises(UserError, match=r"^a\.nii: .*(affine|voxel size)"):
        read_scan(path)


def test_slabs_do_not_change_the_result(tmp_path, monkeypatch):
    hu = body()
    path = write_scan(tmp_path / "a.nii.gz", hu, "PSR", affine=rotation(9) @ ipl_affine())
    whole = read_scan(path).hu
    real = geometry.slabs
    monkeypatch.setattr(geometry, "slabs", lambda count, each, voxels=0: real(count, each, 200))
    np.testing.assert_array_equal(read_scan(path).hu, whole)
