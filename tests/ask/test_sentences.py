"""The sentences behind a score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ctvlp.anatomy.dictionary import WHOLE_SCAN
from napari_ctvlp.ask import score_abnormalities
from napari_ctvlp.ask.sentences import sentences_of, try_entry
from napari_ctvlp.encoder.contract import OrganStatus
from tests.ask.test_score import FUZZ, KEYS, embedding
from tests.conftest import WordEncoder


@pytest.fixture
def scan():
    return embedding(WordEncoder(abnormalities=(*KEYS, "whole_scan/fuzz")))


def test_the_score_is_the_mean_of_its_sentences(scan):
    trial = try_entry(scan, FUZZ)
    assert list(trial.scores) == [s for s in score_abnormalities(scan, (FUZZ,)) if s.organ != "brain"]
    for row in trial.scores:
        found = trial.sentences[row.organ]
        yes = np.array([s.similarity for s in found if s.positive])
        no = np.array([s.similarity for s in found if not s.positive])
        assert (len(yes), len(no)) == (3, 2)
        assert row.probability == pytest.approx(1 / (1 + np.exp(-20 * (yes.mean() - no.mean()))), rel=1e-5)
        alone = [s.alone for s in found if s.positive]
        assert alone == sorted(alone, reverse=True)
        assert (min(alone), max(alone)) == pytest.approx((row.low, row.high), rel=1e-5)
        assert {s.text for s in found} == {
            "fuzz here",
            "fuzzy " + row.organ,
            "much fuzz",
            "plain " + row.organ,
            "smooth",
        }


def test_other_prompts_move_the_score(scan):
    before = {s.organ: s.probability for s in try_entry(scan, FUZZ).scores}
    after = {s.organ: s.probability for s in try_entry(scan, replace(FUZZ, positive=("quite other words",))).scores}
    assert before.keys() == after.keys()
    assert all(abs(before[o] - after[o]) > 1e-3 for o in before)


def test_a_union_shows_every_organ(scan):
    assert len(score_abnormalities(scan, (replace(FUZZ, region="union"),))) == 1
    assert [s.organ for s in try_entry(scan, replace(FUZZ, region="union")).scores] == ["liver", "spleen"]


def test_comparative_and_global_entries_add_up(scan):
    for entry in (
        replace(FUZZ, organs=("liver",), region="comparative", reference=("spleen",)),
        replace(FUZZ, region="global"),
    ):
        (row,) = try_entry(scan, entry).scores
        found = sentences_of(scan, row, entry)
        mean = np.mean([s.similarity for s in found if s.positive]) - np.mean(
            [s.similarity for s in found if not s.positive]
        )
        assert row.probability == pytest.approx(1 / (1 + np.exp(-20 * mean)), rel=1e-5)
        assert ("fuzzy liver" if entry.region == "comparative" else "fuzzy {organ}") in {s.text for s in found}
    assert row.organ == WHOLE_SCAN


def test_without_a_score_similarities_are_there_and_nothing_else(scan):
    unknown = embedding(WordEncoder())
    trial = try_entry(unknown, FUZZ)
    assert all(s.probability is None and "unknown" in s.status for s in trial.scores)
    assert [s.similarity for s in trial.sentences["liver"]] == pytest.approx(
        [s.similarity for s in try_entry(scan, FUZZ).sentences["liver"]]
    )
    assert all(s.alone is None for s in trial.sentences["liver"])


def test_what_is_not_seen_has_no_sentences():
    scan = embedding(WordEncoder(abnormalities=KEYS), ("liver",), (OrganStatus.TOO_SMALL,))
    scan.vectors[:] = 0
    trial = try_entry(scan, FUZZ)
    assert trial.sentences == {}
    assert [s.status for s in trial.scores] == ["N/A: too small"]
    missing = try_entry(scan, replace(FUZZ, organs=("brain",)))
    assert [s.status for s in missing.scores] == ["N/A: not in the masks"]
