"""Twins: what the second lacks is asked of both, and a score that rests on its finding is the higher one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.conftest import WordEncoder
from training.data.records import OrganRecord
from training.evaluation.cases import HeldOut
from training.evaluation.table_of_patients import beyond
from training.evaluation.twins import Told, told_apart, twin_figures

STONE, CYST = "kidney_stone", "kidney_cyst"
KNOWN = ("kidney_left/kidney_stone", "kidney_right/kidney_stone")


def held(looks, states, known=True):
    """Scans 0, 1, 2 ... with a left kidney each, that looks like a text and has some abnormalities."""
    encoder = WordEncoder(abnormalities=KNOWN, organs=("kidney_left", "kidney_right"))
    records = [OrganRecord("kidney_left", tuple(state), (), known) for state in states]
    scans = np.arange(len(looks))
    return encoder, HeldOut(encoder.encode_text(looks), scans, records, scans // 2)


def test_a_scan_that_shows_the_stone_scores_higher_than_its_twin():
    encoder, data = held(
        ["kidney stone in the left kidney", "the left kidney is normal"] * 2 + ["same", "same"],
        [[STONE, CYST], [CYST], [STONE], [STONE], [STONE], []],
    )
    found = list(told_apart(encoder, data))
    # the cyst is not known to the encoder, and the second pair does not differ
    assert [(t.pair, t.organ, t.abnormality) for t in found] == [(0, "kidney_left", STONE), (2, "kidney_left", STONE)]
    assert found[0].more > 0 and found[1].more == pytest.approx(0)


def test_what_is_unknown_of_an_organ_is_not_asked():
    encoder, data = held(["kidney stone", "normal"], [[STONE], []], known=False)
    assert not list(told_apart(encoder, data))


def test_every_abnormality_weighs_the_same_and_equal_scores_are_not_right():
    found = [Told(n, "kidney_left", STONE, 1.0) for n in range(11)] + [Told(11, "kidney_left", CYST, 0.0)]
    figures = twin_figures(found, rounds=200)
    assert figures["value"] == 0.5 and figures["low"] <= 0.5 <= figures["high"] and figures["pairs"] == 12
    assert figures["by_kind"] == {CYST: {"right": 0, "of": 1}, STONE: {"right": 11, "of": 11}}
    said = "\n".join(beyond(json.loads(json.dumps({"twins": figures}))))
    assert "0.50 (" in said and "kidney_stone 11 of 11, kidney_cyst 0 of 1" in said
    assert twin_figures(found[:2])["low"] is None
    assert twin_figures([]) == {"value": None}
