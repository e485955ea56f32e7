"""What has changed in each organ, as a table for Qt that sorts."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt

from napari_ctvlp._qt.organ_model import volume_text
from napari_ctvlp._qt.wrapped_label import NO_BREAK
from napari_ctvlp.ask.followup import OrganChange
from napari_ctvlp.ask.types import abnormality_text

ORGAN, CHANGE, VOLUME, HU, FINDING, EMBEDDING = range(6)
HEADERS = ("Organ", "Change", "Volume in ml", "HU", "Finding", "Embedding")
HEADER_TIPS = (
    "Click or Enter shows it in both scans",
    "The largest of the others: 1 stands for 10 % of volume, 10 HU, 0.2 of probability or 0.1 of cosine distance, "
    "a judgement: two scans of an unchanged organ may differ by as much",
    "Prior → now; sorted by how much it has changed",
    "Mean of the mask, prior → now; sorted by how much it has changed",
    "The finding whose probability has moved most, prior → now",
    "Cosine distance between what the encoder makes of the organ then and now: 0 is the same",
)
SORT_ROLE = int(Qt.ItemDataRole.UserRole)
ORGAN_ROLE = SORT_ROLE + 1
_NO_INDEX = QModelIndex()
DASH = "–"


def _pair(values: tuple[float | None, float | None], text: Callable[[float], str]) -> str:
    """ "12 → 15", a dash where a scan has none."""
    before, now = (DASH if v is None else text(v) for v in values)
    return f"{before}{NO_BREAK}→{NO_BREAK}{now}"


def texts_of(row: OrganChange, display_name: Callable[[str], str]) -> tuple[str, ...]:
    """What the columns of a row say."""
    volume = _pair(row.volume, volume_text)
    if row.volume_change is not None:
        volume += f"  ({100 * row.volume_change:+.0f} %)"
    hu = _pair(row.hu, lambda v: f"{v:.0f}")
    if row.hu_change is not None:
        hu += f"  ({row.hu_change:+.0f})"
    finding = DASH
    if row.finding:
        finding = f"{abnormality_text(row.finding)} {_pair(row.probability, lambda v: f'{v:.2f}')}"
    return (
        display_name(row.organ),
        row.remark if row.change is None else f"{row.change:.1f}" + (f"  ({row.remark})" if row.remark else ""),
        volume,
        hu,
        finding,
        DASH if row.distance is None else f"{row.distance:.3f}",
    )


class FollowUpModel(QAbstractTableModel):
    """One row an organ; ``SORT_ROLE`` gives how much it has changed, None where that is not known."""

    def __init__(self, display_name: Callable[[str], str]) -> None:
        super().__init__()
        self._display_name = display_name
        self._rows: tuple[OrganChange, ...] = ()

    def set_rows(self, rows: Sequence[OrganChange]) -> None:
        """Show these organs."""
        self.beginResetModel()
        self._rows = tuple(rows)
        self.endResetModel()

    def rowCount(self, parent: QModelIndex = _NO_INDEX) -> int:
        """Qt: organs."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = _NO_INDEX) -> int:
        """Qt: what is told of each."""
        return 0 if parent.isValid() else len(HEADERS)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Qt: the content of a cell."""
        row = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return texts_of(row, self._display_name)[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.remark or None
        if role == SORT_ROLE:
            moved = (row.change, row.volume_change, row.hu_change, row.probability_change, row.distance)
            values = (self._display_name(row.organ), *(None if v is None else abs(v) for v in moved))
            return values[index.column()]
        if role == ORGAN_ROLE:
            return row.organ
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


class FollowUpProxy(QSortFilterProxyModel):
    """Sorted by how much has changed; what cannot be compared last in either order."""

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:
        """Qt: the order of two rows."""
        a, b = left.data(SORT_ROLE), right.data(SORT_ROLE)
        if a is None or b is None:
            descending = self.sortOrder() == Qt.SortOrder.DescendingOrder
            return (a is None) is descending if (a is None) != (b is None) else left.row() < right.row()
        return bool(a < b)
