"""The command: fit, judge and apply on phantoms, and what is told of bad input."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest

from training import segment
from training.segmentation.scans import Scans
from training.segmentation.targets import LABELS

from .segmentation.conftest import Phantom, parts  # noqa: F401
from .test_prepare import row, run, write_manifest, write_pair

FIT = ["--optim.crop", "24", "--optim.warmup", "5"]


@pytest.fixture
def phantoms(parts, monkeypatch):  # noqa: F811
    monkeypatch.setattr(segment, "read_parts", lambda name, why: parts)
    monkeypatch.setattr(Scans, "store", lambda self, split, spacing: Phantom(self.count))


@pytest.mark.usefixtures("phantoms")
def test_fit_judge_and_apply(tmp_path, capsys):
    run = tmp_path / "run"
    classes = ["--classes", "kidney_left", "kidney_right", "--train.count", "4", "--validation.count", "3"]
    segment.main(["fit", "mine", "--run", str(run), *classes, "--optim.steps", "60", *FIT])
    said = capsys.readouterr().out
    assert "step    60 of 60" in said and "kidney_left" in said
    config = json.loads((run / "model" / "config.json").read_text())
    assert config["names"] == ["kidney_left", "kidney_right"] and config["dice"][-1]["name"] == "mean"
    card = (run / "model" / "README.md").read_text()
    assert "## Dice on" in card and "begun with: the encoder starter, " in card and "licence of the encoder" in card

    judged = tmp_path / "judged.json"
    segment.main(["judge", str(run), "--scans.count", "6", "--out", str(judged)])
    segment.main(["judge", str(run / "model"), "--scans.count", "6", "--against", str(judged)])
    said = capsys.readouterr().out
    assert "above judged.json, paired:" in said and "+0.000 (+0.000 to +0.000)" in said  # of itself
    assert json.loads(judged.read_text())["dice"][0]["value"] > 0.6

    scan = Phantom(1).load(0)
    # canonical axes are caudal, posterior, left
    affine = np.array([[0, 0, -6.0, 0], [0, -6.0, 0, 0], [-6.0, 0, 0, 0], [0, 0, 0, 1]])
    for name, data in (("ct", scan.hu), ("truth", scan.labels)):
        nibabel.save(nibabel.Nifti1Image(data, affine), tmp_path / f"{name}.nii.gz")
    out = tmp_path / "out.nii.gz"
    segment.main(
        ["apply", str(run), str(tmp_path / "ct.nii.gz"), "--to", str(out), "--truth", str(tmp_path / "truth.nii.gz")]
    )
    said = capsys.readouterr().out
    assert "2 of 2 classes found" in said and "mean of 2" in said
    found = np.asarray(nibabel.load(out).dataobj)
    for organ in ("kidney_left", "kidney_right"):
        own, true = found == LABELS[organ], scan.labels == LABELS[organ]
        assert 2 * (own & true).sum() / (own.sum() + true.sum()) > 0.6


@pytest.mark.usefixtures("phantoms")
def test_resume_finishes_a_run_of_the_same_settings_alone(tmp_path, capsys):
    given = ["fit", "mine", "--run", str(tmp_path), "--train.count", "2", "--validation.count", "1", *FIT]
    given.append("--scratch")
    segment.main([*given, "--optim.steps", "2"])
    assert "begun with: random weights" in (tmp_path / "model" / "README.md").read_text()
    segment.main([*given, "--optim.steps", "2", "--resume"])
    with pytest.raises(SystemExit) as ended:
        segment.main([*given, "--optim.steps", "3", "--resume"])
    assert ended.value.code == 2 and "other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["fit", "nowhere"], "There is no encoder at 'nowhere'"),
        (["fit", "merlin"], "no encoder of this project: a segmenter is built"),
        (["fit", "starter", "--scratch", "--freeze"], "choose one"),
        (["fit", "starter", "--optim.steps", "0"], "--optim.steps must be 1 or more"),
        (["fit", "starter", "--train.data", "nowhere"], "nowhere"),
        (["fit", "starter", "--train.count", "0"], "give one or more"),
        (["judge", "nowhere"], "no segmenter in 'nowhere'"),
        (["judge", "nowhere", "--against", "no.json"], "'no.json' cannot be read"),
        (["apply", "nowhere", "scan.nii", "--to", "out.txt"], "out.txt"),
        (["apply", "nowhere", "scan.nii", "--to", "out.nii"], "no segmenter in 'nowhere'"),
    ],
)
def test_bad_input_ends_in_a_sentence(given, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        segment.main(given)
    told = capsys.readouterr().err
    assert ended.value.code == 2 and told.startswith("error: ") and words in told and told.count("\n") == 1


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> str:
    """Two studies with masks for training and one for validation, of 6 mm."""
    folder = tmp_path_factory.mktemp("studies")
    rows = []
    for k, split in enumerate(("train", "train", "validation")):
        write_pair(folder, f"s{k}", k)
        rows.append(row(f"s{k}", split=split, patient=f"p{k}"))
    run(write_manifest(folder / "m.jsonl", rows), spacing=6.0)
    return str(folder / "prepared")


def test_prepared_scans_are_fitted_and_judged(parts, prepared, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.setattr(segment, "read_parts", lambda name, why: parts)
    data = ["--train.data", prepared, "--validation.data", prepared]
    segment.main(["fit", "mine", "--run", str(tmp_path / "run"), *data, "--optim.steps", "2", *FIT])
    said = capsys.readouterr().out
    assert "2 training scans, 2 of which show any of: spleen, kidney_left, liver" in said
    assert "Dice on 1 scans for validation of prepared" in said
    with pytest.raises(SystemExit):
        segment.main(["fit", "mine", "--run", str(tmp_path / "x"), *data[:2], "--validation.data", "nowhere", *FIT])
    told = capsys.readouterr()
    assert "'nowhere' is no finished prepared store" in told.err and "step" not in told.out
    for target, words in (("kidney_stone", "know no lesion voxel by voxel"), ("kidney", "no target 'kidney'")):
        with pytest.raises(SystemExit):
            segment.main(["fit", "mine", "--run", str(tmp_path / target), *data, "--target", target, *FIT])
        assert words in capsys.readouterr().err


def test_scans_of_other_voxels_are_told(prepared, tmp_path, capsys):
    with pytest.raises(SystemExit):
        segment.main(["fit", "starter", "--run", str(tmp_path), "--train.data", prepared])
    assert "prepare them with --spacing 3" in capsys.readouterr().err


def test_synthetic_scans_are_made_where_there_are_none(parts, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.setattr(segment, "read_parts", lambda name, why: parts)
    given = ["--train.count", "2", "--train.folder", str(tmp_path / "train"), "--classes", "liver", "--freeze"]
    given += ["--validation.count", "1", "--validation.folder", str(tmp_path / "validation"), "--optim.crop", "32"]
    segment.main(["fit", "mine", "--run", str(tmp_path / "run"), *given, "--optim.steps", "1"])
    assert "Dice on 1 synthetic validation scans" in capsys.readouterr().out
