"""The abnormality dictionary: what the built-in one holds, what a broken one says."""

from __future__ import annotations

import hashlib

import pytest

from napari_ctvlp.anatomy import GROUPS, ORGANS, display_name, load_dictionary
from napari_ctvlp.anatomy.query import parse_query
from napari_ctvlp.errors import UserError

STARTER = {
    "liver_steatosis": {"liver"},
    "liver_cyst": {"liver"},
    "splenomegaly": {"spleen"},
    "kidney_stone": {"kidney_left", "kidney_right"},
    "kidney_cyst": {"kidney_left", "kidney_right"},
    "hydronephrosis": {"kidney_left", "kidney_right"},
    "gallstones": {"gallbladder"},
    "pancreatic_cyst": {"pancreas"},
    "adrenal_nodule": {"adrenal_gland_left", "adrenal_gland_right"},
    "bladder_stone": {"urinary_bladder"},
    "pleural_effusion": {"lung_lower_lobe_left", "lung_lower_lobe_right"},
    "lung_consolidation": {o for o in ORGANS if o.startswith("lung_")},
    "lung_nodule": {o for o in ORGANS if o.startswith("lung_")},
    "emphysema": {o for o in ORGANS if o.startswith("lung_")},
    "cardiomegaly": {"heart"},
    "aortic_aneurysm": {"aorta"},
    "aortic_calcification": {"aorta"},
    "vertebra_sclerotic_lesion": {o for o in ORGANS if o.startswith(("vertebrae_T", "vertebrae_L"))},
    "vertebra_lytic_lesion": {o for o in ORGANS if o.startswith(("vertebrae_T", "vertebrae_L"))},
    "metal_implant": {"femur_left", "femur_right", "hip_left", "hip_right"},
}


def test_the_starter_keys_look_in_the_right_organs():
    by_key = {a.key: set(a.organs) for a in load_dictionary()}
    assert {key: by_key[key] for key in STARTER} == STARTER
    assert len(by_key) >= 40


def test_how_much_the_built_in_one_covers():
    entries = load_dictionary()
    groups = {ORGANS[organ].group for entry in entries for organ in entry.organs}
    assert len(entries) >= 120 and groups == {organ.group for organ in ORGANS.values()}
    assert {entry.region for entry in entries} == {"organ", "union", "comparative", "global"}
    few = {name: count for name, count in anatomies(entries).items() if count < 3}
    assert len(ANATOMIES) >= 18 and not few
    asked = {organ for entry in entries for organ in entry.organs}
    assert {o for o in ORGANS if o not in asked} == {"kidney_cyst_left", "kidney_cyst_right", "vertebrae_S1"}


ANATOMIES = {
    **{name: [name] for name in ("liver", "gallbladder", "spleen", "pancreas", "kidney", "adrenal gland", "heart")},
    **{name: [name] for name in ("urinary_bladder", "prostate", "stomach", "colon", "aorta", "lung", "trachea")},
    **{name: [name] for name in ("thyroid_gland", "spine", "brain", "esophagus", "veins", "muscles", "shoulder")},
    "small bowel and duodenum": ["small_bowel", "duodenum"],
    "arteries besides the aorta": ["iliac_artery_left", "common_carotid_artery_left", "pulmonary_artery"],
    "pelvis and hip": ["pelvis", "femur"],
    "chest wall": ["rib", "sternum", "costal_cartilages"],
    "head": ["skull", "face"],
}
"""Anatomies, each with its organs or groups of organs; left and right count once."""


def anatomies(entries) -> dict[str, int]:
    """How many entries look in each anatomy."""
    return {
        name: sum(any(set(entry.organs) & set(GROUPS.get(part, (part,))) for part in parts) for entry in entries)
        for name, parts in ANATOMIES.items()
    }


def test_entries_that_encoders_know_are_as_they_were_when_those_were_trained():
    """A changed prompt would silently change every score of the shipped encoder."""
    known = [a for a in load_dictionary() if a.key in STARTER]
    assert [a.key for a in load_dictionary()[: len(STARTER)]] == list(STARTER)
    prompts = "\n".join(text for a in known for text in (*a.positive, "-", *a.negative))
    assert hashlib.sha256(prompts.encode()).hexdigest()[:16] == "c4f76a708681b992"
    assert {a.region for a in known} == {"organ"}


FIRST = 86
"""Entries of the first dictionary; what is behind them must not change what questions about them mean."""


def test_later_entries_leave_questions_about_earlier_ones_alone():
    entries = load_dictionary()
    first = entries[:FIRST]
    assert first[-1].key == "brain_infarct"
    texts = [text for a in first for text in (a.name, a.key.replace("_", " "), *a.synonyms)]
    texts += [f"{sign} {ORGANS[organ].display}" for a in first for sign in a.signs for organ in a.organs[:2]]
    texts += [text for a in first for text in a.narrower]
    for text in dict.fromkeys(texts):
        assert parse_query(text, entries) == parse_query(text, first), text


