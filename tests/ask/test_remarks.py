"""What is said beside an answer: what it leaves out, and why there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.ask import rank_organs
from napari_ctvlp.ask.places import others
from napari_ctvlp.ask.types import Finding
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding
from tests.conftest import WordEncoder

ORGANS = ("liver", "spleen", "kidney_left", "kidney_right", "gallbladder", "hip_left", "femur_left")


@pytest.fixture(scope="module")
def scan() -> ScanEmbedding:
    keys = tuple(entry.pair_key(organ) for entry in load_dictionary() for organ in entry.organs)
    encoder = WordEncoder(abnormalities=keys)
    names = [o.replace("_", " ") for o in ORGANS]
    return ScanEmbedding(ORGANS, encoder.encode_text(names), (OrganStatus.COMPLETE,) * len(ORGANS), encoder)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("calcul rénal droit", "I read English only; not English: 'calcul', 'rénal', 'droit'."),
        ("肾结石", "I read English only."),
        ("gas", "'gas' says too little: name a finding, or the organ to look in."),
        ("left", "The question names no organ and no finding;"),
        ("is everything normal?", "No organ and no scan can be called normal here:"),
        ("which organ is abnormal", "No organ and no scan can be called normal here:"),
        ("what volume", "The question names no organ. Volume and mean HU of each organ stand in the tab Organs"),
    ],
)
def test_a_question_without_an_answer_says_why(scan, text, told):
    answer = rank_organs(scan, text)
    assert not answer.matched and answer.finding is None and answer.message.startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "stone in the right kidney and cyst in the left kidney",
            "Also asked, not answered: 'cyst in the left kidney'; ask it by itself.",
        ),
        ("gallstones; hydronephrosis; ascites", "'hydronephrosis', 'ascites'; ask each by itself."),
        ("kidney stone > 5 mm", "Sizes are not read: '> 5 mm'."),
        ("calcified gallstones", "Not read: 'calcified'."),
        ("volume of the liver", "and in what 'napari-ctvlp stats' writes."),
        ("is the liver normal?", "findings are scored one by one, all of them in the tab Findings."),
    ],
)
def test_what_an_answer_leaves_out_follows_it(scan, text, told):
    answer = rank_organs(scan, text)
    assert answer.matched and answer.message.endswith(told)
    assert answer.message.startswith(("Kidney stone, ", "Gallstones, ", "Best match: liver."))


def test_the_side_of_the_second_question_is_not_that_of_the_answer(scan):
    answer = rank_organs(scan, "stone in the right kidney and cyst in the left kidney")
    assert (answer.finding.abnormality, answer.finding.organ) == ("kidney_stone", "kidney_right")
    answer = rank_organs(scan, "no stone in the left kidney but stone in the right kidney")
    assert answer.finding.organ == "kidney_left" and answer.message.startswith("Asked for absence: ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("HCC", "HCC is not scored by itself; what is scored in its place, liver metastasis, is not the same. "),
        ("lesion in the liver", "Lesion is not scored by itself; what is scored in its place, liver metastasis, "),
        ("cyst", "'cyst' may mean any of "),
        (
            "cyst in liver and kidney",
            "'cyst in liver and kidney' may mean liver cyst or kidney cyst. ",
        ),
        ("gallstones near the liver", "Gallstones: not looked for in the liver. "),
        ("kidney and liver cysts", "Liver cyst: not looked for in the right kidney and left kidney. "),
    ],
)
def test_as_what_a_question_was_read_comes_before_the_answer(scan, text, told):
    answer = rank_organs(scan, text)
    assert answer.message.startswith(told) and answer.finding is not None


def test_of_a_word_for_several_findings_each_is_told(scan):
    finding = rank_organs(scan, "cyst").finding
    keys = [kind.abnormality for kind in finding.kinds]
    assert keys[0] == finding.abnormality and len(keys) == len(set(keys))
    assert set(keys) == {"liver_cyst", "kidney_cyst", "splenic_cyst"}  # the others have no organ in this scan
    for kind in finding.kinds:  # each as where it is asked for by itself
        alone = rank_organs(scan, kind.abnormality.replace("_", " ")).finding
        assert (kind.status, kind.organ, len(kind.places)) == (alone.status, alone.organ, len(alone.places))
        assert kind.probability == pytest.approx(alone.probability, abs=1e-6) and not alone.kinds


def test_what_else_a_word_may_mean_is_told_by_status():
    def kind(key: str, status: str, probability: float | None = None) -> Finding:
        return Finding(key, "liver", probability, probability, probability, status)

    first = kind("a", "present", 0.9)
    rest = [kind("b", "present", 0.8), kind("c", "absent", 0.1), kind("d", "N/A: cut by field of view")]
    rest += [kind(key, "absent", 0.2) for key in "efgh"]
    names = {key: f"the {key}" for key in "abcdefgh"}
    (line,) = others(replace(first, kinds=(first, *rest)), names)
    assert line == (
        "Else present: the b (liver, 0.80 (0.80–0.80)); absent: the c, the e, the f, the g and 1 more; 1 not judged."
    )
    assert others(first, names) == []


@pytest.mark.parametrize(
    "text",
    ["kidney stone", "enlarged spleen", "left renal cyst", "hip fracture", "left kidney", "no gallstones", "banana"],
)
def test_where_all_is_answered_nothing_is_said_beside(scan, text):
    assert rank_organs(scan, text).message.count(". ") == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no gallbladder", "Asked for absence: the masks hold the gallbladder."),
        ("absent left kidney", "Asked for absence: the masks hold the left kidney."),
        ("no pancreas", "The masks hold no pancreas."),
    ],
)
def test_whether_an_organ_is_absent_is_told_by_the_masks(scan, text, told):
    assert rank_organs(scan, text).message == told


def test_organs_that_the_masks_do_not_hold_are_not_counted(scan):
    assert rank_organs(scan, "zebra stripes in the bones").message.endswith(
        "showing the left femur and left hip bone only."
    )
