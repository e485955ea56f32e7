"""Known examples in a folder: those of the same organ and encoder, nearest first, and what is left out is told."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_ctvlp.ask.case_library import MOST, nearest, read_library
from napari_ctvlp.ask.taught_file import write_taught
from napari_ctvlp.ask.teach import EncoderKey, Example, TaughtFinding
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding
from napari_ctvlp.errors import UserError

STONE, CYST = "stone", "cyst"


def unit(*values):
    vector = np.zeros(64, np.float32)
    vector[: len(values)] = values
    return vector / np.linalg.norm(vector)


def scan(number):
    return f"{number:016x}"


def taught(encoder, name, *examples):
    rows = tuple(Example(organ, present, scan(n), vector) for organ, present, n, vector in examples)
    return TaughtFinding(name, EncoderKey.of(encoder.card), rows)


@pytest.fixture
def embedding(word_encoder):
    organs = ("liver", "spleen")
    vectors = np.stack([unit(1.0), unit(0.0, 1.0)])
    return ScanEmbedding(organs, vectors, (OrganStatus.COMPLETE,) * 2, word_encoder)


def test_the_nearest_of_the_same_organ_come_first_with_all_that_is_known(tmp_path, word_encoder, embedding):
    near, far, other = unit(1, 0.1), unit(1, 2), unit(0.0, 1)
    write_taught(
        tmp_path / "a",
        [
            taught(word_encoder, STONE, ("liver", True, 1, far), ("liver", False, 2, near), ("spleen", True, 3, other)),
            taught(word_encoder, CYST, ("liver", True, 2, near)),
        ],
    )
    (tmp_path / "results.json").write_text('{"scan": {}}')  # what else may lie in such a folder
    library = read_library(tmp_path, word_encoder.card)
    assert library.notes == ()
    found = nearest(library, embedding, ["liver"], scan(9))
    assert found.among == 2
    assert [(known.scan, known.findings) for known, _ in found.found] == [
        (scan(2), ((CYST, True), (STONE, False))),
        (scan(1), ((STONE, True),)),
    ]
    assert [cosine for _, cosine in found.found] == pytest.approx([1 / np.sqrt(1.01), 1 / np.sqrt(5)])
    assert [known.organ for known, _ in nearest(library, embedding, ["spleen"], scan(9)).found] == ["spleen"]


def test_the_open_scan_is_no_example_of_itself(tmp_path, word_encoder, embedding):
    write_taught(
        tmp_path / "a", [taught(word_encoder, STONE, ("liver", True, 1, unit(1)), ("liver", True, 2, unit(1)))]
    )
    library = read_library(tmp_path, word_encoder.card)
    assert [known.scan for known, _ in nearest(library, embedding, ["liver"], scan(1)).found] == [scan(2)]
    assert nearest(library, embedding, ["pancreas"], scan(1)).among == 0


def test_no_more_than_a_few_are_told_and_among_how_many(tmp_path, word_encoder, embedding):
    rows = [("liver", True, n, unit(1, n)) for n in range(MOST + 4)]
    write_taught(tmp_path / "a", [taught(word_encoder, STONE, *rows)])
    found = nearest(read_library(tmp_path, word_encoder.card), embedding, ["liver"], "")
    assert [known.scan for known, _ in found.found] == [scan(n) for n in range(MOST)] and found.among == MOST + 4


def test_what_files_disagree_about_is_left_out_and_told(tmp_path, word_encoder, embedding):
    write_taught(tmp_path / "a", [taught(word_encoder, STONE, ("liver", True, 1, unit(1)))])
    write_taught(
        tmp_path / "b",
        [
            taught(word_encoder, "Stone", ("liver", False, 1, unit(1)), ("liver", False, 2, unit(1))),
            taught(word_encoder, CYST, ("liver", True, 1, unit(1))),
        ],
    )
    library = read_library(tmp_path, word_encoder.card)
    assert "disagree" in library.notes[0]
    told = {known.scan: known.findings for known in library.organs}
    assert told == {scan(1): ((CYST, True),), scan(2): ((STONE, False),)}


def test_other_encoders_and_damaged_files_are_told(tmp_path, word_encoder):
    other = dataclasses.replace(word_encoder.card, revision="older")
    foreign = TaughtFinding(STONE, EncoderKey.of(other), (Example("liver", True, scan(1), unit(1)),))
    write_taught(tmp_path / "foreign", [foreign])
    with pytest.raises(UserError, match=r"holds no examples for words .*another encoder"):
        read_library(tmp_path, word_encoder.card)
    write_taught(tmp_path / "own", [taught(word_encoder, STONE, ("liver", True, 1, unit(1)))])
    (tmp_path / "cut.json").write_text("{")
    (tmp_path / "bad.json").write_text('{"kind": "taught findings", "format": 1, "findings": [{}]}')
    library = read_library(tmp_path, word_encoder.card)
    assert len(library.organs) == 1
    assert [next(w for w in ("bad.json", "cut.json", "another encoder") if w in note) for note in library.notes] == [
        "bad.json",
        "cut.json",
        "another encoder",
    ]


def test_a_folder_without_any_is_told(tmp_path, word_encoder):
    with pytest.raises(UserError, match="holds no examples for words"):
        read_library(tmp_path, word_encoder.card)
    with pytest.raises(UserError, match=r"^gone: this folder cannot be read"):
        read_library(tmp_path / "gone", word_encoder.card)
