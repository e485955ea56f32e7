"""Thresholds and calibrations: from validation alone, and right where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_ctvlp.encoder.contract import Calibration
from training.engine.metrics import Resampling, expected_calibration_error
from training.evaluation.calibration import fitted
from training.evaluation.figures import all_figures, calibrations
from training.evaluation.reliability import bins, reliability_plot
from training.evaluation.thresholds import choose, nearest_to_corner

from .conftest import simulated


def test_the_threshold_is_the_best_of_all_there_are():
    q = simulated("cyst", 300, 0)
    p = 1 / (1 + np.exp(-q.scores))

    def distance(threshold: float) -> float:
        called = p >= threshold
        return (1 - called[q.present].mean()) ** 2 + called[~q.present].mean() ** 2

    best = min(distance(t) for t in np.linspace(0, 1, 5001))
    assert distance(nearest_to_corner(p, q.present)) <= best + 1e-12


def test_thresholds_do_not_see_the_test_scans():
    validation = {"cyst": simulated("cyst", 200, 0)}
    maps = fitted(validation, None)
    thresholds = choose(validation, maps["platt"])
    rows = []
    for offset in (0.0, 3.0):
        test = {"cyst": simulated("cyst", 200, 5, offset=offset)}
        rows.append(all_figures(test, maps["platt"], thresholds, Resampling(200, 50))["rows"][0])
    assert rows[0]["threshold"] == rows[1]["threshold"] and rows[0]["sensitivity"] != rows[1]["sensitivity"]
    other = choose({"cyst": simulated("cyst", 200, 0, offset=3.0)}, maps["platt"])
    assert other["cyst"].value != thresholds["cyst"].value


def test_with_few_validation_positives_the_common_threshold_serves():
    rare = simulated("rare", 100, 1)
    rare = rare.of(~rare.present | (np.cumsum(rare.present) <= 3))
    maps = fitted({}, Calibration())
    found = choose({"cyst": simulated("cyst", 200, 0), "rare": rare}, maps["encoder"])
    assert set(found) == {"cyst", "*"} and found["cyst"].own and not found["*"].own
    row = all_figures({"rare": rare}, maps["encoder"], found, Resampling(100, 20))["rows"][0]
    assert row["threshold"] == {"value": round(found["*"].value, 4), "own": False}
    assert row["verdict"] == "too few to say" and row["auc"]["low"] is None


def test_calibrations_mend_what_is_overconfident():
    before = {n: simulated(n, 3000, s, slope=0.3, offset=-0.5) for s, n in enumerate(("cyst", "stone"))}
    test = {n: simulated(n, 3000, s + 9, slope=0.3, offset=-0.5) for s, n in enumerate(("cyst", "stone"))}
    found = calibrations(test, fitted(before, Calibration()), Resampling(3000, 50))
    assert found["encoder"]["value"] > 0.15
    assert found["platt"]["value"] < 0.03 and found["isotonic"]["value"] < 0.04
    assert found["temperature"]["value"] < found["encoder"]["value"]
    for entry in found.values():
        assert entry["low"] <= entry["high"] and entry["low"] - 0.02 <= entry["value"] <= entry["high"] + 0.02


def test_the_error_of_all_cases_is_that_of_the_plain_formula():
    test = {n: simulated(n, 50, s) for s, n in enumerate(("cyst", "stone"))}
    maps = fitted({}, Calibration())
    scores = np.concatenate([q.scores for q in test.values()])
    plain = expected_calibration_error(1 / (1 + np.exp(-scores)), np.concatenate([q.present for q in test.values()]))
    assert calibrations(test, maps, Resampling(50, 10))["encoder"]["value"] == pytest.approx(plain, abs=1e-4)


def test_a_temperature_is_the_one_that_made_the_data():
    maps = fitted({"cyst": simulated("cyst", 8000, 0, slope=0.5)}, None)
    p = maps["temperature"](np.array(["liver/cyst"]), np.array([2.0]))
    assert np.log(p / (1 - p))[0] == pytest.approx(1.0, abs=0.1)


def test_isotonic_steps_rise():
    maps = fitted({"cyst": simulated("cyst", 500, 0)}, None)
    p = maps["isotonic"](np.array(["liver/cyst"] * 50), np.linspace(-9, 9, 50))
    assert (np.diff(p) >= 0).all() and p[0] < 0.2 and p[-1] > 0.8


def test_means_and_prompts():
    test = {
        "cyst": simulated("cyst", 200, 0, slope=3),
        "stone": simulated("stone", 200, 1, slope=0.0, organ="kidney_left"),
        "rare": simulated("rare", 200, 2, offset=-12),
    }
    maps = fitted({}, Calibration())
    found = all_figures(test, maps["encoder"], {}, Resampling(200, 100))
    rows = {r["name"]: r for r in found["rows"]}
    assert rows["cyst"]["verdict"] == "above chance" and rows["stone"]["verdict"] == "not above chance"
    values = [rows["cyst"]["auc"]["value"], rows["stone"]["auc"]["value"]]
    assert found["macro_auc_enough"]["value"] == pytest.approx(np.mean(values), abs=1e-4)
    assert found["macro_auc_enough"]["count"] == 2 and "f1" not in rows["cyst"]
    assert found["by_anatomy"]["urinary"]["value"] == values[1] and found["by_anatomy"]["hepatic"]["count"] == 1
    assert rows["cyst"]["prompts"]["low"] < rows["cyst"]["prompts"]["high"] < rows["cyst"]["auc"]["value"]


def test_the_reliability_plot_shows_each_bin(tmp_path):
    probability, present = np.array([0.12, 0.18, 0.9, 0.9]), np.array([False, True, True, True])
    assert bins(probability, present) == [(pytest.approx(0.15), 0.5, 2), (pytest.approx(0.9), 1.0, 2)]
    path = tmp_path / "plot.png"
    reliability_plot(path, {"a": (probability, present), "b": (probability, ~present)}, {"a": "0.10"})
    image = np.asarray(Image.open(path))
    half = image.shape[1] // 2
    assert (image[:, :half] != image[:, half:]).any() and list(tmp_path.iterdir()) == [path]
    accent = (image == (0, 90, 181)).all(-1)
    assert accent[:, :half].sum() > 100
    rows, columns = np.nonzero(accent[:, :half])  # the curve begins at the bin of 0.15 and ends at 0.9
    assert columns.min() == pytest.approx(50 + 0.15 * 300 - 5, abs=2)
    assert columns.max() == pytest.approx(50 + 0.9 * 300 + 5, abs=2) and rows.min() == pytest.approx(45, abs=2)
