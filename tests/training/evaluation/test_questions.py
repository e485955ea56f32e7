"""Scores are the plugin's, labels of scans are the largest over organs, and sides and negations are checked truly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ctvlp.anatomy import ORGANS, display_name, load_dictionary
from napari_ctvlp.ask import rank_organs, score_abnormalities
from napari_ctvlp.errors import UserError
from tests.conftest import WordEncoder
from training.data.records import OrganRecord
from training.evaluation import checks as module
from training.evaluation import protocols
from training.evaluation.cases import HeldOut, prompt_scores, questions
from training.evaluation.checks import RememberingEncoder, checks, finding_sides, negation_read, organ_sides, side_pairs
from training.evaluation.recognition import recognition

CT_RATE = """Medical material|Arterial wall calcification|Cardiomegaly|Pericardial effusion
Coronary artery wall calcification|Hiatal hernia|Lymphadenopathy|Emphysema|Atelectasis|Lung nodule|Lung opacity
Pulmonary fibrotic sequela|Pleural effusion|Mosaic attenuation pattern|Peribronchial thickening|Consolidation
Bronchiectasis|Interlobular septal thickening""".replace("\n", "|").split("|")
KIDNEYS = ("kidney_left", "kidney_right")
ENTRIES = {e.key: e for e in load_dictionary()}


def encoder_of(organs, keys=("kidney_stone",)) -> WordEncoder:
    return WordEncoder(organs, [ENTRIES[k].pair_key(o) for k in keys for o in ENTRIES[k].organs])


def data_of(encoder: WordEncoder, scans) -> HeldOut:
    """Organs whose vector is that of a text: (organ, text, abnormalities) by scan."""
    rows = [(n, *organ) for n, scan in enumerate(scans) for organ in scan]
    vectors = encoder.encode_text([text for _, _, text, _ in rows])
    records = [OrganRecord(organ, tuple(states), ()) for _, organ, _, states in rows]
    return HeldOut(vectors, np.array([n for n, *_ in rows]), records, np.arange(len(scans)))


def kidneys(left: str = "left kidney", right: str = "right kidney", ill: str | None = None):
    names = dict(zip(KIDNEYS, (left, right), strict=True))
    return [
        (o, f"kidney stone {t}" if o == ill else f"normal {t}", ("kidney_stone",) if o == ill else ())
        for o, t in names.items()
    ]


def test_a_probability_is_the_one_that_the_plugin_shows():
    encoder = encoder_of(KIDNEYS)
    data = data_of(encoder, [kidneys(ill="kidney_left"), kidneys()])
    q = questions(encoder, data)["kidney_stone"]
    shown = {}
    for n in (0, 1):
        for s in score_abnormalities(data.embedding(n, encoder)):
            if s.probability is not None:
                shown[n, f"{s.organ}/{s.abnormality}"] = (s.probability, s.low, s.high)
    assert len(q.scores) == len(shown) == 4 and q.present.tolist().count(True) == 1
    for key, score, single, patient in zip(q.keys, q.scores, q.single, q.patient, strict=True):
        mean, low, high = shown[int(patient), str(key)]
        assert encoder.calibration.probability(str(key), score) == pytest.approx(mean, abs=1e-6)
        each = [encoder.calibration.probability(str(key), s) for s in single]
        assert (min(each), max(each)) == pytest.approx((low, high), abs=1e-6)


def test_organs_of_unknown_state_are_not_asked():
    encoder = encoder_of(KIDNEYS)
    data = data_of(encoder, [kidneys(), kidneys()])
    data = replace(data, records=[*data.records[:3], replace(data.records[3], known=False)])
    assert len(questions(encoder, data)["kidney_stone"].scores) == 3


def test_recognition_counts_what_lies_nearest():
    encoder = encoder_of(("liver", "spleen", "aorta", "brain"))
    rows = [[("liver", "liver", ()), ("spleen", "spleen", ()), ("aorta", "brain", ())]]
    found = recognition(encoder, data_of(encoder, rows))
    assert found["organ_accuracy"] == pytest.approx(2 / 3, abs=1e-4) and found["organ_chance"] == 0.25
    assert found["by_organ"] == {"liver": 1.0, "spleen": 1.0, "aorta": 0.0}


def test_sides_are_right_where_the_encoder_has_them_and_wrong_where_swapped():
    encoder = RememberingEncoder(encoder_of(KIDNEYS))
    assert list(side_pairs(KIDNEYS)) == [KIDNEYS]
    for scan, share in ((kidneys(), 1.0), (kidneys("right kidney", "left kidney"), 0.0)):
        data = data_of(encoder, [scan])
        assert organ_sides([data.embedding(0, encoder)])["share"] == share


def test_a_one_sided_finding_is_likelier_on_its_side():
    encoder = encoder_of(KIDNEYS)
    true = data_of(encoder, [kidneys(ill="kidney_left"), kidneys(ill="kidney_right")])
    false = replace(true, records=[true.records[i] for i in (2, 3, 0, 1)])
    for data, share in ((true, 1.0), (false, 0.0)):
        scans = {n: data.embedding(n, encoder) for n in (0, 1)}
        found = finding_sides(scans, data, load_dictionary())
        assert found["of"] == 2 and found["share"] == share and found["by_organ"]["kidney"]["of"] == 2
    both = data_of(encoder, [kidneys()])
    assert finding_sides({0: both.embedding(0, encoder)}, both, load_dictionary())["share"] is None


def test_no_x_is_never_answered_as_x_for_any_entry(monkeypatch):
    organs = tuple(ORGANS)
    encoder = RememberingEncoder(encoder_of(organs, tuple(ENTRIES)))
    data = data_of(encoder, [[(o, display_name(o), ()) for o in organs]])
    embedding = data.embedding(0, encoder)
    found = negation_read(embedding, load_dictionary())
    assert found["of"] == 3 * len(ENTRIES) and found["wrong"] == []

    def deaf(embedding, text, **options):  # a way of asking that drops "no"
        return replace(rank_organs(embedding, text, **options), message="Kidney stone, left kidney: present.")

    monkeypatch.setattr(module, "rank_organs", deaf)
    assert negation_read(embedding, load_dictionary()[:4])["share"] == 0


def test_the_encoder_alone_is_seen_to_take_no_x_for_x(monkeypatch):
    encoder = encoder_of(KIDNEYS)
    data = data_of(encoder, [kidneys(ill="kidney_left"), kidneys()])
    found = checks(encoder, data, 2)["negation_alone"]
    assert (found["of"], found["right"]) == (1, 0)  # a bag of words knows no negation

    def hearing(texts):  # an encoder to which "No X" is the opposite of X
        return np.stack([-encode([t[3:]])[0] if t.startswith("No ") else encode([t])[0] for t in texts])

    other = encoder_of(KIDNEYS)
    encode = other.encode_text
    monkeypatch.setattr(other, "encode_text", hearing)
    assert module.negation_alone(other, data, load_dictionary())["share"] == 1


@pytest.mark.parametrize(("name", "count"), [("ct-rate-18", 18), ("ct-rate-16", 16), ("rad-chestct", 15)])
def test_protocols_are_complete(name, count):
    protocol = protocols.load(name)
    names = [label.name for label in protocol.labels]
    assert len(names) == len(set(names)) == count and set(names) <= set(CT_RATE)
    for label in protocol.labels:
        assert label.look
        for entry in label.look:
            assert entry.organs and set(entry.organs) <= set(ORGANS)
            assert len(entry.positive) >= 5 and len(entry.negative) >= 5
            assert not any("no " in p.lower() or "without" in p.lower() for p in (*entry.positive, *entry.negative))


def test_the_protocols_differ_as_published():
    labels = {n: {label.name for label in protocols.load(n).labels} for n in protocols.names()}
    assert labels["ct-rate-18"] == set(CT_RATE)
    assert labels["ct-rate-18"] - labels["ct-rate-16"] == {"Medical material", "Lymphadenopathy"}
    assert labels["ct-rate-16"] - labels["rad-chestct"] == {"Mosaic attenuation pattern"}
    with pytest.raises(UserError, match="ct-rate-16"):
        protocols.load("ct-rate-17")


def test_a_scan_has_the_largest_score_of_its_organs_and_its_label_from_any_column():
    lungs = ENTRIES["lung_nodule"].organs
    encoder = encoder_of(lungs, ("lung_nodule",))
    scans = [
        [(lungs[0], "clear lung", ()), (lungs[1], "nodule in the lung", ())],
        [(lungs[2], "clear lung", ())],
        [("liver", "liver", ())],
        [(lungs[0], "nodule", ())],
    ]
    data = data_of(encoder, scans)
    rows = [{"nodule": 1}, {"Lung nodule": 0, "nodule": 0}, {"nodule": 1}, {"emphysema": 1}]
    asked = protocols.ask(protocols.load("rad-chestct"), encoder, data, rows)
    q = asked.questions["Lung nodule"]
    assert q.patient.tolist() == [0, 1] and q.present.tolist() == [True, False]
    assert asked.without_organ["Lung nodule"] == 1  # left out and counted, not scored as absent
    label = next(v for v in protocols.load("rad-chestct").labels if v.name == "Lung nodule")
    by_hand = [
        prompt_scores(encoder, data.vectors[[i]], entry, lungs[i])[0].mean()
        for i in (0, 1)
        for entry in label.look
        if lungs[i] in entry.organs
    ]
    assert q.scores[0] == pytest.approx(max(by_hand))
    assert q.present[0] and "Emphysema" in asked.questions and "Atelectasis" not in asked.questions


def test_own_labels_are_found_in_the_dictionary_and_asked_of_whole_scans():
    lungs = ENTRIES["lung_nodule"].organs
    encoder = encoder_of(lungs, ("lung_nodule",))
    data = data_of(encoder, [[(lungs[0], "nodule", ())], [(lungs[1], "clear lung", ())]])
    rows = [{"Lung-Nodule": 1, "house style": 0}, {"Lung-Nodule": 0, "kidney stone": 0}]
    protocol, unknown = protocols.own(rows)
    assert [label.name for label in protocol.labels] == ["Lung-Nodule", "kidney stone"] and unknown == ("house style",)
    assert [label.look[0].key for label in protocol.labels] == ["lung_nodule", "kidney_stone"]
    asked = protocols.ask(protocol, encoder, data, rows)
    assert asked.questions["Lung-Nodule"].present.tolist() == [True, False]
    for none, said in (([{"house style": 1}], "none of house style is one"), ([{}], "no label:NAME columns")):
        with pytest.raises(UserError, match=said):
            protocols.own(none)
