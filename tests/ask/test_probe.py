"""The probe: finds the direction it is taught, and does not flatter itself."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from napari_ctvlp.ask.probe import PENALTY, chance_of, cross_validate, fit_leaving_out, fit_probe


def examples(count, apart, dim=40, seed=0):
    """Alternating present and absent, ``apart`` from each other along the first axis among noise."""
    rng = np.random.default_rng(seed)
    present = np.arange(count) % 2 == 0
    vectors = rng.standard_normal((count, dim))
    vectors[:, 0] += np.where(present, apart / 2, -apart / 2)
    return vectors.astype(np.float32), present


def test_few_examples_are_told_apart_and_new_ones_as_well():
    probe = fit_probe(*examples(8, 8))
    vectors, present = examples(200, 8, seed=1)
    said = probe.probability(vectors)
    assert ((said > 0.5) == present).mean() > 0.9


def test_is_logistic_regression_with_an_l2_penalty():
    """Against scikit-learn on the same features; its penalty is 1 / C on the sum of weighted losses."""
    linear_model = pytest.importorskip("sklearn.linear_model", reason="training's extra")
    vectors, present = examples(21, 2, dim=6)
    probe = fit_probe(vectors, present)
    x = vectors.astype(float) - (vectors[present].mean(0) + vectors[~present].mean(0)) / 2
    scale = np.sqrt((x**2).sum(1).mean())
    other = linear_model.LogisticRegression(C=1 / PENALTY, class_weight="balanced", tol=1e-10, max_iter=10_000)
    other.fit(x / scale, present)
    np.testing.assert_allclose(probe.probability(vectors), other.predict_proba(x / scale)[:, 1], atol=1e-4)


def test_does_not_depend_on_how_many_of_each_there_are():
    vectors, present = examples(40, 3)
    few = np.flatnonzero(present)[:5]
    chosen = np.concatenate([few, np.flatnonzero(~present)])
    said = fit_probe(vectors[chosen], present[chosen]).probability(vectors[chosen])
    assert said[:5].min() > 0.5 > np.median(said[5:])


def test_more_dimensions_than_examples_and_equal_ones_are_no_trouble():
    vectors, present = examples(4, 5, dim=300)
    assert np.isfinite(fit_probe(vectors, present).probability(vectors)).all()
    same = np.ones((4, 8), np.float32)
    assert fit_probe(same, present).probability(same) == pytest.approx(0.5)


def test_each_of_the_left_out_probes_lacks_one():
    vectors, present = examples(6, 4)
    found = fit_leaving_out(vectors, present)
    assert len(found) == 6
    lacking = fit_probe(vectors[1:], present[1:])
    np.testing.assert_allclose(found[0].probability(vectors), lacking.probability(vectors), atol=1e-6)


def test_knowing_nothing_gives_half_on_average():
    """Leave-one-out would give much less than 0.5 here, and the training examples themselves 1.0."""
    scans = [str(i) for i in range(12)]
    found = [cross_validate(*examples(12, 0, seed=s), scans, ["liver"] * 12).auc for s in range(60)]
    assert abs(np.mean(found) - 0.5) < 0.08


def test_a_real_difference_is_found():
    quality = cross_validate(*examples(12, 12), [str(i) for i in range(12)], ["liver"] * 12)
    assert quality.auc > 0.95 and quality.apart and quality.one_organ and quality.chance < 0.01


def test_organs_of_a_left_out_scan_are_not_seen():
    """Two organs of one scan share that scan's own direction: unless both are left out, it gives the answer away."""
    rng = np.random.default_rng(3)
    own = rng.standard_normal((6, 200)) * 5
    present = np.arange(6) % 2 == 0
    vectors = np.repeat(own, 2, axis=0) + rng.standard_normal((12, 200))
    scans = np.repeat(np.arange(6).astype(str), 2)
    organs = ["kidney_left", "kidney_right"] * 6
    apart = [cross_validate(vectors, np.repeat(np.roll(present, k), 2), scans, organs) for k in range(2)]
    assert all(q.apart for q in apart)
    leaky = cross_validate(vectors, np.repeat(present, 2), [str(i) for i in range(12)], organs)
    assert leaky.auc == 1.0 > max(q.auc for q in apart)


def test_sides_that_give_the_answer_away_are_told():
    vectors, present = examples(8, 5)
    organs = ["kidney_left" if p else "kidney_right" for p in present]
    assert not cross_validate(vectors, present, [str(i) for i in range(8)], organs).one_organ


def test_too_few_have_no_quality():
    vectors, present = examples(3, 5)
    assert cross_validate(vectors, present, ["a", "b", "c"], ["liver"] * 3) is None


def test_chance_is_counted_exactly():
    def by_counting(present, absent, auc):
        orders = set(permutations([1] * present + [0] * absent))
        wins = [sum(sum(1 - b for b in o[:i]) for i, a in enumerate(o) if a) for o in orders]
        return np.mean([w >= auc * present * absent - 1e-9 for w in wins])

    for present, absent, auc in ((2, 2, 1.0), (2, 2, 0.75), (3, 4, 0.6), (4, 2, 0.5)):
        assert chance_of(auc, present, absent) == pytest.approx(by_counting(present, absent, auc))


def test_chance_with_many_is_as_scipy_has_it():
    x, y = np.arange(50) + 8.5, np.arange(50).astype(float)
    test = mannwhitneyu(x, y, alternative="greater", method="asymptotic")
    assert chance_of(test.statistic / 2500, 50, 50) == pytest.approx(test.pvalue, rel=0.02)
