"""What is in doubt before anything is asked: HU, masks, findings that an encoder does not tell apart; and groups."""

from __future__ import annotations

import dataclasses

import pytest

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.ask import rank_organs, score_abnormalities
from napari_ctvlp.ask.doubts import NO_DOUBTS, TOLD_APART, Doubts, doubts_about, hu_wrong, marked
from napari_ctvlp.ask.places import together
from napari_ctvlp.ask.types import Finding
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding
from napari_ctvlp.scan.fit import Fit
from napari_ctvlp.scan.types import Audit, AuditItem
from tests.ask.test_abstain import ENHANCED, ENTRIES, KEYS, Sceptic, scan

RIBS = tuple(f"rib_{side}_{n}" for side in ("left", "right") for n in range(6, 12))
WRONG = Audit((AuditItem("rescale", "none asked for; the intercept looks not applied (air near 0)", "warning"),))


def weak(embedding: ScanEmbedding, **auc: float) -> ScanEmbedding:
    encoder = embedding.encoder
    encoder.card = dataclasses.replace(encoder.card, validated=auc)
    return embedding


# -- the encoder


@pytest.mark.parametrize("probability", [0.05, 0.95])
def test_what_the_encoder_does_not_tell_apart_is_not_answered(probability):
    seen = weak(scan(probability), kidney_stone=0.57, renal_atrophy=TOLD_APART)
    answer = rank_organs(seen, "stone in the left kidney")
    why = "on its validation scans this encoder does not tell kidney stone apart (AUC 0.57)"
    assert (answer.finding.status, answer.finding.reason, answer.finding.probability) == ("cannot say", why, None)
    assert answer.message == f"Kidney stone, left kidney: cannot say: {why}."
    assert rank_organs(seen, "small left kidney").finding.status in ("absent", "present")
    judged = rank_organs(seen, "stone in the left kidney", doubts=NO_DOUBTS).finding
    assert judged.probability == pytest.approx(probability)


def test_of_several_meanings_the_one_not_told_apart_is_not_denied():
    seen = weak(scan(), liver_metastasis=0.44)
    answer = rank_organs(seen, "dark spot in the liver", statistics=ENHANCED).finding
    assert (answer.abnormality, answer.status) == ("liver_metastasis", "cannot say")


def test_rows_keep_their_numbers_and_say_so():
    seen = weak(scan(0.3), kidney_stone=0.57)
    entries = [ENTRIES["kidney_stone"], ENTRIES["renal_atrophy"]]
    rows = score_abnormalities(seen, entries)
    told = marked(rows, doubts_about(seen), seen, entries)
    assert [r.probability for r in told] == [r.probability for r in rows]
    for row in told:
        if row.abnormality == "kidney_stone":
            assert row.doubted and row.status == "scored; not told apart (validation AUC 0.57)"
            assert "does not tell kidney stone apart" in row.note
        else:
            assert not row.doubted and row.status == "scored"


def test_the_starter_brings_its_validation_figures():
    from napari_ctvlp.encoder import load_encoder

    card = load_encoder("starter").card
    known = {key.split("/")[1] for key in card.abnormalities}
    assert set(card.validated) <= known and card.validated["kidney_stone"] > TOLD_APART > card.validated["lung_nodule"]


# -- the scan and its masks


def test_hu_that_look_wrong_are_believed_of_no_finding():
    assert hu_wrong(WRONG) == "HU look wrong (the intercept looks not applied (air near 0))"
    windowed = Audit((AuditItem("HU range", "0 to 255 HU: no negative value, so this looks like MR", "warning"),))
    assert hu_wrong(windowed) == "HU look wrong (no negative value, so this looks like MR)"
    assert hu_wrong(Audit((AuditItem("tilt", "12 degrees", "warning"), AuditItem("HU range", "x", "note")))) == ""
    seen = scan(0.05)
    answer = rank_organs(seen, "kidney stone", doubts=doubts_about(seen, ENHANCED, WRONG))
    assert answer.finding.status == "cannot say" and answer.finding.probability is None
    assert answer.message == (
        "Kidney stone, left kidney and right kidney: cannot say: "
        "HU look wrong (the intercept looks not applied (air near 0))."
    )
    assert answer.matched and answer.best.organ.startswith("kidney")  # where to look is known all the same


