"""The query line: tells what is typed, asks, recalls, suggests."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QToolButton

from napari_ctvlp._qt.query_line import SETTLE_MS, QueryLine


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


@pytest.mark.parametrize("clear", ["backspace", "cross"])
def test_an_emptied_line_is_told_at_once(line, qtbot, clear):
    qtbot.keyClicks(line, "a")
    with qtbot.waitSignal(line.typed, timeout=SETTLE_MS // 2) as typed:
        if clear == "cross":
            line.findChild(QToolButton).click()
        else:
            qtbot.keyClick(line, Qt.Key.Key_Backspace)
    assert typed.args == [""] and line.text() == ""


def test_what_is_typed_is_told_once_it_rests(line, qtbot):
    told = []
    line.typed.connect(told.append)
    qtbot.keyClicks(line, "liver", delay=5)
    assert told == []
    qtbot.waitUntil(lambda: told != [])
    qtbot.wait(2 * SETTLE_MS)
    assert told == ["liver"]


@pytest.mark.parametrize("end", ["enter", "escape", "another text"])
def test_what_was_typed_is_not_told_after_its_end(line, qtbot, end):
    told = []
    line.typed.connect(told.append)
    qtbot.keyClicks(line, "liv")
    line._hide_suggestions()
    if end == "another text":
        line.setText("spleen")
    else:
        qtbot.keyClick(line, Qt.Key.Key_Return if end == "enter" else Qt.Key.Key_Escape)
    qtbot.wait(2 * SETTLE_MS)
    assert told == []


def test_a_recalled_question_is_told_like_a_typed_one(line, qtbot):
    line.set_history(["liver", "spleen"])
    with qtbot.waitSignal(line.typed) as typed:
        qtbot.keyClick(line, Qt.Key.Key_Up)
        qtbot.keyClick(line, Qt.Key.Key_Up)
    assert typed.args == ["liver"]


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
