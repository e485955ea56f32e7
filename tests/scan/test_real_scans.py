"""Real scans and masks in every stored form: shape, orientation, sides, and known findings at their place."""

from __future__ import annotations

import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import list_series, read_masks, read_scan

SCANS = {  # path: shape (I, P, L), spacing, orientation as stored, HU range
    "ct/ts_abdomen/ct.nii.gz": ((112, 101, 122), (3, 3, 3), "RAS", (-1207, 3382)),
    "ct/ts_abdomen_top30/ct.nii.gz": ((30, 101, 122), (3, 3, 3), "RAS", (-1100, 1207)),
    "ct/lidc_idri_0001_chest_ds2.nii.gz": ((133, 256, 256), (2.5, 1.40625, 1.40625), "LPS", (-1500, 3071)),
    "dicom/ts_upper_abdomen_j2k": ((20, 512, 512), (2, 0.9765625, 0.9765625), "LPS", (-1024, 1839)),
    "dicom/lungfcp_01_0001_apex": ((45, 512, 512), (1, 0.759765625, 0.759765625), "LPS", (-1024, 1473)),
    "dicom/dcmqi_ct_3slice": ((3, 512, 512), (1, 0.810547, 0.810547), "LPS", (-1024, 1381)),
}
MASKS = {  # path of the scan, of the masks: number of organs, words of the scheme
    ("ct/ts_abdomen/ct.nii.gz", "ct/ts_abdomen/seg_v2_multilabel.nii.gz"): (61, "names in the file"),
    ("ct/ts_abdomen/ct.nii.gz", "ct/ts_abdomen/seg_v1_multilabel_float64.nii.gz"): (
        59,
        "TotalSegmentator v1 (detected",
    ),
    ("ct/ts_abdomen/ct.nii.gz", "ct/ts_abdomen/seg_v1_fast_multilabel.nii.gz"): (58, "TotalSegmentator v1 (detected"),
    ("ct/ts_abdomen/ct.nii.gz", "ct/ts_abdomen/seg_v1_fast_folder"): (58, "names of the files"),
    ("ct/ts_abdomen_top30/ct.nii.gz", "ct/ts_abdomen_top30/seg_v2_multilabel.nii.gz"): (41, "names in the file"),
    ("ct/ts_abdomen_top30/ct.nii.gz", "ct/ts_abdomen_top30/seg_v2_fast_folder"): (40, "names of the files"),
    ("dicom/ts_upper_abdomen_j2k", "dicom/ts_upper_abdomen_j2k_seg_v2.nii.gz"): (31, "names in the file"),
}


@pytest.fixture(scope="module")
def scan_at(shared_data):
    """Each scan is read once."""
    read = {}

    def get(name):
        if name not in read:
            read[name] = read_scan(shared_data / name)
        return read[name]

    return get


def item(scan, name):
    return next(i for i in scan.audit.items if i.name == name)


@pytest.mark.parametrize("name", SCANS)
def test_scan(name, scan_at):
    shape, spacing, stored, (low, high) = SCANS[name]
    scan = scan_at(name)
    assert scan.hu.shape == shape and scan.hu.dtype == np.int16 and scan.hu.flags.c_contiguous
    assert scan.spacing == pytest.approx(spacing, rel=1e-5)
    assert scan.stored.axcodes == stored and f"stored as {stored}" in item(scan, "orientation").value
    assert low <= scan.hu.min() and scan.hu.max() == high
    directions = scan.affine[:3, :3] / np.asarray(scan.spacing)
    np.testing.assert_allclose(directions, [[0, 0, 1], [0, 1, 0], [-1, 0, 0]], atol=1e-5)
    assert scan.audit.severity in ("ok", "note") and item(scan, "HU range").value.endswith("plausible for CT")
    assert item(scan, "tilt").value == "none"


@pytest.mark.parametrize("name", ["ct/lidc_idri_0001_chest_ds2.nii.gz", "dicom/dcmqi_ct_3slice"])
def test_padding_is_air(name, scan_at):
    scan = scan_at(name)
    assert scan.hu[:, 0, 0].max() == -1024 and scan.hu.min() >= -1500
    assert "outside the field of view" in str(scan.audit)


def test_windows_of_the_files(scan_at):
    assert scan_at("dicom/ts_upper_abdomen_j2k").window == (40, 300)
    assert scan_at("dicom/lungfcp_01_0001_apex").window == (40, 400)
    assert scan_at("ct/ts_abdomen/ct.nii.gz").window is None


