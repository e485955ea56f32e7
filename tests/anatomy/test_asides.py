"""Other languages, sizes, numbers, normality, words that say too little, and what stands for another disease."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.anatomy.language import foreign_words
from napari_ctvlp.anatomy.lexicon import vocabulary
from napari_ctvlp.anatomy.query import parse_query, suggestions

DEVELOPMENT = Path(__file__).parents[1] / "ask"


@pytest.mark.parametrize(
    "text",
    [
        "calcul rénal droit",
        "kidney stone droit",
        "kyste du foie",
        "Nierenstein rechts",
        "linke Niere",
        "kein Nierenstein",
        "piedra en el riñón derecho",
        "stone derecho",
        "calcolo renale destro",
        "pedra no rim direito",
        "niersteen links",
        "肾结石",
        "камень в левой почке",
        "λίθος",
    ],
)
def test_other_languages_are_told_and_not_half_understood(text):
    query = parse_query(text)
    assert query.not_english and not query.recognised and query.side is None


def test_english_is_english():
    texts = [t for name in ("queries_dev.yaml", "questions_far.yaml") for t in _texts(DEVELOPMENT / name)]
    own = [said for entry in load_dictionary() for said in entry.said]
    asked = [t for t in (*texts, *own, *suggestions(), "kidney stone", "β cell tumour", "en bloc resection")]
    assert len(asked) > 1000
    assert [t for t in asked if foreign_words(t)] == ["私は学生です", "привет мир"]


def _texts(file: Path) -> list[str]:
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    return [q["text"] for q in data] if isinstance(data, list) else [t for texts in data.values() for t in texts]


def test_no_word_that_tells_of_another_language_is_one_of_ours():
    words = vocabulary(load_dictionary())
    assert not [w for w in words if foreign_words(w)]


@pytest.mark.parametrize(
    ("text", "sizes", "quantities"),
    [
        ("kidney stone > 5 mm", ("> 5 mm",), ()),
        ("stone 12 mm in left kidney", ("12 mm",), ()),
        ("aortic aneurysm larger than 5.5 cm", ("larger than 5.5 cm",), ()),
        ("3 x 4 cm mass in the liver", ("3 x 4 cm",), ()),
        ("where is the biggest lesion", ("biggest",), ()),
        ("volume of the liver", (), ("volume",)),
        ("HU of the liver", (), ("HU",)),
        ("how big is the spleen", (), ("how big",)),
        ("left kidney bigger than right kidney", (), ("bigger than",)),
        ("T12", (), ()),
        ("large spleen", (), ()),
    ],
)
def test_sizes_and_numbers_are_known_not_to_be_read(text, sizes, quantities):
    query = parse_query(text)
    assert (query.sizes, query.quantities, query.unread) == (sizes, quantities, ())


@pytest.mark.parametrize(
    ("text", "organs"),
    [
        ("is everything normal?", False),
        ("anything abnormal?", False),
        ("which organ is abnormal", False),
        ("what is wrong here?", False),
        ("is the liver normal?", True),
        ("healthy liver", True),
    ],
)
def test_questions_of_normality(text, organs):
    query = parse_query(text)
    assert query.normality and bool(query.organs) == organs and not query.abnormalities
    assert not parse_query("enlarged spleen").normality


@pytest.mark.parametrize("text", ["blood", "gas", "is there any air", "fat"])
def test_a_substance_is_no_finding(text):
    query = parse_query(text)
    assert query.unspecific and not query.recognised
    assert not parse_query(f"{text} in the brain").unspecific


def test_several_meanings_are_all_kept():
    assert set(parse_query("simple cyst").abnormalities) == set(parse_query("cyst").abnormalities)
    assert len(parse_query("where is the biggest lesion").abnormalities) > 10
    assert len(parse_query("fluid").abnormalities) > 1


@pytest.mark.parametrize("text", ["left", "on the right side", "show me", "what is it"])
def test_what_names_nothing(text):
    assert parse_query(text).idle and not parse_query("banana").idle and not parse_query("left kidney").idle


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("HCC", "liver_metastasis"),
        ("liver lesion", "liver_metastasis"),
        ("lesion in the liver", "liver_metastasis"),
        ("varices", "portal_hypertension"),
        ("disc herniation", "spinal_stenosis"),
        ("ileus", "bowel_obstruction"),
        ("stool", "constipation"),
    ],
)
def test_what_is_no_kind_of_an_entry_is_not_called_narrower(text, key):
    query = parse_query(text)
    assert key in dict(query.related) and key not in dict(query.narrower)
    assert key not in dict(parse_query(key.replace("_", " ")).related)


def test_related_diseases_are_parted_from_the_names():
    for entry in load_dictionary():
        assert not {t.lower() for t in entry.related} & {
            t.lower() for t in (entry.name, *entry.synonyms, *entry.narrower)
        }, entry.key
        for text in entry.related:
            assert entry.key in dict(parse_query(text).related), text


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("hydro", "hydronephrosis"),
        ("nefrolithiasis", "kidney_stone"),
        ("CRC", "colon_mass"),
        ("crohn", "bowel_wall_thickening"),
        ("ca pancreas", "pancreatic_mass"),
        ("bone mets", "vertebra_lytic_lesion"),
        ("masses in the kidney", "kidney_mass"),
    ],
)
def test_short_forms(text, key):
    assert key in parse_query(text).abnormalities


def test_metal_in_a_hip_is_looked_for_in_both_bones_of_it():
    assert set(parse_query("metal in the left hip").organs) == {"hip_left", "femur_left"}
    assert parse_query("foreign body").elsewhere == ("foreign body",)
    assert "aorta" in parse_query("vessel").organs
    assert set(parse_query("the organ that filters blood").organs) == {"kidney_left", "kidney_right"}
