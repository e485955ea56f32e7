"""Scans found by their reports: ranks and chance by hand, and a trained encoder through the command."""

from __future__ import annotations

import dataclasses
import json
from math import comb

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ctvlp.encoder.native_files import read_folder
from napari_ctvlp.encoder.native_model import NativeModel
from napari_ctvlp.encoder.preprocess import network_input
from napari_ctvlp.encoder.registry import SHIPPED
from napari_ctvlp.encoder.vision import VisionConfig
from training import retrieve
from training.data.store import WorldStore
from training.engine.sentences import report_vectors, sentences_of
from training.engine.whole import whole_of
from training.evaluation.retrieval import chance, ranks, recalls, reports_of, scan_vectors


def test_ranks_by_hand():
    similarity = np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.2, 0.2, 0.2]])
    right = np.eye(3, dtype=bool)
    assert ranks(similarity, right).tolist() == [1.0, 2.0, 2.0]  # of three alike: one before it on average
    right[1, 0] = True  # the same report
    assert ranks(similarity, right).tolist() == [1.0, 1.0, 2.0]


@settings(deadline=None)
@given(n=st.integers(1, 40), k=st.integers(1, 50), p=st.integers(1, 40))
def test_chance_is_that_of_a_draw(n, k, p):
    p = min(p, n)
    right = np.zeros((1, n), bool)
    right[0, :p] = True
    expected = 1 - comb(n - p, min(k, n)) / comb(n, min(k, n))
    assert chance(right, k)[0] == pytest.approx(expected, abs=1e-9)


def test_a_perfect_encoder_a_blind_one_and_one_that_says_the_same_of_all():
    n = 60
    right, patient = np.eye(n, dtype=bool), np.arange(n)
    assert [row.value for row in recalls(np.eye(n), right, patient)] == [1.0, 1.0, 1.0]
    blind = recalls(np.random.default_rng(0).normal(size=(n, n)), right, patient)
    for row in blind:
        assert row.low <= row.value <= row.high and row.chance == pytest.approx(row.at / n) and row.low <= row.chance
    assert [row.value for row in recalls(np.ones((n, n)), right, patient)] == [0.0, 0.0, 0.0]


def test_patients_are_resampled_and_not_scans():
    """One patient of many scans who is always found makes the share uncertain."""
    n = 40
    patient = np.minimum(np.arange(n), 20)
    similarity = np.where(np.arange(n)[:, None] >= 20, np.eye(n), -np.eye(n))
    one = recalls(similarity, np.eye(n, dtype=bool), patient, (1,))[0]
    each = recalls(similarity, np.eye(n, dtype=bool), np.arange(n), (1,))[0]
    assert one.value == each.value == 0.5 and one.high - one.low > 2 * (each.high - each.low)


@pytest.fixture(scope="module")
def parts():
    """An untrained tower of 6 mm with the shipped text model, said to be of T3D."""
    torch.manual_seed(0)
    shipped = read_folder(SHIPPED / "starter")
    config = VisionConfig(widths=(8, 24, 48), blocks=(1, 1, 1), heads=3, hidden=96, dim=64, spacing=6.0)
    model = NativeModel(config, shipped.model.text_projection.in_features)
    provenance = dataclasses.replace(shipped.provenance, training={"config": {"method": "t3d"}})
    return dataclasses.replace(shipped, model=model, provenance=provenance)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = WorldStore(tmp_path_factory.mktemp("scans"), "validation", 4, 0, 2, 6.0)
    made.prepare(1)
    return made


def test_a_scan_is_its_tokens_of_the_patient_through_the_exported_head(parts, store):
    tower, found = parts.model.vision, scan_vectors(parts, store)
    assert found.shape == (4, 64)
    for number, row in enumerate(found):
        scan, windows = store.load(number), tower.config.windows
        hu, labels = np.asarray(scan.hu), np.asarray(scan.labels)
        image = network_input(hu, labels, (6.0,) * 3, target=6.0, windows=windows).image
        with torch.no_grad():
            pooled = tower.pooled(tower.features(image), whole_of(tower, image))
            expected = torch.nn.functional.normalize(tower.head(pooled), dim=-1)[0].numpy()
        np.testing.assert_allclose(row, expected, atol=0.02)  # the maps are computed in bfloat16


def test_reports_are_encoded_as_in_training(parts, store):
    reports = [store.report(number) for number in range(4)]
    sentences = [sentences_of(report) for report in reports]
    with torch.no_grad():
        vectors = parts.text([s for each in sentences for s in each])
        expected = parts.model.project_text(report_vectors(vectors, sentences))
    np.testing.assert_allclose(reports_of(parts, reports), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(("method", "told"), [("t3d", False), ("fvlm", True)])
def test_the_command_prints_and_writes_both_directions(parts, store, tmp_path, monkeypatch, capsys, method, told):
    training = {"config": {"method": method}}
    made = dataclasses.replace(parts, provenance=dataclasses.replace(parts.provenance, training=training))
    monkeypatch.setattr(retrieve, "read_parts", lambda name: made)
    monkeypatch.setattr(retrieve, "WorldStore", lambda *_: store)
    retrieve.main(["mine", "--scans", "4", "--out", str(tmp_path / "found.json")])
    said = capsys.readouterr().out
    assert said.count("R@1 ") == 2 and ("not on whole scans" in said) is told
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["scans"] == 4 and found["method"] == method
    assert [row["at"] for row in found["recall"]["report to scan"]] == [1, 5, 10]
    assert found["recall"]["scan to report"][1]["value"] == 1.0  # four candidates


@pytest.mark.parametrize(("name", "words"), [("merlin", "no encoder of this project"), ("nowhere", "nowhere")])
def test_what_is_no_encoder_of_ours_is_told(name, words, capsys):
    with pytest.raises(SystemExit) as ended:
        retrieve.main([name, "--scans", "4"])
    assert ended.value.code == 2 and words in capsys.readouterr().err


def test_scans_without_reports_are_told(parts, store, monkeypatch, capsys):
    monkeypatch.setattr(retrieve, "read_parts", lambda name: parts)
    monkeypatch.setattr(retrieve, "WorldStore", lambda *_: store)
    monkeypatch.setattr(type(store), "report", lambda self, index: "")
    with pytest.raises(SystemExit):
        retrieve.main(["mine"])
    assert "0 of 4 scans have a report" in capsys.readouterr().err
