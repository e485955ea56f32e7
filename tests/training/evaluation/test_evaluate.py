"""The command, from a prepared store with labels to its files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_ctvlp.anatomy import SCHEMES
from napari_ctvlp.encoder import load_encoder
from napari_ctvlp.encoder.artifact import digest
from napari_ctvlp.encoder.native import NativeEncoder
from napari_ctvlp.encoder.native_model import NativeModel, Provenance
from napari_ctvlp.encoder.vision import VisionConfig
from training.config import ModelConfig, OptimConfig, PretrainConfig
from training.data.prepared import encoded
from training.engine.checkpoint import load_checkpoint
from training.evaluate import EvaluateConfig, main
from training.evaluation.run import load
from training.export import ExportConfig, export
from training.pretrain import pretrain

NUMBER = {name: label for label, name in SCHEMES["totalsegmentator_v2"].items()}
ORGANS = ("lung_lower_lobe_left", "lung_lower_lobe_right", "heart", "aorta", "kidney_left", "kidney_right")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    """An untrained encoder."""
    folder = tmp_path_factory.mktemp("encoder")
    shape = VisionConfig(widths=(8, 16), blocks=(1, 1), heads=2, hidden=32, dim=32, spacing=6.0)
    text = load_encoder("starter", device="cpu").text
    known = (*(f"{o}/lung_nodule" for o in ORGANS[:2]), *(f"{o}/kidney_stone" for o in ORGANS[4:]))
    made = Provenance("tiny", "BSD-3-Clause", "nothing", "untrained", ORGANS, known)
    NativeEncoder(NativeModel(shape, text.width), text, made, device="cpu").save_pretrained(folder / "encoder")
    return folder / "encoder"


def write_store(folder: Path, nodules: dict[str, list[int]]) -> Path:
    """A prepared store of small boxes, with a label and an organ's abnormality for each scan of each split."""
    (folder / "studies").mkdir(parents=True)
    index = []
    for split, labels in nodules.items():
        for n, label in enumerate(labels):
            rng = np.random.default_rng([n, len(split)])
            volume = np.zeros((14, 14, 24), np.uint8)
            for k, organ in enumerate(ORGANS):
                volume[3:11, 3:11, 4 * k : 4 * k + 4] = NUMBER[organ]
            hu = rng.normal(40, 30, volume.shape).astype(np.int16)
            key = f"{split}{n}"
            ill = {ORGANS[0]: ["lung_nodule"] if label else [], ORGANS[4]: ["kidney_stone"] if label else []}
            known = {"texts": [], "known": True, "voxels": 256}
            record = {
                "patient": f"{split}-{n // 2}",
                "shape": volume.shape,
                "files": {"hu": [f"{key}.hu.npy", ""], "labels": [f"{key}.labels.npy", ""]},
                "labels": {"Lung nodule": label, "Hiatal hernia": 0},
                "report": "",
                "organs": {str(NUMBER[o]): {"organ": o, "abnormalities": ill.get(o, []), **known} for o in ORGANS},
            }
            for name, data in (("hu", hu), ("labels", volume)):
                (folder / "studies" / f"{key}.{name}.npy").write_bytes(encoded(data, "npy"))
            (folder / "studies" / f"{key}.json").write_text(json.dumps(record))
            index.append({"key": key, "study": key, "split": split})
    (folder / "store.json").write_text(json.dumps({"spacing": 6.0}))
    (folder / "index.json").write_text(json.dumps({"studies": index}))
    return folder


def run(encoder: Path, store: Path, out: Path, *more: str) -> dict:
    main([str(encoder), "--data", str(store), "--out", str(out), "--rounds", "40", *more])
    return json.loads((out / "evaluation.json").read_text())


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return write_store(tmp_path_factory.mktemp("store") / "s", {"validation": [0, 1] * 6, "test": [0, 1, 1, 0] * 4})


