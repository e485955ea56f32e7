"""Real scans: what is known of a patient, organs by sight, questions, painted copies and located lesions, by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding
from napari_ctvlp.errors import UserError
from napari_ctvlp.sample import load_sample
from tests.conftest import WordEncoder
from training.evaluation import painted
from training.evaluation.asked import FIRST, NOTHING, SECOND, THIRD, asked, queries
from training.evaluation.located import Located, located_figures
from training.evaluation.painted import Judged, groups_of, paint_copies, painted_figures
from training.evaluation.patients import (
    Patient,
    by_sight,
    known_findings,
    patients_in,
    probabilities,
    without_findings,
)
from training.evaluation.table_of_patients import beyond
from training.world.findings.catalogue import ABNORMALITIES

ORGANS = ("liver", "spleen", "kidney_left", "kidney_right")


def embedding(texts, status=None, abnormalities=()) -> ScanEmbedding:
    """Organs that look exactly like texts."""
    encoder = WordEncoder(abnormalities=abnormalities, organs=ORGANS)
    states = status or (OrganStatus.COMPLETE,) * len(ORGANS)
    return ScanEmbedding(ORGANS, encoder.encode_text(texts), states, encoder)


NAMED = ("this is the liver", "this is the spleen", "this is the left kidney", "this is the right kidney")


def test_organs_are_recognised_by_what_they_look_like_and_swapped_sides_are_counted():
    told = by_sight(embedding(NAMED))
    assert told["top1"] == 1.0 and told["swapped"] == [] and told["pairs"] == 1 and told["wrong"] == {}
    told = by_sight(embedding((NAMED[0], NAMED[1], NAMED[3], NAMED[3])))
    assert told["swapped"] == ["kidney"] and told["wrong"] == {"kidney_left": "kidney_right"}
    assert told["top1"] == 0.75


def test_known_findings_are_right_where_they_lead_their_organ():
    found = {
        "kidney_left": {"kidney_stone": 0.9, "kidney_cyst": 0.95, "hydronephrosis": 0.1},
        "liver": {"liver_cyst": 0.7, "cirrhosis": 0.1},
        "spleen": {"splenomegaly": 0.2, "splenic_cyst": 0.6},
    }
    patient = Patient(
        "p",
        Path(),
        Path(),
        ("kidney_left/kidney_stone", "kidney_right/kidney_stone"),
        ("liver/liver_cyst",),
        {"kidney_left/kidney_stone": 130},
    )
    told = known_findings(embedding(NAMED), patient, found, {"kidney_left": {"kidney_stone": 0.2}})
    stone, unknown, cyst = told["rows"]
    assert (stone["place"], stone["of"], stone["right"]) == (2, 3, True)
    assert (stone["without"], unknown["without"], cyst["without"]) == (0.2, None, None)
    assert unknown["right"] is None and unknown["probability"] is None
    assert cyst["right"] is False
    # organs with a known finding do not count for alarms
    assert (told["alarms"], told["entries"]) == (2, 4) and list(told["worst"]) == [
        "liver/liver_cyst",
        "spleen/splenic_cyst",
    ]


def test_an_erased_stone_leaves_the_kidney_and_nothing_else_as_it_was():
    scan, masks = load_sample()
    inside = masks.labels == masks.statistics["kidney_left"].label
    with_stone = scan.hu.copy()
    with_stone[tuple(np.argwhere(inside).mean(0).round().astype(int))] = 900
    told = without_findings(replace(scan, hu=with_stone), masks, {"kidney_left/kidney_stone": 400})
    assert told.hu[inside].max() < 400
    changed = told.hu != with_stone
    assert 0 < changed.sum() < 200 and scan.hu[inside & ~changed].tolist() == told.hu[inside & ~changed].tolist()


def test_probabilities_are_those_of_the_plugin_for_whole_organs():
    from napari_ctvlp.ask import score_abnormalities

    known = ("liver/liver_cyst", "kidney_left/kidney_stone")
    scan = embedding(NAMED, abnormalities=known)
    mine = probabilities(scan)
    told = {f"{r.organ}/{r.abnormality}": r.probability for r in score_abnormalities(scan) if r.probability is not None}
    assert {f"{o}/{a}": p for o, row in mine.items() for a, p in row.items()} == pytest.approx(told)


@pytest.mark.parametrize("name", [FIRST, SECOND, THIRD])
def test_questions_are_many_of_every_kind_and_speak_of_organs_that_exist(name):
    from napari_ctvlp.anatomy import ORGANS as EVERY

    found = queries(name)
    every = [q for kind in found.values() for q in kind]
    assert len(every) >= 150 and len(set(every)) == len(every)
    assert {
        "plain",
        "synonym",
        "lay",
        "abbreviation",
        "finding only",
        "misspelled",
        "negated",
        "group",
        NOTHING,
    } <= found.keys()
    assert all(organ in EVERY for kind in found.values() for organs in kind.values() for organ in organs)
    assert all(bool(organs) == (kind != NOTHING) for kind, rows in found.items() for organs in rows.values())


def test_answers_are_counted(monkeypatch):
    from training.evaluation import asked as module

    table = {
        "plain": {"liver": ("liver",), "spleen": ("kidney_left",)},
        NOTHING: {"brain": (), "liver ": ()},
    }
    monkeypatch.setattr(module, "queries", lambda name: table)
    told = asked(embedding(NAMED))
    assert told["by_kind"]["plain"]["fused"] == 1 and told["fused"] == 0.5
    assert told["nothing"] == 0.5 and told["wrong"]["nothing"] == ["liver "]
    assert told["chance"] == 0.25


def test_copies_show_each_kind_once_and_no_organ_twice():
    organs = ["liver", "spleen", "kidney_left", "kidney_right", "aorta"]
    kinds = tuple(ABNORMALITIES)
    for placement in range(4):
        copies = groups_of(organs, kinds, placement, most=100)
        wanted = {k for k in kinds if set(ABNORMALITIES[k].organs) & set(organs)}
        assert sorted(k for copy in copies for k, _ in copy) == sorted(wanted)
        for copy in copies:
            assert len({organ for _, organ in copy}) == len(copy)
            assert all(organ in ABNORMALITIES[kind].organs for kind, organ in copy)
    assert len(groups_of(organs, kinds, 0, most=2)) == 2
    first, second = (dict(c for copy in groups_of(organs, kinds, n, most=100) for c in copy) for n in (0, 1))
    assert first["kidney_cyst"] != second["kidney_cyst"]


def test_a_score_is_compared_within_its_organ_only():
    """A liver's scores are all above a spleen's; within each organ the painted one leads."""
    rng = np.random.default_rng(0)
    liver = [Judged(10 + float(rng.normal(0, 0.1)), False, n == 0) for n in range(20)] + [Judged(11.0, True)] * 10
    spleen = [Judged(float(rng.normal(0, 0.1)), False, n == 0) for n in range(20)] + [Judged(1.0, True)] * 10
    told = painted_figures([{("liver", "cyst"): liver, ("spleen", "cyst"): spleen}], rounds=20)
    assert told["rows"]["cyst"] == {
        "auc": 1.0,
        "low": 1.0,
        "high": 1.0,
        "above_untouched": 1.0,
        "placements": 20,
        "organs": 2,
    }
    worse = [Judged(s, not p, p) for s, p, _ in liver]
    assert painted_figures([{("liver", "cyst"): worse}], rounds=20)["macro"]["value"] == 0.0
    few = [Judged(0.0, False, True), Judged(1.0, True)]
    assert painted_figures([{("liver", "cyst"): few}]) == {"macro": None, "rows": {}}


def test_a_finding_seen_is_told_from_one_that_others_raise_more():
    """A mass raises its score a little, the organ's stones raise it more: worse than chance among them, and seen."""
    mass = [Judged(1.0, False, True)] + [Judged(1.1, True)] * 8 + [Judged(1.0, True)] * 2 + [Judged(1.5, False)] * 9
    told = painted_figures([{("urinary_bladder", "mass"): mass}], rounds=50)
    row = told["rows"]["mass"]
    assert row["auc"] == pytest.approx((8 + 1) / 100) and row["above_untouched"] == 0.9
    assert told["above_untouched"]["low"] < 0.9 < told["above_untouched"]["high"]
    blind = [Judged(s, p) for s, p, _ in mass]
    assert painted_figures([{("urinary_bladder", "mass"): blind}], rounds=50)["macro"] is None


