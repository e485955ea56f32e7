"""Reports on synthetic scans: wordings for every abnormality, sentences per organ, whole reports and their labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from napari_ctvlp.anatomy import load_dictionary
from tests.training.world.invented import invented_finding, invented_sample
from training.world.findings.catalogue import ABNORMALITIES, BY_ORGAN
from training.world.materials import NAMES
from training.world.report.outline import EXTRINSIC, LOOSE
from training.world.report.report import Report, make_report
from training.world.report.sentences import (
    dictionary_sentences,
    held_out_sentences,
    organ_name_texts,
    organ_sentences,
    organs_in_view,
)
from training.world.report.wordings import HELD_OUT, MEASURED, NORMAL, NOUNS, PLAIN
from training.world.sample import WorldSample, make_sample

SEEDS = range(60)


def reports() -> Iterator[tuple[WorldSample, Report]]:
    for seed in SEEDS:
        sample = invented_sample(seed)
        yield sample, make_report(sample, np.random.default_rng(seed))


def test_every_abnormality_has_words_and_an_entry_of_the_dictionary() -> None:
    assert set(PLAIN) == set(HELD_OUT) == {NORMAL, *ABNORMALITIES}
    assert set(MEASURED) == set(NOUNS) == set(ABNORMALITIES)
    known = {a.key: set(a.organs) for a in load_dictionary()}
    for slug, kind in ABNORMALITIES.items():
        assert set(kind.organs) <= known[slug], slug
        assert len(PLAIN[slug]) >= 6 and len(MEASURED[slug]) >= 3 and len(HELD_OUT[slug]) >= 2, slug


@pytest.mark.parametrize("slug", ABNORMALITIES)
def test_evaluation_wordings_are_kept_apart_and_none_is_negated(slug: str) -> None:
    for organ in ABNORMALITIES[slug].organs[:3]:
        train, kept = dictionary_sentences(organ, slug), held_out_sentences(organ, slug)
        assert len({t.lower() for t in train}) >= 6 and len({t.lower() for t in kept}) >= 2
        rng = np.random.default_rng(0)
        finding = invented_finding(slug, organ, rng)
        sample = invented_sample(0)
        sized = {t for _ in range(4) for t in organ_sentences(replace(sample, findings=(finding,)), rng)[organ].texts}
        assert not {t.lower() for t in (*train, *sized)} & {t.lower() for t in kept}
        for text in (*train, *kept, *sized):
            assert "{" not in text and not re.search(r"\b(no|not|without|absent|free of|absence)\b", text, re.I), text
    assert not {t.lower() for t in (*PLAIN[slug], *MEASURED[slug])} & {t.lower() for t in HELD_OUT[slug]}


def test_organ_sentences_name_side_and_size_and_cover_shared_and_missing_organs() -> None:
    sample, rng = invented_sample(3), np.random.default_rng(0)
    stone = invented_finding("kidney_stone", "kidney_left", rng)
    gone = invented_finding("gallbladder_absent", "gallbladder", rng)
    fluid = invented_finding("ascites", "liver", rng, also=("spleen",))
    said = organ_sentences(replace(sample, findings=(stone, gone, fluid)), np.random.default_rng(0))
    assert said == organ_sentences(replace(sample, findings=(stone, gone, fluid)), np.random.default_rng(0))
    assert said["kidney_left"].abnormalities == ("kidney_stone",)
    assert all("left" in t.lower() for t in said["kidney_left"].texts)
    assert any(" mm" in t or " cm" in t for t in said["kidney_left"].texts)
    assert said["spleen"].state == said["liver"].state == said["gallbladder"].state == "abnormal"
    normal = [t for o, t in said.items() if t.state == "normal"]
    assert normal and all(t.abnormalities == () and len(t.texts) == 2 for t in normal)
    assert set(organs_in_view(sample)) <= set(said)


def test_names_and_normal_sentences() -> None:
    names = organ_name_texts("kidney_left")
    assert len(set(names)) >= 8 and all("left" in t.lower() for t in names)
    assert not [t for organ in BY_ORGAN for t in dictionary_sentences(organ, None) if "{" in t]
    assert not set(dictionary_sentences("liver", None)) & set(held_out_sentences("liver", None))


def test_a_report_is_the_same_for_the_same_generator_and_differs_otherwise() -> None:
    sample = invented_sample(1)
    one, two = (make_report(sample, np.random.default_rng(7)) for _ in range(2))
    assert one == two
    assert len({make_report(sample, np.random.default_rng(k)).text for k in range(20)}) == 20


def test_labels_follow_the_truth_but_for_what_a_radiologist_leaves_out_or_doubts() -> None:
    stated = missed = doubted = unfounded = 0
    for sample, report in reports():
        truth: dict[str, set[str]] = {}
        for finding in sample.findings:
            for organ in finding.organs:
                truth.setdefault(organ, set()).add(finding.abnormality)
        for organ, label in report.labels.items():
            assert set(label.abnormalities) <= truth.get(organ, set()) | LOOSE, (organ, label, report.text)
            if label.state == "normal":
                assert truth.get(organ, set()) <= LOOSE | EXTRINSIC, (organ, report.text)
            stated += bool(label.abnormalities)
            missed += organ in truth and label.state == "unknown"
            doubted += bool(label.uncertain) and organ in truth
            unfounded += bool(label.uncertain) and organ not in truth
    assert stated > 10 * missed > 0 and doubted > 0 and unfounded > 0


def test_reports_are_written_in_the_ways_of_radiologists() -> None:
    texts, states = [], {"abnormal": 0, "normal": 0, "unknown": 0, "uncertain": 0}
    for sample, report in reports():
        texts.append(report.text)
        assert report.findings in report.text and report.impression in report.text
        assert "{" not in report.text and not re.search(r"  | [.,]|\.\.", report.text), report.text
        assert set(organs_in_view(sample)) <= set(report.labels)
        in_view = set(organs_in_view(sample)) | {o for f in sample.findings for o in f.organs}
        assert set(report.labels) <= in_view
        for label in report.labels.values():
            states[label.state] += 1
    everything = "\n".join(texts)
    for habit in (
        r"\bno (?:evidence of )?\w+",
        r"cannot be excluded",
        r"[Pp]ossibl[ey]",
        r"unchanged from|new since|stable",
        r"previously \d",
        r"\d(?:\.\d)? cm",
        r"\d mm",
        r"^(?:IMPRESSION|CONCLUSION|OPINION):",
        r"^1\. ",
        r"^LIVER:|^Liver:",
        r"^TECHNIQUE:",
        r"^COMPARISON:",
        r"remaining|otherwise",
        r"(?:spleen|liver|pancreas)(?:, \w[\w ]*)* and [\w ]+ (?:are|appear|show)",
        r"haemorrhag|oesophag|haemangioma|tumour|calibre",
        r"hemorrhag|esophag|hemangioma|tumor\b|caliber",
    ):
        assert re.search(habit, everything, re.M), habit
    assert min(states.values()) > 30, states


@pytest.mark.parametrize("seed", [5])
def test_real_samples_are_reported(seed: int) -> None:
    sample = make_sample(seed, spacing=6.0, body=1, region="abdomen")
    report = make_report(sample, np.random.default_rng(seed))
    in_view = set(organs_in_view(sample)) | {o for f in sample.findings for o in f.organs}
    assert set(report.labels) == in_view and in_view - {"gallbladder"} <= set(NAMES.values())
    assert set(organs_in_view(sample)) <= set(organ_sentences(sample, np.random.default_rng(0)))
