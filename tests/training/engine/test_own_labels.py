"""Labels of one's own: from the columns of a manifest to what a method is taught, also without any report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_ctvlp.encoder import load_encoder
from napari_ctvlp.errors import UserError
from tests.training.test_prepare import row, run, write_manifest, write_pair
from tests.training.tiny_text import write_tiny
from training.config import OptimConfig, RefineConfig, TextConfig
from training.data.batch import _known_in
from training.data.own_labels import labels_told, records_of_labels
from training.data.prepared import PreparedStore
from training.data.records import OrganRecord
from training.data.texts import classes_of
from training.engine.features import ScanFeatures, _as_state, _of_state
from training.engine.network import Pooled
from training.engine.states import class_matrix, told_matrices
from training.engine.validate import Embedded, score_pairs
from training.pretrain import pretrain
from training.settings import from_command_line

from .phantoms import CONFIG, Sentences, config_of, start

KIDNEYS = {2: "kidney_right", 3: "kidney_left", 5: "liver"}
LABELS = {"kidney_stone": 1, "hydronephrosis": 0, "Liver cyst": 1, "unheard of": 1}


def test_a_label_of_a_study_is_told_of_its_organs():
    found = records_of_labels(LABELS, KIDNEYS)
    assert found[5] == OrganRecord("liver", ("liver_cyst",), (), told=("liver_cyst",))
    for label in (2, 3):  # which of the two has the stone is not known
        side = found[label]
        assert side.abnormalities == () and side.told == ("hydronephrosis",) and side.one_of == ("kidney_stone",)
        assert side.tells("hydronephrosis") and not side.tells("kidney_stone")
    alone = records_of_labels(LABELS, {3: "kidney_left"})[3]
    assert alone.abnormalities == ("kidney_stone",) and alone.one_of == ()
    assert not records_of_labels(LABELS, {1: "spleen"})[1].known


def test_labels_that_cannot_be_learned_from_are_named():
    assert labels_told(["kidney_stone", "renal calculus", "unheard of", "scoliosis"]) == (
        "Labels learned from: kidney_stone, renal calculus. "
        "No entry of the abnormality dictionary is called unheard of: not learned from. "
        "No organ is scored by itself for scoliosis: not learned from."
    )
    with pytest.raises(UserError, match=r"nothing to learn from.*is called heaviness.*label:kidney_stone"):
        labels_told(["heaviness"])
    with pytest.raises(UserError, match="no label:NAME columns"):
        labels_told([])


def test_a_disease_that_its_entry_is_broader_than_is_not_the_entry():
    """Who has no such disease may still have the abnormality that stands for it."""
    narrower = "hepatocellular carcinoma"
    with pytest.raises(UserError, match=narrower):
        labels_told([narrower])


def test_unknown_is_not_absent():
    records = list(records_of_labels(LABELS, KIDNEYS).values())
    classes = classes_of([*records, *records_of_labels({"kidney_stone": 1, "steatosis": 1}, {5: "liver"}).values()],
                         at_least=1)  # fmt: skip
    classes = replace(classes, states=(*classes.states, ("kidney_left", "hydronephrosis"), ("liver", "fatty_liver")))
    states = class_matrix(records, classes)
    told, one_of = told_matrices(records, classes, states)

    def said(matrix):
        return {(records[r].organ, classes.states[c][1]) for r, c in matrix.nonzero().tolist()}

    assert said(states) == {("liver", "liver_cyst")}  # and none is called normal
    assert said(told) == {("liver", "liver_cyst"), ("kidney_left", "hydronephrosis")}
    assert said(one_of) == {("kidney_left", "kidney_stone"), ("kidney_right", "kidney_stone")}


def test_of_records_without_labels_all_is_told_where_the_state_is_known():
    records = [OrganRecord("liver", ("liver_cyst",), ()), OrganRecord("liver", (), (), known=False)]
    classes = classes_of([*records, OrganRecord("spleen", (), ())], at_least=1)
    told, one_of = told_matrices(records, classes, class_matrix(records, classes))
    assert [classes.states[c][0] for c in told[0].nonzero()[:, 0].tolist()] == ["liver", "liver"]
    assert not told[1].any() and not one_of.any()


def test_a_crop_takes_away_what_may_lie_outside_of_it():
    organs = records_of_labels(LABELS, KIDNEYS)
    voxels = np.zeros(256, np.int64)
    voxels[[2, 3, 5]] = 8
    cut = np.zeros((4, 4, 4), np.uint8)
    cut[0, :2], cut[1, :2], cut[2, :1] = 2, 3, 5  # both kidneys, half of the liver
    found = _known_in(cut, voxels, organs)
    assert found[2] == organs[2] and found[3] == organs[3]
    assert found[5].abnormalities == () and not found[5].tells("liver_cyst")
    cut[1] = 0  # the left kidney, which may be the one with the stone
    found = _known_in(cut, voxels, organs)
    assert found[2].one_of == found[3].one_of == () and found[2].tells("hydronephrosis")


def test_what_is_told_is_kept_with_the_features_of_a_scan():
    records = [*records_of_labels(LABELS, KIDNEYS).values(), OrganRecord("spleen", (), ("The spleen is normal.",))]
    kept = _of_state(_as_state(ScanFeatures(Pooled(torch.zeros(4, 2), None), records)))
    assert kept.records == records


def test_only_what_is_told_is_validated():
    known = start(config_of("finetune"))
    records = [*records_of_labels(LABELS, KIDNEYS).values()]
    records += records_of_labels({"liver_cyst": 0, "kidney_stone": 0}, KIDNEYS).values()
    embedded = Embedded(np.eye(6, 32, dtype=np.float32), np.repeat([0, 1], 3), records)
    pairs = {p.key: p for p in score_pairs(known.average, embedded, known.classes, Sentences())}
    assert pairs["liver/liver_cyst"].present.tolist() == [True, False]
    assert pairs["kidney_left/kidney_stone"].present.tolist() == [False]  # of the other scan it is not known


@pytest.mark.parametrize("given, said", [
    (["--labels", "own", "--method", "finetune"], "add --data PREPARED"),
    (["--labels", "own", "--method", "ours", "--data", "here"], "take one of finetune, finetune-labels, supervised"),
])  # fmt: skip
def test_labels_of_ones_own_are_refused_where_they_cannot_be_learned(given, said):
    with pytest.raises(UserError, match=said):
        from_command_line(given)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Studies without a report: what is known of them are labels."""
    folder = tmp_path_factory.mktemp("labelled")
    labels = [
        {"kidney_stone": 1, "liver_cyst": 0},
        {"kidney_stone": 0, "liver_cyst": 1, "mystery": 0},
        {"liver_cyst": 1},
    ]
    rows = []
    for seed, (each, split) in enumerate(zip(labels, ("train", "train", "validation"), strict=True)):
        write_pair(folder, f"s{seed}", seed)
        rows.append(row(f"s{seed}", report="", split=split, labels=each))
    run(write_manifest(folder / "manifest.jsonl", rows))
    return next(p.parent for p in folder.rglob("store.json"))


