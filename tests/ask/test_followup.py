"""Two scans of a patient, organ by organ: what changed, what cannot be compared, what to beware of."""

from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np
import pytest

from napari_ctvlp.ask.followup import COLUMNS, DIFFERENT_PATIENTS, SAME_SCAN, Exam, follow_up, follow_up_csv
from napari_ctvlp.ask.types import AbnormalityScore
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding
from napari_ctvlp.scan import read_scan
from napari_ctvlp.scan.masks import organ_statistics
from napari_ctvlp.scan.types import Audit, AuditItem
from tests.scan.makers import body, write_series


def exam(phantom, encoder, *, grow=0, hu=None, drop=(), turn=None, scores=(), status=None, cut=()):
    """The phantom with a grown liver, other HU, organs missing, one embedding turned away, organs cut."""
    scan, masks = phantom
    labels, values = masks.labels.copy(), scan.hu.copy()
    liver = next(label for label, name in masks.names.items() if name == "liver")
    if grow:
        inside = np.flatnonzero((labels == liver).any((1, 2)))
        labels[inside[-1] + 1 : inside[-1] + 1 + grow][:, 12:40, 10:35] = liver
        values[labels == liver] = 60
    for name, value in (hu or {}).items():
        values[labels == next(n for n, o in masks.names.items() if o == name)] = value
    names = {n: o for n, o in masks.names.items() if o not in drop}
    scan = dataclasses.replace(scan, hu=values)
    statistics = organ_statistics(scan, labels, names)
    for name in cut:
        statistics[name] = dataclasses.replace(statistics[name], touches_edge=True)
    masks = dataclasses.replace(masks, labels=labels, names=names, statistics=statistics)
    organs = tuple(names.values())
    vectors = encoder.encode_text([o.replace("_", " ") for o in organs])
    if turn is not None:
        vectors[organs.index(turn)] = encoder.encode_text(["something else"])[0]
    states = tuple((status or {}).get(o, OrganStatus.COMPLETE) for o in organs)
    return Exam(scan, masks, ScanEmbedding(organs, vectors, states, encoder), scores)


def scores(**values):
    return tuple(AbnormalityScore("spleen", k, v, v, v, "scored") for k, v in values.items() if v is not None)


def rows(found):
    return {row.organ: row for row in found.rows}


def test_a_scan_against_itself_has_not_changed(phantom, word_encoder):
    here = exam(phantom, word_encoder, scores=scores(cyst=0.4))
    found = follow_up(here, here)
    assert len(found.rows) == 4
    for row in found.rows:
        assert row.volume_change == row.hu_change == 0 and row.distance == pytest.approx(0, abs=1e-6)
        assert row.change == pytest.approx(0, abs=1e-4)


def test_changes_are_measured_and_the_most_changed_comes_first(phantom, word_encoder):
    prior = exam(phantom, word_encoder, scores=scores(cyst=0.1, mass=0.5))
    now = exam(phantom, word_encoder, grow=6, hu={"kidney_left": 38}, turn="kidney_right",
               scores=scores(cyst=0.45, mass=0.45))  # fmt: skip
    found = follow_up(prior, now)
    by = rows(found)
    assert by["liver"].volume_change == pytest.approx(0.5) and by["liver"].volume[1] > by["liver"].volume[0]
    assert by["kidney_left"].hu == (30, 38) and by["kidney_left"].hu_change == 8
    assert by["kidney_right"].distance > 0.3
    spleen = by["spleen"]
    assert spleen.finding == "cyst" and spleen.probability == (0.1, 0.45)
    assert spleen.change == pytest.approx(0.35 / 0.2)
    assert by["liver"].change == pytest.approx(5.0) and by["kidney_left"].change == pytest.approx(0.8)
    changes = [row.change for row in found.rows]
    assert changes == sorted(changes, reverse=True) and found.rows[-1].organ == "kidney_left"


@pytest.mark.parametrize(
    ("mine", "theirs", "where"), [(("spleen",), (), "this scan's"), ((), ("spleen",), "the prior's")]
)
def test_what_one_lacks_is_said_and_never_zero(phantom, word_encoder, mine, theirs, where):
    found = follow_up(exam(phantom, word_encoder, drop=theirs), exam(phantom, word_encoder, drop=mine))
    last = found.rows[-1]
    assert last.organ == "spleen" and last.remark == f"not in {where} masks"
    assert last.change is last.volume_change is last.hu_change is last.distance is None
    assert None in last.volume and 0 not in last.volume


def test_what_is_cut_is_told_but_not_compared(phantom, word_encoder):
    prior = exam(phantom, word_encoder, cut=("liver",), status={"liver": OrganStatus.CUT})
    row = rows(follow_up(prior, exam(phantom, word_encoder, grow=6)))["liver"]
    assert row.remark == "cut by field of view in the prior"
    assert row.volume_change is row.hu_change is row.distance is None and None not in row.volume


