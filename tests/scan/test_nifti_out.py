"""What is written lies where the scan's own file lies, voxel by voxel: compared with nibabel, not with ourselves."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import read_masks, read_scan
from napari_ctvlp.scan.drawn import edited_masks
from napari_ctvlp.scan.nifti_out import write_map_nifti, write_masks_nifti
from napari_ctvlp.scan.stored import painted, part_affine
from napari_ctvlp.scan.types import OrganMasks

from .makers import body, ipl_affine, write_nifti, write_scan, write_series

ORDERS = ("RAS", "LPS", "LAS", "PSR", "ASL", "IPL")


@pytest.fixture
def labels():
    made = np.zeros((12, 14, 16), np.uint8)
    made[1:3, 1:4, -4:-1] = 7
    made[6:9, 5:9, 4:12] = 5
    return made


KILLED = """
import os, sys, nibabel
from napari_ctvlp.scan import read_masks, read_scan
from napari_ctvlp.scan.nifti_out import write_map_nifti, write_masks_nifti
whole = nibabel.save
def half(image, path):
    whole(image, path)
    os.truncate(path, os.path.getsize(path) // 2)
    os.kill(os.getpid(), 9)
scan = read_scan(sys.argv[1])
masks = read_masks(sys.argv[2], scan)
nibabel.save = half
if sys.argv[3] == "masks":
    write_masks_nifti(sys.argv[4], scan, masks)
else:
    write_map_nifti(sys.argv[4], scan, masks.labels / 255)
"""


@pytest.mark.parametrize("what", ["masks", "map"])
def test_a_writer_killed_half_way_leaves_what_was_there(tmp_path, what):
    labels = np.zeros((12, 14, 16), np.uint8)
    labels[6:9, 5:9, 4:12] = 5
    paths = write_scan(tmp_path / "ct.nii.gz", body()), write_scan(tmp_path / "seg.nii.gz", labels)
    folder = tmp_path / "out"
    folder.mkdir()
    target = write_scan(folder / "liver.nii.gz", labels)
    before = target.read_bytes()
    code = [sys.executable, "-c", KILLED, *map(str, paths), what, str(target)]
    assert subprocess.run(code, check=False).returncode in (-9, 137)
    assert target.read_bytes() == before
    # what it left beside is hidden, and nobody takes it for an organ
    assert len(list(folder.iterdir())) == 2
    assert list(read_masks(folder, read_scan(paths[0])).names.values()) == ["liver"]


def masks_on(scan, labels) -> OrganMasks:
    return OrganMasks(labels, {5: "liver", 7: "liver & <odd>"}, "made")


@pytest.mark.parametrize("axcodes", ORDERS)
def test_masks_lie_on_the_voxels_of_the_file(tmp_path, labels, axcodes):
    path = write_scan(tmp_path / "ct.nii.gz", body(), axcodes)
    scan = read_scan(path)
    write_masks_nifti(tmp_path / "seg.nii.gz", scan, masks_on(scan, labels))
    ct, seg = nib.load(path), nib.load(tmp_path / "seg.nii.gz")
    assert seg.shape == ct.shape and seg.get_data_dtype() == np.uint8
    np.testing.assert_allclose(seg.affine, ct.affine, atol=1e-5)
    np.testing.assert_allclose(seg.get_qform(), ct.affine, atol=1e-3)
    assert np.asarray(ct.dataobj)[np.asarray(seg.dataobj) == 7].min() > 800  # the bright block, wherever it lies
    back = read_masks(tmp_path / "seg.nii.gz", scan)
    assert dict(back.names) == {5: "liver", 7: "liver & <odd>"} and back.scheme == "names in the file"
    np.testing.assert_array_equal(back.labels, labels)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ct.nii.gz", "seg.nii.gz"]


def test_a_straightened_scan_is_written_on_its_tilted_grid(tmp_path):
    turn = np.radians(8)
    rotation = np.eye(4)
    rotation[:3, :3] = [[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]]
    hu = body((30, 40, 40))
    path = write_scan(tmp_path / "ct.nii", hu, affine=rotation @ ipl_affine())
    scan = read_scan(path)
    assert scan.hu.shape != hu.shape
    ball = (scan.hu > -300).astype(np.uint8) * 5
    write_masks_nifti(tmp_path / "seg.nii", scan, OrganMasks(ball, {5: "liver"}, "made"))
    ct, seg = nib.load(path), nib.load(tmp_path / "seg.nii")
    np.testing.assert_allclose(seg.affine, ct.affine, atol=1e-5)
    truth, found = np.asarray(ct.dataobj) > -300, np.asarray(seg.dataobj) == 5
    assert 2 * (truth & found).sum() / (truth.sum() + found.sum()) > 0.9


def test_a_dicom_scan_gets_its_own_grid(tmp_path, labels):
    hu = body()
    write_series(tmp_path / "study", hu)
    scan = read_scan(tmp_path / "study")
    write_masks_nifti(tmp_path / "seg.nii.gz", scan, masks_on(scan, labels))
    seg = nib.load(tmp_path / "seg.nii.gz")
    assert seg.shape == (16, 14, 12)  # columns, rows, slices
    place = np.argwhere(np.asarray(seg.dataobj) == 7).mean(0)
    expected = ipl_affine() @ [*np.argwhere(labels == 7).mean(0), 1]
    np.testing.assert_allclose((np.diag([-1, -1, 1, 1]) @ seg.affine @ [*place, 1])[:3], expected[:3], atol=1e-4)


def test_a_map_keeps_its_values(tmp_path, labels):
    path = write_scan(tmp_path / "ct.nii.gz", body(), "PSR")
    scan = read_scan(path)
    values = painted(labels, {5: 0.25, 7: -1.5})
    write_map_nifti(tmp_path / "map.nii.gz", scan, values, what="similarity")
    out = nib.load(tmp_path / "map.nii.gz")
    assert out.get_data_dtype() == np.float32 and sorted(np.unique(out.dataobj)) == [-1.5, 0.0, 0.25]
    assert np.asarray(nib.load(path).dataobj)[np.asarray(out.dataobj) == -1.5].min() > 800


def test_a_coarse_map_is_interpolated_by_its_affine(tmp_path):
    hu = body((12, 16, 16))
    path = write_scan(tmp_path / "ct.nii.gz", hu, "RAS")
    scan = read_scan(path)
    # a ramp along z in mm: what is read at a voxel of the file must be the z of that voxel
    coarse = scan.affine @ np.diag([2.0, 2, 2, 1])
    coarse[:3, 3] += scan.affine[:3, :3] @ [0.5, 0.5, 0.5]
    index = np.stack(np.meshgrid(*map(np.arange, (6, 8, 8)), indexing="ij"), -1)
    ramp = (index @ coarse[:3, :3].T + coarse[:3, 3])[..., 2]
    write_map_nifti(tmp_path / "map.nii.gz", scan, ramp, affine=coarse)
    out = nib.load(tmp_path / "map.nii.gz")
    z = (out.affine @ [8, 8, 6, 1])[2]
    assert np.asarray(out.dataobj)[8, 8, 6] == pytest.approx(z, abs=1e-3)


@pytest.mark.parametrize("step", [1, 2])
def test_a_map_of_a_part_lands_on_its_voxels(tmp_path, step):
    path = write_scan(tmp_path / "ct.nii.gz", body(), "LAS")
    scan = read_scan(path)
    start = (2, 3, 4)
    part = scan.hu[2:9:step, 3:10:step, 4:13:step].astype(np.float32)
    write_map_nifti(tmp_path / "map.nii.gz", scan, part, affine=part_affine(scan, start, step))
    ct, out = (np.asarray(nib.as_closest_canonical(nib.load(p)).dataobj) for p in (path, tmp_path / "map.nii.gz"))
    canonical = out[::-1, ::-1, ::-1].transpose(2, 1, 0)  # RAS to IPL
    np.testing.assert_allclose(canonical[2:9:step, 3:10:step, 4:13:step], part, atol=1e-3)
    assert ct.shape == out.shape and not canonical[:1].any() and not canonical[10:].any()


def oblique():
    """Two rotations, and an affine along the axes turned by them."""
    a, b = np.radians([15, 7])
    one = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    two = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    turned = np.eye(4)
    turned[:3, :3] = one @ two
    return turned @ ipl_affine()


@pytest.mark.parametrize("folder", [False, True])
def test_masks_of_an_oblique_scan_are_written_as_they_were_read(tmp_path, labels, folder):
    path = write_scan(tmp_path / "ct.nii", body(), "LAS", affine=oblique())
    scan = read_scan(path)
    source = tmp_path / "organs"
    source.mkdir()
    organs, labels = {"liver": 5, "kidney_left": 3}, np.where(labels == 7, 3, labels)
    for name, label in organs.items():
        write_scan(source / f"{name}.nii", (labels == label).astype(np.uint8), "LAS", affine=oblique())
    one = write_scan(tmp_path / "m.nii", labels, "LAS", affine=oblique())
    masks = read_masks(source if folder else one, scan, scheme="v2")
    assert masks.labels.shape == scan.hu.shape != labels.shape
    number = {name: label for label, name in masks.names.items()}
    write_masks_nifti(tmp_path / "out.nii", scan, dataclasses.replace(masks, source="elsewhere"))
    truth, out = (np.asarray(nib.load(path).dataobj) for path in (one, tmp_path / "out.nii"))
    for name, label in organs.items():
        np.testing.assert_array_equal(out == number[name], truth == label)
    # what was changed since is written, and not what was read
    less = np.where(masks.labels == number["liver"], 0, masks.labels).astype(np.uint8)
    for changed in (dataclasses.replace(masks, labels=less), edited_masks(scan, masks, less)):
        write_masks_nifti(tmp_path / "out.nii", scan, changed)
        assert not (np.asarray(nib.load(tmp_path / "out.nii").dataobj) == number["liver"]).any()


def test_a_sheared_grid_has_no_qform(tmp_path, labels):
    sheared = ipl_affine()
    sheared[1, 0] = 0.45
    path = write_scan(tmp_path / "ct.nii", body(), affine=sheared)
    scan = read_scan(path)
    write_masks_nifti(tmp_path / "seg.nii", scan, OrganMasks(np.ones(scan.hu.shape, np.uint8), {1: "liver"}, "made"))
    out = nib.load(tmp_path / "seg.nii")
    np.testing.assert_allclose(out.get_sform(), nib.load(path).affine, atol=1e-5)
    assert (int(out.header["sform_code"]), int(out.header["qform_code"])) == (1, 0)


def test_other_endings_are_refused(tmp_path, labels):
    scan = read_scan(write_scan(tmp_path / "ct.nii.gz", body()))
    with pytest.raises(UserError, match=r"^seg\.png: call the file"):
        write_masks_nifti(tmp_path / "seg.png", scan, masks_on(scan, labels))
    with pytest.raises(UserError, match=r"^seg\.nii cannot be written"):
        write_masks_nifti(tmp_path / "no" / "seg.nii", scan, masks_on(scan, labels))
    with pytest.raises(ValueError, match="not on one grid"):
        write_masks_nifti(tmp_path / "seg.nii", scan, masks_on(scan, labels[1:]))


def test_a_qform_only_file_keeps_its_place(tmp_path, labels):
    path = write_nifti(tmp_path / "ct.nii", body(), np.diag([3.0, 3, 3, 1]))
    image = nib.load(path)
    image.set_sform(None, 0)
    image.set_qform(image.affine, 1)
    nib.save(image, tmp_path / "q.nii")
    scan = read_scan(tmp_path / "q.nii")
    write_map_nifti(tmp_path / "m.nii", scan, scan.hu.astype(np.float32))
    np.testing.assert_allclose(nib.load(tmp_path / "m.nii").affine, nib.load(tmp_path / "q.nii").affine, atol=1e-5)
    np.testing.assert_array_equal(nib.load(tmp_path / "m.nii").dataobj, nib.load(tmp_path / "q.nii").dataobj)


@pytest.mark.parametrize("seg", ["seg_v2_multilabel.nii.gz", "seg_v1_multilabel_float64.nii.gz"])
def test_a_real_scan_round_trips_bit_for_bit(shared_data, tmp_path, seg):
    folder = shared_data / "ct/ts_abdomen"
    scan = read_scan(folder / "ct.nii.gz")
    masks = read_masks(folder / seg, scan)
    write_masks_nifti(tmp_path / "seg.nii.gz", scan, masks)
    write_map_nifti(tmp_path / "hu.nii.gz", scan, scan.hu.astype(np.float32))
    ct, own, out = nib.load(folder / "ct.nii.gz"), nib.load(folder / seg), nib.load(tmp_path / "seg.nii.gz")
    np.testing.assert_allclose(out.affine, ct.affine, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(out.dataobj), np.asarray(own.dataobj))
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "hu.nii.gz").dataobj), np.asarray(ct.dataobj))
    assert read_masks(tmp_path / "seg.nii.gz", scan).names == masks.names


def test_a_real_dicom_series_gives_the_grid_that_others_give(shared_data, tmp_path):
    scan = read_scan(shared_data / "dicom/ts_upper_abdomen_j2k")
    theirs = nib.load(shared_data / "dicom/ts_upper_abdomen_j2k_seg_v2.nii.gz")
    masks = read_masks(shared_data / "dicom/ts_upper_abdomen_j2k_seg_v2.nii.gz", scan)
    write_masks_nifti(tmp_path / "seg.nii.gz", scan, masks)
    ours = nib.load(tmp_path / "seg.nii.gz")
    canonical = [np.asarray(nib.as_closest_canonical(one).dataobj) for one in (theirs, ours)]
    np.testing.assert_array_equal(*canonical)
