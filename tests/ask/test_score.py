"""Abnormality scores: by hand, calibrated, and what has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.ask import prepare, score_abnormalities
from napari_ctvlp.encoder.contract import Calibration, OrganStatus, ScanEmbedding
from tests.conftest import WordEncoder

FUZZ = Abnormality(
    "fuzz",
    "fuzz",
    ("liver", "spleen", "brain"),
    (),
    ("fuzz here", "fuzzy {organ}", "much fuzz"),
    ("plain {organ}", "smooth"),
)
KEYS = ("liver/fuzz", "spleen/fuzz", "brain/fuzz")


class CountingEncoder(WordEncoder):
    """Counts the texts it is given."""

    count = 0

    def encode_text(self, texts):
        self.count += len(texts)
        return super().encode_text(texts)


def embedding(encoder, organs=("liver", "spleen"), status=None, seed=0) -> ScanEmbedding:
    vectors = np.random.default_rng(seed).standard_normal((len(organs), 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return ScanEmbedding(tuple(organs), vectors, status or (OrganStatus.COMPLETE,) * len(organs), encoder)


def test_a_score_by_hand():
    encoder = WordEncoder(abnormalities=KEYS)
    encoder.calibration = Calibration((1.0, 0.0), {"liver/fuzz": (0.5, -0.25)})
    scan = embedding(encoder)
    row = score_abnormalities(scan, [FUZZ])[0]

    v = scan.vectors[0].astype(float)
    cos = {
        t: float(v @ encoder.encode_text([t])[0])
        for t in ("fuzz here", "fuzzy liver", "much fuzz", "plain liver", "smooth")
    }
    normal = (cos["plain liver"] + cos["smooth"]) / 2
    scores = [20.0 * (cos[t] - normal) for t in ("fuzz here", "fuzzy liver", "much fuzz")]
    logits = [0.5 * s - 0.25 for s in scores]
    expected = 1 / (1 + np.exp(-np.array([sum(logits) / 3, min(logits), max(logits)])))
    assert (row.organ, row.abnormality, row.status) == ("liver", "fuzz", "scored")
    np.testing.assert_allclose([row.probability, row.low, row.high], expected, rtol=1e-5)


def test_a_finding_that_an_organ_looks_like_scores_high():
    encoder = WordEncoder(abnormalities=KEYS)
    vectors = encoder.encode_text(["much fuzz here", "plain smooth spleen"])
    rows = score_abnormalities(
        ScanEmbedding(("liver", "spleen"), vectors, (OrganStatus.COMPLETE,) * 2, encoder), [FUZZ]
    )
    assert rows[0].low > 0.5 > rows[1].high


@pytest.mark.parametrize("status", [OrganStatus.CUT, OrganStatus.TOO_SMALL, OrganStatus.UNKNOWN])
def test_an_organ_that_cannot_be_trusted_has_no_score(status):
    encoder = WordEncoder(abnormalities=KEYS)
    rows = score_abnormalities(embedding(encoder, status=(status, OrganStatus.COMPLETE)), [replace(FUZZ, whole=True)])
    assert rows[0].status == f"N/A: {status.value}"
    assert rows[0].probability is rows[0].low is rows[0].high is None
    assert rows[1].status == "scored"


def test_a_cut_organ_may_show_what_is_there_and_never_lacks_it():
    encoder = WordEncoder(abnormalities=KEYS)
    vectors = encoder.encode_text(["much fuzz here", "plain smooth spleen"])
    rows = score_abnormalities(ScanEmbedding(("liver", "spleen"), vectors, (OrganStatus.CUT,) * 2, encoder), [FUZZ])
    assert rows[0].status == "scored: in the part in view" and rows[0].probability > 0.5
    assert rows[1].status == "N/A: cut by field of view" and rows[1].probability is None


def test_a_missing_organ_is_a_row_without_a_number():
    rows = score_abnormalities(embedding(WordEncoder(abnormalities=KEYS)), [FUZZ])
    assert [(r.organ, r.status) for r in rows] == [
        ("liver", "scored"),
        ("spleen", "scored"),
        ("brain", "N/A: not in the masks"),
    ]
    assert rows[2].probability is None


def test_what_the_encoder_was_not_trained_on_is_not_guessed():
    rows = score_abnormalities(embedding(WordEncoder(abnormalities=("spleen/fuzz",))), [FUZZ])
    assert rows[0].status == "N/A: unknown to this encoder" and rows[0].probability is None
    assert rows[1].status == "scored"


def test_the_built_in_dictionary_gives_every_pair_once():
    rows = score_abnormalities(embedding(WordEncoder(abnormalities=("liver/liver_cyst",))))
    pairs = [(r.organ, r.abnormality) for r in rows]
    entries = load_dictionary()
    expected = [(o, a.key) for a in entries if a.region != "union" for o in a.places]
    united = {a.key: set(a.organs) for a in entries if a.region == "union"}
    assert sorted(p for p in pairs if p[1] not in united) == sorted(expected)
    spoken = [p for p in pairs if p[1] in united]
    assert sorted(key for _, key in spoken) == sorted(united)
    assert all(organ in united[key] for organ, key in spoken)
    assert [p for p, r in zip(pairs, rows, strict=True) if r.status == "scored"] == [("liver", "liver_cyst")]


def test_scores_do_not_depend_on_order_or_on_being_asked_twice():
    encoder = WordEncoder(abnormalities=KEYS)
    scan = embedding(encoder)
    turned = ScanEmbedding(scan.organs[::-1], scan.vectors[::-1].copy(), scan.status, encoder)
    assert score_abnormalities(scan, [FUZZ]) == score_abnormalities(scan, [FUZZ])
    probability = {r.organ: r.probability for r in score_abnormalities(scan, [FUZZ])[:2]}
    assert {r.organ: r.probability for r in score_abnormalities(turned, [FUZZ])[:2]} == pytest.approx(probability)


def test_prompts_are_embedded_once():
    encoder = CountingEncoder(abnormalities=KEYS)
    prepare(encoder, [FUZZ])
    count = encoder.count
    assert count > 5
    score_abnormalities(embedding(encoder), [FUZZ])
    score_abnormalities(embedding(encoder, seed=1), [FUZZ])
    assert encoder.count == count


def test_no_organs_at_all():
    rows = score_abnormalities(embedding(WordEncoder(abnormalities=KEYS), organs=()), [FUZZ])
    assert {r.status for r in rows} == {"N/A: not in the masks"}