def test_labels_without_reports_are_learned_and_give_an_encoder(tmp_path, prepared, capsys):
    assert "of its organs is known what its labels say" in (prepared / "problems.csv").read_text()
    reports, own = (PreparedStore(prepared, "train", own=which) for which in (False, True))
    assert not any(r.known for r in reports.records(0).values())
    assert {r.organ: r.abnormalities for r in own.records(0).values()} == {
        "spleen": (), "kidney_left": ("kidney_stone",), "liver": (),
    }  # fmt: skip
    assert own.load(1).organs == own.records(1)
    config = replace(
        CONFIG,
        run=tmp_path,
        data=str(prepared),
        method="finetune",
        labels="own",
        at_least=1,
        text=TextConfig(str(write_tiny(tmp_path / "text"))),
        optim=OptimConfig(steps=2, batch=2, warmup=1),
        refine=RefineConfig(steps=2, scans=2),
    )
    pretrain(config)
    said = capsys.readouterr().out
    assert (
        "Labels learned from: kidney_stone, liver_cyst. No entry of the abnormality dictionary is called mystery"
        in said
    )
    encoder = load_encoder(tmp_path / "encoder", device="cpu")
    assert encoder.card.abnormalities == ("kidney_left/kidney_stone", "liver/liver_cyst")
    assert encoder.card.summary.startswith("Scan encoder trained on prepared scans and labels")