def test_organs_of_a_prepared_store(encoder, store, tmp_path, capsys):
    found = run(encoder, store, tmp_path / "out", "--check-scans", "1")
    printed = capsys.readouterr().out
    rows = {r["name"]: r for r in found["abnormalities"]}
    assert rows.keys() == {"lung_nodule", "kidney_stone"} and rows["kidney_stone"]["cases"] == 32
    assert found["scans"] == 16 and found["patients"] == 8 and found["validation_scans"] == 12
    assert set(found["calibrations"]) == {"encoder", "platt", "temperature", "isotonic"}
    assert found["calibration"] == "encoder" and found["by_anatomy"]["lung"]["count"] == 1
    for name in ("auc", "average_precision", "f1", "sensitivity", "specificity", "calibration_error"):
        entry = rows["kidney_stone"][name]
        assert 0 <= entry["low"] <= entry["high"] <= 1
    assert found["checks"]["negation_read"]["wrong"] == [] and found["checks"]["finding_sides"]["of"] == 16
    made = found["made_by"]
    assert made["versions"].keys() >= {"torch", "numpy", "napari_ctvlp"} and made["settings"]["seed"] == 0
    assert found["encoder"]["revision"] == load_encoder(encoder, device="cpu").card.revision
    assert made["test"]["hash"] != made["validation"]["hash"]
    assert "16 test scans" in printed and "kidney_stone" in printed
    assert (tmp_path / "out" / "evaluation.md").read_text().strip() == printed.strip()
    assert Image.open(tmp_path / "out" / "reliability.png").size[0] == 4 * 400
    assert found == run(encoder, store, tmp_path / "again", "--check-scans", "1")


def test_labels_of_a_prepared_store_by_a_protocol_with_the_encoder_of_a_run(encoder, store, tmp_path):
    found = run(encoder.parent, store, tmp_path, "--protocol", "ct-rate-18", "--check-scans", "0")
    (row,) = found["abnormalities"]
    assert (row["name"], row["positives"], row["cases"]) == ("Lung nodule", 8, 16) and row["threshold"]["own"]
    assert found["calibration"] == "platt" and "encoder" not in found["calibrations"]
    notes = " ".join(found["notes"])
    assert "Hiatal hernia: 16 scans hold none of its organs" in notes and "No test scan has a label for" in notes


def test_own_labels_of_a_prepared_store(encoder, store, tmp_path):
    found = run(encoder, store, tmp_path, "--protocol", "own", "--check-scans", "0")
    assert [(row["name"], row["positives"]) for row in found["abnormalities"]] == [("Lung nodule", 8)]
    plain = run(encoder, store, tmp_path, "--check-scans", "0")
    assert any("--protocol own takes these" in note for note in plain["notes"])


def test_thresholds_and_fits_are_the_same_whatever_is_true_of_the_test_scans(encoder, tmp_path):
    """The same scans with other labels: what was chosen on validation stays, and the data hash tells them apart."""
    before, quick = [0, 1] * 6, ("--check-scans", "0")

    def made(name: str, validation: list[int], test: list[int]) -> Path:
        return write_store(tmp_path / name, {"validation": validation, "test": test})

    first = run(encoder, made("a", before, [0, 1] * 8), tmp_path / "x", *quick)
    other = run(encoder, made("b", before, [1, 1, 0, 0] * 4), tmp_path / "y", *quick)
    for a, b in zip(first["abnormalities"], other["abnormalities"], strict=True):
        assert a["threshold"] == b["threshold"] and a["auc"] != b["auc"]
    assert first["made_by"]["validation"]["hash"] == other["made_by"]["validation"]["hash"]
    assert first["made_by"]["test"]["hash"] != other["made_by"]["test"]["hash"]
    turned = [1 - v for v in before]
    third = run(encoder, made("c", turned, [0, 1] * 8), tmp_path / "z", *quick)
    assert [r["threshold"] for r in third["abnormalities"]] != [r["threshold"] for r in first["abnormalities"]]


