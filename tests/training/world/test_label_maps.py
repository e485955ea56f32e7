"""Bodies from a folder of label maps: found, read in every form, filled in plausibly, usable for samples."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch

from napari_ctvlp.errors import UserError
from training.world.bodies.grids import resampled_labels
from training.world.bodies.label_maps import Case, LabelMapBodies, read_body
from training.world.bodies.procedural import ProceduralBodies
from training.world.materials import ID, NAMES, Material
from training.world.sample import make_sample

from ...scan.makers import RAS_LPS, stored_as, write_nifti

SPACING = 5.0


def affine(spacing=(SPACING,) * 3) -> np.ndarray:
    out = np.zeros((4, 4))
    out[2, 0], out[1, 1], out[0, 2], out[3, 3] = -spacing[0], spacing[1], spacing[2], 1
    out[:3, 3] = (-200, -150, 600)
    return out


@pytest.fixture(scope="module")
def model():
    return ProceduralBodies().body(3, SPACING)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model):
    """One patient as a multi-label file stored LAS, one as a folder of one-organ masks."""
    root = tmp_path_factory.mktemp("maps")
    data, ras = stored_as(model.labels, affine(), "LAS")
    write_nifti(root / "a_seg.nii.gz", np.ascontiguousarray(data), ras)
    (root / "b" / "segmentations").mkdir(parents=True)
    data, ras = stored_as(model.labels, affine(), "RAS")
    for label in np.unique(model.labels)[1:]:
        write_nifti(root / "b" / "segmentations" / f"{NAMES[label]}.nii.gz", (data == label).astype(np.uint8), ras)
    return root


@pytest.fixture(scope="module")
def bodies(folder):
    return LabelMapBodies(folder)


def test_both_forms_give_the_labels_back(bodies, model):
    assert len(bodies.cases) == 2
    for number in (0, 1):
        body = bodies.body(number, SPACING)
        assert np.array_equal(body.labels, model.labels)
        assert body.sex == model.sex or not (model.labels == ID["prostate"]).any()
    assert bodies.body(2, SPACING) is bodies.body(0, SPACING), "numbers go round, bodies are kept"


def test_tissue_follows_the_labels(bodies):
    body = bodies.body(0, SPACING)

    def share(organ: str, *materials: Material) -> float:
        return float(np.isin(body.tissue[body.labels == ID[organ]], materials).mean())

    assert share("liver", Material.LIVER) > 0.85
    assert share("liver", Material.PORTAL, Material.VEIN) > 0.003
    assert share("aorta", Material.ARTERY) == 1.0
    assert 0.15 < share("heart", Material.BLOOD_LEFT, Material.BLOOD_RIGHT) < 0.8
    assert share("kidney_left", Material.RENAL_CORTEX) > 0.2 and share("kidney_left", Material.RENAL_MEDULLA) > 0.1
    assert 0.01 < share("lung_lower_lobe_right", Material.LUNG_VESSEL) < 0.2
    assert share("femur_left", Material.CORTEX) > 0.2 and share("femur_left", Material.MARROW) > 0.02
    assert share("colon", Material.COLON_WALL) > 0.2 and share("colon", Material.STOOL) > 0.02
    assert share("urinary_bladder", Material.BLADDER_WALL) > 0.2


def test_what_is_not_labelled_is_wrapped_into_muscle_fat_and_skin(bodies, model):
    body = bodies.body(0, SPACING)
    free = body.labels == 0
    solid = body.tissue != Material.AIR
    assert solid[body.labels > 0].all()
    truth = model.tissue != Material.AIR
    overlap = 2 * (solid & truth).sum() / (solid.sum() + truth.sum())
    assert overlap > 0.85, "the outline is near the true one"
    for material in (Material.MUSCLE, Material.FAT, Material.SUBCUTANEOUS, Material.SKIN):
        assert (body.tissue[free] == material).mean() > 0.005, material
    middle = body.tissue.shape[0] // 2
    columns = np.flatnonzero(solid[middle].any(0))
    assert body.tissue[middle][:, columns[0]].max() <= Material.SUBCUTANEOUS, "skin and fat are outermost"


def test_a_sample_has_organs_where_they_should_be(bodies):
    sample = make_sample(4, spacing=SPACING, bodies=bodies, region="trunk", choices=())
    labels, hu = sample.labels, sample.hu.float()

    def side(organ: str) -> float:
        return float(torch.nonzero(labels == ID[organ])[:, 2].float().mean())

    assert side("liver") < side("aorta") < side("spleen")
    assert side("kidney_right") < side("kidney_left")
    assert 20 < float(hu[labels == ID["liver"]].median()) < 160
    assert float(hu[labels == ID["lung_upper_lobe_left"]].median()) < -600
    assert float(hu[labels == ID["hip_left"]].median()) > 80


def test_resampling_leaves_no_stairs():
    """A slanted edge between thick slices comes out slanted, not in steps as high as a slice."""
    i, p, x = np.ogrid[:8, :40, :20]
    thick = ((p < 8 + 4 * i) & (x > 3)).astype(np.uint8) * 5
    fine = resampled_labels(torch.from_numpy(thick), (8.0, 2.0, 2.0), 2.0).numpy()
    edge = (fine[:, :, 10] == 5).sum(1)
    assert fine.shape == (32, 40, 20)
    assert np.diff(edge[4:-4]).max() <= 2, "one voxel a row, not four every fourth row"
    assert 7 <= edge[0] <= 9 and 35 <= edge[-1] <= 37


def test_a_ct_beside_the_map_decides_what_is_fat_gas_and_couch(tmp_path):
    i, p, x = np.ogrid[:16, :60, :80]
    body = ((p - 28) / 22.0) ** 2 + ((x - 40) / 30.0) ** 2 < 1
    inner = ((p - 28) / 17.0) ** 2 + ((x - 40) / 25.0) ** 2 < 1
    hu = np.where(body, -100, -1000) + 0 * i
    hu[np.broadcast_to(inner, hu.shape)] = 50
    hu[:, 57:59] = -100  # the couch
    labels = np.zeros(hu.shape, np.uint8)
    for organ, box, value in (
        ("liver", np.s_[:, 20:32, 18:34], 60),
        ("spleen", np.s_[:, 30:40, 52:60], 50),
        ("colon", np.s_[:, 14:24, 44:56], -800),
        ("aorta", np.s_[:, 36:40, 40:44], 40),
        ("vertebrae_L1", np.s_[:, 41:45, 36:46], 200),
    ):
        labels[box], hu[box] = ID[organ], value
    data, ras = stored_as(labels, affine((4, 4, 4)), "RAS")
    (tmp_path / "one").mkdir()
    write_nifti(tmp_path / "one" / "seg.nii.gz", np.ascontiguousarray(data), ras)
    ct, ras = stored_as(hu.astype(np.int16), affine((4, 4, 4)), "LPS")
    write_nifti(tmp_path / "one" / "ct.nii.gz", np.ascontiguousarray(ct), ras)
    tissue = LabelMapBodies(tmp_path).body(0, 4.0).tissue
    assert (tissue[:, 57:59][:, :, 10:70] == Material.TABLE).mean() > 0.95
    assert tissue[8, 28, 13] == Material.SUBCUTANEOUS
    assert tissue[8, 18, 50] == Material.GAS
    assert tissue[8, 26, 38] in (Material.SOFT, Material.MUSCLE)
    assert tissue[8, 2, 2] == Material.AIR


@pytest.mark.parametrize("form", ["v2", "v1 multilabel", "v1 folder"])
def test_a_real_map_makes_a_body(shared_data, form):
    name = {
        "v2": "seg_v2_multilabel.nii.gz",
        "v1 multilabel": "seg_v1_multilabel_float64.nii.gz",
        "v1 folder": "seg_v1_fast_folder",
    }[form]
    body = read_body(Case(shared_data / "ct/ts_abdomen" / name), 4.0, np.random.default_rng(0))
    columns = {n: np.nonzero(body.labels == ID[n])[2].mean() for n in ("liver", "spleen", "kidney_left")}
    assert columns["liver"] < columns["kidney_left"] and columns["liver"] < columns["spleen"]
    assert np.median(body.tissue[body.labels == ID["liver"]]) == Material.LIVER
    assert (body.labels == ID["vertebrae_L3"]).sum() > 200


def test_bad_folders_are_told_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        LabelMapBodies(tmp_path / "none")
    with pytest.raises(UserError, match="holds no label maps"):
        LabelMapBodies(tmp_path)
    data = np.random.default_rng(0).normal(0, 400, (9, 9, 9)).astype(np.int16)
    nib.save(nib.Nifti1Image(data, RAS_LPS @ affine()), tmp_path / "x.nii.gz")
    with pytest.raises(UserError, match="no label file"):
        LabelMapBodies(tmp_path).body(0, SPACING)


def test_masks_of_another_place_are_refused(tmp_path):
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[2:7] = np.arange(1, 10)[None, None, :]
    nib.save(nib.Nifti1Image(labels, np.diag([4.0, 4, 4, 1])), tmp_path / "x_seg.nii.gz")
    moved = np.diag([4.0, 4, 4, 1])
    moved[:3, 3] = 900
    nib.save(nib.Nifti1Image(np.full((9, 9, 9), 40, np.int16), moved), tmp_path / "x_ct.nii.gz")
    bodies = LabelMapBodies(tmp_path)
    assert bodies.cases[0].ct is not None
    with pytest.raises(UserError, match="does not meet the scan"):
        bodies.body(0, SPACING)


def test_a_map_of_few_organs_makes_no_body(tmp_path):
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[3:6, 3:6, 3:6] = ID["liver"]
    nib.save(nib.Nifti1Image(labels, np.diag([4.0, 4, 4, 1])), tmp_path / "x.nii.gz")
    with pytest.raises(UserError, match="fewer than"):
        LabelMapBodies(tmp_path).body(0, SPACING)
