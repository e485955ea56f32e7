"""Answers as files."""

from __future__ import annotations

import csv
import dataclasses
import json

import numpy as np
import pytest

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.ask import answers_as_json, rank_organs, score_abnormalities, write_csv, write_json
from napari_ctvlp.errors import UserError
from tests.conftest import WordEncoder


@pytest.fixture
def answers(phantom):
    scan, masks = phantom
    encoder = WordEncoder(abnormalities=("kidney_left/kidney_stone",))
    embedding = encoder.encode_scan(scan, masks)
    rankings = [rank_organs(embedding, text) for text in ("renal stone on the left", "banana")]
    return answers_as_json(scan, embedding, rankings, score_abnormalities(embedding), masks)


def test_the_layout(answers):
    assert list(answers) == ["scan", "encoder", "queries", "abnormalities", "masks", "prompts", "provenance"]
    assert answers["scan"] == {
        "name": "phantom",
        "shape": [40, 60, 80],
        "spacing_mm": [3.0, 2.0, 2.0],
        "audit": [{"name": "orientation", "value": "LPI", "severity": "ok"}],
    }
    assert answers["encoder"] == {
        "name": "words",
        "revision": "test",
        "licence": "BSD-3-Clause",
        "prompts_version": "1",
        "preprocessing_version": "",
        "trained_on": "nothing",
        "spacing_mm": 3.0,
        "hu_windows": [[-160.0, 240.0]],
        "calibrated": False,
        "region_warning": None,
    }
    stone, banana = answers["queries"]
    assert list(stone) == ["text", "matched", "finding", "message", "organs"]
    assert (stone["matched"], banana["matched"], banana["finding"]) == (True, False, None)
    assert list(stone["finding"]) == ["abnormality", "organ", "probability", "low", "high", "status", "reason"]
    assert (
        list(stone["organs"][0]) == ["organ", "score", "visual", "name"]
        and stone["organs"][0]["organ"] == "kidney_left"
    )
    assert all(
        list(row) == ["organ", "abnormality", "probability", "low", "high", "status"]
        for row in answers["abnormalities"]
    )
    assert stone["finding"]["organ"] == "kidney_left"
    scored = [row for row in answers["abnormalities"] if row["status"] == "scored"]
    assert [(row["organ"], row["abnormality"]) for row in scored] == [("kidney_left", "kidney_stone")]
    assert all(row["probability"] is None for row in answers["abnormalities"] if row["status"] != "scored")


def test_provenance_says_what_went_in(answers, phantom):
    from napari_ctvlp.scan.fingerprint import masks_hash, scan_hash

    scan, masks = phantom
    made = answers["provenance"]
    assert made["software"]["napari-ctvlp"] and made["software"]["numpy"] == np.__version__
    assert (made["scan_hash"], made["masks_hash"]) == (scan_hash(scan), masks_hash(masks))
    assert set(answers["prompts"]["abnormalities"]) == {"kidney_stone"}
    stone = next(a for a in load_dictionary() if a.key == "kidney_stone")
    assert answers["prompts"]["abnormalities"]["kidney_stone"]["positive"] == list(stone.positive)
    liver = next(o for o in answers["masks"]["organs"] if o["organ"] == "liver")
    assert liver["volume_ml"] == pytest.approx(12 * 28 * 25 * 12 / 1000) and liver["status"] == "complete"
    assert liver["mean_hu"] == 60 and liver["cut_by_field_of_view"] is False


def test_no_path_and_no_name_of_the_source_leaves(phantom):
    scan, masks = phantom
    private = dataclasses.replace(scan, source="/home/mustermann/erika.nii.gz")
    embedding = WordEncoder().encode_scan(private, masks)
    assert "mustermann" not in json.dumps(answers_as_json(private, embedding, [], [], masks))


def test_floats_are_short_and_json_is_strict(answers):
    text = json.dumps(answers, allow_nan=False)
    numbers = [o[part] for q in answers["queries"] for o in q["organs"] for part in ("score", "visual", "name")]
    assert all(n == round(n, 4) for n in numbers) and "phantom" in text


def test_files(answers, tmp_path):
    write_json(tmp_path / "a.json", answers)
    write_json(tmp_path / "a.json", answers)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == answers
    write_csv(tmp_path / "a.csv", answers)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(answers["abnormalities"]) + sum(len(q["organs"]) for q in answers["queries"])
    first = next(r for r in rows if r["kind"] == "organ")
    assert (first["query"], first["organ"], first["status"]) == ("renal stone on the left", "kidney_left", "matched")
    assert next(r for r in rows if r["status"] == "N/A: not in the masks")["probability"] == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "a.json"]


def test_several_encoders_are_in_one_table(answers, tmp_path):
    other = answers | {"encoder": answers["encoder"] | {"name": "other"}, "queries": []}
    write_csv(tmp_path / "a.csv", answers | {"others": [other]})
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    mine, theirs = ([r for r in rows if r["encoder"] == name] for name in (answers["encoder"]["name"], "other"))
    assert len(theirs) == len(answers["abnormalities"]) and len(mine) + len(theirs) == len(rows)
    for one, two in zip(mine, theirs, strict=False):
        assert {**one, "encoder": ""} == {**two, "encoder": ""}


@pytest.mark.parametrize("write", [write_json, write_csv])
def test_a_place_that_cannot_be_written_to(answers, tmp_path, write):
    with pytest.raises(UserError, match=r"^out\.x cannot be written: No such file or directory\.$"):
        write(tmp_path / "missing" / "out.x", answers)
    (tmp_path / "out.x").mkdir()
    with pytest.raises(UserError, match=r"^out\.x cannot be written"):
        write(tmp_path / "out.x", answers)
    assert [p.name for p in tmp_path.iterdir()] == ["out.x"]
