"""Written reports compared with real ones: by hand, and at the ends of the scale."""

from __future__ import annotations

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU

from training.generation.scores import counts_of, findings_in, nearest, others, scored

REAL = [
    "A stone in the left kidney.\nThe liver is normal.",
    "The spleen is enlarged.\nThere is no pleural effusion.",
    "There is a cyst in the right kidney.\nThe liver is normal.",
]
WRITTEN = [
    "A stone in the left kidney.\nA cyst in the right kidney.",
    "The spleen is normal.\nThere is no pleural effusion.",
    "A stone in the right kidney.\nThe liver is normal.",
]


def test_what_is_denied_is_no_finding():
    assert findings_in("There is no stone in the left kidney. The spleen is enlarged.") == {("spleen", "splenomegaly")}
    assert ("kidney_left", "kidney_stone") in findings_in("Possible stone in the left kidney.")
    assert findings_in("") == frozenset()


def test_findings_are_counted_by_hand():
    assert counts_of(WRITTEN, REAL).tolist() == [[1, 2, 1], [0, 0, 1], [0, 1, 1]]
    found = scored(WRITTEN, REAL, np.arange(3))
    assert found.precision.value == pytest.approx(1 / 3)
    assert found.recall.value == pytest.approx(1 / 3)
    assert found.f1.value == pytest.approx(2 / 6)


def test_the_other_kidney_is_wrong():
    """Left is left: a stone in the right kidney is no match for one in the left one."""
    other = [text.replace("left", "right") for text in REAL[:1]]
    assert scored(other, REAL[:1], np.zeros(1, np.int64)).f1.value == 0


def test_bleu_is_that_of_sacrebleu():
    found = scored(WRITTEN, REAL, np.arange(3))
    for figure, order in ((found.bleu1, 1), (found.bleu4, 4)):
        expected = BLEU(lowercase=True, max_ngram_order=order).corpus_score(WRITTEN, [REAL]).score / 100
        assert figure.value == pytest.approx(expected, abs=1e-9)
        assert figure.low <= figure.value <= figure.high


def test_the_real_reports_are_perfect_and_silence_is_nothing():
    perfect, silent = scored(REAL, REAL, np.arange(3)), scored([""] * 3, REAL, np.arange(3))
    assert all(figure.value == pytest.approx(1.0) for figure in perfect.figures.values())
    assert all(figure.value == 0.0 for figure in silent.figures.values())


def test_patients_are_resampled_and_not_scans():
    real, written = [text for text in REAL for _ in range(8)], WRITTEN[:1] * 24
    apart = scored(written, real, np.arange(24)).f1
    together = scored(written, real, np.repeat([0, 1, 2], 8)).f1
    assert apart.value == together.value and together.high - together.low > apart.high - apart.low


@pytest.mark.parametrize("count", [2, 3, 50])
def test_by_lot_nobody_gets_his_own_report(count):
    order = others(count)
    assert sorted(order) == list(range(count)) and all(a != b for a, b in enumerate(order))


def test_the_nearest_is_found():
    known = np.eye(3, dtype=np.float32)
    assert nearest(known[[2, 0]] + 0.1, known) == [2, 0]
