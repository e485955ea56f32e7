"""Taught findings: from examples to scores, and as files to share."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from napari_ctvlp.ask import rank_organs
from napari_ctvlp.ask.taught_file import as_json, read_taught, write_taught
from napari_ctvlp.ask.teach import EncoderKey, Example, TaughtFinding, checked_name, example_of, score_taught
from napari_ctvlp.ask.types import abnormality_text
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding
from napari_ctvlp.errors import UserError

DIM = 64


def unit(rng, shift=0.0):
    vector = rng.standard_normal(DIM)
    vector[0] += shift
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture
def finding(word_encoder):
    """Three with and three without in livers of six scans, well apart."""
    rng = np.random.default_rng(0)
    examples = tuple(
        Example("liver", k % 2 == 0, f"{k:016x}", unit(rng, 12.0 if k % 2 == 0 else -12.0)) for k in range(6)
    )
    return TaughtFinding("bright rim", EncoderKey.of(word_encoder.card), examples)


@pytest.fixture
def embedding(word_encoder):
    rng = np.random.default_rng(7)
    organs = ("spleen", "liver", "kidney_left")
    vectors = np.stack([unit(rng), unit(rng, 12.0), unit(rng)])
    return ScanEmbedding(organs, vectors, (OrganStatus.COMPLETE,) * 3, word_encoder)


def test_scores_where_it_was_taught_and_nowhere_else(finding, embedding):
    (row,) = score_taught(embedding, [finding])
    assert row.organ == "liver" and row.abnormality == "taught:bright rim" and row.status == "scored"
    assert 0.5 < row.low <= row.probability <= row.high < 1
    assert "3 with and 3 without" in row.note and "AUC 1.00" in row.note and "chance alone" in row.note
    assert abnormality_text(row.abnormality) == "bright rim (taught)"


def test_one_without_it_scores_low(finding, embedding):
    vectors = embedding.vectors.copy()
    vectors[1] = unit(np.random.default_rng(9), -12.0)
    (row,) = score_taught(dataclasses.replace(embedding, vectors=vectors), [finding])
    assert row.probability < 0.5


@pytest.mark.parametrize("status", [OrganStatus.CUT, OrganStatus.TOO_SMALL, OrganStatus.UNKNOWN])
def test_what_cannot_be_trusted_is_not_scored_and_no_example(finding, embedding, status):
    cut = dataclasses.replace(embedding, status=(OrganStatus.COMPLETE, status, OrganStatus.COMPLETE))
    (row,) = score_taught(cut, [finding])
    assert row.probability is None and row.status == f"N/A: {status.value}"
    with pytest.raises(UserError, match=status.value):
        example_of(cut, "liver", True, "00" * 8)


def test_an_organ_that_is_not_there_is_not_scored(finding, embedding):
    here = ScanEmbedding(("spleen",), embedding.vectors[:1], embedding.status[:1], embedding.encoder)
    (row,) = score_taught(here, [finding])
    assert row.probability is None and "not in the masks" in row.status
    with pytest.raises(UserError, match="not in the masks"):
        example_of(here, "liver", True, "00" * 8)


def test_labels_of_a_users_own_name_are_no_examples(embedding):
    own = ScanEmbedding(("smith_liver",), embedding.vectors[:1], embedding.status[:1], embedding.encoder)
    with pytest.raises(UserError, match="TotalSegmentator"):
        example_of(own, "smith_liver", True, "00" * 8)


def test_from_two_of_each_on(finding, embedding):
    few = dataclasses.replace(finding, examples=finding.examples[:3])
    assert not few.ready and not score_taught(embedding, [few]) and "needs 2 of each" in few.note
    enough = dataclasses.replace(finding, examples=finding.examples[:4])
    assert enough.ready and score_taught(embedding, [enough])[0].probability is not None
    assert "2 with and 2 without" in enough.note and "17 %" in enough.note


def test_the_last_word_on_an_organ_of_a_scan_counts(finding):
    first = finding.examples[0]
    changed = finding.with_example(dataclasses.replace(first, present=False))
    assert (changed.present, changed.absent) == (2, 4) and len(changed.examples) == 6


def test_another_encoder_is_not_scored(finding, embedding):
    other = dataclasses.replace(finding, encoder=EncoderKey("words", "newer", ""))
    assert score_taught(embedding, [other]) == []


def test_names_are_one_line_of_text():
    assert checked_name("  bright \n rim ") == "bright rim"
    for wrong in ("", "   ", "x" * 81, "a\x00b"):
        with pytest.raises(UserError):
            checked_name(wrong)


# -- files ---------------------------------------------------------------------------------------------------------


def test_a_file_gives_the_same_scores(finding, embedding, tmp_path):
    path = write_taught(tmp_path / "rim", [finding])
    assert path.name == "rim.taught.json"
    (again,) = read_taught(path, embedding.encoder.card)
    assert score_taught(embedding, [again]) == score_taught(embedding, [finding])
    assert [e.scan for e in again.examples] == [e.scan for e in finding.examples]


def test_a_file_holds_nothing_but_what_it_needs(finding, tmp_path):
    told = json.loads(write_taught(tmp_path / "rim.json", [finding]).read_text())
    assert set(told) == {"format", "kind", "findings"}
    (item,) = told["findings"]
    assert set(item) == {"name", "encoder", "examples"}
    assert all(set(e) == {"organ", "present", "scan", "vector"} for e in item["examples"])


def test_another_revision_is_refused_in_one_sentence(finding, word_encoder, tmp_path):
    path = write_taught(tmp_path / "rim.json", [finding])
    newer = dataclasses.replace(word_encoder.card, revision="newer")
    with pytest.raises(UserError, match=r"rim\.json: bright rim was taught with words \(revision test\).*newer"):
        read_taught(path, newer)


def damaged(item, change):
    data = {"format": 1, "kind": "taught findings", "findings": [json.loads(json.dumps(item))]}
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(format=9), "format 9"),
        (lambda d: d.update(kind="session"), "no taught findings"),
        (lambda d: d.pop("findings"), "findings"),
        (lambda d: d.update(findings=[3]), "damaged"),
        (lambda d: d["findings"][0].pop("encoder"), "encoder"),
        (lambda d: d["findings"][0].update(name=""), "name"),
        (lambda d: d["findings"][0]["examples"][0].update(vector="@@"), "base64"),
        (lambda d: d["findings"][0]["examples"][0].update(vector="AAAA"), "damaged"),
        (lambda d: d["findings"][0]["examples"][0].update(vector="AAAAAAAAAAA="), "unit length"),
        (lambda d: d["findings"][0]["examples"][0].update(organ="Mr Smith"), "organ"),
        (lambda d: d["findings"][0]["examples"][0].update(scan="/home/smith/ct"), "hash"),
        (lambda d: d["findings"][0]["examples"][0].update(present=1), "present"),
        (lambda d: d["findings"][0].update(examples=d["findings"][0]["examples"] * 400), "2000"),
    ],
)
def test_damaged_files_say_what_is_wrong(finding, tmp_path, change, says):
    path = tmp_path / "bad.json"
    path.write_text(damaged(as_json(finding), change))
    with pytest.raises(UserError, match=says) as caught:
        read_taught(path)
    assert str(caught.value).startswith("bad.json") and "Smith" not in str(caught.value)


def test_what_is_no_such_file_is_said(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(UserError, match=r"x\.json cannot be read"):
        read_taught(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not JSON"):
        read_taught(path)
    path.write_text("[" * 100_000)
    with pytest.raises(UserError, match="not JSON"):
        read_taught(path)
    with pytest.raises(UserError, match="nothing to write"):
        write_taught(path, [])


# -- asked for by name


def question(embedding, finding, text):
    return rank_organs(embedding, text, taught=[finding])


@pytest.mark.parametrize("text", ["bright rim", "Bright Rim of the liver", "is there a bright rim?", "bright rims"])
def test_its_name_asks_for_it(finding, embedding, text):
    answer = question(embedding, finding, text)
    assert answer.matched and answer.best.organ == "liver" and answer.finding.abnormality == "taught:bright rim"
    assert answer.finding.status == "present" and answer.finding.reason == finding.note
    assert answer.message == f"Bright rim (taught), liver: present: {finding.note}."
    assert rank_organs(embedding, text).finding is None


def test_its_name_comes_before_the_dictionary(finding, embedding):
    for name in ("calcified spots", "liver cyst", "cyst"):
        own = dataclasses.replace(finding, name=name)
        assert question(embedding, own, f"{name} in the liver").finding.abnormality == f"taught:{name}"
    assert question(embedding, own, "liver abscess").finding.abnormality == "liver_abscess"


def test_asked_for_elsewhere_it_says_where_it_was_taught(finding, embedding):
    answer = question(embedding, finding, "bright rim in the spleen")
    assert answer.message.startswith("'bright rim' was taught in liver only. Bright rim (taught), liver: present")
    sided = dataclasses.replace(
        finding, examples=tuple(dataclasses.replace(e, organ="kidney_left") for e in finding.examples)
    )
    right = question(embedding, sided, "bright rim in the right kidney")
    assert right.finding is None and right.message.endswith("'bright rim' was taught in left kidney only.")


def test_with_too_few_examples_the_answer_says_so(finding, embedding):
    few = dataclasses.replace(finding, examples=finding.examples[:3])
    answer = question(embedding, few, "bright rim")
    assert answer.finding.probability is None
    assert answer.finding.status == "N/A: 2 with and 1 without; a score needs 2 of each"


def test_that_of_another_encoder_is_not_asked(finding, embedding):
    other = dataclasses.replace(finding, encoder=dataclasses.replace(finding.encoder, revision="older"))
    assert question(embedding, other, "bright rim in the liver").finding is None