def test_findings_of_what_is_cut_are_not_compared_either(phantom, word_encoder):
    prior = exam(phantom, word_encoder, scores=scores(cyst=0.05))
    now = exam(phantom, word_encoder, cut=("spleen",), status={"spleen": OrganStatus.CUT}, scores=scores(cyst=0.95))
    for found in (follow_up(prior, now), follow_up(now, prior)):
        row = rows(found)["spleen"]
        assert row.remark.startswith("cut by field of view") and row.change is row.probability_change is None
        assert row.finding == "" and row.probability == (None, None)
        assert found.rows[-1].organ == "spleen"


def test_scores_that_are_doubted_are_not_compared(phantom, word_encoder):
    def doubted(row):
        return dataclasses.replace(row, status="scored; HU wrong", doubted=True)

    cyst, mass = scores(cyst=0.95, mass=0.3)
    prior = exam(phantom, word_encoder, scores=scores(cyst=0.05, mass=0.2))
    row = rows(follow_up(prior, exam(phantom, word_encoder, scores=(doubted(cyst), mass))))["spleen"]
    assert (row.finding, row.probability, row.remark) == ("mass", (0.2, 0.3), "")
    now = exam(phantom, word_encoder, scores=(doubted(cyst), doubted(mass)))
    row = rows(follow_up(prior, now))["spleen"]
    assert (row.finding, row.probability) == ("", (None, None))
    assert row.remark == "scores of this scan not compared: HU wrong"
    assert rows(follow_up(now, prior))["spleen"].remark == "scores of the prior not compared: HU wrong"


def test_without_encoder_volume_and_hu_are_compared(phantom, word_encoder):
    bare = [dataclasses.replace(exam(phantom, word_encoder, grow=g), embedding=None) for g in (0, 3)]
    row = rows(follow_up(*bare))["liver"]
    assert row.distance is None and row.volume_change == pytest.approx(0.25)


def test_embeddings_of_different_encoders_are_not_compared(phantom, word_encoder):
    from tests.conftest import WordEncoder

    other = WordEncoder()
    other.card = dataclasses.replace(other.card, revision="newer")
    assert rows(follow_up(exam(phantom, other), exam(phantom, word_encoder)))["liver"].distance is None


def with_aorta(phantom, hu, vein=40):
    scan, masks = phantom
    labels, values = masks.labels.copy(), scan.hu.copy()
    names = dict(masks.names) | {52: "aorta", 63: "inferior_vena_cava"}
    labels[10:34, 24:28, 38:42], labels[10:34, 24:28, 44:48] = 52, 63
    values[labels == 52], values[labels == 63] = hu, vein
    scan = dataclasses.replace(scan, hu=values)
    masks = dataclasses.replace(masks, labels=labels, names=names, statistics=organ_statistics(scan, labels, names))
    return Exam(scan, masks)


def test_another_contrast_phase_is_a_caveat_and_its_hu_do_not_count(phantom):
    found = follow_up(with_aorta(phantom, 45), with_aorta(phantom, 250, 60))
    assert any("Contrast differs: prior native" in c and "now arterial" in c for c in found.caveats)
    row = rows(found)["aorta"]
    assert row.hu_change == 205 and row.change == pytest.approx(0)


def test_equal_phases_give_no_such_caveat(phantom):
    assert not any("ontrast" in c for c in follow_up(with_aorta(phantom, 45), with_aorta(phantom, 50)).caveats)


def test_thicker_slices_and_warnings_are_caveats(phantom, word_encoder):
    prior, now = exam(phantom, word_encoder), exam(phantom, word_encoder)
    warned = Audit((AuditItem("HU range", "odd", "warning"),))
    prior = dataclasses.replace(prior, scan=dataclasses.replace(prior.scan, spacing=(6.0, 2.0, 2.0), audit=warned))
    told = " ".join(follow_up(prior, now).caveats)
    assert "6 mm apart in the prior and 3 mm now" in told and "audit of the prior has a warning" in told


# -- patients ------------------------------------------------------------------------------------------------------


def of_patient(folder, seed=0, **tags):
    write_series(folder, body(seed=seed), **tags)
    scan = read_scan(folder)
    labels = np.zeros(scan.hu.shape, np.uint8)
    labels[6:9, 5:9, 4:12] = 5
    from napari_ctvlp.scan.types import OrganMasks

    return Exam(scan, OrganMasks(labels, {5: "liver"}, "x", statistics=organ_statistics(scan, labels, {5: "liver"})))


