"""Every figure against scikit-learn or by hand, weights as repeats, and intervals that hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as known

from training.engine.metrics import (
    FEWEST,
    Resampling,
    at_threshold,
    auc,
    auc_with_interval,
    average_precision,
    calibration_error,
    percentiles,
)


def cases(ties: bool, seed: int = 0):
    rng = np.random.default_rng(seed)
    present = rng.random(120) < 0.3
    scores = rng.normal(present, 1)
    weights = rng.integers(0, 4, (5, 120)).astype(float)
    return np.round(scores) if ties else scores, present, weights


@pytest.mark.parametrize("ties", [False, True])
def test_figures_are_those_of_scikit_learn_with_weights(ties):
    scores, present, weights = cases(ties)
    found = at_threshold(scores >= 0.5, present, weights)
    for k, w in enumerate(weights):
        assert auc(scores, present, weights)[k] == pytest.approx(known.roc_auc_score(present, scores, sample_weight=w))
        assert average_precision(scores, present, weights)[k] == pytest.approx(
            known.average_precision_score(present, scores, sample_weight=w)
        )
        called = scores >= 0.5
        assert found["f1"][k] == pytest.approx(known.f1_score(present, called, sample_weight=w))
        assert found["sensitivity"][k] == pytest.approx(known.recall_score(present, called, sample_weight=w))
        assert found["specificity"][k] == pytest.approx(known.recall_score(~present, ~called, sample_weight=w))


def test_a_weight_is_as_many_repeats():
    scores, present, weights = cases(ties=True)
    w = weights[0].astype(int)
    ones = np.ones((1, w.sum()))
    probability = 1 / (1 + np.exp(-scores))
    for measure, given in ((auc, scores), (average_precision, scores), (calibration_error, probability)):
        repeated = measure(np.repeat(given, w), np.repeat(present, w), ones)[0]
        assert measure(given, present, weights)[0] == pytest.approx(repeated)


def test_calibration_error_by_hand():
    probability, present = np.array([0.05, 0.05, 0.95, 0.95]), np.array([False, True, True, True])
    # two bins of half the cases each: |0.05 - 0.5| and |0.95 - 1|
    assert calibration_error(probability, present, np.ones((1, 4)))[0] == pytest.approx((0.45 + 0.05) / 2)


def test_a_draw_of_one_class_is_no_number_and_not_zero():
    scores, present = np.arange(4.0), np.array([True, True, False, False])
    assert np.isnan(auc(scores, present, np.array([[1.0, 1, 0, 0]]))[0])
    assert percentiles(np.array([np.nan, 0.4, 0.4])) == (0.4, 0.4)


def test_95_percent_intervals_of_the_auc_hold_the_truth_in_about_95_percent():
    rng = np.random.default_rng(1)
    truth, held, rounds = 0.7602, 0, 150  # of two normal distributions one standard deviation apart
    for trial in range(rounds):
        present = rng.random(150) < 0.4
        found = auc_with_interval(rng.normal(present, 1), present, np.arange(150), rounds=200, seed=trial)
        held += found.low <= truth <= found.high
    assert 0.89 <= held / rounds <= 0.985


def test_intervals_are_over_scans():
    present = np.repeat(np.arange(40) % 2 == 0, 20)
    scores = present + np.repeat(np.random.default_rng(0).normal(0, 1, 40), 20)
    together = auc_with_interval(scores, present, np.arange(800) // 20)
    apart = auc_with_interval(scores, present, np.arange(800))
    assert together.high - together.low > 3 * (apart.high - apart.low)


@pytest.mark.parametrize("positives", [1, 2, 4])
def test_few_positives_say_nothing_however_well_they_score(positives):
    present = np.arange(100) < positives
    found = auc_with_interval(1.0 * present, present, np.arange(100))
    assert found.value == 1 and not found.enough and not found.above_chance
    assert found.verdict == "too few to say" and (found.low, found.high) == (0, 1) and "too few" in str(found)
    swapped = auc_with_interval(1.0 * ~present, ~present, np.arange(100))
    assert swapped.verdict == "too few to say"


def test_many_positive_organs_of_one_scan_are_still_one_scan():
    present, scan = np.arange(200) < 20, np.maximum(np.arange(200) - 19, 0)
    assert auc_with_interval(1.0 * present, present, scan).verdict == "too few to say"


def test_perfect_separation_is_no_certainty():
    for positives, verdict in ((FEWEST, "not above chance"), (FEWEST + 1, "above chance")):
        present = np.arange(100) < positives
        found = auc_with_interval(1.0 * present, present, np.arange(100))
        assert found.low == pytest.approx(0.025 ** (1 / positives)) and found.verdict == verdict


def test_large_sets_are_resampled_in_blocks_to_the_same_draws(monkeypatch):
    from training.engine import metrics

    scores, present, _ = cases(ties=False)
    draws = Resampling(120, 50, 3)(lambda w: auc(scores, present, w), np.arange(120))
    monkeypatch.setattr(metrics, "BLOCK", 1000)
    assert np.array_equal(draws, Resampling(120, 50, 3)(lambda w: auc(scores, present, w), np.arange(120)))
