"""Scores of several encoders side by side."""

from __future__ import annotations

import pytest

from napari_ctvlp.ask.compare import Opinion, compare, disagreements
from napari_ctvlp.ask.types import AbnormalityScore

LOBES = ("lung_upper_lobe_left", "lung_lower_lobe_left")


def score(organ, abnormality, probability):
    status = "scored" if probability is not None else "N/A: too small"
    return AbnormalityScore(organ, abnormality, probability, probability, probability, status)


def opinion(name, rows, groups=None):
    return Opinion(name, "MIT", False, {(s.organ, s.abnormality): s for s in rows}, groups or {})


def said(rows):
    return {(r.score.organ, r.score.abnormality): [o and o.probability for o in r.others] for r in rows}


def test_the_same_pair_stands_side_by_side_and_a_wide_gap_is_a_disagreement():
    mine = [score("liver", "cyst", 0.9), score("spleen", "cyst", 0.5), score("liver", "fat", 0.2)]
    other = opinion("b", [score("liver", "cyst", 0.3), score("spleen", "cyst", 0.6)])
    rows = compare(mine, {}, [other])
    assert said(rows) == {("liver", "cyst"): [0.3], ("spleen", "cyst"): [0.6], ("liver", "fat"): [None]}
    assert [r.disagree for r in rows] == [True, False, False]
    assert rows[0].spread == pytest.approx(0.6) and rows[2].spread is None
    assert [r.score.organ for r in disagreements(rows)] == ["liver"]


def test_a_group_stands_beside_its_members_and_the_other_way_round():
    lobes = [score(LOBES[0], "nodule", 0.1), score(LOBES[1], "nodule", 0.8)]
    whole = opinion("fvlm", [score("lung", "nodule", 0.4)], {"lung": LOBES})
    assert said(compare(lobes, {}, [whole])) == {(LOBES[0], "nodule"): [0.4], (LOBES[1], "nodule"): [0.4]}
    rows = compare([score("lung", "nodule", 0.4)], {"lung": LOBES}, [opinion("b", lobes)])
    assert said(rows) == {("lung", "nodule"): [0.8]} and rows[0].place == LOBES[0]


def test_what_only_another_scores_comes_last_as_unknown_to_the_first():
    other = opinion("b", [score("heart", "cardiomegaly", 0.7), score("heart", "x", None)])
    rows = compare([score("liver", "cyst", 0.9)], {}, [opinion("c", []), other])
    assert said(rows) == {("liver", "cyst"): [None, None], ("heart", "cardiomegaly"): [None, 0.7]}
    assert rows[1].score.probability is None and "unknown" in rows[1].score.status and not rows[1].disagree


def test_what_cannot_be_scored_is_no_disagreement():
    (row,) = compare([score("liver", "cyst", None)], {}, [opinion("b", [score("liver", "cyst", 0.9)])])
    assert row.spread is None and not row.disagree and row.others[0].probability == 0.9


def test_an_opinion_knows_whether_it_was_calibrated(word_encoder, phantom):
    from napari_ctvlp.encoder.contract import Calibration

    embedding = word_encoder.encode_scan(*phantom)
    assert not Opinion.of(embedding, []).calibrated
    word_encoder.calibration = Calibration((2.0, 0.0))
    assert Opinion.of(embedding, []).calibrated