def test_one_patient_is_recognised_with_the_days_between(tmp_path):
    prior = of_patient(tmp_path / "a", StudyDate="20200101")
    now = of_patient(tmp_path / "b", StudyDate="20200702")
    found = follow_up(prior, now)
    assert found.patients.same is True and found.patients.days == 183
    assert not any("patient" in c for c in found.caveats)
    swapped = follow_up(now, prior)
    assert any("183 days after" in c for c in swapped.caveats)


def test_two_patients_are_warned_about_without_saying_who(tmp_path):
    found = follow_up(of_patient(tmp_path / "a"), of_patient(tmp_path / "b", PatientID="PID0815"))
    assert found.patients.same is False and found.caveats[0] == DIFFERENT_PATIENTS
    said = repr(found) + follow_up_csv(found)
    assert not any(word in said for word in ("PID", "0815", "4711", "Mustermann", "1970"))


def test_a_scan_that_does_not_say_whose_it_is_is_a_caveat(tmp_path, phantom, word_encoder):
    nobody = of_patient(tmp_path / "a", PatientID="")
    for other in (of_patient(tmp_path / "b", seed=4), exam(phantom, word_encoder)):
        found = follow_up(nobody, other)
        assert found.patients.same is None and any("not known" in c for c in found.caveats)


def test_the_scan_itself_is_no_prior_and_that_is_said(tmp_path, phantom, word_encoder):
    here = exam(phantom, word_encoder)
    again = exam((dataclasses.replace(here.scan, hu=here.scan.hu.copy(), name="copy"), here.masks), word_encoder)
    assert SAME_SCAN in follow_up(again, here).caveats
    hu = here.scan.hu.copy()
    hu[3, 4, 5] += 1
    moved = here.scan.affine.copy()
    moved[0, 3] += 5.0
    for other in (
        dataclasses.replace(here.scan, hu=hu),  # another phase on the same grid
        dataclasses.replace(here.scan, affine=moved),
    ):
        assert SAME_SCAN not in follow_up(exam((other, here.masks), word_encoder), here).caveats


# -- table ---------------------------------------------------------------------------------------------------------


def test_csv_has_a_line_an_organ_and_nothing_where_nothing_is_known(phantom, word_encoder):
    prior = exam(phantom, word_encoder, drop=("spleen",))
    now = exam(phantom, word_encoder, grow=6, scores=scores(cyst=0.5))
    lines = list(csv.DictReader(io.StringIO(follow_up_csv(follow_up(prior, now)))))
    assert tuple(lines[0]) == COLUMNS and lines[0]["organ"] == "liver"
    assert lines[0]["volume_change_percent"] == "50.0"
    spleen = next(line for line in lines if line["organ"] == "spleen")
    assert spleen["volume_ml_prior"] == spleen["change"] == spleen["hu_change"] == "" != spleen["volume_ml_now"]
    assert spleen["remark"] == "not in the prior's masks"


@pytest.mark.slow
def test_an_enlarged_spleen_of_the_synthetic_world_comes_first():
    """The same body, painted with a splenomegaly and without, through the real encoder."""
    from napari_ctvlp.anatomy.schemes import SCHEMES
    from napari_ctvlp.encoder import load_encoder
    from napari_ctvlp.prior import compared
    from napari_ctvlp.rooms import Rooms
    from napari_ctvlp.scan.audit import audit_volume
    from napari_ctvlp.scan.types import OrganMasks, Scan, StoredGrid
    from training.world.sample import make_sample
    from training.world.scene import as_array

    def made(choices):
        sample = make_sample(3006, body=106, region="abdomen and pelvis", choices=choices)
        hu, labels = (np.ascontiguousarray(as_array(v)) for v in (sample.hu, sample.labels))
        affine = np.array([[0, 0, 3, 0], [0, 3, 0, 0], [-3, 0, 0, 0], [0, 0, 0, 1]], float)
        scan = Scan(hu, (3.0, 3.0, 3.0), affine, "w", StoredGrid(hu.shape, affine, "IPL"), audit_volume(hu, affine))
        table = SCHEMES["totalsegmentator_v2"]
        names = {int(n): table[int(n)] for n in np.unique(labels) if n}
        return Exam(scan, OrganMasks(labels, names, "x", statistics=organ_statistics(scan, labels, names)))

    encoder, rooms = load_encoder("starter"), Rooms()
    now = made([("splenomegaly", "spleen")])
    embedding = encoder.encode_scan(now.scan, now.masks)
    now = dataclasses.replace(now, embedding=embedding, scores=tuple(rooms.score_abnormalities(embedding)))
    prior, found = compared(made([]), now, rooms)
    spleen = rows(found)["spleen"]
    assert prior.embedding is not None and spleen.volume_change > 0.5 and spleen.distance > 0.05
    assert spleen.finding == "splenomegaly" and spleen.probability_change > 0.1
    assert "spleen" in [row.organ for row in found.rows[:3]]
