"""The ranked organs of an answer."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QItemSelectionModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from napari_ctvlp._qt.bar_delegate import BarDelegate
from napari_ctvlp._qt.ranking_model import NAME, ORGAN, SCORE, SIGHT, RankingModel
from napari_ctvlp._qt.row_heights import RowHeights
from napari_ctvlp.ask.types import Ranking


class RankingView(QTableView):
    """Organs best first, with what the eye and what the name says apart.

    Signals
    -------
    organ_chosen(str)
        The organ of a clicked row, or of the row reached with Enter.
    """

    organ_chosen = Signal(str)

    def __init__(self, display_name: Callable[[str], str], accent: QColor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = RankingModel(display_name)
        self.setModel(self._model)
        self._sight = BarDelegate(accent, self)
        self._name = BarDelegate(QColor(accent), self)
        self.setItemDelegateForColumn(SIGHT, self._sight)
        self.setItemDelegateForColumn(NAME, self._name)
        self.setAccessibleName("Organs that answer the question")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        RowHeights(self)  # long names break into lines instead of being cut or pushing the bars out of a narrow dock
        header = self.horizontalHeader()
        header.setSectionsClickable(False)
        header.setHighlightSections(False)
        header.setMinimumSectionSize(10)
        header.setSectionResizeMode(ORGAN, QHeaderView.ResizeMode.Stretch)
        for column in (SCORE, SIGHT, NAME):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.clicked.connect(self._on_row)
        self.activated.connect(self._on_row)

    def set_ranking(self, ranking: Ranking | None) -> None:
        """Show this answer, or nothing."""
        self._model.set_ranking(ranking)
        self.scrollToTop()

    def select(self, organ: str) -> None:
        """Make an organ the current row without asking anybody to jump there; nothing where it is not in the answer."""
        row = self._model.row_of(organ)
        if row is None:
            self.clearSelection()
            return
        index = self._model.index(row, ORGAN)
        flags = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
        self.selectionModel().setCurrentIndex(index, flags)
        self.scrollTo(index)

    def set_name_colour(self, colour: QColor) -> None:
        """Colour of the bars by name, from the theme; the accent belongs to what the encoder sees."""
        self._name.colour = colour
        self.viewport().update()

    def _on_row(self, index: QModelIndex) -> None:
        self.organ_chosen.emit(self._model.organ(index.row()))
