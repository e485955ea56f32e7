"""The encoder that ships: its size and card, what it answers on the built-in sample and on real scans."""

from __future__ import annotations

from pathlib import Path

import pytest

import napari_ctvlp.encoder
from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.ask import rank_organs, score_abnormalities
from napari_ctvlp.encoder import ScanEmbedding, load_encoder
from napari_ctvlp.sample import KNOWN_FINDINGS, load_sample
from napari_ctvlp.scan import read_masks, read_scan

STARTER = Path(napari_ctvlp.encoder.__file__).parent / "weights" / "starter"

QUESTIONS = {
    "left kidney": "kidney_left",
    "renal stone on the left": "kidney_left",
    "enlarged spleen": "spleen",
    "L3 vertebra": "vertebrae_L3",
    "where bile is stored": "gallbladder",
    "banana": None,
}


@pytest.fixture(scope="module")
def starter():
    return load_encoder("starter", device="cpu")


@pytest.fixture(scope="module")
def sample(starter) -> ScanEmbedding:
    return starter.encode_scan(*load_sample())


@pytest.fixture(scope="module")
def real(starter, shared_data) -> ScanEmbedding:
    """A patient nobody trained on."""
    folder = shared_data / "ct" / "ts_abdomen"
    scan = read_scan(folder / "ct.nii.gz")
    return starter.encode_scan(scan, read_masks(folder / "seg_v2_multilabel.nii.gz", scan))


def test_is_small_enough_to_ship():
    assert (STARTER / "model.safetensors").stat().st_size <= 16e6
    assert sum(p.stat().st_size for p in (STARTER / "text").iterdir()) <= 50e6


def test_card_says_what_it_is(starter):
    card = starter.card
    assert "synthetic" in card.trained_on and "no real patient" in card.trained_on
    assert len(card.organs) >= 30
    trained = {key.split("/")[1] for key in card.abnormalities}
    assert len(trained) >= 8 and trained <= {entry.key for entry in load_dictionary()}
    assert "Apache-2.0" in card.licence and card.revision in (STARTER / "README.md").read_text()


def test_standing_prompts_are_carried_along(starter):
    """Opening the window must not wait for a thousand sentences to be encoded."""
    from napari_ctvlp.ask.bank import standing_prompts

    space, meaning = standing_prompts(starter)
    missing = [t for t in (*space, *meaning) if t not in starter.known.texts]
    assert not missing, "the prompts changed since the encoder was exported: export it again"


@pytest.mark.parametrize(("question", "organ"), QUESTIONS.items())
def test_questions_on_the_sample(sample, question, organ):
    ranking = rank_organs(sample, question)
    assert ranking.matched == (organ is not None)
    assert (ranking.best.organ if ranking.best else None) == organ


@pytest.mark.parametrize(("question", "organ"), QUESTIONS.items())
def test_questions_on_a_real_scan(real, question, organ):
    ranking = rank_organs(real, question)
    assert ranking.matched == (organ is not None)
    assert (ranking.best.organ if ranking.best else None) == organ


def test_one_organ_stands_out_where_only_the_meaning_is_known(real):
    """What glows is what was asked for, and not half the belly with it."""
    first, second, *_ = rank_organs(real, "where bile is stored").organs
    assert first.organ == "gallbladder" and second.score < 0.6 * first.score


def test_the_findings_of_the_sample_are_seen(sample):
    scores = {(s.organ, s.abnormality): s.probability for s in score_abnormalities(sample)}
    for finding in KNOWN_FINDINGS:
        probability = scores[finding.organ, finding.abnormality]
        if probability is not None:  # the aorta leaves the sample through its lower end
            assert probability > 0.5, finding
    assert scores["kidney_left", "kidney_stone"] > scores["kidney_right", "kidney_stone"] + 0.2
