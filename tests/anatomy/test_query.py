"""Reading questions: organs, sides, negation, findings, levels, misspellings, anything at all."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ctvlp.anatomy import GROUPS, ORGANS, load_dictionary
from napari_ctvlp.anatomy.parsed import MAX_CHARACTERS
from napari_ctvlp.anatomy.query import parse_query, suggestions
from napari_ctvlp.errors import UserError


@pytest.mark.parametrize(
    ("text", "organs", "finding"),
    [
        ("left kidney", {"kidney_left"}, None),
        ("renal stone on the left", {"kidney_left"}, "kidney_stone"),
        ("enlarged spleen", {"spleen"}, "splenomegaly"),
        ("L3 vertebra", {"vertebrae_L3"}, None),
        ("where bile is stored", set(), None),
        ("banana", set(), None),
    ],
)
def test_questions_of_the_first_demonstration(text, organs, finding):
    query = parse_query(text)
    assert (set(query.organs), query.abnormality) == (organs, finding)


@pytest.mark.parametrize(
    ("text", "organs", "side"),
    [
        ("L kidney", {"kidney_left"}, "left"),
        ("kidney_left", {"kidney_left"}, "left"),
        ("the kidney on the right side", {"kidney_right"}, "right"),
        ("right-sided kidney", {"kidney_right"}, "right"),
        ("left-hand side kidney", {"kidney_left"}, "left"),
        ("Rt. adrenal", {"adrenal_gland_right"}, "right"),
        ("both kidneys", {"kidney_left", "kidney_right"}, "both"),
        ("kidneys", {"kidney_left", "kidney_right"}, None),
        ("left kidney and right adrenal gland", {"kidney_left", "adrenal_gland_right"}, "both"),
        ("right lobe of the liver", {"liver"}, "right"),
        ("left lower lobe", {"lung_lower_lobe_left"}, "left"),
        ("LLL", {"lung_lower_lobe_left"}, None),
        ("lower lobe of the right lung", {"lung_lower_lobe_right"}, "right"),
        ("right middle lobe", {"lung_middle_lobe_right"}, "right"),
        ("left lung", set(GROUPS["lungs_left"]), "left"),
        ("L3", {"vertebrae_L3"}, None),
        ("right atrium", {"heart_atrium_right"}, "right"),
        ("left buttock", {f"gluteus_{m}_left" for m in ("maximus", "medius", "minimus")}, "left"),
    ],
)
def test_sides(text, organs, side):
    query = parse_query(text)
    assert (set(query.organs), query.side) == (organs, side)
    assert not {"left", "right", "l", "r"} & set(query.core.lower().split()) or query.side is None


def vertebrae(*levels: str) -> set[str]:
    return {f"vertebrae_{level}" for level in levels}


@pytest.mark.parametrize(
    ("text", "organs"),
    [
        ("L3-L5", vertebrae("L3", "L4", "L5")),
        ("L5–L3", vertebrae("L3", "L4", "L5")),
        ("T12 to L2", vertebrae("T12", "L1", "L2")),
        ("c7 through t2", vertebrae("C7", "T1", "T2")),
        ("L3/4", vertebrae("L3", "L4")),
        ("L1, L3 and L5", vertebrae("L1", "L3", "L5")),
        ("L1,L3", vertebrae("L1", "L3")),
        ("L5/S1", vertebrae("L5", "S1")),
        ("third lumbar vertebra", vertebrae("L3")),
        ("lumbar spine", vertebrae("L1", "L2", "L3", "L4", "L5")),
        ("atlas", vertebrae("C1")),
        ("3rd rib on the left", {"rib_left_3"}),
        ("3rd left rib", {"rib_left_3"}),
        ("rib 7 left", {"rib_left_7"}),
        ("rib no. 7", {"rib_left_7", "rib_right_7"}),
        ("ribs 4, 5 and 7 on the right", {"rib_right_4", "rib_right_5", "rib_right_7"}),
        ("third to fifth left ribs", {"rib_left_3", "rib_left_4", "rib_left_5"}),
        ("ribs", set(GROUPS["rib"])),
    ],
)
def test_levels_and_ranges(text, organs):
    assert set(parse_query(text).organs) == organs


@pytest.mark.parametrize(
    ("text", "foreign"), [("L9", "L9 vertebra"), ("T13", "T13 vertebra"), ("tail bone", "coccyx"), ("uterus", "uterus")]
)
def test_what_no_organ_here_is(text, foreign):
    query = parse_query(text)
    assert query.foreign == (foreign,) and not query.organs and query.recognised


@pytest.mark.parametrize(
    ("text", "core"),
    [
        ("no stone in the left kidney", "stone in the kidney"),
        ("kidney without stones", "kidney stones"),
        ("absence of gallstones", "gallstones"),
        ("spleen is not enlarged", "spleen enlarged"),
        ("free of gallstones", "gallstones"),
        ("there is no evidence of hydronephrosis", "hydronephrosis"),
        ("negative for nodules", "nodules"),
        ("isn't the heart enlarged", "heart enlarged"),
    ],
)
def test_negation_is_taken_out(text, core):
    query = parse_query(text)
    assert query.negated and query.core == core


@pytest.mark.parametrize(
    "text",
    [
        "rule out appendicitis",
        "r/o AAA",
        "non-obstructing stone",
        "rib no. 3",
        "is the liver not normal",
        "no",
        "nodule",
        "not only the liver",
    ],
)
def test_what_is_no_negation(text):
    assert not parse_query(text).negated


@pytest.mark.parametrize(
    ("text", "keys", "organs"),
    [
        ("nephrolithiasis", {"kidney_stone"}, {"kidney_left", "kidney_right"}),
        ("fatty liver", {"liver_steatosis"}, {"liver"}),
        ("AAA", {"aortic_aneurysm"}, {"aorta"}),
        ("gallstones", {"gallstones"}, {"gallbladder"}),
        ("cardiomegaly", {"cardiomegaly"}, {"heart"}),
        ("stone in the kidney", {"kidney_stone"}, {"kidney_left", "kidney_right"}),
        ("stone", {"kidney_stone", "gallstones", "bladder_stone"}, set()),
        ("show me any stones please", {"kidney_stone", "gallstones", "bladder_stone"}, set()),
        ("a stone in my shoe", set(), set()),
        ("enlarged banana", set(), set()),
        ("water on the lung", {"pleural_effusion"}, {"lung_lower_lobe_left", "lung_lower_lobe_right"}),
        ("pleural effusion in the left lung", {"pleural_effusion"}, {"lung_lower_lobe_left"}),
        ("aneurysm of the iliac artery", {"iliac_aneurysm"}, {"iliac_artery_left", "iliac_artery_right"}),
        ("cyst in liver and kidney", {"liver_cyst", "kidney_cyst"}, {"liver", "kidney_left", "kidney_right"}),
        ("hip replacement on the left", {"metal_implant"}, {"hip_left", "femur_left"}),
        ("ureter stone", set(), set()),
        ("tumour of the pancreas", {"pancreatic_mass"}, {"pancreas"}),
        ("gallstones near the liver", {"gallstones"}, {"gallbladder", "liver"}),
    ],
)
def test_findings(text, keys, organs):
    query = parse_query(text)
    assert (set(query.abnormalities), set(query.organs)) == (keys, organs)


@pytest.mark.parametrize("entry", load_dictionary(), ids=lambda e: e.key)
def test_every_name_of_a_finding_finds_it(entry):
    for text in entry.said:
        assert entry.key in parse_query(text).abnormalities, text
    for organ in entry.organs[:2]:
        for sign in entry.signs:
            assert entry.key in parse_query(f"{sign} {ORGANS[organ].display}").abnormalities, sign


@pytest.mark.parametrize(
    ("text", "organ"),
    [
        ("kidny", "kidney_left"),
        ("splean", "spleen"),
        ("pancrease", "pancreas"),
        ("gallblader", "gallbladder"),
        ("Oesophagus", "esophagus"),
        ("livre", "liver"),
        ("hydronefrosis", "kidney_left"),
        ("lumber spine", "vertebrae_L3"),
    ],
)
def test_misspellings(text, organ):
    assert organ in parse_query(text).organs


@pytest.mark.parametrize(
    "text", ["river", "lever", "lived", "banana", "store", "colour", "heard", "skill", "spin", "bowl", "bladed"]
)
def test_everyday_words_are_no_misspellings(text):
    assert not parse_query(text).recognised


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u200b", "\x00", "\ufeff"])
def test_no_text(text):
    with pytest.raises(UserError, match=r"^Type a question first\.$"):
        parse_query(text)


def test_long_texts_are_cut_at_a_word():
    query = parse_query("left kidney " * 1000)
    assert query.truncated and query.organs == ("kidney_left",)
    assert len(query.text) <= MAX_CHARACTERS and query.text.endswith(("left", "kidney"))
    assert len(parse_query("x" * 10_000).text) == MAX_CHARACTERS
    assert not parse_query("left kidney").truncated


@pytest.mark.parametrize("text", ["腎臓", "почка", "κύστη", "כליה", "🫀🫁", "٣", "???", "ﷺ" * 500, "İ left kidney"])
def test_other_alphabets(text):
    query = parse_query(text)
    assert query.core and (query.recognised == ("kidney" in text))


def test_full_width_letters_are_letters():
    assert parse_query("ＬＥＦＴ　ｋｉｄｎｅｙ").organs == ("kidney_left",)


WORDS = st.sampled_from(
    re.findall(
        r"\S+",
        """left right no without both L3 L3-L5 rib ribs 3rd 12 kidney kidny liver stone stones enlarged not of on the to
        and , - / L R T99 bilateral banana rule out is normal lobe upper""",
    )
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=300), st.lists(WORDS, max_size=20).map(" ".join)))
def test_nothing_else_is_ever_raised(text):
    try:
        query = parse_query(text)
    except UserError:
        return
    assert query.core and len(query.text) <= MAX_CHARACTERS
    assert set(query.organs) <= set(ORGANS) and len(set(query.organs)) == len(query.organs)
    assert query == parse_query(text)
    assert parse_query(query.text).organs == query.organs


def test_suggestions_are_understood():
    words = suggestions()
    assert {"left kidney", "L3 vertebra", "kidney stone"} <= set(words) and len(set(words)) == len(words)
    assert all(parse_query(w).recognised for w in words)
