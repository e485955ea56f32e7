"""Evidence in the window: tables that fill, outlines that come and go, work that can be stopped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_ctvlp._qt.findings_model import PAIR_ROLE
from napari_ctvlp._qt.reasons import FORGOTTEN, NOTHING
from napari_ctvlp._qt.reasons_dialog import AFTER, CHANGE, EXAMPLES, LEFT_OUT, SENTENCES, WHAT
from napari_ctvlp._qt.region_layer import NAME
from napari_ctvlp.anatomy.dictionary import load_dictionary
from napari_ctvlp.ask.evidence import Case, Change, Evidence
from napari_ctvlp.ask.locate import Peak
from napari_ctvlp.ask.sentences import Sentence
from napari_ctvlp.ask.taught_file import write_taught
from napari_ctvlp.ask.teach import EncoderKey, Example, TaughtFinding
from napari_ctvlp.ask.types import AbnormalityScore, Finding, Ranking
from napari_ctvlp.teaching import anonymous_scan
from napari_ctvlp.work import Task
from tests.test_session import Queue

from .test_prompt_lab import cells
from .windows import add_layers

pytestmark = pytest.mark.usefixtures("qapp")
STONE = next(entry for entry in load_dictionary() if entry.key == "kidney_stone")


def score(probability, status="scored"):
    if probability is None:
        return AbnormalityScore("kidney_left", "kidney_stone", None, None, None, status)
    return AbnormalityScore("kidney_left", "kidney_stone", probability, probability - 0.1, probability + 0.1, status)


@pytest.fixture
def why(window, word_rooms, phantom):
    """The window with the phantom; evidence of a stone is told by the test."""
    viewer, widget = window
    add_layers(viewer, *phantom)
    asked, drawn = [], {"start": (20, 35, 52)}

    def evidence(embedding, scan, masks, organ, abnormality):
        asked.append((organ, abnormality))
        regions = (Peak("kidney_left", (25, 40, 60), 2.5), Peak("kidney_left", (21, 36, 53), 0.5))
        sentences = (Sentence("A stone.", True, 0.4, 0.9), Sentence("Normal.", False, 0.2, 0.8))
        found = Evidence(score(0.8), STONE, ("kidney_left",), regions, None, sentences, ())
        plan = tuple(
            Change(name, "read this", lambda _p, _c, s=s: s)
            for name, s in (("erased", score(0.2)), ("grown", score(0.8)), ("shrunk", score(None, "N/A: nothing")))
        )
        return Case(found, plan, (drawn["start"], np.ones((3, 4, 5), np.uint8)))

    word_rooms.evidence = evidence
    widget.dock.findings.pair_chosen.emit("kidney_left", "kidney_stone")
    return viewer, widget, asked, drawn


def test_tables_tell_regions_changes_and_sentences(why, phantom):
    _, widget, asked, _ = why
    widget.dock.more.evidence.click()
    dialog = widget.reasons.dialog
    assert asked == [("kidney_left", "kidney_stone")]
    assert dialog.title.text() == "left kidney, kidney stone: 0.80 (0.70–0.90)"
    assert cells(dialog.changes, WHAT) == ["erased", "grown", "shrunk"]
    assert cells(dialog.changes, AFTER) == ["0.20 (0.10–0.30)", "0.80 (0.70–0.90)", "N/A"]
    assert cells(dialog.changes, CHANGE) == ["-0.60", "0.00", ""]
    assert cells(dialog.sentences, 0) == ["A stone.", "Normal."]
    assert dialog.doing.text() == "All tried." and widget.session.activity is None
    # 25, 40, 60 of 3 x 2 x 2 mm from (-80, -60, 60), L, P, S
    assert cells(dialog.regions, 3) == ["40, 20, -15", "26, 12, -3"]


def test_regions_are_outlined_in_all_views_until_closed_and_gone_to_with_a_way_back(why, phantom, qtbot):
    viewer, widget, _, drawn = why
    widget.views.set_shown(True)
    widget.undo.clear()
    active = viewer.layers.selection.active
    widget.dock.more.evidence.click()
    layer = viewer.layers[NAME]
    world = layer.data_to_world((0, 0, 0))
    assert np.allclose(world, viewer.layers[0].data_to_world((20, 35, 52)))
    assert viewer.layers.selection.active is active
    widget.views.settle()
    twins = [next(known for known in view.shown if known.name == NAME) for view in widget.views.views]
    assert all(np.allclose(twin.data_to_world((0, 0, 0)), world) and twin.opacity == 1 for twin in twins)
    before = tuple(viewer.dims.current_step)
    table = widget.reasons.dialog.regions
    middle = table.visualRect(table.model().index(0, 0)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    assert tuple(viewer.dims.current_step) == (25, 40, 60)
    widget.undo.undo()
    assert tuple(viewer.dims.current_step) == before
    widget.dock.more.evidence.click()
    assert not widget.reasons.shown and not layer.visible
    drawn["start"] = (30, 35, 52)
    widget.dock.more.evidence.click()
    assert viewer.layers[NAME] is layer and layer.visible and layer.opacity == 1
    world = viewer.layers[0].data_to_world((30, 35, 52))
    assert all(np.allclose(known.data_to_world((0, 0, 0)), world) for known in (layer, *twins))
    assert all(twin.opacity == 1 and twin.data is layer.data for twin in twins)


def test_the_finding_asked_for_last_is_explained(why, word_rooms):
    _, widget, asked, _ = why
    finding = Finding("liver_cyst", "liver", 0.5, 0.4, 0.6, "uncertain")
    word_rooms.rank_organs = lambda _embedding, text, *_: Ranking(text, True, "", (), finding)
    widget.ask("cyst in the liver")
    widget.reasons.toggle()
    widget.dock.findings.pair_chosen.emit("kidney_left", "kidney_stone")
    widget.reasons.toggle()  # another one than is shown: not to be hidden
    assert asked == [("liver", "liver_cyst"), ("kidney_left", "kidney_stone")]
    widget.reasons.toggle()
    assert not widget.reasons.shown


def test_what_was_stopped_can_be_gone_on_with(why, word_rooms):
    _, widget, _, _ = why
    queue = Queue()
    widget.session._bench._runner = queue
    widget.reasons.open()
    dialog = widget.reasons.dialog
    queue.run()  # the gathering
    queue.run()  # the first change
    assert cells(dialog.changes, AFTER)[0].startswith("0.20") and dialog.stop.isVisible()
    dialog.stop.click()
    queue.run()  # comes too late
    assert cells(dialog.changes, AFTER)[1:] == [LEFT_OUT, LEFT_OUT]
    assert not widget.session.busy_with(Task.EVIDENCE) and dialog.again.isVisible()
    dialog.again.click()
    queue.run_all()
    assert cells(dialog.changes, AFTER)[1].startswith("0.80") and dialog.doing.text() == "All tried."


def test_another_scan_ends_it(why, word_rooms):
    viewer, widget, _, _ = why
    queue = Queue()
    widget.session._bench._runner = queue
    widget.reasons.open()
    queue.run()
    viewer.layers.clear()
    queue.run_all()
    assert NAME not in viewer.layers and not cells(widget.reasons.dialog.changes, WHAT)
    assert widget.reasons.dialog.title.text() == NOTHING


def test_nothing_chosen_says_what_to_do(window, phantom):
    viewer, widget = window
    add_layers(viewer, *phantom)
    widget.dock.more.evidence.click()
    assert widget.reasons.dialog.title.text() == NOTHING


def test_after_asking_for_an_organ_no_other_question_is_explained(why, word_rooms):
    _, widget, asked, _ = why
    finding = Finding("kidney_stone", "kidney_left", 0.5, 0.4, 0.6, "uncertain")
    rank = word_rooms.rank_organs
    word_rooms.rank_organs = lambda _embedding, text, *_: Ranking(text, True, "", (), finding)
    widget.ask("kidney stone")
    word_rooms.rank_organs = rank
    widget.ask("liver")
    widget.dock.more.evidence.click()
    dialog = widget.reasons.dialog
    assert asked == []
    assert "“liver” asks for no finding" in dialog.title.text() and NOTHING in dialog.title.text()
    assert not dialog.prompts.isEnabled() and not cells(dialog.sentences, 0)
    widget.dock.findings.pair_chosen.emit("kidney_left", "kidney_stone")
    widget.session.dictionary_changed()  # answers the organ's question anew, which is older than the click
    widget.dock.more.evidence.click()
    assert asked == [("kidney_left", "kidney_stone")] and dialog.prompts.isEnabled()


def test_a_question_taken_back_is_not_explained_any_more_and_a_clicked_row_is(why, word_rooms):
    _, widget, asked, _ = why
    finding = Finding("liver_cyst", "liver", 0.5, 0.4, 0.6, "uncertain")
    word_rooms.rank_organs = lambda _embedding, text, *_: Ranking(text, True, "", (), finding)
    widget.ask("cyst in the liver")
    widget.ask("")
    widget.dock.more.evidence.click()
    assert asked == [] and widget.reasons.dialog.title.text() == NOTHING
    widget.dock.findings.pair_chosen.emit("kidney_left", "kidney_stone")
    widget.ask("")
    widget.dock.more.evidence.click()
    assert asked == [("kidney_left", "kidney_stone")]


def test_a_taught_finding_is_explained_by_its_examples(why, word_encoder, phantom):
    _, widget, asked, _ = why
    embedding = widget.session.embedding
    rows = [
        Example(organ, there, s, embedding.vectors[embedding.organs.index(organ)])
        for organ, there, s in (
            ("kidney_left", True, anonymous_scan(phantom[0])),
            ("kidney_left", True, "ab" * 8),
            ("liver", False, anonymous_scan(phantom[0])),
            ("liver", False, "cd" * 8),
        )
    ]
    finding = TaughtFinding("bright rim", EncoderKey.of(word_encoder.card), tuple(rows))
    widget.session.set_taught([finding])
    widget.dock.findings.pair_chosen.emit("kidney_left", finding.key)
    widget.dock.more.evidence.click()
    dialog = widget.reasons.dialog
    assert asked == [] and dialog.title.text().startswith("left kidney, bright rim (taught): 0.")
    assert "Taught by examples" in dialog.notes.text() and "2 with and 2 without" in dialog.notes.text()
    assert dialog.heading.text() == EXAMPLES
    examples = cells(dialog.sentences, 0), cells(dialog.sentences, 2)
    assert examples[0][:2] == ["left kidney, this scan", "left kidney, scan ababab"]
    assert examples[1] == ["yes", "yes", "no", "no"]
    assert cells(dialog.changes, AFTER)[0] not in ("", LEFT_OUT) and dialog.doing.text() == "All tried."
    assert not dialog.prompts.isEnabled() and "no prompts" in dialog.prompts.toolTip()
    widget.dock.findings.pair_chosen.emit("kidney_left", "kidney_stone")
    widget.dock.more.evidence.click()
    assert dialog.heading.text() == SENTENCES and dialog.prompts.isEnabled()
    assert cells(dialog.sentences, 0) == ["A stone.", "Normal."]
    widget.session.set_taught([])
    widget.dock.findings.pair_chosen.emit("kidney_left", finding.key)
    widget.dock.more.evidence.click()
    assert dialog.notes.text() == FORGOTTEN and not cells(dialog.sentences, 0)


def test_the_menu_of_a_taught_row_offers_no_prompts(why, word_encoder):
    _, widget, _, _ = why
    vectors = widget.session.embedding.vectors
    rows = tuple(Example("liver", n < 2, f"{n}" * 16, vectors[n]) for n in range(4))
    widget.session.set_taught([TaughtFinding("bright rim", EncoderKey.of(word_encoder.card), rows)])
    table = widget.dock.findings.table
    model = table.model()
    (row,) = (r for r in range(model.rowCount()) if model.index(r, 0).data(PAIR_ROLE)[1] == "taught:bright rim")
    reason, prompts = widget.dock.findings.menu_of(model.index(row, 0)).actions()
    assert reason.isEnabled() and not prompts.isEnabled() and "no prompts" in prompts.toolTip()


def test_the_menu_of_a_finding_leads_there(why):
    _, widget, asked, _ = why
    table = widget.dock.findings.table
    menu = widget.dock.findings.menu_of(table.model().index(0, 0))
    assert [action.text().split("\t") for action in menu.actions()] == [
        ["Why this score", "W"],
        ["Try other prompts", "R"],
    ]
    menu.actions()[0].trigger()
    assert widget.reasons.shown and asked[-1] == table.model().index(0, 0).data(PAIR_ROLE)


def test_known_examples_are_shown_once_a_library_is_open(why, word_encoder, tmp_path, phantom):
    _, widget, _, _ = why
    card, organ = word_encoder.card, widget.session.embedding.organs.index("kidney_left")
    own = widget.session.embedding.vectors[organ]
    scans = (anonymous_scan(phantom[0]), "ab" * 8, "cd" * 8)
    rows = tuple(Example("kidney_left", there, s, own) for s, there in zip(scans, (True, True, False), strict=True))
    write_taught(tmp_path / "cases", [TaughtFinding("horseshoe", EncoderKey.of(card), rows)])
    widget.dock.more.evidence.click()
    box = widget.reasons.dialog.cases
    assert box.choose.isVisible() and not box.table.isVisible() and not box.heading.isVisible()
    widget.reasons.cases.open(tmp_path)
    assert box.table.isVisible() and "of 2 examples of left kidney" in box.told.text()
    shown = cells(box.table, 0), cells(box.table, 1), cells(box.table, 2)
    assert shown == (
        ["left kidney, scan ababab", "left kidney, scan cdcdcd"],
        ["● horseshoe", "○ horseshoe"],
        ["1.00", "1.00"],
    )
    assert widget.undo.next == "opening the case library"
    widget.undo.undo()
    assert not box.table.isVisible() and widget.reasons.cases.library is None


def test_a_library_of_another_encoder_is_not_compared_with(why, word_encoder, tmp_path):
    _, widget, _, _ = why
    row = Example("kidney_left", True, "ab" * 8, widget.session.embedding.vectors[0])
    write_taught(tmp_path / "cases", [TaughtFinding("x", EncoderKey.of(word_encoder.card), (row,))])
    widget.dock.more.evidence.click()
    widget.reasons.cases.open(tmp_path)
    library = widget.reasons.cases.library
    widget.reasons.cases._set(replace(library, encoder=replace(library.encoder, revision="older")))
    box = widget.reasons.dialog.cases
    assert "another encoder" in box.told.text() and not box.table.isVisible()


def test_an_open_one_follows_the_answer(why, word_rooms, qtbot):
    """What is of another question goes at once, before anything is worked out for the new one."""
    _, widget, asked, _ = why
    widget.reasons.open()
    dialog = widget.reasons.dialog
    finding = Finding("liver_cyst", "liver", 0.5, 0.4, 0.6, "uncertain")
    rank = word_rooms.rank_organs
    word_rooms.rank_organs = lambda _embedding, text, *_: Ranking(text, True, "", (), finding)
    widget.ask("cyst in the liver")
    assert (
        dialog.title.text() == "liver, liver cyst" and not cells(dialog.changes, WHAT) and not widget.reasons.outlined
    )
    assert asked == [("kidney_left", "kidney_stone")]
    qtbot.waitUntil(lambda: asked[1:] == [("liver", "liver_cyst")])
    assert cells(dialog.changes, WHAT) == ["erased", "grown", "shrunk"] and widget.reasons.outlined
    word_rooms.rank_organs = rank
    for organ in ("spleen", "liver"):
        widget.ask(organ)
        assert f"“{organ}” asks for no finding" in dialog.title.text() and not cells(dialog.changes, WHAT)
    widget.dock.findings.pair_chosen.emit("kidney_left", "kidney_stone")
    assert dialog.title.text() == "left kidney, kidney stone"
    qtbot.waitUntil(lambda: asked[2:] == [("kidney_left", "kidney_stone")])
    widget.reasons.toggle()
    assert not widget.reasons.shown


def test_only_what_a_question_ends_as_is_worked_out(why, word_rooms, qtbot):
    _, widget, asked, _ = why
    widget.reasons.open()
    for abnormality in ("liver_cyst", "liver_mass", "cirrhosis"):
        finding = Finding(abnormality, "liver", 0.5, 0.4, 0.6, "uncertain")
        word_rooms.rank_organs = lambda _embedding, text, *_, finding=finding: Ranking(text, True, "", (), finding)
        widget.session.ask(abnormality, provisional=True)
    qtbot.waitUntil(lambda: len(asked) > 1)
    assert asked[1:] == [("liver", "cirrhosis")]