def test_located_lesions_are_counted_by_distance():
    found = [Located("cyst", "liver", d, 0.1) for d in (0.0, 7.9, 8.1, 30.0)]
    told = located_figures(found, rounds=50)
    assert told["share"] == 0.5 and told["inside"] == 0.25 and told["by_kind"]["cyst"] == {"hit": 2, "of": 4}
    assert told["low"] <= 0.5 <= told["high"] and located_figures([])["share"] is None


def test_a_folder_without_the_scans_is_told(tmp_path):
    with pytest.raises(UserError, match=r"patients\.yaml"):
        patients_in(tmp_path)


def test_everything_is_in_the_table():
    result = {
        "located": located_figures([Located("cyst", "liver", 0.0, 0.1)], rounds=10),
        "patients": 3,
        "real_scans": {
            "someone": {
                "by_sight": by_sight(embedding(NAMED)),
                "control": {"top1": 0.25, "top3": 0.5},
                "known": known_findings(
                    embedding(NAMED),
                    Patient("p", Path(), Path(), ("liver/liver_cyst",)),
                    {"liver": {"liver_cyst": 0.9}},
                    {},
                ),
            }
        },
        "asked": asked(embedding(NAMED)),
        "painted": painted_figures(
            [{("liver", "cyst"): [Judged(0.0, False, True)] * 10 + [Judged(1.0, True)] * 10}], rounds=10
        ),
    }
    text = "\n".join(beyond(json.loads(json.dumps(result))))
    for said in (
        "someone",
        "4 organs by sight: 1.00",
        "0.90 | - | 1 of 1 | right",
        "focal lesions",
        "cyst 1.00 (1.00)",
        "questions",
    ):
        assert said in text


