"""The organs of the masks with what is measured of them, as a table for Qt that sorts and filters."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt, Signal
from qtpy.QtGui import QColor

from napari_ctvlp._qt.organ_looks import OrganLooks
from napari_ctvlp.anatomy import ORGANS
from napari_ctvlp.scan.types import OrganMasks, OrganStatistics

ORGAN, VOLUME, HU, CUT = range(4)
HEADERS = ("Organ", "ml", "HU", "Cut")
HEADER_TIPS = (
    "Check or Space to show; click or Enter to see it",
    "Volume of the mask in millilitres",
    "Mean and standard deviation of HU within the mask",
    "Whether the field of view cuts it: volume and HU are then of the part in the scan",
)
SORT_ROLE = int(Qt.ItemDataRole.UserRole)
ORGAN_ROLE = SORT_ROLE + 1
LABEL_ROLE = SORT_ROLE + 2
GROUP_ROLE = SORT_ROLE + 3
OTHER = "other"
TITLE, LINES = 8, 3
"""Letters in a line above a column of a pinned question, and lines."""
_NO_INDEX = QModelIndex()


def group_of(organ: str) -> str:
    """Anatomical family of an organ, "other" where it has none."""
    known = ORGANS.get(organ)
    return known.group if known else OTHER


def volume_text(volume_ml: float) -> str:
    """Millilitres with as many digits as they mean."""
    return f"{volume_ml:.0f}" if volume_ml >= 100 else f"{volume_ml:.1f}"


@dataclass(frozen=True)
class Pin:
    """A question as a column: its text, and the organs' scores (None while there is no answer)."""

    text: str
    scores: Mapping[str, float] | None

    @property
    def title(self) -> str:
        """As much of the question as fits above numbers, in lines of a few letters."""
        lines = textwrap.wrap(self.text, TITLE, break_on_hyphens=False)
        return "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], f"{lines[LINES - 1][: TITLE - 1]}…"])


