"""Ranking organs for questions: by name, by sight, by meaning; what is said of findings and of nothing."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ctvlp.anatomy import V2_NAMES, display_name, load_dictionary
from napari_ctvlp.ask import prepare, rank_organs
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding
from napari_ctvlp.errors import UserError
from tests.ask.meaning import SentenceEncoder
from tests.conftest import WordEncoder

BELLY = re.findall(
    r"\w+",
    """spleen kidney_right kidney_left gallbladder liver stomach pancreas urinary_bladder colon aorta vertebrae_L2
    vertebrae_L3 rib_left_11 heart lung_lower_lobe_left""",
)
KEYS = tuple(a.pair_key(o) for a in load_dictionary()[:20] for o in a.organs)
DEVELOPMENT = yaml.safe_load(Path(__file__).with_name("queries_dev.yaml").read_text(encoding="utf-8"))


def look(encoder, organs=BELLY, seen=None, status=None) -> ScanEmbedding:
    """A scan in which each organ looks like its own name, or like the text in ``seen``."""
    texts = [(seen or {}).get(o, display_name(o)) for o in organs]
    vectors = encoder.encode_text(texts) if texts else np.zeros((0, 64), np.float32)
    states = tuple((status or {}).get(o, OrganStatus.COMPLETE) for o in organs)
    return ScanEmbedding(tuple(organs), vectors, states, encoder)


@pytest.fixture
def scan() -> ScanEmbedding:
    return look(WordEncoder(abnormalities=KEYS))


@pytest.mark.parametrize(
    ("text", "best"),
    [
        ("left kidney", "kidney_left"),
        ("renal stone on the left", "kidney_left"),
        ("enlarged spleen", "spleen"),
        ("L3 vertebra", "vertebrae_L3"),
        ("no stone in the right kidney", "kidney_right"),
        ("splean", "spleen"),
        ("11th rib", "rib_left_11"),
        ("cholelithiasis", "gallbladder"),
    ],
)
def test_named_organs_come_first(scan, text, best):
    ranking = rank_organs(scan, text)
    assert ranking.matched and ranking.best.organ == best and ranking.best.name == 1.0
    assert sorted(o.organ for o in ranking.organs) == sorted(BELLY)
    scores = [o.score for o in ranking.organs]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= part <= 1 for o in ranking.organs for part in (o.score, o.visual, o.name))


def test_the_other_side_is_far_behind(scan):
    parts = {o.organ: o for o in rank_organs(scan, "left kidney").organs}
    assert parts["kidney_right"].name == 0.1 and parts["liver"].name == 0.0
    both = {o.organ: o.name for o in rank_organs(scan, "kidneys").organs}
    assert both["kidney_left"] == both["kidney_right"] == 1.0


def test_fusion_is_as_documented(scan):
    for organ in rank_organs(scan, "left kidney").organs:
        assert organ.score == pytest.approx(0.7 * organ.name + 0.3 * organ.visual)
    for organ in rank_organs(scan, "left kidney", use_names=False).organs:
        assert organ.score == organ.visual


def test_sight_alone_ranks_what_is_seen():
    encoder = WordEncoder(abnormalities=KEYS)
    swapped = look(encoder, seen={"liver": "spleen", "spleen": "liver"})
    assert rank_organs(swapped, "spleen", use_names=False).best.organ == "liver"
    assert rank_organs(swapped, "spleen").best.organ == "spleen"
    sided = look(encoder, seen={"kidney_left": "right kidney", "kidney_right": "left kidney"})
    assert rank_organs(sided, "left kidney", use_names=False).best.organ == "kidney_right"


def test_visual_evidence_for_an_organ_by_hand(scan):
    encoder = scan.encoder
    ranking = rank_organs(scan, "left kidney")
    v = scan.vectors[BELLY.index("liver")]
    names = encoder.encode_text([display_name(o) for o in BELLY])
    expected = np.exp(min(0.0, 20.0 * float(v @ encoder.encode_text(["kidney"])[0] - (names @ v).max())))
    assert {o.organ: o.visual for o in ranking.organs}["liver"] == pytest.approx(expected, rel=1e-4)


def test_visual_evidence_for_a_finding_by_hand():
    from napari_ctvlp.anatomy import normal_prompts

    encoder = WordEncoder(abnormalities=KEYS)
    scan = look(encoder, seen={"kidney_left": "kidney stone"})
    ranking = rank_organs(scan, "kidney stone")
    assert ranking.best.organ == "kidney_left"
    v = scan.vectors[BELLY.index("kidney_right")]
    normal = float((encoder.encode_text(normal_prompts("kidney_right")) @ v).mean())
    logit = 20.0 * (float(v @ encoder.encode_text(["kidney stone"])[0]) - normal)
    assert {o.organ: o.visual for o in ranking.organs}["kidney_right"] == pytest.approx(
        1 / (1 + np.exp(-logit)), rel=1e-4
    )


def test_visual_evidence_alone_by_hand(scan):
    encoder = scan.encoder
    v = scan.vectors[BELLY.index("liver")]
    names = np.sort(encoder.encode_text([display_name(o) for o in BELLY]) @ v)
    logit = 20.0 * (float(v @ encoder.encode_text(["left kidney"])[0]) - names[-10:].mean())
    ranking = rank_organs(scan, "left kidney", use_names=False)
    assert {o.organ: o.visual for o in ranking.organs}["liver"] == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-4)


def test_an_organ_that_is_near_to_every_text_does_not_answer_all_by_sight():
    """What one text adds to what any text would get there counts, not that an organ is unlike its normal prompts."""
    encoder = WordEncoder(abnormalities=KEYS)
    scan = look(encoder)
    stone = encoder.encode_text(["gallstone"])[0]
    near_to_all = encoder.encode_text([display_name(o) for o in BELLY]).sum(0) + 3 * stone
    rest = np.random.default_rng(1).normal(size=stone.shape)
    shows_it = 0.3 * stone + rest / np.linalg.norm(rest)
    vectors = scan.vectors.copy()
    for organ, vector in (("rib_left_11", near_to_all), ("gallbladder", shows_it)):
        vectors[BELLY.index(organ)] = vector / np.linalg.norm(vector)
    scan = dataclasses.replace(scan, vectors=vectors)
    beside_names = {o.organ: o.visual for o in rank_organs(scan, "gallstone").organs}
    assert beside_names["rib_left_11"] > beside_names["gallbladder"]
    assert rank_organs(scan, "gallstone", use_names=False).best.organ == "gallbladder"
    assert rank_organs(scan, "gallstone").best.organ == "gallbladder"


def test_what_is_matched_does_not_hang_on_whether_names_count(scan):
    for row in DEVELOPMENT:
        assert rank_organs(scan, row["text"]).matched == rank_organs(scan, row["text"], use_names=False).matched


def test_organs_that_cannot_be_seen_have_no_visual_evidence():
    blind = look(
        WordEncoder(abnormalities=KEYS), status={"spleen": OrganStatus.TOO_SMALL, "liver": OrganStatus.UNKNOWN}
    )
    for text in ("spleen", "stone", "liver"):
        parts = {o.organ: o.visual for o in rank_organs(blind, text).organs}
        assert parts["spleen"] == parts["liver"] == 0.0


def test_what_the_masks_do_not_hold_is_said(scan):
    for text, name in (
        ("brain", "brain"),
        ("tail bone", "coccyx"),
        ("L9", "L9 vertebra"),
        ("ascending ureter", "ureter"),
    ):
        ranking = rank_organs(scan, text)
        assert not ranking.matched and ranking.best is None
        assert ranking.message == f"The masks hold no {name}."
        assert len(ranking.organs) == len(BELLY)


def test_missing_groups_go_by_their_name(scan):
    belly = look(scan.encoder, organs=["liver"])
    assert rank_organs(belly, "lungs").message == "The masks hold no lung."
    assert rank_organs(belly, "heart").message == "The masks hold no heart."
    assert rank_organs(belly, "left kidney").message == "The masks hold no left kidney."


def test_a_whole_stands_for_its_part(scan):
    ranking = rank_organs(scan, "right atrium")
    assert ranking.matched and ranking.best.organ == "heart"
    assert ranking.message == "The masks hold no right atrium of the heart; the heart stands for it."


def test_findings_are_told():
    encoder = WordEncoder(abnormalities=KEYS)
    entry = next(a for a in load_dictionary() if a.key == "kidney_stone")
    positive, _ = entry.prompts("kidney_left")
    scan = look(encoder, seen={"kidney_left": " ".join(positive)})
    finding = rank_organs(scan, "renal stone on the left").finding
    assert (finding.organ, finding.abnormality, finding.status) == ("kidney_left", "kidney_stone", "present")
    assert finding.low <= finding.probability <= finding.high
    other = rank_organs(scan, "renal stone on the right").finding
    assert other.organ == "kidney_right" and other.probability < finding.probability
    anywhere = rank_organs(scan, "is there a stone").finding
    assert (anywhere.organ, anywhere.status) == ("kidney_left", "present")
    assert anywhere.probability == pytest.approx(finding.probability)
    denied = rank_organs(scan, "no stone in the left kidney")
    assert denied.finding == finding
    assert denied.message == "Asked for absence: kidney stone, left kidney: present."
    assert denied.best.organ == "kidney_left"


def test_a_finding_in_a_cut_organ_is_told_for_the_part_in_view():
    seen = {"kidney_left": "There is a stone in the left kidney. Nephrolithiasis calculus stone"}
    status = {"kidney_left": OrganStatus.CUT}
    answer = rank_organs(look(WordEncoder(abnormalities=KEYS), seen=seen, status=status), "stone in the left kidney")
    assert answer.finding.part and answer.finding.probability > 0.5
    assert answer.message.endswith("in the part in view.")


def test_findings_that_cannot_be_judged():
    encoder = WordEncoder(abnormalities=KEYS)
    cut = look(encoder, status={"spleen": OrganStatus.CUT})
    finding = rank_organs(cut, "enlarged spleen").finding
    assert finding.probability is None and finding.status == "N/A: cut by field of view"
    unknown = rank_organs(cut, "cirrhosis")
    assert unknown.matched and unknown.finding.status == "N/A: unknown to this encoder"
    absent = rank_organs(look(encoder, organs=["liver"]), "enlarged spleen")
    assert not absent.matched and absent.finding.status == "N/A: not in the masks"
    assert rank_organs(cut, "left kidney").finding is None


def test_a_finding_beside_another_organ(scan):
    ranking = rank_organs(scan, "gallstones near the liver")
    assert [o.organ for o in ranking.organs[:2]] == ["gallbladder", "liver"]
    assert ranking.finding.organ == "gallbladder"


def test_bare_findings_speak_of_every_organ_they_may_be_in(scan):
    parts = {o.organ: o.name for o in rank_organs(scan, "stone").organs}
    assert {o for o, n in parts.items() if n == 0.8} == {
        "kidney_left",
        "kidney_right",
        "gallbladder",
        "urinary_bladder",
    }
    assert not rank_organs(look(scan.encoder, organs=["aorta"]), "stone").matched


def test_labels_of_the_files_own_naming():
    scan = look(WordEncoder(), organs=["liver", "label_7", "uterus"])
    assert rank_organs(scan, "label 7").best.organ == "label_7"
    assert rank_organs(scan, "womb").best.organ == "uterus"
    assert not rank_organs(scan, "label 8").matched


def test_no_masks_at_all():
    ranking = rank_organs(look(WordEncoder(), organs=[]), "liver")
    assert not ranking.matched and ranking.organs == () and ranking.message == "There are no organ masks to search."


def test_a_question_is_needed(scan):
    with pytest.raises(UserError, match="Type a question first"):
        rank_organs(scan, "  ")


def test_long_questions_are_cut_and_it_is_said(scan):
    ranking = rank_organs(scan, "left kidney " * 1000)
    assert ranking.best.organ == "kidney_left" and "characters were read" in ranking.message
    assert len(ranking.text) <= 1000


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_any_text_gets_an_answer(text):
    scan = look(WordEncoder(abnormalities=KEYS))
    try:
        ranking = rank_organs(scan, text)
    except UserError:
        return
    assert len(ranking.organs) == len(BELLY) and all(np.isfinite(o.score) for o in ranking.organs)
    assert ranking.matched or ranking.message
    assert "\n" not in ranking.message


def test_the_same_question_gets_the_same_answer(scan):
    assert rank_organs(scan, "stone") == rank_organs(scan, "stone")
    assert dataclasses.asdict(rank_organs(scan, "x y z"))["matched"] is False


# -- with a real sentence model


@pytest.fixture(scope="module")
def meaningful() -> ScanEmbedding:
    scan = look(SentenceEncoder(abnormalities=()), organs=V2_NAMES)
    prepare(scan.encoder, [])
    return scan


def right(scan: ScanEmbedding, query: dict) -> bool:
    ranking = rank_organs(scan, query["text"])
    if not query["expect"]:
        return not ranking.matched
    return ranking.matched and ranking.organs[0].organ in query["expect"]


def test_development_questions(meaningful):
    wrong = [q["text"] for q in DEVELOPMENT if not right(meaningful, q)]
    assert len(wrong) <= 0.05 * len(DEVELOPMENT), wrong


@pytest.mark.parametrize(
    ("text", "best"),
    [
        ("left kidney", "kidney_left"),
        ("renal stone on the left", "kidney_left"),
        ("enlarged spleen", "spleen"),
        ("L3 vertebra", "vertebrae_L3"),
        ("where bile is stored", "gallbladder"),
        ("banana", None),
    ],
)
def test_questions_of_the_first_demonstration(meaningful, text, best):
    ranking = rank_organs(meaningful, text)
    assert (ranking.best.organ if ranking.best else None) == best
    if best is None:
        assert ranking.message == "Nothing in this scan matches 'banana'."


def test_an_organ_meant_but_absent_is_named(meaningful):
    here = [i for i, o in enumerate(meaningful.organs) if o not in ("gallbladder", "pancreas")]
    fewer = ScanEmbedding(
        tuple(meaningful.organs[i] for i in here),
        meaningful.vectors[here],
        (OrganStatus.COMPLETE,) * len(here),
        meaningful.encoder,
    )
    ranking = rank_organs(fewer, "where bile is stored")
    assert not ranking.matched
    assert ranking.message == "The masks hold no gallbladder, which is nearest in meaning."


# -- findings of which only the place is known


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("porcelain gallbladder", {"gallbladder"}),
        ("Hampton's hump on the left", {"lung_lower_lobe_left"}),
        ("nephrocalcinosis on the right", {"kidney_right"}),
        ("is there a Klatskin tumour?", {"gallbladder", "liver"}),
    ],
)
def test_a_finding_without_an_entry_lights_up_its_organs_and_has_no_score(scan, text, where):
    ranking = rank_organs(scan, text)
    assert ranking.matched and ranking.finding is None
    assert {o.organ for o in ranking.organs if o.name == 0.8} == where
    assert all(o.name == 0 for o in ranking.organs if o.organ not in where)
    assert re.fullmatch(
        r"I know where to look for '[\w' ]+', not how to score it: the dictionary has no entry for it\.",
        ranking.message,
    )


def test_a_finding_without_an_entry_and_without_its_organs(scan):
    ranking = rank_organs(scan, "Hill-Sachs lesion")
    assert not ranking.matched and ranking.best is None and ranking.finding is None
    assert ranking.message == "The masks hold no organ in which to look for 'Hill-Sachs lesion'."


def test_absence_of_a_finding_without_an_entry_is_not_told(scan):
    ranking = rank_organs(scan, "no nephrocalcinosis")
    assert ranking.matched and ranking.finding is None and "not how to score it" in ranking.message
    assert ranking.message.endswith("Asked for absence: nephrocalcinosis.")


def test_an_entry_of_the_users_own_answers_for_what_the_built_in_dictionary_leaves_out(scan):
    entry = dataclasses.replace(load_dictionary()[0], key="own", name="nephrocalcinosis", organs=("kidney_left",))
    answer = rank_organs(scan, "nephrocalcinosis", dictionary=[*load_dictionary(), entry])
    assert answer.finding.abnormality == "own" and "where to look" not in answer.message


def test_an_entry_that_was_edited_is_read_at_the_next_question(scan):
    entries = list(load_dictionary())
    place = next(i for i, entry in enumerate(entries) if entry.key == "liver_cyst")
    entry = dataclasses.replace(entries[place], synonyms=("moth hole",))
    assert hash(entry) == hash(entries[place]) and entry != entries[place]
    edited = [*entries[:place], entry, *entries[place + 1 :]]
    for dictionary, key in ((entries, None), (edited, "liver_cyst"), (entries, None), (edited, "liver_cyst")):
        finding = rank_organs(scan, "moth hole", dictionary=dictionary).finding
        assert (finding and finding.abnormality) == key
