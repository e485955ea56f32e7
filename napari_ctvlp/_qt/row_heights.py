"""Rows as high as their text needs, found without asking the style for every cell."""

from __future__ import annotations

import time

from qtpy.QtCore import QEvent, QModelIndex, QObject, QRect, QTimer
from qtpy.QtWidgets import QHeaderView, QStyleOptionViewItem, QTableView

ONE_LINE_MORE = 6
"""Pixels of a row beyond a line of text, at least."""
LINES_MORE = 4
"""Pixels of a row beyond several lines: else those of two rows read as one text."""


PART_S = 0.02
"""What one turn of the event loop is taken up with it for; a table of some hundred rows needs several."""


class RowHeights(QObject):
    """Keeps the rows of a table as high as the text of its columns needs, once it is broken into lines.

    Qt's ``ResizeToContents`` does so too, but asks model and style for everything of every cell at each change of a
    column's width; here only columns that do not fit themselves to their text are measured, and each text once a width.

    Parameters
    ----------
    table : QTableView
        Whose model is set and stays; its word wrap is turned on.
    """

    def __init__(self, table: QTableView) -> None:
        super().__init__(table)
        self._table = table
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._fit_some)
        rows, header, model = table.verticalHeader(), table.horizontalHeader(), table.model()
        assert rows is not None and header is not None and model is not None
        self._rows, self._header, self._model = rows, header, model
        table.setWordWrap(True)
        rows.setMinimumSectionSize(table.fontMetrics().height() + ONE_LINE_MORE)
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(rows.minimumSectionSize())
        header.sectionResized.connect(self._fit_soon)
        for changed in (model.modelReset, model.layoutChanged, model.rowsInserted, model.rowsRemoved):
            changed.connect(self._fit_soon)
        model.dataChanged.connect(self._fit_soon)
        table.installEventFilter(self)
        self._row = 0  # the first that is not fitted
        self._known: dict[tuple[str, int, int, str], int] = {}
        self._before: dict[tuple[str, int, int, str], int] = {}

    def _fit_soon(self, *_: object) -> None:
        self._row = 0
        self._before.update(self._known)
        self._known = {}
        self._timer.start()

    def _fit_some(self) -> None:
        table, model, end = self._table, self._model, time.perf_counter() + PART_S
        if not model.rowCount() or not table.isVisible():
            self._row = 0
            return
        fits = QHeaderView.ResizeMode.ResizeToContents
        columns = [c for c in range(model.columnCount()) if self._header.sectionResizeMode(c) != fits]
        font, least = table.font().key(), self._rows.minimumSectionSize()
        current, changed = table.currentIndex(), False
        viewport = table.viewport()
        seen = current.isValid() and viewport is not None and viewport.rect().intersects(table.visualRect(current))
        while self._row < model.rowCount():
            high = least
            for column in columns:
                index = model.index(self._row, column)
                key = (index.data(), column, table.columnWidth(column), font)
                if key[0]:
                    found = self._known.get(key) or self._before.get(key) or self._measured(index, key[2])
                    self._known[key] = found
                    high = max(high, found)
            if table.rowHeight(self._row) != high:
                table.setRowHeight(self._row, high)
                changed = True
            self._row += 1
            if time.perf_counter() > end:
                break
        if seen and changed:
            table.scrollTo(current)  # higher rows above it have pushed it down
        if self._row < model.rowCount():
            self._timer.start()
        else:
            self._row, self._before = 0, {}

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt: what changed while the table was hidden is fitted once it is shown."""
        if event is not None and event.type() == QEvent.Type.Show:
            self._fit_soon()
        return super().eventFilter(watched, event)

    def _measured(self, index: QModelIndex, width: int) -> int:
        option = QStyleOptionViewItem()
        self._table.initViewItemOption(option)
        # as Qt does itself; without a height it would take the text for a single line
        option.rect = QRect(0, 0, width - self._table.showGrid(), 1)
        option.features |= QStyleOptionViewItem.ViewItemFeature.WrapText
        delegate = self._table.itemDelegateForIndex(index)
        assert delegate is not None
        high = int(delegate.sizeHint(option, index).height()) + self._table.showGrid()
        return high + LINES_MORE if high > self._rows.minimumSectionSize() else high
