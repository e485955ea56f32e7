"""A table of finished cells: text, tip, a value to sort by, a colour. For dialogs whose rows come ready-made."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QItemSelectionModel, QModelIndex, QSortFilterProxyModel, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from napari_ctvlp._qt.row_heights import RowHeights

VALUE_ROLE = int(Qt.ItemDataRole.UserRole)
KEY_ROLE = VALUE_ROLE + 1
_NO_INDEX = QModelIndex()


@dataclass(frozen=True)
class Cell:
    """What one cell shows; ``value`` sorts it, and is what a delegate draws."""

    text: str
    value: Any = None
    tip: str = ""
    bold: bool = False


@dataclass(frozen=True)
class Row:
    """One row; ``key`` is what a click on it tells."""

    key: Any
    cells: tuple[Cell, ...]


class PlainModel(QAbstractTableModel):
    """Rows of cells under given titles."""

    def __init__(self, titles: Sequence[str], tips: Sequence[str] = ()) -> None:
        super().__init__()
        self._titles, self._tips = tuple(titles), tuple(tips)
        self._rows: tuple[Row, ...] = ()

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows; where they are as many as before, selection and place stay."""
        if len(rows) == len(self._rows) and rows:
            self._rows = tuple(rows)
            self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, self.columnCount() - 1))
            return
        self.beginResetModel()
        self._rows = tuple(rows)
        self.endResetModel()

    def set_titles(self, titles: Sequence[str], tips: Sequence[str] = ()) -> None:
        """Other titles over the same number of columns."""
        self._titles, self._tips = tuple(titles), tuple(tips)
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(self._titles) - 1)

    def rowCount(self, parent: QModelIndex = _NO_INDEX) -> int:
        """Qt: rows."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = _NO_INDEX) -> int:
        """Qt: columns."""
        return 0 if parent.isValid() else len(self._titles)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Qt: the content of a cell."""
        row = self._rows[index.row()]
        cell = row.cells[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return cell.text
        if role == Qt.ItemDataRole.ToolTipRole:
            return cell.tip or None
        if role == VALUE_ROLE:
            return cell.text.lower() if cell.value is None else cell.value
        if role == KEY_ROLE:
            return row.key
        if role == Qt.ItemDataRole.FontRole and cell.bold:
            from qtpy.QtGui import QFont

            font = QFont()
            font.setBold(True)
            return font
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = int(Qt.ItemDataRole.DisplayRole)
    ) -> Any:
        """Qt: titles and what they mean."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        if role == Qt.ItemDataRole.ToolTipRole and section < len(self._tips):
            return self._tips[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None


class PlainTable(QTableView):
    """Shows a `PlainModel`, whole rows selected, long texts broken into lines.

    Parameters
    ----------
    model : PlainModel
    name : str
        For who hears the window instead of seeing it.
    wide : int
        The column that takes the room that is left.
    sortable : bool
        Whether a click on a title sorts.

    Signals
    -------
    row_chosen(object)
        The key of a row that was clicked, or reached with Enter.
    """

    row_chosen = Signal(object)

    def __init__(
        self, model: PlainModel, name: str, *, wide: int = 0, sortable: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.source = model
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(model)
        self._proxy.setSortRole(VALUE_ROLE)
        self.setModel(self._proxy)
        self.setAccessibleName(name)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        RowHeights(self)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(10)
        for column in range(model.columnCount()):
            fits = QHeaderView.ResizeMode.Stretch if column == wide else QHeaderView.ResizeMode.ResizeToContents
            header.setSectionResizeMode(column, fits)
        self.setSortingEnabled(sortable)
        self.clicked.connect(self._on_row)
        self.activated.connect(self._on_row)

    def select(self, key: object) -> None:
        """Make the row of a key the current one; nothing where there is none."""
        for row in range(self._proxy.rowCount()):
            index = self._proxy.index(row, 0)
            if index.data(KEY_ROLE) == key:
                flags = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
                self.selectionModel().setCurrentIndex(index, flags)
                self.scrollTo(index)
                return

    @property
    def selected(self) -> list[Any]:
        """Keys of the selected rows, from above."""
        rows = self.selectionModel().selectedRows()
        return [index.data(KEY_ROLE) for index in sorted(rows, key=lambda index: index.row())]

    def _on_row(self, index: QModelIndex) -> None:
        self.row_chosen.emit(index.data(KEY_ROLE))