def test_without_validation_there_are_no_thresholds_and_it_is_said(encoder, tmp_path):
    store = write_store(tmp_path / "s", {"test": [0, 1] * 6})
    found = run(encoder, store, tmp_path / "out", "--check-scans", "0")
    assert "No validation scans" in found["notes"][0] and set(found["calibrations"]) == {"encoder"}
    assert all("f1" not in r for r in found["abnormalities"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--protocol", "ct-rate-18"], "needs a prepared store"),
        (["--protocol", "ct-rate-17", "--data", "STORE"], "There is no protocol"),
        (["--calibration", "guess", "--data", "STORE"], "There is no calibration"),
        (["--data", "nowhere"], "no finished prepared store"),
    ],
)
def test_mistakes_are_one_sentence(encoder, store, tmp_path, capsys, monkeypatch, more, message):
    monkeypatch.chdir(tmp_path)
    given = [str(store) if word == "STORE" else word for word in more]
    with pytest.raises(SystemExit) as stop:
        main([str(encoder), "--scans", "1", "--validation-scans", "0", *given])
    printed = capsys.readouterr()
    assert stop.value.code == 2 and message in printed.err and printed.err.count("\n") == 1


def test_a_folder_that_is_no_encoder_is_told(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert "neither the folder of an encoder nor of a run" in capsys.readouterr().err


@pytest.mark.timeout(600)
def test_a_run_that_was_stopped_is_evaluated_and_exported_by_its_checkpoint(tmp_path, capsys):
    """There is no final state and no encoder: the averaged weights, calibrated on the validation scans."""
    data = write_store(tmp_path / "s", {"train": [0, 1] * 8, "validation": [0, 1] * 6, "test": [0, 1, 1, 0] * 4})
    stopped = PretrainConfig(
        run=tmp_path / "run",
        data=str(data),
        model=ModelConfig(widths=(8, 16), blocks=(1, 1), heads=2, hidden=32, dim=32),
        optim=OptimConfig(steps=3, batch=2, warmup=1),
        minutes=0.0,
        device="cpu",
    )
    pretrain(stopped)
    assert "go on with --resume" in capsys.readouterr().out
    assert not (tmp_path / "run" / "final.pt").exists() and not (tmp_path / "run" / "encoder").exists()
    found = run(tmp_path / "run", data, tmp_path / "out", "--check-scans", "0")
    assert found["encoder"]["revision"] == digest(load_checkpoint(tmp_path / "run")["average"])
    rows = {row["name"]: row for row in found["abnormalities"]}
    assert rows["lung_nodule"]["positives"] == 8 and rows["lung_nodule"]["auc"] is not None
    assert found["calibration"] == "encoder"  # fitted on the run's validation scans, as a finished run's is
    export(ExportConfig(tmp_path / "run", tmp_path / "to"))
    again = run(tmp_path / "to", data, tmp_path / "again", "--check-scans", "0")
    assert again["encoder"]["revision"] == found["encoder"]["revision"]
    for row in again["abnormalities"]:
        assert row["auc"]["value"] == pytest.approx(rows[row["name"]]["auc"]["value"], abs=0.05)


@pytest.mark.slow
def test_the_world_is_evaluated_with_twins_and_located_lesions(encoder, tmp_path, capsys):
    few = ["--scans", "3", "--bodies", "1", "--validation-scans", "0", "--check-scans", "1"]
    told = ["--locate-scans", "1", "--twins", "3", "--abnormal", "4", "--rounds", "20", "--cache", str(tmp_path)]
    main([str(encoder), *few, *told, "--out", str(tmp_path / "out")])
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert found["scans"] == 3 and len(list((tmp_path / "twins").glob("*-twin.json"))) == 3
    twins = found["twins"]
    assert (twins["value"] is None or 0 <= twins["value"] <= 1) and "located" in found


def test_the_shipped_encoder_is_evaluated_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(EvaluateConfig().encoder).card.name == "starter"