def test_masks_that_do_not_fit_take_the_answers_of_their_organs():
    amiss = {**ENHANCED, "spleen": dataclasses.replace(ENHANCED["spleen"], median_hu=-300.0)}
    seen = scan(0.95)
    enlarged = rank_organs(seen, "enlarged spleen", statistics=amiss).finding
    assert enlarged.status == "cannot say"
    assert enlarged.reason == "the masks do not seem to fit the scan (spleen of -300 HU)"
    cut = rank_organs(scan(0.95, cut=("spleen",)), "enlarged spleen", statistics=amiss).finding
    assert (cut.status, cut.reason) == (enlarged.status, enlarged.reason)
    assert rank_organs(seen, "kidney stone", statistics=amiss).finding.status == "present"
    assert rank_organs(seen, "enlarged spleen", statistics=ENHANCED).finding.status == "present"


def test_what_an_organ_is_compared_with_counts_as_well():
    entry = next(e for e in load_dictionary() if e.region == "comparative" and e.reference)
    doubts = Doubts(fit=Fit({entry.reference[0]: "of 900 HU"}))
    seen = scan(0.95)
    rows = score_abnormalities(seen, [entry])
    assert any(r.probability is not None for r in rows)
    assert all(r.doubted for r in marked(rows, doubts, seen, [entry]) if r.probability is not None)


# -- several organs


def ribs(cut: int, probability: float = 0.03) -> ScanEmbedding:
    encoder = Sceptic(probability)
    states = tuple(OrganStatus.CUT if n < cut else OrganStatus.COMPLETE for n in range(len(RIBS)))
    return ScanEmbedding(RIBS, encoder.encode_text([r.replace("_", " ") for r in RIBS]), states, encoder)


@pytest.mark.parametrize(
    ("cut", "status", "words"),
    [
        (0, "absent", "Rib fracture: absent in 12 of 12 ribs."),
        (5, "absent", "Rib fracture: absent in 7 of 12 ribs; 5 are cut by the field of view."),
        (10, "cannot say", "Rib fracture: cannot say: absent in 2 of 12 ribs; 10 are cut by the field of view."),
        (12, "N/A: cut by field of view", "Rib fracture, ribs: cannot say: cut by field of view."),
    ],
)
def test_of_many_organs_it_is_told_how_many_could_be_judged(cut, status, words):
    answer = rank_organs(ribs(cut), "rib fracture")
    assert answer.finding.status == status and answer.message == words and len(answer.finding.places) == 12
    assert (answer.finding.probability is None) == (status != "absent")


def test_what_is_present_in_one_of_many_is_told_there():
    rows = [Finding("rib_fracture", RIBS[0], 0.9, 0.8, 0.95, "present")]
    rows += [Finding("rib_fracture", r, None, None, None, "N/A: cut by field of view") for r in RIBS[1:]]
    assert together(rows).status == "present" and together(rows).organ == RIBS[0]
    seen = ribs(12, probability=0.9)
    answer = rank_organs(seen, "rib fracture")
    assert answer.message.startswith("Rib fracture, ") and "present in 12 of 12 ribs" in answer.message


def test_a_pair_gets_a_line_each_and_the_view_goes_where_the_first_speaks_of():
    seen = scan(0.9, cut=("kidney_right",))
    answer = rank_organs(seen, "stones in both kidneys")
    first, second = answer.message.splitlines()
    assert first.startswith("Kidney stone, ") and ": present" in first and ": present" in second
    assert {answer.finding.places[0].organ, answer.finding.places[1].organ} == {"kidney_left", "kidney_right"}
    assert answer.shown == answer.finding.organ == answer.finding.places[0].organ
    half = rank_organs(scan(0.05, cut=("kidney_right",)), "stones in both kidneys")
    assert half.message.splitlines()[0].startswith("Kidney stone, left kidney: absent, 0.05")
    assert half.message.splitlines()[1] == "Right kidney: cannot say: cut by field of view."
    assert half.shown == "kidney_left"


def test_without_a_finding_the_best_organ_is_shown():
    assert rank_organs(scan(), "left kidney").shown == "kidney_left"
    assert KEYS and rank_organs(scan(), "brain").shown == ""
