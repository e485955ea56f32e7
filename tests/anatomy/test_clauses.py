"""Scope: what of a text a negation, a side, an organ belongs to, and which of several questions is read."""

from __future__ import annotations

import pytest

from napari_ctvlp.anatomy.query import parse_query


@pytest.mark.parametrize(
    ("text", "key", "negated", "unanswered"),
    [
        ("kidney stones without hydronephrosis", "kidney_stone", False, ("without hydronephrosis",)),
        ("gallstones without cholecystitis", "gallstones", False, ("without cholecystitis",)),
        ("liver cyst, no splenomegaly", "liver_cyst", False, ("no splenomegaly",)),
        ("no free fluid, no free air", "ascites", True, ("no free air",)),
        ("no pleural effusion or pneumothorax", "pleural_effusion", True, ("pneumothorax",)),
        ("neither gallstones nor kidney stones", "gallstones", True, ("nor kidney stones",)),
        ("stones in the kidneys but not in the gallbladder", "kidney_stone", False, ("not in the gallbladder",)),
        ("kidney stone on CT without contrast", "kidney_stone", False, ()),
        ("kidney without stones", "kidney_stone", True, ()),
        ("the right kidney is free of stones", "kidney_stone", True, ()),
        ("stone-free left kidney", "kidney_stone", True, ()),
        ("left kidney stone? yes/no", "kidney_stone", False, ()),
        ("hydronephrosis excluded", "hydronephrosis", True, ()),
        ("hydronephrosis has been ruled out", "hydronephrosis", True, ()),
        ("kidney stone, not seen", "kidney_stone", True, ()),
        ("denies kidney stones", "kidney_stone", True, ()),
        ("kidney stone cannot be excluded", "kidney_stone", False, ()),
        ("can a kidney stone be excluded?", "kidney_stone", False, ()),
        ("rule out kidney stone", "kidney_stone", False, ()),
    ],
)
def test_a_negation_reaches_to_the_end_of_its_clause(text, key, negated, unanswered):
    query = parse_query(text)
    assert (query.abnormality, query.negated, query.unanswered) == (key, negated, unanswered)


@pytest.mark.parametrize(
    ("text", "key", "organs", "unanswered"),
    [
        (
            "stone in the right kidney and cyst in the left kidney",
            "kidney_stone",
            ("kidney_right",),
            ("cyst in the left kidney",),
        ),
        (
            "no stone in the left kidney but stone in the right kidney",
            "kidney_stone",
            ("kidney_left",),
            ("stone in the right kidney",),
        ),
        ("left kidney: stone, right kidney: cyst", "kidney_stone", ("kidney_left",), ("right kidney: cyst",)),
        ("cyst, left kidney; stone, right kidney", "kidney_cyst", ("kidney_left",), ("stone, right kidney",)),
        ("stone in the left kidney, none in the right", "kidney_stone", ("kidney_left",), ("none in the right",)),
        ("Rt. renal stone. Lt. renal cyst.", "kidney_stone", ("kidney_right",), ("Lt. renal cyst",)),
        (
            "stone in the right kidney, cyst in the liver",
            "kidney_stone",
            ("kidney_right",),
            ("cyst in the liver",),
        ),
        ("splenomegaly left kidney stone", "splenomegaly", ("spleen",), ("left kidney stone",)),
        ("stones and cysts in the left kidney", "kidney_stone", ("kidney_left",), ("cysts in the left kidney",)),
        (
            "hydronephrosis and stone in the left kidney",
            "hydronephrosis",
            ("kidney_left",),
            ("stone in the left kidney",),
        ),
        ("gallstones and cyst in the left kidney", "gallstones", ("gallbladder",), ("cyst in the left kidney",)),
        ("liver metastases and lung metastases", "liver_metastasis", ("liver",), ("lung metastases",)),
        ("stone in the liver and cyst in the left kidney", "kidney_cyst", ("kidney_left",), ("stone in the liver",)),
        ("gallstones, kidney stones", "gallstones", ("gallbladder",), ("kidney stones",)),
        ("AAA rupture", "aortic_aneurysm", ("aorta",), ("rupture",)),
        ("enlarged and fatty liver", "hepatomegaly", ("liver",), ("fatty liver",)),
        ("enlarged spleen with normal liver", "splenomegaly", ("spleen",), ("normal liver",)),
        ("big liver and small kidneys", "hepatomegaly", ("liver",), ("small kidneys",)),
    ],
)
def test_a_second_question_is_told_and_lends_no_side(text, key, organs, unanswered):
    query = parse_query(text)
    assert (query.abnormality, query.unanswered) == (key, unanswered)
    assert tuple(o for o in query.organs if not o.startswith("kidney_cyst")) == organs


@pytest.mark.parametrize(
    "text",
    [
        "cyst in liver and kidney",
        "left and right kidney stones",
        "mass in the left kidney or the right kidney",
        "nephrolithiasis (kidney stones)",
        "fractures of ribs 4, 5 and 7 on the right",
        "fracture of L1, L3 and L5",
        "inflammation and stranding around the pancreas",
        "hello, is there a stone in the left kidney?",
        "left kidney and right adrenal gland",
        "jaundice and fever, gallstones?",
    ],
)
def test_one_question_stays_one(text):
    assert parse_query(text).unanswered == ()


def test_what_says_nothing_is_not_the_question_that_is_read():
    query = parse_query("a stone's throw away, is the spleen enlarged?")
    assert query.abnormality == "splenomegaly"
    assert parse_query("not the liver but the spleen").unanswered == ("the spleen",)


def test_the_encoder_gets_the_words_of_the_clause():
    assert parse_query("stone in the right kidney and cyst in the left kidney").core == "stone in the kidney"
    assert parse_query("stones and cysts in the left kidney").core == "stones in the kidney"
    assert parse_query("stones in the kidneys but not in the gallbladder").core == "stones in the kidneys"