@pytest.mark.parametrize(("scan_name", "masks_name"), MASKS)
def test_masks(scan_name, masks_name, scan_at, shared_data):
    organs, scheme = MASKS[scan_name, masks_name]
    scan = scan_at(scan_name)
    masks = read_masks(shared_data / masks_name, scan)
    assert len(masks.names) == organs == len(masks.statistics) and masks.scheme.startswith(scheme)
    assert not any("another grid" in note for note in masks.notes)
    assert masks.labels.shape == scan.hu.shape and masks.labels.dtype == np.uint8
    stat = masks.statistics
    assert stat["liver"].mean_hu == pytest.approx(90 if "j2k" in scan_name else 45, abs=6)
    middle = scan.affine[0, 3] + scan.spacing[2] * scan.hu.shape[2] / 2  # the body lies off zero in some scans
    assert stat["liver"].centroid[0] < middle < stat["spleen"].centroid[0]
    for left in (name for name in stat if name.endswith("_left")):
        right = left.replace("_left", "_right")
        if right in stat and not stat[left].touches_edge:
            assert stat[left].centroid[0] > stat[right].centroid[0], left
    spine = [n for n in ("vertebrae_T11", "vertebrae_T12", "vertebrae_L1", "vertebrae_L2", "vertebrae_L5") if n in stat]
    heights = [stat[n].centroid[2] for n in spine]
    assert heights == sorted(heights, reverse=True) and len(heights) > 1


def test_liver_and_kidneys_lie_on_their_sides(scan_at, shared_data):
    masks = read_masks(shared_data / "ct/ts_abdomen/seg_v2_multilabel.nii.gz", scan_at("ct/ts_abdomen/ct.nii.gz"))
    x = {name: stat.centroid[0] for name, stat in masks.statistics.items()}
    assert x["liver"] < 0 and x["kidney_right"] < 0 < x["kidney_left"] and x["liver"] < x["spleen"]
    masks = read_masks(shared_data / "dicom/ts_upper_abdomen_j2k_seg_v2.nii.gz", scan_at("dicom/ts_upper_abdomen_j2k"))
    assert masks.statistics["liver"].centroid[0] < 0


def test_v1_and_v2_agree(scan_at, shared_data):
    scan = scan_at("ct/ts_abdomen/ct.nii.gz")
    v2 = read_masks(shared_data / "ct/ts_abdomen/seg_v2_multilabel.nii.gz", scan)
    for name in ("seg_v1_multilabel_float64.nii.gz", "seg_v1_fast_folder"):
        v1 = read_masks(shared_data / "ct/ts_abdomen" / name, scan)
        for organ in (
            "liver",
            "spleen",
            "aorta",
            "kidney_left",
            "kidney_right",
            "urinary_bladder",
            "vertebrae_L3",
        ):
            assert v1.statistics[organ].volume_ml == pytest.approx(v2.statistics[organ].volume_ml, rel=0.15), organ
    fast = read_masks(shared_data / "ct/ts_abdomen/seg_v1_fast_multilabel.nii.gz", scan)
    assert (
        fast.statistics["liver"]
        == read_masks(shared_data / "ct/ts_abdomen/seg_v1_fast_folder", scan).statistics["liver"]
    )


def test_v2_is_detected_without_its_names(scan_at, shared_data, tmp_path):
    for scan_name, masks_name in (
        ("ct/ts_abdomen/ct.nii.gz", "ct/ts_abdomen/seg_v2_multilabel.nii.gz"),
        ("ct/ts_abdomen_top30/ct.nii.gz", "ct/ts_abdomen_top30/seg_v2_fast_multilabel.nii.gz"),
        ("dicom/ts_upper_abdomen_j2k", "dicom/ts_upper_abdomen_j2k_seg_v2.nii.gz"),
    ):
        image = nib.load(shared_data / masks_name)
        labels = np.asarray(image.dataobj)
        named = read_masks(shared_data / masks_name, scan_at(scan_name))
        for limit in (255, 104):  # without labels above 104 only the scan can tell
            nib.save(nib.Nifti1Image(np.where(labels > limit, 0, labels), image.affine), tmp_path / "m.nii.gz")
            masks = read_masks(tmp_path / "m.nii.gz", scan_at(scan_name))
            assert masks.scheme.startswith("TotalSegmentator v2 (detected"), masks.scheme
            assert dict(masks.names) == {k: n for k, n in named.names.items() if k <= limit}


def test_volumes_agree_with_totalsegmentator(scan_at, shared_data):
    folder = shared_data / "ct/ts_abdomen_top30/seg_v2_fast_folder"
    told = json.loads((folder / "statistics.json").read_text())
    masks = read_masks(folder, scan_at("ct/ts_abdomen_top30/ct.nii.gz"))
    assert len(masks.notes) == 1 and masks.notes[0].startswith("77 of 117 masks are empty: atrial_appendage_left, ")
    compared = 0
    for organ, stat in masks.statistics.items():
        if told.get(organ, {}).get("volume"):
            assert stat.volume_ml == pytest.approx(told[organ]["volume"] / 1000, rel=1e-3), organ
            compared += 1
    assert compared > 20


