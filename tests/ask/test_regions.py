"""Region rules beyond one organ: computed by hand, and N/A where a region is not all there."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from napari_ctvlp.anatomy.dictionary import WHOLE_SCAN, Abnormality
from napari_ctvlp.ask import prepare, rank_organs, score_abnormalities
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding
from tests.conftest import WordEncoder

ORGANS = ("liver", "spleen", "pancreas")
BASE = Abnormality("fuzz", "fuzz", ORGANS, (), ("fuzz here", "fuzzy {organ}", "much fuzz"), ("plain {organ}", "smooth"))
UNION = dataclasses.replace(BASE, region="union")
GLOBAL = dataclasses.replace(BASE, region="global")
COMPARATIVE = dataclasses.replace(
    BASE, organs=("liver", "spleen"), region="comparative", reference=("spleen", "pancreas")
)
ONE_CUT = (OrganStatus.COMPLETE, OrganStatus.CUT)
KNOWN = (*(f"{o}/fuzz" for o in ORGANS), f"{WHOLE_SCAN}/fuzz")


def embedding(status=None, abnormalities=KNOWN, organs=ORGANS) -> ScanEmbedding:
    vectors = np.random.default_rng(5).standard_normal((len(organs), 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    statuses = status or (OrganStatus.COMPLETE,) * len(organs)
    return ScanEmbedding(tuple(organs), vectors, statuses, WordEncoder(abnormalities=abnormalities))


def by_hand(scan, organ):
    """The score of each positive prompt in one organ, in logits."""
    v = scan.vectors[scan.organs.index(organ)].astype(float)
    name = organ.replace("_", " ")

    def cos(text):
        return float(v @ scan.encoder.encode_text([text.replace("{organ}", name)])[0])

    normal = np.mean([cos(t) for t in BASE.negative])
    return np.array([20.0 * (cos(t) - normal) for t in BASE.positive])


def probability(logits):
    return 1 / (1 + np.exp(-np.array([logits.mean(), logits.min(), logits.max()])))


def told(row):
    return [row.probability, row.low, row.high]


def test_union_is_the_likeliest_organ():
    scan = embedding()
    (row,) = score_abnormalities(scan, [UNION])
    best = max(ORGANS, key=lambda o: by_hand(scan, o).mean())
    assert row.organ == best
    np.testing.assert_allclose(told(row), probability(by_hand(scan, best)), rtol=1e-5)


def test_comparative_is_the_difference_to_the_others():
    scan = embedding()
    rows = {row.organ: row for row in score_abnormalities(scan, [COMPARATIVE])}
    assert set(rows) == {"liver", "spleen"}
    both = (by_hand(scan, "spleen") + by_hand(scan, "pancreas")) / 2
    np.testing.assert_allclose(told(rows["liver"]), probability(by_hand(scan, "liver") - both), rtol=1e-5)
    alone = by_hand(scan, "spleen") - by_hand(scan, "pancreas")  # never against itself
    np.testing.assert_allclose(told(rows["spleen"]), probability(alone), rtol=1e-5)


def test_global_is_the_mean_over_the_organs():
    scan = embedding()
    (row,) = score_abnormalities(scan, [GLOBAL])
    assert row.organ == WHOLE_SCAN
    mean = np.mean([by_hand(scan, o) for o in ORGANS], axis=0)
    np.testing.assert_allclose(told(row), probability(mean), rtol=1e-5)


def test_organs_that_cannot_be_trusted_do_not_count():
    cut = (OrganStatus.COMPLETE, OrganStatus.CUT, OrganStatus.COMPLETE)
    scan = embedding(cut)
    (row,) = score_abnormalities(scan, [GLOBAL])
    mean = (by_hand(scan, "liver") + by_hand(scan, "pancreas")) / 2
    np.testing.assert_allclose(told(row), probability(mean), rtol=1e-5)
    rows = {r.organ: r for r in score_abnormalities(scan, [COMPARATIVE])}
    only = by_hand(scan, "liver") - by_hand(scan, "pancreas")
    np.testing.assert_allclose(told(rows["liver"]), probability(only), rtol=1e-5)
    assert rows["spleen"].status == "N/A: cut by field of view"
    (row,) = score_abnormalities(scan, [replace(UNION, whole=True)])
    assert row.organ != "spleen" and row.status == "scored"


@pytest.mark.parametrize(
    ("entry", "organs", "status", "reason"),
    [
        (UNION, ("brain",), None, "N/A: not in the masks"),
        (GLOBAL, ("brain",), None, "N/A: not in the masks"),
        (COMPARATIVE, ("liver", "brain"), None, "N/A: no whole organ to compare with"),
        (COMPARATIVE, ("liver", "spleen"), ONE_CUT, "N/A: no whole organ to compare with"),
        (GLOBAL, ("liver",), (OrganStatus.CUT,), "N/A: cut by field of view"),
    ],
)  # fmt: skip
def test_a_region_that_is_not_there_is_told(entry, organs, status, reason):
    rows = score_abnormalities(embedding(status, organs=organs), [entry])
    assert rows[0].status == reason and rows[0].probability is None
    assert len(rows) == (2 if entry is COMPARATIVE else 1)


def test_a_union_without_a_score_gives_the_reason_of_an_organ_that_is_there():
    (row,) = score_abnormalities(embedding((OrganStatus.CUT,), organs=("spleen",)), [replace(UNION, whole=True)])
    assert (row.organ, row.status) == ("spleen", "N/A: cut by field of view")


def test_what_the_encoder_does_not_know_is_not_guessed():
    for entry in (UNION, GLOBAL, COMPARATIVE):
        rows = score_abnormalities(embedding(abnormalities=()), [entry])
        assert {r.status for r in rows} == {"N/A: unknown to this encoder"}


def test_a_question_for_a_global_entry_speaks_of_the_whole_scan():
    scan = embedding()
    finding = rank_organs(scan, "fuzz", dictionary=[GLOBAL]).finding
    (row,) = score_abnormalities(scan, [GLOBAL])
    assert (finding.organ, finding.probability) == (WHOLE_SCAN, row.probability)


def test_prompts_of_all_organs_involved_are_prepared():
    scan = embedding()
    asked = []
    encode = scan.encoder.encode_text
    scan.encoder.encode_text = lambda texts: asked.extend(texts) or encode(texts)
    for entry in (GLOBAL, COMPARATIVE):
        prepare(scan.encoder, [entry], organs=ORGANS)
        asked.clear()
        score_abnormalities(scan, [entry])
        assert not asked
