"""Statements on whole regions cover the organs of which nothing else is said; "nothing acute" calls nothing normal."""

from __future__ import annotations

import pytest

from training.reports.parse import parse_report


def states(text: str) -> dict[str, str]:
    return {o: label.state for o, label in parse_report(text).labels.items()}


ABDOMEN = {"liver", "gallbladder", "spleen", "pancreas", "kidney_left", "kidney_right", "stomach", "colon"}
CHEST = {"lung_upper_lobe_left", "lung_lower_lobe_right", "heart", "esophagus", "trachea", "aorta"}


@pytest.mark.parametrize(
    ("text", "normal", "silent"),
    [
        ("Normal chest CT.", CHEST, {"liver", "sternum", "vertebrae_T5"}),
        ("CT of the chest is unremarkable.", CHEST, {"liver"}),
        ("Remaining abdominal organs are normal.", ABDOMEN, {"heart", "hip_left", "urinary_bladder"}),
        ("Otherwise the abdominal organs are normal.", ABDOMEN, {"heart"}),
        ("Unremarkable CT of the abdomen and pelvis.", ABDOMEN | {"urinary_bladder"}, {"sacrum", "hip_left", "heart"}),
        ("Normal CT scan of the chest, abdomen, and pelvis.", ABDOMEN | CHEST | {"urinary_bladder"}, {"hip_left"}),
        ("The visualized upper abdomen is unremarkable.", {"liver", "spleen"}, {"colon", "urinary_bladder"}),
        ("ABDOMEN: Unremarkable.", ABDOMEN, {"heart"}),
        ("No abnormality is seen in the chest.", CHEST, {"liver"}),
        ("No acute or chronic intra-abdominal abnormality.", ABDOMEN, {"heart"}),
    ],
)
def test_a_normal_region_covers_its_organs(text: str, normal: set[str], silent: set[str]) -> None:
    read = states(text)
    assert {o: read.get(o) for o in normal} == dict.fromkeys(normal, "normal")
    assert not silent & read.keys()


@pytest.mark.parametrize(
    "text",
    [
        "Unremarkable CT.",
        "No acute abnormality.",
        "The abdominal wall is normal.",
        "Chest wall: unremarkable.",
        "CT of the abdominal wall is unremarkable.",
        "The abdomen was not examined.",
        "CHEST: Port in place.",
    ],
)
def test_what_covers_no_region(text: str) -> None:
    assert "normal" not in states(text).values()


def test_organs_of_which_something_else_is_said_are_not_covered() -> None:
    text = (
        "Stone in the left kidney. Possible splenic infarct. No gallstones. The remaining abdominal organs are normal."
    )
    read = parse_report(text)
    assert read.labels["kidney_left"].state == "abnormal" and read.labels["spleen"].state == "uncertain"
    assert read.labels["kidney_right"].state == read.labels["liver"].state == "normal"
    assert read.labels["gallbladder"].state == "normal" and read.labels["gallbladder"].absent == ("gallstones",)
    assert not [s for s in read.statements if s.organ == "kidney_left" and s.polarity == "normal"]


def test_an_organ_named_in_a_region_speaks_for_itself() -> None:
    assert states("The aorta is normal in the abdomen.") == {"aorta": "normal"}
    assert states("The pelvis is intact.").keys() == {"sacrum", "hip_left", "hip_right"}
    read = states("The heart and the remaining thoracic structures are normal.")
    assert read["heart"] == read["trachea"] == "normal"


@pytest.mark.parametrize(
    "text", ["No acute intra-abdominal abnormality.", "No acute abnormality in the abdomen or pelvis."]
)
def test_nothing_acute_denies_what_is_acute_and_calls_nothing_normal(text: str) -> None:
    read = parse_report(text).labels
    assert {label.state for label in read.values()} == {"unknown"}
    assert "appendicitis" in read["colon"].absent and "pancreatitis" in read["pancreas"].absent
    assert not read["gallbladder"].absent and "liver_cyst" not in read["liver"].absent and "heart" not in read


def test_nothing_acute_of_an_organ_is_the_same() -> None:
    read = parse_report("No acute abnormality of the spleen. No acute osseous abnormality.").labels
    assert read["spleen"].state == "unknown" and "splenic_infarct" in read["spleen"].absent
    assert read["vertebrae_L1"].state == "unknown"
    assert "vertebral_compression_fracture" in read["vertebrae_L1"].absent
