"""The prompt lab in the window: scores follow what is written, saved words are read at once and taken back."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt

from napari_ctvlp._qt.interval_delegate import Interval
from napari_ctvlp._qt.plain_table import VALUE_ROLE
from napari_ctvlp._qt.prompt_dialog import CHANGE, HINT, NOW, PLOT, SAVED
from napari_ctvlp._qt.prompt_lab import NO_SCAN
from napari_ctvlp.anatomy.user_dictionary import current_dictionary, user_dictionary_path
from napari_ctvlp.ask import score_abnormalities
from napari_ctvlp.rooms import Rooms
from tests.test_session import Queue

from .windows import add_layers

pytestmark = pytest.mark.usefixtures("qapp")

KEY = "kidney_stone"


@pytest.fixture
def lab(window, word_rooms, phantom):
    """The window with the phantom and an encoder that knows stones of both kidneys."""
    viewer, widget = window
    card = word_rooms.encoder.card
    object.__setattr__(card, "abnormalities", (f"kidney_left/{KEY}", f"kidney_right/{KEY}"))
    word_rooms.score_abnormalities = lambda embedding: Rooms.score_abnormalities(word_rooms, embedding)
    add_layers(viewer, *phantom)
    widget.lab.open(KEY)
    return widget.lab


def cells(table, column):
    model = table.model()
    return [model.index(row, column).data() for row in range(model.rowCount())]


def type_at_end(qtbot, lab, text):
    """Write a line more, and wait for what follows."""
    with qtbot.waitSignal(lab.dialog.edited):
        editor = lab.dialog.positive
        editor.moveCursor(editor.textCursor().MoveOperation.End)
        qtbot.keyClick(editor, Qt.Key.Key_Return)
        qtbot.keyClicks(editor, text)


def stone():
    return next(e for e in current_dictionary() if e.key == KEY)


def test_scores_and_spread_follow_what_is_written(lab, qtbot):
    dialog = lab.dialog
    assert dialog.prompts == (stone().positive, stone().negative)
    assert cells(dialog.scores, 0) == ["left kidney", "right kidney"]
    before = cells(dialog.scores, NOW)
    assert cells(dialog.scores, CHANGE) == ["", ""]
    type_at_end(qtbot, lab, "Kidney left, left, left.")
    after = cells(dialog.scores, NOW)
    assert after[0] != before[0] and cells(dialog.scores, SAVED) == before
    assert cells(dialog.scores, CHANGE)[0].startswith("+")
    drawn = dialog.scores.model().index(0, PLOT).data(VALUE_ROLE)
    assert isinstance(drawn, Interval) and drawn.high > drawn.before.high
    assert "Kidney left, left, left." in cells(dialog.sentences, 0)
    scores = score_abnormalities(lab._session.embedding, (lab._now.entry,))
    assert [f"{s.probability:.2f} ({s.low:.2f}–{s.high:.2f})" for s in scores] == after


def test_saving_writes_only_that_entry_is_read_at_once_and_undone_with_one_key(lab, window, qtbot):
    _, widget = window
    scores = widget.session.scores
    before = current_dictionary()
    type_at_end(qtbot, lab, "Kidney left, left, left.")
    assert lab.dialog.save.isEnabled()
    lab.dialog.save.click()
    assert stone().positive[-1] == "Kidney left, left, left."
    assert [e for e in current_dictionary() if e.key != KEY] == [e for e in before if e.key != KEY]
    assert not lab.dialog.save.isEnabled() and cells(lab.dialog.scores, CHANGE) == ["", ""]
    assert widget.session.scores != scores  # the findings of the window, too
    assert widget.undo.next == "saving prompts of kidney stone"
    widget.undo.undo()
    assert current_dictionary() == before and not user_dictionary_path().exists()
    assert lab.dialog.prompts[0] == stone().positive
    assert widget.session.scores == scores


@pytest.mark.parametrize(
    ("text", "said"), [("No stone.", "is negated"), ("A {liver}.", "brace")], ids=["negated", "brace"]
)
def test_what_may_not_be_saved_is_said_and_still_tried(lab, qtbot, text, said):
    type_at_end(qtbot, lab, text)
    assert said in lab.dialog.told.text() and "Prompt 7" in lab.dialog.told.text()
    assert not lab.dialog.save.isEnabled()
    assert text.replace("{liver}", "{liver}") in cells(lab.dialog.sentences, 0)
    lab.dialog.revert.click()
    assert lab.dialog.told.text() == HINT and lab.dialog.prompts[0] == stone().positive
    lab.dialog.positive.undo()
    assert text in lab.dialog.prompts[0]


def test_too_few_prompts_are_said(lab, qtbot):
    with qtbot.waitSignal(lab.dialog.edited):
        lab.dialog.negative.setPlainText("A normal {organ}.")
    assert "1 prompts call the organ normal" in lab.dialog.told.text()
    assert cells(lab.dialog.scores, NOW) and not lab.dialog.save.isEnabled()


@pytest.mark.parametrize(
    ("emptied", "said"), [("negative", "0 prompts call the organ normal"), ("positive", "0 prompts state the finding")]
)
def test_without_prompts_no_old_scores_stand_and_that_is_said(lab, qtbot, emptied, said):
    queue = Queue()
    lab._session._bench._runner = queue
    type_at_end(qtbot, lab, "Something else.")  # under way while all is deleted
    with qtbot.waitSignal(lab.dialog.edited):
        getattr(lab.dialog, emptied).setPlainText("")
    queue.run_all()
    told = lab.dialog.told.text()
    assert said in told and "nothing to score" in told and not lab.dialog.save.isEnabled()
    assert cells(lab.dialog.scores, NOW) == cells(lab.dialog.sentences, 0) == []
    lab.dialog.revert.click()
    queue.run_all()
    assert cells(lab.dialog.scores, NOW) and cells(lab.dialog.sentences, 0)


def test_a_taught_finding_has_no_prompts_and_that_is_said(lab, window):
    _, widget = window
    failed = []
    widget.session.failed.connect(failed.append)
    lab.dialog.hide()
    widget.dock.findings.pair_chosen.emit("kidney_left", "taught:bright rim")
    widget.dock.more.prompts.click()
    assert not lab.shown
    assert "“bright rim” was taught by examples" in str(failed[0])
    widget.ask("liver")
    widget.dock.more.prompts.click()
    assert lab.shown and len(failed) == 1


def test_entries_that_the_encoder_does_not_know_say_so(lab):
    lab.dialog.entries.setCurrentIndex(lab.dialog.entries.findData("liver_cyst"))
    lab.dialog.entries.activated.emit(lab.dialog.entries.currentIndex())
    assert "unknown to this encoder" in lab.dialog.entries.currentText()
    assert cells(lab.dialog.scores, NOW) == ["N/A"]
    assert len(cells(lab.dialog.sentences, 0)) > 10


def test_an_encoder_with_words_of_its_own_cannot_be_overruled(lab, word_rooms, qtbot):
    word_rooms.encoder.dictionary = (stone(),)
    lab.open(KEY)
    type_at_end(qtbot, lab, "Stones.")
    assert "words of its own" in lab.dialog.told.text() and not lab.dialog.save.isEnabled()


def test_a_clicked_organ_is_gone_to_and_the_key_opens_and_closes(lab, window, phantom, qtbot):
    viewer, widget = window
    table = lab.dialog.scores
    qtbot.mouseClick(
        table.viewport(), Qt.MouseButton.LeftButton, pos=table.visualRect(table.model().index(1, 0)).center()
    )
    assert tuple(viewer.dims.current_step) == phantom[1].statistics["kidney_right"].centroid_index
    assert lab.dialog.heading.text() == "Prompts, right kidney"
    widget.dock.more.prompts.click()
    assert not lab.shown
    widget.dock.more.prompts.click()
    assert lab.shown


def test_another_scan_is_scored_anew_and_none_is_said(lab, window):
    viewer, _ = window
    assert cells(lab.dialog.scores, NOW)
    viewer.layers.clear()
    assert lab.dialog.told.text() == NO_SCAN and cells(lab.dialog.scores, NOW) == []


def test_what_was_not_saved_is_not_lost_by_opening_another_entry(lab, window, qtbot):
    _, widget = window
    type_at_end(qtbot, lab, "Kidney left, left.")
    mine = lab.dialog.prompts
    widget.dock.findings.pair_chosen.emit("liver", "liver_cyst")
    lab.toggle()
    lab.toggle()
    cyst = next(e for e in current_dictionary() if e.key == "liver_cyst")
    assert lab.dialog.entries.currentData() == "liver_cyst" and lab.dialog.prompts == (cyst.positive, cyst.negative)
    widget.undo.undo()
    assert lab.dialog.entries.currentData() == KEY and lab.dialog.prompts == mine
    assert lab.dialog.save.isEnabled()
