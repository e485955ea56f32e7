"""The query line: asks, recalls, clears, suggests."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt

from napari_ctvlp._qt.query_line import QueryLine


@pytest.fixture
def line(qtbot):
    line = QueryLine()
    qtbot.addWidget(line)
    return line


def test_enter_asks(line, qtbot):
    with qtbot.waitSignal(line.asked) as asked:
        qtbot.keyClicks(line, "left kidney")
        qtbot.keyClick(line, Qt.Key.Key_Return)
    assert asked.args == ["left kidney"]


def test_up_and_down_recall_and_come_back_to_the_draft(line, qtbot):
    line.set_history(["liver", "spleen"])
    qtbot.keyClicks(line, "ao")
    texts = []
    for key in (Qt.Key.Key_Up, Qt.Key.Key_Up, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Down):
        qtbot.keyClick(line, key)
        texts.append(line.text())
    assert texts == ["spleen", "liver", "liver", "spleen", "ao"]


def test_up_without_history_changes_nothing(line, qtbot):
    qtbot.keyClicks(line, "ao")
    qtbot.keyClick(line, Qt.Key.Key_Up)
    assert line.text() == "ao"


@pytest.mark.parametrize("clear", ["escape", "backspace"])
def test_clearing_takes_the_question_back(line, qtbot, clear):
    qtbot.keyClicks(line, "a")
    with qtbot.waitSignal(line.asked) as asked:
        qtbot.keyClick(line, Qt.Key.Key_Escape if clear == "escape" else Qt.Key.Key_Backspace)
    assert asked.args == [""]
    assert line.text() == ""


def test_suggestions_hold_the_typed_part_anywhere(line):
    line.set_suggestions(["left kidney", "right kidney", "liver"])
    completer = line.completer()
    completer.setCompletionPrefix("KID")
    found = [completer.completionModel().index(row, 0).data() for row in range(completer.completionCount())]
    assert found == ["left kidney", "right kidney"]


def test_recall_works_after_long_and_foreign_texts(line, qtbot):
    texts = ["x" * 10_000, "почка слева", "左肾"]
    line.set_history(texts)
    recalled = []
    for _ in texts:
        qtbot.keyClick(line, Qt.Key.Key_Up)
        recalled.append(line.text())
    assert recalled == texts[::-1]