@pytest.mark.parametrize("entry", load_dictionary(), ids=lambda e: e.key)
def test_prompts(entry):
    for organ in entry.organs:
        positive, negative = entry.prompts(organ)
        assert len(positive) >= 5 and len(negative) >= 5
        assert not set(positive) & set(negative)
        assert not any("{" in p or "}" in p for p in (*positive, *negative))
        assert all(display_name(organ) in p or entry.key == "appendicitis" for p in negative)
        assert entry.pair_key(organ) == f"{organ}/{entry.key}"


GOOD = """\
abnormalities:
  - key: fuzzy_liver
    name: fuzzy liver
    organs: [liver]
    synonyms: [fuzz]
    positive: ['a {organ}', b, c, d, e]
    negative: [f, g, h, i, j]
"""


def test_a_dictionary_of_ones_own(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(GOOD)
    (entry,) = load_dictionary(file)
    assert entry.pair_key("liver") == "liver/fuzzy_liver"
    assert entry.prompts("liver")[0][0] == "a liver"
    file.write_text(GOOD.replace("[liver]", "[lumbar spine, spleen]"))
    assert load_dictionary(file)[0].organs[-2:] == ("vertebrae_L1", "spleen")


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("organs: [liver]", "organs: [lever]", 4, "'lever' is neither"),
        ("organs: [liver]", "organs: []", 4, "at least one organ"),
        ("organs: [liver]", "organs: liver", 4, "a list"),
        ("    name: fuzzy liver\n", "", 2, "'name' is missing"),
        ("synonyms:", "synonym:", 5, "unknown field 'synonym'"),
        ("key: fuzzy_liver", "key: Fuzzy Liver", 2, "lower-case"),
        ("key: fuzzy_liver", "key: [a]", 2, "a text"),
        ("b, c, d, e]", "b, c]", 6, "at least 5"),
        ("b, c, d, e]", "b, b, b, b]", 6, "at least 5"),
        ("[f, g,", "[no fuzz, g,", 7, "is negated"),
        ("a {organ}", "a {0}", 6, "brace"),
        ("'a {organ}'", "[[a]], {x: y}", 6, "a text"),
        ("    name:", "    key: b\n    name:", 3, "given twice"),
        ("    name:", "\tname:", 3, "not valid YAML"),
        ("abnormalities:", "findings:", 1, "'abnormalities' is missing"),
        ("    name:", "    needs_contrast: maybe\n    name:", 3, "true or false, not 'maybe'"),
        ("    name:", "    needs_contrasts: true\n    name:", 3, "unknown field 'needs_contrasts'"),
        ("    name:", "    narrower: fuzz of old age\n    name:", 3, "a list"),
        ("    name:", "    region: everywhere\n    name:", 3, "unknown region 'everywhere'"),
        ("    name:", "    region: [union]\n    name:", 3, "a text"),
        ("    name:", "    region: comparative\n    name:", 3, "needs a 'reference'"),
        ("    name:", "    reference: [spleen]\n    name:", 3, "'region: comparative' only"),
        ("    name:", "    region: comparative\n    reference: [splen]\n    name:", 4, "'splen' is neither"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, old, new, line, says):
    assert old in GOOD
    file = tmp_path / "own.yaml"
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(UserError) as caught:
        load_dictionary(file)
    message = str(caught.value)
    assert f"own.yaml, line {line}" in message and says in message
    assert "\n" not in message and str(tmp_path) not in message


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abnormalities: []",
        "just text",
        "- a\n- b",
        BOMB + "abnormalities: *i",
        "abnormalities: &a [*a]",
        "[" * 100_000,
    ],
    ids=["empty", "no entries", "text", "list", "alias bomb", "alias of itself", "deep"],
)
def test_odd_files_are_refused_quickly(tmp_path, text):
    file = tmp_path / "odd.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=r"odd\.yaml"):
        load_dictionary(file)


def test_unreadable_files(tmp_path):
    with pytest.raises(UserError, match=r"gone\.yaml cannot be read"):
        load_dictionary(tmp_path / "gone.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UserError, match=r"binary\.yaml"):
        load_dictionary(binary)


def test_a_key_used_twice(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(GOOD + GOOD.split("abnormalities:\n")[1])
    with pytest.raises(UserError, match="line 8: the key 'fuzzy_liver' is used twice"):
        load_dictionary(file)


def test_the_name_of_an_entry_means_no_other():
    names = {entry.name.lower(): entry.key for entry in load_dictionary()}
    shared = {
        (entry.key, word)
        for entry in load_dictionary()
        for word in (*entry.synonyms, *entry.signs)
        if names.get(word.lower(), entry.key) != entry.key
    }
    assert shared == set()
