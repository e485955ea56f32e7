"""Rows are as high as Qt would make them, without its asking for every cell."""

from __future__ import annotations

import pytest
from qtpy.QtGui import QStandardItem, QStandardItemModel
from qtpy.QtWidgets import QHeaderView, QTableView

from napari_ctvlp._qt import row_heights
from napari_ctvlp._qt.row_heights import LINES_MORE, RowHeights

TEXTS = ["liver", "a name that is much too long for a column as narrow as this one, by three lines or more", ""]


def fill(model, texts) -> None:
    model.clear()
    for text in texts:
        model.appendRow(QStandardItem(text))


def table_of(texts, qtbot) -> QTableView:
    table = QTableView()
    qtbot.addWidget(table)
    table.setModel(QStandardItemModel(table))
    fill(table.model(), texts)
    table.horizontalHeader().setStretchLastSection(True)
    return table


@pytest.mark.parametrize("width", [150, 260, 900])
def test_rows_are_as_high_as_by_resize_to_contents(width, qtbot):
    mine, qts = table_of(TEXTS, qtbot), table_of(TEXTS, qtbot)
    RowHeights(mine)
    qts.setWordWrap(True)
    qts.verticalHeader().setDefaultSectionSize(mine.verticalHeader().minimumSectionSize())
    qts.verticalHeader().setMinimumSectionSize(mine.verticalHeader().minimumSectionSize())
    qts.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    for table in (mine, qts):
        table.resize(width, 300)
        table.show()
    line = mine.fontMetrics().lineSpacing()
    qtbot.waitUntil(lambda: (mine.rowHeight(1) > 1.5 * line) == (width < 900))
    qts.resizeRowsToContents()
    least = mine.verticalHeader().minimumSectionSize()
    needed = [qts.rowHeight(row) for row in range(3)]
    assert [mine.rowHeight(row) for row in range(3)] == [n if n <= least else n + LINES_MORE for n in needed]


def test_what_changes_is_fitted_also_when_it_was_hidden(qtbot):
    table = table_of(TEXTS[:1], qtbot)
    RowHeights(table)
    table.resize(150, 300)
    table.show()
    line = table.fontMetrics().lineSpacing()
    model = table.model()
    fill(model, TEXTS)
    qtbot.waitUntil(lambda: table.rowHeight(1) > 2 * line and table.rowHeight(0) < 2 * line)
    table.hide()
    fill(model, TEXTS[1::-1])  # the long one first
    table.show()
    qtbot.waitUntil(lambda: table.rowHeight(0) > 2 * line and table.rowHeight(1) < 2 * line)


def test_a_long_table_is_fitted_over_several_turns(monkeypatch, qtbot):
    monkeypatch.setattr(row_heights, "PART_S", 0.0)
    table = table_of([*TEXTS[:2]] * 20, qtbot)
    table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
    heights = RowHeights(table)
    table.resize(150, 300)
    seen, turns = [], []
    heights._timer.timeout.connect(lambda: turns.append(None))
    table.verticalHeader().sectionResized.connect(lambda row, old, new: seen.append(row))
    table.show()
    line = table.fontMetrics().lineSpacing()
    table.selectRow(20)
    table.scrollTo(table.currentIndex())
    qtbot.waitUntil(lambda: 39 in seen)
    assert len(turns) >= 40, "all at once"
    assert all((table.rowHeight(row) > 2 * line) == bool(row % 2) for row in range(40))
    qtbot.waitUntil(lambda: table.viewport().rect().intersects(table.visualRect(table.currentIndex())))
    seen.clear()
    table.model().setData(table.model().index(0, 0), TEXTS[1])
    qtbot.waitUntil(lambda: table.rowHeight(0) > 2 * line)
    qtbot.wait(50)
    assert seen == [0], "what stays is not fitted anew"
