"""Dice by hand: absent classes have none, intervals are over patients, differences are paired."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_ctvlp.errors import UserError
from training.segmentation.judge import Judged, dice_of, differences, figures, lines, read_judged


def test_dice_is_that_of_a_computation_by_hand():
    truth, called = np.zeros((4, 5, 6), np.uint8), np.zeros((4, 5, 6), np.uint8)
    truth[:2, :2, :2] = 1  # 8 voxels
    called[1:3, :2, :2] = 1  # 8 voxels, 4 of them right
    called[3, 4, :3] = 2  # the truth has none of class 2
    truth[3, 0, :3] = 3  # none of class 3 is called
    found = dice_of(called, truth, 4)
    assert found[0] == pytest.approx(2 * 4 / 16)
    assert np.isnan(found[1]) and found[2] == 0.0
    assert np.isnan(found[3])  # neither called nor there: not 1 either


def judged(dice, called=None, patient=None):
    dice = np.array(dice, float)
    called = np.where(np.nan_to_num(dice) > 0, 10, 0) if called is None else np.array(called)
    patient = np.arange(len(dice)) if patient is None else np.array(patient)
    return Judged(tuple(f"organ_{k}" for k in range(dice.shape[1])), dice, called.astype(np.int64), patient)


def test_a_missing_organ_is_not_zero_and_a_false_call_is_counted():
    nan = np.nan
    rows = [[0.8, nan], [0.6, nan], [0.7, 0.5], [0.7, 0.3], [0.7, nan], [0.7, nan]]
    called = [[9, 4], [9, 0], [9, 9], [9, 9], [9, 1], [9, 0]]
    first, second, mean = figures(judged(rows, called))
    assert first.value == pytest.approx(0.7) and first.shown == 6 and first.enough and first.without == 0
    assert second.value == pytest.approx(0.4) and second.shown == 2 and not second.enough
    assert (second.false_calls, second.without) == (2, 4)
    assert mean.value == pytest.approx(0.55)  # of classes, and not of rows
    assert first.low <= first.value <= first.high
    assert "called in 2 of 4 without it" in lines([second])[0] and "too few" in lines([second])[0]


def test_a_class_that_no_scan_shows_has_no_figure():
    first, never, mean = figures(judged([[0.5, np.nan]] * 6))
    assert np.isnan(never.value) and never.shown == 0 and mean.value == pytest.approx(0.5)
    assert "no scan shows it" in lines([first, never, mean])[1]


def test_patients_are_resampled_and_not_scans():
    rng = np.random.default_rng(0)
    values = np.repeat(rng.uniform(0, 1, (10, 1)), 10, 0)
    by_patient = figures(judged(values, patient=np.repeat(np.arange(10), 10)))[0]
    by_scan = figures(judged(values))[0]
    assert by_patient.high - by_patient.low > 2 * (by_scan.high - by_scan.low)


def test_differences_are_paired():
    """What is hard for both widens the interval of each, and not that of the difference."""
    rng = np.random.default_rng(1)
    hard = rng.uniform(0.2, 0.9, (40, 1))
    one, other = judged(hard + 0.05), judged(hard)
    gap = differences(one, other)[0]
    assert gap.value == pytest.approx(0.05) and gap.low == pytest.approx(0.05) and gap.high == pytest.approx(0.05)
    assert figures(one)[0].low < 0.55 < figures(one)[0].high
    assert "+0.050 (+0.050 to +0.050)" in lines([gap], signed=True)[0]


def test_models_of_other_scans_are_not_compared():
    with pytest.raises(UserError, match="same scans"):
        differences(judged([[0.5], [0.6]]), judged([[0.5], [np.nan]]))


def test_it_is_read_as_it_was_written(tmp_path):
    one = judged([[0.5, np.nan], [0.25, 0.125]])
    path = tmp_path / "one.json"
    path.write_text(json.dumps({"scans_alone": one.as_json()}))
    again = read_judged(path)
    np.testing.assert_array_equal(again.dice, one.dice)
    assert again.names == one.names and again.called.tolist() == one.called.tolist()


@pytest.mark.parametrize(
    "text", ["no json", "[]", "{}", '{"scans_alone": {"names": ["a"], "dice": [[1]], "called": []}}']
)
def test_another_file_is_told(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError):
        read_judged(tmp_path / "x.json")
