"""Questions in the window: a history with answers, two side by side, pinned ones in the organ table."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt

from napari_ctvlp._qt.organ_model import HEADERS
from napari_ctvlp._qt.queries_dialog import ANSWER, FIRST, HOW, LEAD, MARK, NEXT, PINNED, QUESTION
from napari_ctvlp.ask.types import Finding, OrganMatch, Ranking
from napari_ctvlp.queries import MOST_PINNED

from .test_prompt_lab import cells
from .windows import add_layers

pytestmark = pytest.mark.usefixtures("qapp")


@pytest.fixture
def asked(window, phantom):
    viewer, widget = window
    add_layers(viewer, *phantom)
    for text in ("liver", "banana", "left kidney"):
        widget.ask(text)
    widget.dock.more.queries.click()
    return widget


def select(dialog, *texts):
    dialog.questions.clearSelection()
    for text in texts:
        dialog._also_select(cells(dialog.questions, QUESTION).index(text))


def test_questions_are_listed_with_their_answers(asked):
    dialog = asked.asked.dialog
    assert cells(dialog.questions, QUESTION) == ["left kidney", "banana", "liver"]
    assert cells(dialog.questions, ANSWER) == ["left kidney 1.00", "Nothing here matches.", "liver 1.00"]
    assert dialog.told.text() == HOW
    asked.ask("spleen")
    assert cells(dialog.questions, ANSWER)[0] == "spleen 1.00"


def test_all_that_are_listed_are_answered_anew_when_the_words_change(asked):
    dialog = asked.asked.dialog
    asked.session.dictionary_changed()
    assert cells(dialog.questions, ANSWER) == ["left kidney 1.00", "Nothing here matches.", "liver 1.00"]
    dialog.close()
    asked.session.dictionary_changed()
    assert asked.queries.answer("liver") is None  # nobody looks at it
    asked.dock.more.queries.click()
    assert cells(dialog.questions, ANSWER)[2] == "liver 1.00"


def test_the_view_goes_to_the_organ_that_the_sentence_speaks_of(asked, word_rooms):
    organs = (OrganMatch("kidney_right", 0.98, 0.9, 1.0), OrganMatch("kidney_left", 0.94, 0.8, 1.0))
    finding = Finding("kidney_stone", "kidney_left", 0.92, 0.8, 0.95, "present")
    word_rooms.rank_organs = lambda _embedding, text, *_: Ranking(text, True, "", organs, finding)
    reached = []
    asked.navigator.organ_reached.connect(reached.append)
    asked.ask("stones in both kidneys")
    assert reached == ["kidney_left"]
    told = cells(asked.asked.dialog.questions, ANSWER)[0]
    assert told.startswith("right kidney 0.98; kidney stone, left kidney 0.92")


def test_one_shows_its_answer_and_two_are_side_by_side(asked, phantom, window, qtbot):
    viewer, _ = window
    dialog = asked.asked.dialog
    select(dialog, "liver")
    assert dialog.organs.isColumnHidden(NEXT) and not dialog.organs.isColumnHidden(FIRST)
    assert cells(dialog.organs, 0)[0] == "liver"
    select(dialog, "left kidney", "liver")
    assert dialog.told.text() == "“left kidney” against “liver”"
    organs, lead = cells(dialog.organs, 0), cells(dialog.organs, LEAD)
    assert set(organs) == {"liver", "spleen", "left kidney", "right kidney"}
    assert lead[organs.index("left kidney")].startswith("+") and lead[organs.index("liver")].startswith("-")
    assert [abs(float(x)) for x in lead] == sorted((abs(float(x)) for x in lead), reverse=True)
    middle = dialog.organs.visualRect(dialog.organs.model().index(organs.index("liver"), 0)).center()
    qtbot.mouseClick(dialog.organs.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    assert tuple(viewer.dims.current_step) == phantom[1].statistics["liver"].centroid_index


def test_a_question_is_asked_again(asked):
    dialog = asked.asked.dialog
    select(dialog, "liver")
    dialog.again.click()
    assert asked.session.query == "liver" and asked.dock.query.text() == "liver"
    assert cells(dialog.questions, QUESTION) == ["liver", "left kidney", "banana"]
    assert dialog.questions.selected == ["liver"]


def test_pinned_questions_are_columns_that_sort_and_one_key_takes_them_back(asked):
    table, dialog = asked.dock.organs.table, asked.asked.dialog
    asked.dock.more.pin.click()  # the open question
    select(dialog, "liver")
    dialog.pin.click()
    assert cells(dialog.questions, PINNED) == [MARK, "", MARK]
    column = len(HEADERS)
    header = table.model()
    assert [header.headerData(c, Qt.Orientation.Horizontal) for c in (column, column + 1)] == ["left\nkidney", "liver"]
    bar = table.horizontalHeader()
    assert [bar.logicalIndex(place) for place in range(4)] == [0, column, column + 1, 1]  # beside the names
    table.sortByColumn(column, Qt.SortOrder.DescendingOrder)
    assert cells(table, 0)[0] == "left kidney" and cells(table, column)[0] == "1.00"
    table.sortByColumn(column + 1, Qt.SortOrder.DescendingOrder)
    assert cells(table, 0)[0] == "liver"
    for _ in range(2):
        assert asked.undo.next == "order of organs"
        asked.undo.undo()
    assert cells(table, 0) == sorted(cells(table, 0))
    assert asked.undo.next == "pinning"
    asked.undo.undo()
    assert table.model().columnCount() == column + 1
    asked.undo.undo()
    assert [bar.logicalIndex(place) for place in range(column)] == list(range(column))
    assert table.model().columnCount() == column and not asked.dock.more.pin.isChecked()


def test_pins_hold_for_the_next_scan(asked, window, phantom):
    viewer, _ = window
    asked.dock.more.pin.click()
    viewer.layers.clear()
    assert asked.queries.answer("left kidney") is None
    asked.ask("")
    add_layers(viewer, *phantom)
    assert "1.00" in cells(asked.dock.organs.table, len(HEADERS))


def test_too_many_pins_are_refused_in_words(asked):
    told = []
    asked.session.failed.connect(told.append)
    for number in range(MOST_PINNED + 1):
        asked.ask(f"liver {number}")
        asked.dock.more.pin.click()
    assert len(asked.queries.pinned) == MOST_PINNED
    assert "let one go first" in str(told[0]) and not asked.dock.more.pin.isChecked()


def test_forgotten_questions_come_back_with_one_key(asked):
    dialog = asked.asked.dialog
    select(dialog, "liver", "banana")
    dialog.forget.click()
    assert cells(dialog.questions, QUESTION) == ["left kidney"] == asked.session.history
    asked.undo.undo()
    assert asked.session.history == ["liver", "banana", "left kidney"]
    assert cells(dialog.questions, ANSWER)[-1] == "liver 1.00"


def test_without_a_question_there_is_nothing_to_pin_and_that_is_said(window):
    _, widget = window
    told = []
    widget.session.failed.connect(told.append)
    widget.dock.more.pin.click()
    assert "Ask something first" in str(told[0]) and not widget.dock.more.pin.isChecked()
