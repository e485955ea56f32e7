"""Evidence for a taught finding, on a toy whose workings are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ctvlp.ask.evidence import NO_PLACES, RADIUS_MM
from napari_ctvlp.ask.taught_evidence import NO_SENTENCES, gather_taught, taught_case
from napari_ctvlp.ask.teach import EncoderKey, Example, TaughtFinding, score_taught

from .test_evidence import BrightEncoder, stone

__all__ = ["stone"]  # a fixture


def taught(encoder, present=2):
    """Bright kidneys have it."""
    rows = [
        Example(organ, there, f"{organ[7]}{there:d}" * 8, encoder.look(organ, [1.0 if there else 0.0])[0])
        for organ in ("kidney_left", "kidney_right")
        for there in (True, False)
    ]
    kept = [r for r in rows if not r.present] + [r for r in rows if r.present][:present]
    return TaughtFinding("bright spot", EncoderKey.of(encoder.card), tuple(kept))


def test_the_region_is_what_the_examples_have_and_erasing_it_takes_the_score_away(stone):
    scan, masks = stone
    encoder = BrightEncoder()
    embedding, finding = encoder.encode_scan(scan, masks), taught(encoder)
    case = taught_case(embedding, scan, masks, "kidney_left", finding)
    (score,) = (s for s in score_taught(embedding, [finding]) if s.organ == "kidney_left")
    assert case.evidence.score == score and case.evidence.entry is None
    best = case.evidence.regions[0]
    assert np.linalg.norm(np.subtract(best.index, (21, 23, 44)) * scan.spacing) < RADIUS_MM
    assert case.drawn is not None and case.drawn[1].any()
    after = {c.name: c.score(None, None) for c in case.changes}
    assert score.probability > 0.55 and after["region 1 erased"].probability < 0.4
    assert after["another place erased"].probability == pytest.approx(score.probability, abs=1e-4)


def test_a_region_has_the_logit_of_the_probe(stone):
    scan, masks = stone
    encoder = BrightEncoder()
    embedding, finding = encoder.encode_scan(scan, masks), taught(encoder)
    weakest = gather_taught(embedding, scan, masks, "kidney_left", finding).weakest
    dull = finding.probes[0].probability(encoder.look("kidney_left", [0.0]))[0]
    assert weakest is not None and weakest.value == pytest.approx(np.log(dull / (1 - dull)), abs=1e-3)


def test_examples_take_the_place_of_sentences_and_that_is_said(stone):
    scan, masks = stone
    encoder = BrightEncoder()
    embedding, finding = encoder.encode_scan(scan, masks), taught(encoder)
    here = next(e.scan for e in finding.examples if e.present)
    found = gather_taught(embedding, scan, masks, "kidney_left", finding, here)
    assert found.notes[0] == NO_SENTENCES and found.notes[1].startswith("2 with and 2 without; ")
    assert [s.positive for s in found.sentences] == [True, True, False, False]
    assert found.sentences[0].text == "left kidney, this scan"
    assert found.sentences[1].text == "right kidney, scan r1r1r1"
    row = embedding.vectors[embedding.organs.index("kidney_left")]
    assert found.sentences[0].similarity == pytest.approx(float(finding.examples[2].vector @ row))


def test_too_few_examples_have_no_score_and_nothing_to_try(stone):
    scan, masks = stone
    encoder = BrightEncoder()
    embedding = encoder.encode_scan(scan, masks)
    case = taught_case(embedding, scan, masks, "kidney_left", taught(encoder, present=1))
    assert "needs 2 examples of each kind" in case.evidence.notes[0]
    assert case.changes == () and case.drawn is None and len(case.evidence.sentences) == 3


def test_without_places_masks_can_still_be_changed(stone):
    scan, masks = stone
    encoder = BrightEncoder()
    embedding = replace(encoder.encode_scan(scan, masks), dense=None)
    case = taught_case(embedding, scan, masks, "kidney_left", taught(encoder))
    assert NO_PLACES in case.evidence.notes
    assert [c.name for c in case.changes] == ["organ made even", "mask grown by 3 mm", "mask shrunk by 3 mm"]
