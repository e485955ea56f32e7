"""The organs of an answer, as a table for Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt

from napari_ctvlp.ask.types import OrganMatch, Ranking

ORGAN, SCORE, SIGHT, NAME = range(4)
HEADERS = ("Organ", "Match", "By sight", "By name")
HEADER_TIPS = (
    "Click a row to see the organ",
    "How well the organ answers, by sight and by name together, 0 to 1: which organ is meant, and not how probable a "
    "finding is in it (the line above and the tab Findings tell that)",
    "How well what the encoder sees in the organ answers, 0 to 1",
    "How well the organ's name answers, 0 to 1",
)
VALUE_ROLE = int(Qt.ItemDataRole.UserRole)
_NO_INDEX = QModelIndex()


class RankingModel(QAbstractTableModel):
    """One row an organ, best first; ``VALUE_ROLE`` gives the number behind a cell."""

    def __init__(self, display_name: Callable[[str], str]) -> None:
        super().__init__()
        self._display_name = display_name
        self._organs: tuple[OrganMatch, ...] = ()
        self._matched = False

    def set_ranking(self, ranking: Ranking | None) -> None:
        """Show this answer, or nothing."""
        self.beginResetModel()
        self._organs = ranking.organs if ranking is not None else ()
        self._matched = ranking is not None and ranking.matched
        self.endResetModel()

    def organ(self, row: int) -> str:
        """Organ of a row, by its TotalSegmentator v2 name."""
        return self._organs[row].organ

    def row_of(self, organ: str) -> int | None:
        """Row of an organ, None where the answer does not speak of it."""
        return next((row for row, match in enumerate(self._organs) if match.organ == organ), None)

    def rowCount(self, parent: QModelIndex = _NO_INDEX) -> int:
        """Qt: organs in the answer."""
        return 0 if parent.isValid() else len(self._organs)

    def columnCount(self, parent: QModelIndex = _NO_INDEX) -> int:
        """Qt: organ, match, by sight, by name."""
        return 0 if parent.isValid() else len(HEADERS)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Qt: the content of a cell."""
        match = self._organs[index.row()]
        value = (None, match.score, match.visual, match.name)[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._display_name(match.organ) if value is None else f"{value:.2f}"
        if role == VALUE_ROLE:
            return match.organ if value is None else value
        if role == Qt.ItemDataRole.ToolTipRole:
            return (
                f"{self._display_name(match.organ)}: match {match.score:.2f}, "
                f"by sight {match.visual:.2f}, by name {match.name:.2f}"
            )
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = int(Qt.ItemDataRole.DisplayRole)
    ) -> Any:
        """Qt: the names of the columns."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return HEADERS[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return HEADER_TIPS[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None
