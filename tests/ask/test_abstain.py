"""When a question is answered "cannot say", and why: far texts, hidden lesions, broader entries, words left unread."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.anatomy.query import parse_query
from napari_ctvlp.ask import rank_organs
from napari_ctvlp.ask.abstain import NOISE_HU, hidden, is_far
from napari_ctvlp.ask.types import Finding
from napari_ctvlp.encoder.contract import Calibration, OrganStatus, ScanEmbedding
from napari_ctvlp.scan.types import OrganStatistics
from tests.ask.meaning import SentenceEncoder
from tests.conftest import WordEncoder

ENTRIES = {entry.key: entry for entry in load_dictionary()}
KEYS = tuple(entry.pair_key(organ) for entry in ENTRIES.values() for organ in entry.organs)
FAR = yaml.safe_load(Path(__file__).with_name("questions_far.yaml").read_text(encoding="utf-8"))
BELLY = ("liver", "spleen", "kidney_left", "kidney_right", "pancreas", "adrenal_gland_left", "colon", "aorta")
BOX = ((0, 1), (0, 1), (0, 1))


def statistics(aorta: float, sd: float = 15.0, vein: float | None = None) -> dict[str, OrganStatistics]:
    hu = {"aorta": aorta, "liver": 55.0, "spleen": 50.0, "inferior_vena_cava": aorta if vein is None else vein}
    return {
        organ: OrganStatistics(organ, i, 5000, 100.0, value, sd, BOX, (0.0, 0.0, 0.0), (0, 0, 0), False)
        for i, (organ, value) in enumerate(hu.items(), 1)
    }


NATIVE, ENHANCED, NOISY = statistics(42.0), statistics(150.0), statistics(150.0, sd=NOISE_HU + 5)


class Sceptic(WordEncoder):
    """Knows every entry and finds each as likely as it is told."""

    def __init__(self, probability: float, spread: float = 0.0) -> None:
        super().__init__(abnormalities=KEYS)
        self.calibration = _Fixed(probability, spread)


class _Fixed(Calibration):
    def __init__(self, probability: float, spread: float) -> None:
        super().__init__()
        object.__setattr__(self, "told", (probability, spread))
        object.__setattr__(self, "calls", [])

    def probability(self, key: str, score: float) -> float:
        probability, spread = self.told
        self.calls.append(key)
        return probability + (spread if len(self.calls) % 2 else -spread)


def scan(probability: float = 0.05, spread: float = 0.0, cut: tuple[str, ...] = ()) -> ScanEmbedding:
    encoder = Sceptic(probability, spread)
    states = tuple(OrganStatus.CUT if o in cut else OrganStatus.COMPLETE for o in BELLY)
    return ScanEmbedding(BELLY, encoder.encode_text([o.replace("_", " ") for o in BELLY]), states, encoder)


# -- what the scan cannot show


@pytest.mark.parametrize(("what", "why"), [(NATIVE, "unenhanced scan (aorta 42 HU)"), (NOISY, "noise of 45 HU")])
def test_absence_of_what_needs_contrast_is_not_told_where_it_cannot_be_seen(what, why):
    answer = rank_organs(scan(), "liver metastasis", statistics=what)
    finding = answer.finding
    assert (finding.status, finding.probability, finding.low, finding.high) == ("cannot say", None, None, None)
    assert why in finding.reason and answer.message.startswith(f"Liver metastasis, liver: cannot say: {finding.reason}")


@pytest.mark.parametrize(
    ("text", "what", "probability", "status"),
    [
        ("liver metastasis", NATIVE, 0.9, "present"),
        ("liver metastasis", ENHANCED, 0.05, "absent"),
        ("liver metastasis", None, 0.05, "absent"),
        ("kidney stone", NATIVE, 0.05, "absent"),
        ("kidney stone", NOISY, 0.05, "absent"),
        ("liver cyst", NATIVE, 0.05, "absent"),
        ("enlarged spleen", NATIVE, 0.05, "absent"),
    ],
)
def test_what_can_be_told_is_told(text, what, probability, status):
    finding = rank_organs(scan(probability), text, statistics=what).finding
    assert (finding.status, finding.reason) == (status, "") and finding.probability == pytest.approx(probability)


def test_of_several_meanings_the_hidden_one_is_not_denied():
    native = rank_organs(scan(), "dark spot in the liver", statistics=NATIVE).finding
    assert (native.abnormality, native.status) == ("liver_metastasis", "cannot say")
    assert rank_organs(scan(), "dark spot in the liver", statistics=ENHANCED).finding.status == "absent"


def test_without_an_aorta_nothing_is_known_of_contrast():
    entry = ENTRIES["liver_metastasis"]
    bare = {o: s for o, s in NATIVE.items() if o not in ("aorta", "inferior_vena_cava")}
    assert hidden(entry, bare) == "" and hidden(entry, NATIVE) and not hidden(ENTRIES["kidney_stone"], NATIVE)


def test_the_quietest_organ_tells_the_noise():
    uneven = dict(NOISY) | {"spleen": dataclasses.replace(NOISY["spleen"], sd_hu=12.0)}
    assert hidden(ENTRIES["liver_metastasis"], uneven) == ""


def test_what_is_seen_without_contrast_needs_none():
    free = (
        "stone",
        "calcification",
        "steatosis",
        "cyst",
        "air",
        "effusion",
        "megaly",
        "implant",
        "fracture",
        "atrophy",
    )
    assert not [key for key, entry in ENTRIES.items() if entry.needs_contrast and any(word in key for word in free)]
    assert {"kidney_mass", "splenic_infarct", "aortic_dissection", "pulmonary_embolism"} <= {
        key for key, entry in ENTRIES.items() if entry.needs_contrast
    }


def test_uncertain_has_a_reason():
    answer = rank_organs(scan(0.5, 0.3), "stone in the left kidney")
    assert answer.finding.status == "uncertain" and answer.finding.probability is not None
    assert answer.finding.reason == "the wordings of it disagree, from 0.20 to 0.80"
    assert answer.message.endswith("uncertain: the wordings of it disagree, from 0.20 to 0.80.")


# -- words that nothing reads


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hepatic amyloidosis", "I know no finding 'amyloidosis'; showing the liver only."),
        ("purple zebra stripes in the liver", "I know no finding 'purple zebra stripes'; showing the liver only."),
        ("fat around the liver", "I know no finding 'fat around'; showing the liver only."),
        ("sarcoid of the spleen and the liver", "I know no finding 'sarcoid'; showing the spleen and liver only."),
    ],
)
def test_an_unknown_finding_beside_an_organ_is_said(text, told):
    answer = rank_organs(scan(), text)
    assert answer.matched and answer.finding is None and answer.message == told
    by_sight = rank_organs(scan(), text, use_names=False).message
    assert by_sight == f"{told.split(';')[0].removesuffix('.')}."


@pytest.mark.parametrize(
    "text",
    [
        "left kidney",
        "zoom to the liver please",
        "the upper pole of the left kidney",
        "is there anything wrong with the liver?",
    ],
)
def test_plain_questions_about_an_organ_are_left_alone(text):
    assert rank_organs(scan(), text).message.startswith("Best match: ")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("small calcified thing in the left renal pelvis", {"kidney_stone"}),
        ("large bleed in the spleen", {"splenic_laceration"}),
        ("big dark spot in the liver", {"liver_cyst", "liver_metastasis"}),
        ("large bezoar in the liver", set()),
        ("big zebra of the spleen", set()),
        ("large liver cyst", {"liver_cyst"}),
        ("fat around the liver", set()),
        ("enlarged lymph node near the spleen", set()),
        ("stranding around the pancreas", {"pancreatitis"}),
        ("enlarged spleen", {"splenomegaly"}),
        ("how big is the spleen", {"splenomegaly"}),
        ("the spleen is too large", {"splenomegaly"}),
        ("small right kidney", {"renal_atrophy"}),
        ("big liver", {"hepatomegaly"}),
        ("small kidneys", {"renal_atrophy"}),
        ("fat in the liver", {"liver_steatosis"}),
    ],
)
def test_signs_mean_their_organ_only_where_they_speak_of_it(text, keys):
    assert set(parse_query(text).abnormalities) == keys


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("purple zebra stripes in the left kidney", ("purple zebra stripes",)),
        ("stone age paintings in the left kidney", ("age paintings",)),
        ("large left kidney cyst", ()),
        ("12 mm stone at the lower pole of the left kidney", ()),
        ("no amyloidosis of the spleen", ("amyloidosis",)),
        ("fracture of L3 with retropulsion", ("retropulsion",)),
    ],
)
def test_what_was_not_read_is_known(text, unread):
    assert parse_query(text).unread == unread


# -- diseases under a broader entry


@pytest.mark.parametrize(
    ("text", "disease", "broader"),
    [
        ("pheochromocytoma", "Pheochromocytoma", "adrenal nodule"),
        ("Crohn's disease", "Crohn's disease", "bowel wall thickening"),
        ("Crohn disease of the colon", "Crohn disease", "bowel wall thickening"),
        ("pancreatic cancer", "Pancreatic cancer", "pancreatic mass"),
    ],
)
def test_a_disease_without_an_entry_is_told_to_stand_under_a_broader_one(text, disease, broader):
    answer = rank_organs(scan(), text)
    first, second = answer.message.split(". ", 1)
    assert first == f"{disease} is not scored by itself, only as the broader {broader}"
    assert second.lower().startswith(f"{broader}, ") and "absent" in second and "absent" not in first
    assert answer.finding.abnormality == broader.replace(" ", "_")
    plain = rank_organs(scan(), broader)
    assert "by itself" not in plain.message and plain.finding.status == answer.finding.status


def test_every_narrower_disease_is_parted_from_the_synonyms():
    for entry in ENTRIES.values():
        assert not {t.lower() for t in entry.narrower} & {t.lower() for t in (entry.name, *entry.synonyms)}, entry.key
        for text in entry.narrower:
            assert entry.key in dict(parse_query(text).narrower), text


# -- texts that mean something else


@pytest.fixture(scope="module")
def meaningful() -> ScanEmbedding:
    encoder = SentenceEncoder(abnormalities=KEYS)
    return ScanEmbedding(("liver",), encoder.encode_text(["liver"]), (OrganStatus.COMPLETE,), encoder)


def far(embedding: ScanEmbedding, text: str) -> bool:
    query = parse_query(text)
    asked = [ENTRIES[key] for key in query.abnormalities]
    assert asked, text
    organs = [next((o for o in entry.organs if o in query.organs), entry.organs[0]) for entry in asked]
    return all(is_far(embedding, query, entry, organ) for entry, organ in zip(asked, organs, strict=True))


def test_far_texts_are_told_from_near_ones(meaningful):
    lost = [text for text in FAR["near"] if far(meaningful, text)]
    kept = [text for text in FAR["far"] if not far(meaningful, text)]
    assert len(lost) <= 0.05 * len(FAR["near"]), lost
    assert len(kept) <= len(FAR["far"]) / 3, kept


def test_a_far_text_gets_no_probability(meaningful):
    answer = rank_organs(meaningful, "critical mass of uranium in the liver")
    assert answer.best.organ == "liver" and answer.finding.status == "cannot say" and answer.finding.probability is None
    assert "far from what this encoder was trained on ('critical', 'uranium' not understood)" in answer.message
    assert isinstance(rank_organs(meaningful, "mass in the liver").finding.probability, float)


# -- the real scan


@pytest.mark.parametrize(
    ("text", "key", "status"),
    [
        ("small calcified thing in the left renal pelvis", "kidney_stone", "present"),
        ("stone in the right kidney", "kidney_stone", "present"),
        ("calcified aorta", "aortic_calcification", "present"),
        ("metal in the left femur", "metal_implant", "present"),
        ("pancreatic mass", "pancreatic_mass", "cannot say"),
        ("large bleed in the spleen", "splenic_laceration", "N/A: unknown to this encoder"),
    ],
)
def test_questions_about_a_real_native_scan(native_abdomen, text, key, status):
    embedding, masks = native_abdomen
    finding: Finding = rank_organs(embedding, text, statistics=masks.statistics).finding
    assert (finding.abnormality, finding.status) == (key, status)


@pytest.fixture(scope="module")
def native_abdomen(shared_data):
    from napari_ctvlp.encoder import load_encoder
    from napari_ctvlp.scan import read_masks, read_scan

    folder = shared_data / "ct" / "ts_abdomen"
    opened = read_scan(folder / "ct.nii.gz")
    masks = read_masks(folder / "seg_v2_multilabel.nii.gz", opened)
    embedding = load_encoder("starter").encode_scan(opened, masks)
    assert np.isfinite(embedding.vectors).all()
    return embedding, masks
