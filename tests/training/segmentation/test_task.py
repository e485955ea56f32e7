"""Scans in the layout of nnU-Net and of the Decathlon: what is read, and what is refused."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from napari_ctvlp.errors import UserError
from training import segment
from training.data.manifest import split_of
from training.segmentation.scans import Scans
from training.segmentation.targets import MaskTarget, scans_that_show, target_again, target_named
from training.segmentation.task import SHARES, TaskStore

NAMES = {"1": "left kidney", "2": "tumour"}


def write_case(folder, name, *, tumour=True, turned=False, channel="_0000"):
    """A body of 60 x 60 x 40 voxels of 3 mm with a kidney on the patient's left and perhaps a tumour in it; ``turned``
    stores the labels with other axes than the image."""
    hu, labels = np.full((60, 60, 40), -1000, np.int16), np.zeros((60, 60, 40), np.uint8)
    hu[4:56, 4:56] = 20  # axes left, anterior, superior
    labels[40:50, 20:32, 12:28] = 1
    hu[labels == 1] = 120
    if tumour:
        labels[43:48, 22:27, 15:22] = 2
        hu[labels == 2] = 60
    affine = np.diag([-3.0, 3.0, 3.0, 1.0])
    affine[0, 3] = 90
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(exist_ok=True, parents=True)
    mask = nib.Nifti1Image(labels, affine)
    if turned:
        mask = nib.as_closest_canonical(nib.Nifti1Image(labels, affine))
    nib.save(nib.Nifti1Image(hu, affine), folder / "imagesTr" / f"{name}{channel}.nii.gz")
    nib.save(mask, folder / "labelsTr" / f"{name}.nii.gz")


@pytest.fixture
def task(tmp_path):
    """Six cases for training, one each for validation and test; labels named in the Decathlon's way."""
    folder = tmp_path / "Task01_Kidney"
    names = [f"case{n}" for n in range(60)]
    chosen = [name for name in names if split_of(name, SHARES) == "train"][:6]
    for split in ("validation", "test"):
        chosen += [name for name in names if split_of(name, SHARES) == split][:1]
    for number, name in enumerate(chosen):
        write_case(folder, name, tumour=number % 2 == 0, turned=number == 1)
    described = {"modality": {"0": "CT"}, "labels": {"0": "background", **NAMES}}
    (folder / "dataset.json").write_text(json.dumps(described))
    return folder


def store_of(task, split="train", most=100, spacing=6.0):
    found = TaskStore(task, split, most, spacing, task.parent / "cache")
    found.prepare()
    return found


def test_cases_lie_on_the_networks_grid_with_left_left(task):
    store = store_of(task)
    assert store.count == 6 and store_of(task, "test").count == 1 and store_of(task, most=2).count == 2
    for index in range(store.count):  # the second one's labels lie in other axes
        scan = store.load(index)
        assert scan.hu.shape == scan.labels.shape == (20, 30, 30) and scan.hu.dtype == np.int16
        kidney = np.argwhere(np.asarray(scan.labels) > 0)
        assert kidney[:, 2].min() > 15  # axes caudal, posterior, left
        assert np.median(np.asarray(scan.hu)[np.asarray(scan.labels) == 1]) > 100
    assert store.voxels(0)[2] > 0 and store.voxels(1)[2] == 0
    names = [path.name for path in (task.parent / "cache").iterdir()]
    assert names and not any("case" in name for name in names)


def test_names_are_those_of_the_file_in_both_ways(task):
    assert store_of(task).names == {1: "kidney_left", 2: "tumour"}
    described = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "cancer": 3}}
    (task / "dataset.json").write_text(json.dumps(described))
    assert TaskStore(task, "train", 9, 6.0, task).names == {1: "liver", 3: "cancer"}


def test_a_changed_file_is_read_again(task):
    store = store_of(task)
    before = store.voxels(1).tolist()
    name = store.cases[1].name
    write_case(task, name, tumour=True)
    assert store_of(task).voxels(1).tolist() != before


def test_targets_are_chosen_by_name(task):
    store = store_of(task)
    both = target_named(("organs",), (), store)
    assert both == MaskTarget(("kidney_left", "tumour"))
    assert scans_that_show(both, store)[:2].tolist() == [[True, True], [True, False]]
    tumour = target_named(("organs",), ("tumour",), store)
    assert set(np.unique(tumour.volume(store, 0))) == {0, 1}
    assert (tumour.volume(store, 0) > 0).sum() == store.voxels(0)[2]
    with pytest.raises(UserError, match="no masks of liver: it names kidney_left, tumour"):
        target_named(("organs",), ("liver",), store)
    with pytest.raises(UserError, match="--classes"):
        target_named(("lesions",), (), store)


def test_a_segmenter_of_tumours_is_judged_where_there_are_some(task, phantom):
    store = store_of(task)
    assert target_again(("tumour",), ("organs",), store) == MaskTarget(("tumour",))
    with pytest.raises(UserError, match="not of tumour"):
        target_again(("tumour",), ("organs",), phantom)
    assert target_again(("kidney_left",), ("organs",), phantom).names == ("kidney_left",)


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ("{", "JSON"),
        ("[]", "names no labels"),
        ({"labels": {"0": "background"}}, "must name each label"),
        ({"labels": {"whole": [1, 2]}}, "regions"),
        ({"labels": {"liver": 1, "ignore": 2}}, "ignore"),
        ({"labels": {"liver": 1}, "modality": {"0": "MRI"}}, "CT alone"),
        ({"labels": {"1": "liver", "2": "liver"}}, "each otherwise"),
    ],
)
def test_descriptions_that_cannot_be_learned_from(task, described, words):
    (task / "dataset.json").write_text(described if isinstance(described, str) else json.dumps(described))
    with pytest.raises(UserError, match=words):
        _ = TaskStore(task, "train", 9, 6.0, task).names


def test_a_mask_without_image_and_an_empty_split_are_told(task):
    only = store_of(task, "validation").cases[0]
    only.labels.unlink()
    with pytest.raises(UserError, match="no cases for validation"):
        Scans(str(task), folder=task / "c").store("validation", 6.0)
    name = store_of(task).cases[0].name
    (task / "imagesTr" / f"{name}_0000.nii.gz").unlink()
    with pytest.raises(UserError, match="has no image"):
        store_of(task)


def test_the_command_learns_from_it(task, parts, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(segment, "read_parts", lambda *_: parts)
    given = ["--train.data", str(task), "--train.folder", str(tmp_path / "kept")]
    given += ["--validation.folder", str(tmp_path / "kept")]
    small = ["--classes", "left kidney", "tumour", "--optim.steps", "2", "--optim.crop", "24", "--optim.batch", "1"]
    segment.main(["fit", "mine", "--out", str(tmp_path / "run"), *given, *small])
    told = capsys.readouterr().out
    assert "kidney_left, tumour" in told and "1 scans for validation of Task01_Kidney" in told
    judged = ["--scans.data", str(task), "--scans.folder", str(tmp_path / "kept")]
    segment.main(["judge", str(tmp_path / "run"), *judged])
    assert "1 scans for test of Task01_Kidney" in capsys.readouterr().out
