"""A drafted manifest never names masks that may be another patient's, wherever the tree lies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scan.makers import write_series
from training.data.draft import draft_manifest
from training.data.manifest import read_manifest

from .test_prepare import phantom


def drafted(tree: Path, *names: str) -> tuple[str, dict[str, str]]:
    """Draft a tree of empty files; what is said, and the masks of each study as a path within the tree."""
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    manifest = tree.parent / f"{tree.name}.jsonl"
    said = draft_manifest(tree, manifest)
    rows = {}
    for text in manifest.read_text().splitlines():
        row = json.loads(text)
        masks = row.get("masks", "")
        rows[row["study"]] = (tree.parent / masks).relative_to(tree).as_posix() if masks else ""
    return said, rows


def test_masks_called_after_another_study_are_not_given(tmp_path):
    said, rows = drafted(tmp_path / "flat", "a.nii.gz", "a_seg.nii.gz", "b.nii.gz")
    assert rows == {"a": "a_seg.nii.gz", "b": ""} and "1 without masks" in said
    names = ("p1.nii.gz", "p10.nii.gz", "p10_seg.nii.gz", "case.nii.gz", "case_2.nii.gz", "case_2_mask.nii.gz")
    assert drafted(tmp_path / "alike", *names)[1] == {
        "p1": "", "p10": "p10_seg.nii.gz", "case": "", "case_2": "case_2_mask.nii.gz",
    }  # fmt: skip
    _, rows = drafted(tmp_path / "apart", "images/a.nii.gz", "images/b_0000.nii.gz", "masks/b.nii.gz", "masks/c.nii.gz")
    assert rows == {"a": "", "b_0000": "masks/b.nii.gz"}
    _, rows = drafted(tmp_path / "beside", "a.nii.gz", "b.nii.gz", "masks/b.nii.gz")
    assert rows == {"a": "", "b": "masks/b.nii.gz"}


def test_masks_that_would_serve_several_are_nobodys(tmp_path):
    tree = tmp_path / "dicom"
    hu, _ = phantom()
    for name in ("1.2.840.1", "1.2.840.2", "x"):
        write_series(tree / name, hu[:3])
    _, rows = drafted(tree, "x_seg_v2.nii.gz")
    assert rows == {"1.2.840.1": "", "1.2.840.2": "", "x": "x_seg_v2.nii.gz"}
    assert set(drafted(tmp_path / "one", "a.nii.gz", "b.nii.gz", "seg.nii.gz")[1].values()) == {""}
    _, rows = drafted(tmp_path / "common", "p1/ct.nii.gz", "p2/ct.nii.gz", "masks/ct.nii.gz")
    assert set(rows.values()) == {""}


def test_of_several_masks_beside_a_scan_none_is_guessed(tmp_path):
    said, rows = drafted(tmp_path / "t", "p/ct.nii.gz", "p/seg_v1.nii.gz", "p/seg_v2.nii.gz", "q/ct.nii.gz")
    assert rows == {"p": "", "q": ""}
    assert "2 without masks (1 of them beside several that may be theirs)" in said


@pytest.mark.parametrize("above", ["labels", "seg", "masks"])
def test_where_a_tree_lies_makes_no_difference(tmp_path, above):
    home = tmp_path / above
    scan = "dataset/train_fixed/train_1/train_1_a/train_1_a_1.nii.gz"
    masks = scan.replace("dataset", "dataset/ts_seg/ts_total")
    assert drafted(home / "ctrate", scan, masks)[1] == {"train_1_a_1": masks}
    said, rows = drafted(home / "merlin", "merlin_data/A.nii.gz", "segmentations/A.nii.gz")
    assert rows == {"A": "segmentations/A.nii.gz"} and "Merlin" in said
    assert drafted(home / "own", "p/ct.nii.gz", "p/seg.nii.gz")[1] == {"p": "p/seg.nii.gz"}


def test_a_folder_of_single_organs_is_masks_whatever_it_is_called(tmp_path):
    organs = [f"p/total_fast/{organ}.nii.gz" for organ in ("liver", "kidney_left", "clavicula_right", "own_roi")]
    assert drafted(tmp_path / "t", "p/ct.nii.gz", *organs)[1] == {"p": "p/total_fast"}
    _, rows = drafted(tmp_path / "u", "p/ct.nii.gz", "p/seg_tissue/skeletal_muscle.nii.gz", "p/seg_tissue/fat.nii.gz")
    assert rows == {"p": "p/seg_tissue"}
    assert len(drafted(tmp_path / "scans", "liver/1.nii.gz", "liver/2.nii.gz")[1]) == 2


def test_real_folders_of_masks_are_not_drafted_as_studies(shared_data, tmp_path):
    draft_manifest(shared_data / "ct", tmp_path / "m.jsonl")
    draft_manifest(shared_data / "dicom", tmp_path / "n.jsonl")
    assert len((tmp_path / "m.jsonl").read_text().splitlines()) == 3
    studies = read_manifest(tmp_path / "n.jsonl").studies
    assert [(s.study, s.masks.name) for s in studies] == [
        ("ts_upper_abdomen_j2k", "ts_upper_abdomen_j2k_seg_v2.nii.gz")
    ]
