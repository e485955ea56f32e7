"""Each family of rules by hand: reach of a denial, asides, history, measures, lists, headings; and CT-RATE's labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_ctvlp.anatomy.dictionary import load_dictionary
from napari_ctvlp.anatomy.organs import ORGANS
from napari_ctvlp.errors import UserError
from training.reports.ct_rate import LABELS, read_labels
from training.reports.measure import (
    MeasureConfig,
    ct_rate_labels,
    f1,
    labelled_sentences,
    macro_f1,
    measure,
    vocabulary,
    world_wordings,
)
from training.reports.parse import parse_report
from training.reports.split import sentences
from training.reports.words import place_words, terms


def said(text: str) -> set[tuple[str | None, str]]:
    """(entry, polarity) of every statement."""
    return {(s.abnormality, s.polarity) for s in parse_report(text).statements}


@pytest.mark.parametrize(
    ("text", "key", "polarity"),
    [
        ("Pericardial effusion was not observed.", "pericardial_effusion", "absent"),
        ("No lymphadenopathy was seen, a stone in the left kidney is noted.", "kidney_stone", "present"),
        ("A stone is seen in the left kidney, hydronephrosis was not observed.", "kidney_stone", "present"),
        ("A stone is seen in the left kidney, hydronephrosis was not observed.", "hydronephrosis", "absent"),
        ("No stone, cyst or hydronephrosis in the left kidney.", "hydronephrosis", "absent"),
        ("The pleural effusion, which was seen previously, is not observed now.", "pleural_effusion", "absent"),
        ("The pleural effusion, which was seen previously, is larger now.", "pleural_effusion", "present"),
        ("Atelectasis rather than pneumonia.", "lung_consolidation", "absent"),
        ("Atelectasis rather than pneumonia.", "atelectasis", "present"),
        ("No significant change in the pleural effusion.", "pleural_effusion", "present"),
        ("Without significant change in the pleural effusion.", "pleural_effusion", "present"),
        ("Density in the lower lobe (pneumonia?).", "lung_consolidation", "uncertain"),
        ("Splenomegaly is unlikely.", "splenomegaly", "uncertain"),
        ("Evaluation of the kidneys for hydronephrosis is advised.", "hydronephrosis", "uncertain"),
    ],
)
def test_how_far_denial_and_doubt_reach(text: str, key: str, polarity: str) -> None:
    assert (key, polarity) in said(text)
    assert {p for k, p in said(text) if k == key} == {polarity}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("The heart size is markedly increased.", "cardiomegaly"),
        ("There is an increase in heart size.", "cardiomegaly"),
        ("The cardiothoracic ratio has increased.", "cardiomegaly"),
        ("The spleen has increased in size.", "splenomegaly"),
        ("The ascending aorta is increased in diameter.", "aortic_aneurysm"),
        ("Liver density was minimally decreased.", "liver_steatosis"),
        ("The bile ducts within the liver are mildly dilated.", "biliary_dilatation"),
        ("The calyces of the left kidney are mildly distended.", "hydronephrosis"),
        ("Bulky nodes in the mediastinum.", "mediastinal_lymphadenopathy"),
        ("Fluid within the peritoneal cavity.", "ascites"),
    ],
)
def test_phrases_with_words_between(text: str, key: str) -> None:
    assert (key, "present") in said(text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("The cyst in the spleen has increased in size.", "splenomegaly"),
        ("The bile ducts within the liver are not dilated.", "biliary_dilatation"),
        ("The cardiothoracic ratio is not increased.", "cardiomegaly"),
        ("History of pancreatitis.", "pancreatitis"),
        ("Increased attenuation of the liver.", "hepatomegaly"),
        ("A low density lesion in the liver.", "liver_steatosis"),
    ],
)
def test_what_such_phrases_must_not_state(text: str, key: str) -> None:
    assert (key, "present") not in said(text)


def test_what_a_history_left_behind_is_still_there() -> None:
    assert ("gallbladder_absent", "present") in said("History of cholecystectomy.")


def test_one_word_means_the_entry_of_each_organ_that_it_stands_with() -> None:
    read = said("Calcific atheroma plaques are observed in the aorta and coronary arteries.")
    assert {("aortic_calcification", "present"), ("coronary_calcification", "present")} <= read


def test_a_reason_names_no_place_and_a_surgery_names_its_organ() -> None:
    text = "A thickened loop of small bowel. No obstruction, as there is contrast within the colon."
    assert {s.organ for s in parse_report(text).statements} == {"small_bowel"}
    assert parse_report("Status post left nephrectomy.").labels.keys() == {"kidney_left"}


def test_a_name_that_holds_its_organ_is_not_moved_to_another() -> None:
    states = {
        o: label.abnormalities for o, label in parse_report("Right lobe below the kidney: hepatomegaly.").labels.items()
    }
    assert states.get("liver") == ("hepatomegaly",)


def test_lobes_named_in_one_breath() -> None:
    read = parse_report("Ground glass in the upper and middle lobes of the right lung.").labels
    assert set(read) == {"lung_upper_lobe_right", "lung_middle_lobe_right"}


@pytest.mark.parametrize(
    ("text", "organ", "present", "doubtful"),
    [
        ("Indeterminate lesion of the liver.", "liver", (), ()),
        ("Hypodense liver lesion too small to characterize.", "liver", (), ()),
        ("Multiple hepatic lesions.", "liver", (), ()),
        ("Hypodense liver lesion compatible with a cyst.", "liver", ("liver_cyst",), ()),
        ("Liver lesion, likely a hemangioma.", "liver", (), ("liver_haemangioma",)),
        ("Liver lesion consistent with a metastasis.", "liver", ("liver_metastasis",), ()),
        ("Metastatic liver lesions.", "liver", ("liver_metastasis",), ()),
        ("A 2 cm renal lesion on the left.", "kidney_left", (), ()),
        ("Left renal mass.", "kidney_left", ("kidney_mass",), ()),
        ("Left adrenal lesion.", "adrenal_gland_left", ("adrenal_nodule",), ()),
    ],
)
def test_a_lesion_is_what_it_is_called_and_no_more(
    text: str, organ: str, present: tuple[str, ...], doubtful: tuple[str, ...]
) -> None:
    label = parse_report(text).labels[organ]
    assert (label.state, label.abnormalities, label.uncertain) == ("abnormal", present, doubtful)


def test_no_lesion_is_none_of_what_a_lesion_may_be() -> None:
    assert parse_report("No hepatic lesions.").labels["liver"].absent == ("liver_metastasis",)


@pytest.mark.parametrize(
    "text",
    [
        "The heart has a natural appearance.",
        "No significant pathology was detected in the heart.",
        "The heart contour is preserved.",
    ],
)
def test_other_words_for_normal(text: str) -> None:
    assert parse_report(text).labels["heart"].state == "normal"


def test_history_amid_findings_ends_with_its_line_and_one_before_them_does_not() -> None:
    amid = "FINDINGS: The liver is normal.\nHISTORY: Kidney stones.\nThe spleen is enlarged."
    before = "HISTORY: Kidney stones.\nKnown enlarged spleen.\nFINDINGS: The liver is normal."
    assert [line.text for line in sentences(amid)] == ["The liver is normal.", "The spleen is enlarged."]
    assert [line.text for line in sentences(before)] == ["The liver is normal."]


def test_bullets_separate() -> None:
    assert [line.text for line in sentences("Atherosclerosis. • mild emphysema • Liver cyst.")] == [
        "Atherosclerosis.",
        "mild emphysema",
        "Liver cyst.",
    ]


def test_every_term_points_to_something_that_exists() -> None:
    keys = {a.key for a in load_dictionary()}
    groups = [*terms()["signs"], *terms()["unspecified"], *(row for row in terms()["patterns"] if "of" in row)]
    assert set(terms()["findings"]) | {k for group in groups for k in group["of"]} <= keys
    assert {o for place in place_words().table.values() for o in place.organs} <= set(ORGANS)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Mosaic attenuation pattern in both lungs.", {"Mosaic attenuation pattern"}),
        ("No mosaic attenuation.", set()),
        ("Peribronchial thickness increases are seen.", {"Peribronchial thickening"}),
        ("Interlobular septal thickenings in both lungs.", {"Interlobular septal thickening"}),
        ("Consolidation in the left lower lobe.", {"Consolidation", "Lung opacity"}),
        ("Fibrotic sequelae in the right upper lobe.", {"Pulmonary fibrotic sequela"}),
        ("Sequela fracture of the sternum.", set()),
        ("Central venous catheter.", {"Medical material"}),
        ("Lymph nodes with a short axis of 6 mm.", {"Lymphadenopathy"}),
        ("No enlarged lymph nodes were detected.", set()),
        ("Small hiatal hernia. Pericardial effusion-thickening was not observed.", {"Hiatal hernia"}),
    ],
)
def test_ct_rate_labels(text: str, labels: set[str]) -> None:
    assert {name for name, holds in read_labels(text).items() if holds} == labels


def test_scores_by_hand(tmp_path: Path) -> None:
    true = np.array([[1, 0, 0], [1, 1, 0]], bool)
    read = np.array([[1, 1, 0], [0, 1, 0]], bool)
    assert f1(true[:, 0], read[:, 0]) == pytest.approx(2 / 3) and np.isnan(f1(true[:, 2], read[:, 2]))
    assert macro_f1(true, read) == pytest.approx(2 / 3)
    labels = [
        {"sentence": "The liver is normal.", "ts_v2_classes": ["liver"], "presence": "absent"},
        {"sentence": "Splenomegaly.", "ts_v2_classes": ["spleen", "pancreas"], "presence": "present"},
    ]
    report = {"id": "a", "text": "The liver is normal. Splenomegaly.", "labels": labels}
    (tmp_path / "s.jsonl").write_text(json.dumps(report), encoding="utf-8")
    scores = labelled_sentences(tmp_path / "s.jsonl")
    assert scores["organ F1"].value == pytest.approx(4 / 5) and len(scores["organ F1"].misses) == 1
    assert scores["abnormal F1"].value == pytest.approx(2 / 3) and scores["normal F1"].value == 1


def test_a_folder_that_is_not_there_is_said() -> None:
    with pytest.raises(UserError, match="no such folder"):
        measure(MeasureConfig(Path("nowhere")))


def test_real_reports(shared_data: Path) -> None:
    """Floors below what is reached; the second half of CT-RATE's reports was not read while rules were written."""
    marked = labelled_sentences(shared_data / "reports" / "mtsamples_ct.jsonl")
    assert all(score.value >= 0.95 for score in marked.values()), marked
    path = shared_data / "reports_noncommercial" / "ct_rate_labelled.csv"
    assert ct_rate_labels(path).macro.value >= 0.90
    assert ct_rate_labels(path, slice(0, None, 2)).macro.value >= 0.92
    assert ct_rate_labels(path, slice(1, None, 2)).macro.value >= 0.85
    assert set(ct_rate_labels(path).by_label) == set(LABELS) and len(LABELS) == 18
    assert vocabulary(shared_data / "vocab" / "openimaging_ct_findings.json").value >= 0.6


def test_wordings_never_used_while_writing_rules_are_read_less_well_but_mostly() -> None:
    trained, kept = world_wordings(False), world_wordings(True)
    assert trained["organ"].value >= 0.97 and trained["entry"].value >= 0.97
    assert kept["organ"].value >= 0.75 and kept["entry"].value >= 0.55
