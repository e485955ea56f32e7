"""The table of abnormality scores with its filter."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import QModelIndex, QPoint, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QMenu,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_ctvlp._qt.ask_bar import EVIDENCE_KEY, PROMPTS_KEY
from napari_ctvlp._qt.findings_model import (
    ORGAN_ROLE,
    PAIR_ROLE,
    PROBABILITY,
    SCORE_ROLE,
    FindingsModel,
    FindingsProxy,
)
from napari_ctvlp._qt.row_heights import RowHeights
from napari_ctvlp.ask.compare import ComparedRow
from napari_ctvlp.ask.types import TAUGHT, AbnormalityScore


class FindingsPanel(QWidget):
    """Scores per organ and abnormality, most probable first; N/A rows say why.

    Signals
    -------
    organ_chosen(str)
        The organ of a clicked row.
    pair_chosen(str, str)
        Organ and abnormality of a clicked row.
    why_requested(), prompts_requested()
        Of the menu of a row, which was chosen first.
    score_chosen(object, str)
        The score of the row that is now selected, or was clicked again, and the organ to go to.
    """

    organ_chosen = Signal(str)
    pair_chosen = Signal(str, str)
    why_requested = Signal()
    prompts_requested = Signal()
    score_chosen = Signal(object, str)

    def __init__(self, display_name: Callable[[str], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._telling = True
        self._model = FindingsModel(display_name)
        self._proxy = FindingsProxy()
        self._proxy.setSourceModel(self._model)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Filter by organ or finding")
        self.filter.setClearButtonEnabled(True)
        self.filter.setAccessibleName("Filter findings")
        self.hide_na = QCheckBox("hide N/A")
        self.hide_na.setToolTip("Leave out what cannot be scored")
        self.disagreeing = QCheckBox("disagreeing ≠")
        self.disagreeing.setToolTip("Only rows on which the encoders are 0.3 or more apart")
        self.disagreeing.hide()
        self.table = QTableView()
        self.table.setModel(self._proxy)
        self.table.setAccessibleName("Findings")
        self.table.setSortingEnabled(True)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setShowGrid(False)
        self.table.setTabKeyNavigation(False)
        self.table.verticalHeader().hide()
        RowHeights(self.table)  # long names and reasons break into lines instead of being cut or pushed out of the dock
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.table.sortByColumn(PROBABILITY, Qt.SortOrder.DescendingOrder)

        top = QHBoxLayout()
        top.addWidget(self.filter, 1)
        top.addWidget(self.hide_na)
        top.addWidget(self.disagreeing)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(self.table, 1)

        self.filter.textChanged.connect(self._proxy.set_filter)
        self.hide_na.toggled.connect(self._proxy.set_scored_only)
        self.disagreeing.toggled.connect(self._proxy.set_disagreeing_only)
        self.table.clicked.connect(self._on_row)
        self.table.activated.connect(self._on_row)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._on_menu)
        self.table.selectionModel().currentRowChanged.connect(self._on_current)

    def set_scores(self, scores: Sequence[AbnormalityScore]) -> None:
        """Show these scores; the filter, the order and the row that is selected stay."""
        chosen = self._chosen
        self._model.set_scores(scores)
        self._choose(chosen)

    def set_rows(self, rows: Sequence[ComparedRow], titles: Sequence[str]) -> None:
        """Show scores of several encoders side by side, the chosen one's first; the filter, the order and the row that
        is selected stay."""
        chosen = self._chosen
        self._model.set_rows(rows, titles)
        self._choose(chosen)
        several = len(titles) > 1
        header = self.table.horizontalHeader()
        for column in range(PROBABILITY + 1, self._proxy.columnCount()):  # bare numbers leave the room to the names
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.disagreeing.setVisible(several)
        if not several:
            self.disagreeing.setChecked(False)

    def select(self, organ: str, abnormality: str) -> None:
        """Select the row of a finding that is asked for, without telling anybody; none where it is not listed."""
        self._telling = False
        self.table.setCurrentIndex(QModelIndex())
        self._telling = True
        self._choose((organ, abnormality))

    def _on_row(self, index: QModelIndex) -> None:
        self.pair_chosen.emit(*index.data(PAIR_ROLE))
        self.organ_chosen.emit(index.data(ORGAN_ROLE))
        self.score_chosen.emit(index.data(SCORE_ROLE), index.data(ORGAN_ROLE))

    def _on_menu(self, place: QPoint) -> None:
        index = self.table.indexAt(place)
        if index.isValid():
            self.menu_of(index).popup(self.table.viewport().mapToGlobal(place))

    def menu_of(self, index: QModelIndex) -> QMenu:
        """What can be asked about the score of a row."""
        self.pair_chosen.emit(*index.data(PAIR_ROLE))
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(f"Why this score\t{EVIDENCE_KEY}", self.why_requested.emit)
        prompts = menu.addAction(f"Try other prompts\t{PROMPTS_KEY}", self.prompts_requested.emit)
        if index.data(PAIR_ROLE)[1].startswith(TAUGHT):
            menu.setToolTipsVisible(True)
            prompts.setEnabled(False)
            prompts.setToolTip("Taught by examples: it has no prompts")
        return menu

    def _on_current(self, index: QModelIndex) -> None:
        if index.isValid() and self._telling:
            self.score_chosen.emit(index.data(SCORE_ROLE), index.data(ORGAN_ROLE))

    @property
    def _chosen(self) -> tuple[str, str] | None:
        """Organ and abnormality of the current row."""
        score = self.table.currentIndex().data(SCORE_ROLE)
        return None if score is None else (score.organ, score.abnormality)

    def _choose(self, chosen: tuple[str, str] | None) -> None:
        """Select this row again, of which nobody needs to be told: something else may be in hand by now."""
        if chosen is None:
            return
        self._telling = False
        for row in range(self._proxy.rowCount()):
            score = self._proxy.index(row, 0).data(SCORE_ROLE)
            if (score.organ, score.abnormality) == chosen:
                self.table.selectRow(row)
                break
        self._telling = True