class OrganModel(QAbstractTableModel):
    """One row an organ; the check box of the first column says whether it is drawn, pinned questions are the last ones.

    Signals
    -------
    check_requested(int, bool)
        Label, and whether it is to be shown.
    """

    check_requested = Signal(int, bool)

    def __init__(self, display_name: Callable[[str], str], looks: OrganLooks) -> None:
        super().__init__()
        self._display_name = display_name
        self._looks = looks
        self._rows: tuple[OrganStatistics, ...] = ()
        self._pins: tuple[Pin, ...] = ()

    def set_pins(self, pins: Sequence[Pin]) -> None:
        """Show these questions as columns, after the organs' own."""
        if len(pins) != len(self._pins):
            self.beginResetModel()
            self._pins = tuple(pins)
            self.endResetModel()
        elif pins:
            self._pins = tuple(pins)
            last = self.columnCount() - 1
            self.headerDataChanged.emit(Qt.Orientation.Horizontal, len(HEADERS), last)
            if self._rows:
                self.dataChanged.emit(self.index(0, len(HEADERS)), self.index(len(self._rows) - 1, last))

    def set_masks(self, masks: OrganMasks | None) -> None:
        """Show the organs of these masks."""
        self.beginResetModel()
        self._rows = tuple(masks.statistics.values()) if masks is not None else ()
        self.endResetModel()

    def refresh_looks(self) -> None:
        """Read checks and colours anew."""
        if self._rows:
            # views draw anew whatever role is named, but sort, filter and measure every row again where none is
            roles = [int(Qt.ItemDataRole.CheckStateRole)]
            self.dataChanged.emit(self.index(0, ORGAN), self.index(len(self._rows) - 1, ORGAN), roles)

    def row_of(self, organ: str) -> int | None:
        """Row of an organ, None where it has none."""
        return next((row for row, stat in enumerate(self._rows) if stat.organ == organ), None)

    @property
    def groups(self) -> list[str]:
        """Families that occur, in alphabetical order."""
        return sorted({group_of(stat.organ) for stat in self._rows})

    def group(self, organ: str) -> tuple[str, tuple[int, ...]]:
        """The family of an organ and the labels of its members here."""
        group = group_of(organ)
        return group, tuple(stat.label for stat in self._rows if group_of(stat.organ) == group)

    def rowCount(self, parent: QModelIndex = _NO_INDEX) -> int:
        """Qt: organs."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = _NO_INDEX) -> int:
        """Qt: organ, volume, HU, cut, and one more a pinned question."""
        return 0 if parent.isValid() else len(HEADERS) + len(self._pins)

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Qt: the first column can be checked."""
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsUserCheckable if index.column() == ORGAN else flags

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Qt: the content of a cell."""
        stat, column = self._rows[index.row()], index.column()
        if column >= len(HEADERS) and role in (
            Qt.ItemDataRole.DisplayRole,
            Qt.ItemDataRole.ToolTipRole,
            SORT_ROLE,
        ):
            return self._pinned(stat.organ, self._pins[column - len(HEADERS)], role)
        if role == Qt.ItemDataRole.DisplayRole:
            return (
                self._display_name(stat.organ),
                volume_text(stat.volume_ml),
                f"{stat.mean_hu:.0f} ± {stat.sd_hu:.0f}",
                "cut" if stat.touches_edge else "",
            )[column]
        if role == SORT_ROLE:
            return (self._display_name(stat.organ), stat.volume_ml, stat.mean_hu, stat.touches_edge)[column]
        if role == Qt.ItemDataRole.ToolTipRole:
            cut = ", cut by field of view" if stat.touches_edge else ""
            return (
                f"{self._display_name(stat.organ)} ({group_of(stat.organ)}): {stat.volume_ml:.1f} ml, "
                f"{stat.mean_hu:.1f} ± {stat.sd_hu:.1f} HU{cut}"
            )
        if role == ORGAN_ROLE:
            return stat.organ
        if role == LABEL_ROLE:
            return stat.label
        if role == GROUP_ROLE:
            return group_of(stat.organ)
        if column == ORGAN and role == Qt.ItemDataRole.CheckStateRole:
            return Qt.CheckState.Checked if self._looks.shown(stat.label) else Qt.CheckState.Unchecked
        if column == ORGAN and role == Qt.ItemDataRole.DecorationRole:
            look = self._looks.look(stat.label)
            return None if look is None else QColor.fromRgbF(*look.colour)
        if column in (VOLUME, HU) and role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def _pinned(self, organ: str, pin: Pin, role: int) -> Any:
        score = None if pin.scores is None else pin.scores.get(organ)
        if role == SORT_ROLE:
            return -1.0 if score is None else score
        text = ("…" if pin.scores is None else "") if score is None else f"{score:.2f}"
        return text if role == Qt.ItemDataRole.DisplayRole else f"{pin.text}, {self._display_name(organ)}: {text}"

    def setData(self, index: QModelIndex, value: Any, role: int = int(Qt.ItemDataRole.EditRole)) -> bool:
        """Qt: a check box was clicked, or Space pressed on it."""
        if index.column() != ORGAN or role != Qt.ItemDataRole.CheckStateRole:
            return False
        self.check_requested.emit(self._rows[index.row()].label, Qt.CheckState(value) == Qt.CheckState.Checked)
        return True

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = int(Qt.ItemDataRole.DisplayRole)
    ) -> Any:
        """Qt: the names of the columns."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        pin = self._pins[section - len(HEADERS)] if section >= len(HEADERS) else None
        if role == Qt.ItemDataRole.DisplayRole:
            return HEADERS[section] if pin is None else pin.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return HEADER_TIPS[section] if pin is None else f"Score for the pinned question “{pin.text}”"
        return None


class OrganProxy(QSortFilterProxyModel):
    """Rows of the chosen group that hold every word of the filter in their name, or at the start of their group."""

    def __init__(self) -> None:
        super().__init__()
        self._words: list[str] = []
        self._group = ""
        self.setSortRole(SORT_ROLE)

    def set_filter(self, text: str) -> None:
        """Keep rows that hold all words of ``text``."""
        self._words = text.lower().split()
        self.invalidate()

    def set_group(self, group: str) -> None:
        """Keep rows of this group, of all where it is empty."""
        if group != self._group:
            self._group = group
            self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: QModelIndex) -> bool:
        """Qt: whether a row is shown."""
        index = self.sourceModel().index(source_row, ORGAN, source_parent)
        group = index.data(GROUP_ROLE)
        if self._group and group != self._group:
            return False
        name = index.data().lower()
        return all(word in name or group.startswith(word) for word in self._words)