def test_sub_task_names_are_kept(scan_at, shared_data):
    masks = read_masks(shared_data / "ct/ts_abdomen_top30/seg_tissue_types", scan_at("ct/ts_abdomen_top30/ct.nii.gz"))
    assert len(masks.names) == 3 and not any(name.startswith("label_") for name in masks.names.values())


def test_one_organ_subset(scan_at, shared_data):
    path = shared_data / "ct/ts_abdomen_top30/seg_v2_roi_subset_liver.nii.gz"
    assert dict(read_masks(path, scan_at("ct/ts_abdomen_top30/ct.nii.gz")).names) == {5: "liver"}


def test_masks_of_another_patient_are_refused(scan_at, shared_data):
    with pytest.raises(UserError, match="LPS mm"):
        read_masks(shared_data / "dicom/ts_upper_abdomen_j2k_seg_v2.nii.gz", scan_at("ct/ts_abdomen/ct.nii.gz"))


def test_known_nodules_lie_where_they_are_told(scan_at, shared_data):
    """The affine leads from LPS mm to the nodule: soft tissue there, lung at some distance around it."""
    told = json.loads((shared_data / "known_findings.json").read_text())["cases"]
    nodules = [case for case in told if "lps" in case]
    assert len(nodules) >= 2
    for case in nodules:
        scan = scan_at(case["file"].rstrip("/"))
        index = np.rint(np.linalg.inv(scan.affine) @ [*case["lps"], 1])[:3].astype(int)
        assert ((index >= 0) & (index < scan.hu.shape)).all()
        reach = np.maximum(1, np.rint(case["diameter_mm"] / 4 / np.asarray(scan.spacing))).astype(int)
        inside = scan.hu[tuple(slice(i - r, i + r + 1) for i, r in zip(index, reach, strict=True))]
        assert -550 < inside.mean() < 200, case["file"]
        wide = np.rint(case["diameter_mm"] * 1.5 / np.asarray(scan.spacing)).astype(int)
        around = scan.hu[tuple(slice(max(0, i - r), i + r + 1) for i, r in zip(index, wide, strict=True))]
        assert np.percentile(around, 40) < -700 and inside.mean() > around.mean() + 200, case["file"]
        # mirrored or upside down there is no such place
        for axis in range(3):
            other = index.copy()
            other[axis] = scan.hu.shape[axis] - 1 - other[axis]
            place = scan.hu[tuple(slice(max(0, i - r), i + r + 1) for i, r in zip(other, reach, strict=True))]
            assert abs(place.mean() - inside.mean()) > 30


def test_stones_and_metal_lie_in_their_organs(scan_at, shared_data):
    scan = scan_at("ct/ts_abdomen/ct.nii.gz")
    masks = read_masks(shared_data / "ct/ts_abdomen/seg_v2_multilabel.nii.gz", scan)
    of = {name: label for label, name in masks.names.items()}
    highest = {name: int(scan.hu[masks.labels == of[name]].max()) for name in ("kidney_left", "kidney_right", "aorta")}
    assert highest == {"kidney_left": 1288, "kidney_right": 704, "aorta": 713}


def test_a_parent_folder_offers_its_series(shared_data, tmp_path):
    folder = tmp_path / "study"
    for name in ("lungfcp_01_0001_apex", "dcmqi_ct_3slice", "ts_upper_abdomen_j2k"):
        shutil.copytree(shared_data / "dicom" / name, folder / name)
    found = list_series(folder)
    assert sorted(s.n_slices for s in found) == [3, 20, 45]
    with pytest.raises(UserError, match="3 series, choose one with --series N"):
        read_scan(folder)
    chest = next(s for s in found if s.n_slices == 45)
    assert read_scan(folder, series=chest.key).hu.shape == (45, 512, 512)


def test_one_file_without_suffix_stands_for_its_series(shared_data):
    file = sorted((shared_data / "dicom/ts_upper_abdomen_j2k").iterdir())[7]
    scan = read_scan(file)
    assert scan.hu.shape == (20, 512, 512) and scan.name == "ts_upper_abdomen_j2k"


def test_a_dicom_seg_is_no_scan(shared_data):
    for path in ("dicom/dcmqi_seg", "dicom/dcmqi_seg/liver.dcm"):
        with pytest.raises(UserError, match="segmentations"):
            read_scan(shared_data / path)
