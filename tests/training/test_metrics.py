"""Figures, intervals and calibration against cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from training.calibrate import fit_calibration
from training.engine.metrics import auc_with_interval, expected_calibration_error
from training.engine.validate import PairScores, auc_by_abnormality, of_patients


def test_auc_of_perfect_reversed_and_random_scores():
    rng = np.random.default_rng(0)
    present = rng.random(400) < 0.4
    scan = np.arange(400) // 4
    perfect = auc_with_interval(present + 0.0, present, scan)
    reversed_ = auc_with_interval(-1.0 * present, present, scan)
    random = auc_with_interval(rng.random(400), present, scan)
    assert perfect.value == 1 and perfect.above_chance
    assert reversed_.value == 0 and not reversed_.above_chance
    assert random.low < 0.5 < random.high and not random.above_chance
    assert random.positives + random.negatives == 400


def test_one_class_only_has_no_auc():
    assert auc_with_interval(np.arange(5.0), np.ones(5, bool), np.arange(5)) is None


def test_intervals_widen_when_organs_of_a_scan_go_together():
    rng = np.random.default_rng(0)
    present = np.repeat(rng.random(40) < 0.5, 10)
    scores = present + np.repeat(rng.normal(0, 1, 40), 10)
    together = auc_with_interval(scores, present, np.arange(400) // 10)
    apart = auc_with_interval(scores, present, np.arange(400))
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_calibration_error():
    certain = np.array([0.95] * 10)
    assert expected_calibration_error(certain, np.ones(10, bool)) == pytest.approx(0.05)
    assert expected_calibration_error(certain, np.zeros(10, bool)) == pytest.approx(0.95)


def simulated(key: str, slope: float, offset: float, count: int, seed: int) -> PairScores:
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 3, count)
    present = rng.random(count) < 1 / (1 + np.exp(-(slope * scores + offset)))
    return PairScores(key, scores, present, np.arange(count))


def test_calibration_recovers_the_map_that_made_the_data():
    fitted = fit_calibration([simulated("liver/cyst", 0.7, -1.0, 4000, 0)])
    slope, offset = fitted.by_key["liver/cyst"]
    assert slope == pytest.approx(0.7, abs=0.1) and offset == pytest.approx(-1.0, abs=0.15)
    assert fitted.probability("liver/cyst", 2.0) == pytest.approx(1 / (1 + np.exp(-(slope * 2 + offset))))


def test_rare_pairs_share_the_map_of_their_abnormality():
    rare = PairScores("kidney_left/stone", np.zeros(5), np.zeros(5, bool), np.arange(5))
    fitted = fit_calibration([simulated("kidney_right/stone", 1.0, 0.0, 500, 1), rare])
    assert fitted.by_key["kidney_left/stone"] == pytest.approx(fitted.by_key["kidney_right/stone"], abs=0.15)


def test_a_separated_pair_keeps_a_finite_slope():
    scores = np.r_[np.full(20, -5.0), np.full(20, 5.0)]
    fitted = fit_calibration([PairScores("a/b", scores, scores > 0, np.arange(40))])
    assert 0 < fitted.by_key["a/b"][0] < 10


def test_validation_draws_patients_and_not_their_scans():
    """Two scans a patient: as scans there were enough of them to say something, as patients there are not."""

    class Store:
        count = 12

        def record(self, index: int) -> dict[str, str]:
            return {"patient": str(index // 2)}

    scan = np.arange(12)
    pair = PairScores("liver/liver_cyst", np.linspace(-1, 1, 12), scan % 12 >= 6, scan)
    assert auc_by_abnormality([pair])["liver_cyst"].enough
    assert not auc_by_abnormality(of_patients([pair], Store()))["liver_cyst"].enough
