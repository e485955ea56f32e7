"""Abnormality scores, as a table for Qt that sorts and filters."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt

from napari_ctvlp.ask.types import AbnormalityScore

ORGAN, ABNORMALITY, PROBABILITY = range(3)
HEADERS = ("Organ", "Finding", "Probability")
SORT_ROLE = int(Qt.ItemDataRole.UserRole)
ORGAN_ROLE = SORT_ROLE + 1
_NO_INDEX = QModelIndex()


def probability_text(score: AbnormalityScore) -> str:
    """Probability with its spread over prompts, or "N/A" with the reason."""
    if score.probability is None:
        return f"N/A: {score.status.removeprefix('N/A: ')}"
    if score.low is None or score.high is None:
        return f"{score.probability:.2f}"
    return f"{score.probability:.2f} ({score.low:.2f}–{score.high:.2f})"


class FindingsModel(QAbstractTableModel):
    """One row an organ and an abnormality; ``SORT_ROLE`` gives a value to sort by, None where there is no score."""

    def __init__(self, display_name: Callable[[str], str]) -> None:
        super().__init__()
        self._display_name = display_name
        self._scores: tuple[AbnormalityScore, ...] = ()

    def set_scores(self, scores: Sequence[AbnormalityScore]) -> None:
        """Show these scores."""
        self.beginResetModel()
        self._scores = tuple(scores)
        self.endResetModel()

    def rowCount(self, parent: QModelIndex = _NO_INDEX) -> int:
        """Qt: scores."""
        return 0 if parent.isValid() else len(self._scores)

    def columnCount(self, parent: QModelIndex = _NO_INDEX) -> int:
        """Qt: organ, finding, probability."""
        return 0 if parent.isValid() else len(HEADERS)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Qt: the content of a cell."""
        score = self._scores[index.row()]
        organ, abnormality = self._display_name(score.organ), score.abnormality.replace("_", " ")
        texts = (organ, abnormality, probability_text(score))
        if role == Qt.ItemDataRole.DisplayRole:
            return texts[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            spread = "" if score.probability is None else "; in brackets: spread over prompts, not over patients"
            return f"{organ}, {abnormality}: {texts[PROBABILITY]}{spread}"
        if role == SORT_ROLE:
            return (organ, abnormality, score.probability)[index.column()]
        if role == ORGAN_ROLE:
            return score.organ
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = int(Qt.ItemDataRole.DisplayRole)
    ) -> Any:
        """Qt: the names of the columns."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return HEADERS[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None


class FindingsProxy(QSortFilterProxyModel):
    """Rows whose organ or finding holds every word of the filter; rows without a score last in either order."""

    def __init__(self) -> None:
        super().__init__()
        self._words: list[str] = []
        self._scored_only = False

    def set_filter(self, text: str) -> None:
        """Keep rows that hold all words of ``text``."""
        self._words = text.lower().split()
        self.invalidate()

    def set_scored_only(self, scored_only: bool) -> None:
        """Leave out rows without a score."""
        self._scored_only = scored_only
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: QModelIndex) -> bool:
        """Qt: whether a row is shown."""
        model = self.sourceModel()
        if self._scored_only and model.index(source_row, PROBABILITY, source_parent).data(SORT_ROLE) is None:
            return False
        if not self._words:
            return True
        cells = (model.index(source_row, column, source_parent).data() for column in range(len(HEADERS)))
        row = " ".join(cells).lower()
        return all(word in row for word in self._words)

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:
        """Qt: the order of two rows."""
        a, b = left.data(SORT_ROLE), right.data(SORT_ROLE)
        if a is None or b is None:
            descending = self.sortOrder() == Qt.SortOrder.DescendingOrder
            return (a is None) is descending if (a is None) != (b is None) else left.row() < right.row()
        return bool(a < b)