@pytest.mark.slow
def test_a_painted_copy_shows_what_it_says_and_is_made_once(tmp_path, monkeypatch):
    scan, masks = load_sample()
    monkeypatch.setattr(Patient, "read", lambda self: (scan, masks))
    patient = Patient("sample", Path(), Path())
    copies = list(paint_copies(patient, ("liver_steatosis", "splenic_cyst"), tmp_path, placements=1))
    shown = {organ: kinds for copy in copies for organ, kinds in copy.shown.items()}
    assert shown.get("liver") == ("liver_steatosis",) and shown.get("spleen") == ("splenic_cyst",)
    with np.load(copies[0].file) as stored:
        liver = scan.hu[masks.labels == masks.statistics["liver"].label]
        fatty = stored["hu"][masks.labels == masks.statistics["liver"].label]
    assert fatty.mean() < liver.mean() - 10
    monkeypatch.setattr(painted, "paint_scan", lambda *a, **k: pytest.fail("painted twice"))
    assert [c.file for c in paint_copies(patient, ("liver_steatosis", "splenic_cyst"), tmp_path, 1)] == [
        c.file for c in copies
    ]


def test_the_patients_are_described_in_words_that_the_dictionary_knows():
    table = yaml.safe_load(Path(painted.__file__).with_name("patients.yaml").read_text())
    known = {(organ, entry.key) for entry in load_dictionary() for organ in entry.organs}
    for patient in table["patients"]:
        for key in (*patient["present"], *patient["absent"], *patient.get("erased", {})):
            assert tuple(key.split("/")) in known


def test_the_surest_miss_of_the_worst_abnormality_comes_first():
    from training.evaluation.failures import misses

    from .conftest import simulated

    good, bad = simulated("cyst", 60, 1, slope=3.0), simulated("stone", 60, 2, slope=-2.0)
    plain = lambda keys, scores: 1 / (1 + np.exp(-scores))  # noqa: E731
    first, second = misses({"cyst": good, "stone": bad}, plain, scans=60)
    assert (first.abnormality, second.abnormality) == ("stone", "cyst") and first.auc < 0.5 < second.auc
    lowest = bad.scores[bad.present].min()
    assert first.probability == pytest.approx(1 / (1 + np.exp(-lowest)))
    # patients are numbered in the order of their names: "0", "1", "10", "11", ...
    assert first.scan == int(sorted(map(str, range(60)))[int(np.flatnonzero(bad.present & (bad.scores == lowest))[0])])
