"""The shipped encoder answers on the built-in sample what it answered when it was shipped, to 1e-3."""

from __future__ import annotations

import json

import pytest

from napari_ctvlp.encoder import load_encoder
from napari_ctvlp.sample import load_sample

from .golden import FILE, answers


def test_answers_are_those_of_the_day_it_was_shipped():
    wanted = json.loads(FILE.read_text(encoding="utf-8"))
    found = answers(load_encoder("starter", device="cpu").encode_scan(*load_sample()))
    assert found["revision"] == wanted["revision"], "another encoder is shipped: python -m tests.encoder.golden"
    assert found["scores"].keys() == wanted["scores"].keys()
    for key, values in wanted["scores"].items():
        assert found["scores"][key] == pytest.approx(values, abs=1e-3), key
    assert len(wanted["scores"]) > 50
    for question, answer in wanted["questions"].items():
        mine = found["questions"][question]
        assert mine["matched"] == answer["matched"] and mine["finding"] == answer["finding"], question
        assert mine["probability"] == pytest.approx(answer["probability"], abs=1e-3), question
        # organs that tie may change places
        assert sorted(mine["organs"].values()) == pytest.approx(sorted(answer["organs"].values()), abs=1e-3), question
        assert next(iter(mine["organs"])) == next(iter(answer["organs"])), question
