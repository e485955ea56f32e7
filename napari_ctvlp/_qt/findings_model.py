"""Abnormality scores, as a table for Qt that sorts and filters."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt
from qtpy.QtGui import QColor

from napari_ctvlp.ask.compare import ComparedRow
from napari_ctvlp.ask.score import IN_VIEW
from napari_ctvlp.ask.types import AbnormalityScore, abnormality_text

ORGAN, ABNORMALITY, PROBABILITY = range(3)
HEADERS = ("Organ", "Finding", "Probability")
SORT_ROLE = int(Qt.ItemDataRole.UserRole)
ORGAN_ROLE = SORT_ROLE + 1
SCORED_ROLE = SORT_ROLE + 2
DISAGREE_ROLE = SORT_ROLE + 3
PAIR_ROLE = SORT_ROLE + 4
"""Organ (as the score calls it) and abnormality of a row."""
SCORE_ROLE = SORT_ROLE + 5
DISAGREE_MARK = "≠"
DOUBT_MARK = "?"
"""Behind a probability that is not to be relied on; the tool tip says why."""
UNCALIBRATED = " *"
"""Behind the name of an encoder whose probabilities were not fitted on any scans."""
DISAGREE_COLOUR = (1.0, 0.82, 0.2, 0.22)
"""The accent of the window, faint; the mark says the same to who does not see it."""
_NO_INDEX = QModelIndex()


def probability_text(score: AbnormalityScore) -> str:
    """Probability with its spread over prompts, or "N/A" with the reason."""
    if score.probability is None:
        return f"N/A: {score.status.removeprefix('N/A: ')}"
    if score.low is None or score.high is None:
        return f"{score.probability:.2f}"
    return f"{score.probability:.2f} ({score.low:.2f}–{score.high:.2f})"


def _short(score: AbnormalityScore | None) -> str:
    """Another encoder's probability, "N/A" where it cannot say, a dash where it does not look."""
    if score is None:
        return "–"
    return "N/A" if score.probability is None else f"{score.probability:.2f}"


_ROLES = frozenset(
    (
        int(Qt.ItemDataRole.DisplayRole),
        int(Qt.ItemDataRole.ToolTipRole),
        int(Qt.ItemDataRole.BackgroundRole),
        SORT_ROLE,
        SCORED_ROLE,
        DISAGREE_ROLE,
        ORGAN_ROLE,
        PAIR_ROLE,
        SCORE_ROLE,
    )
)
"""Those that `FindingsModel` answers."""


class FindingsModel(QAbstractTableModel):
    """One row an organ and an abnormality; ``SORT_ROLE`` gives a value to sort by, None where there is no score."""

    def __init__(self, display_name: Callable[[str], str]) -> None:
        super().__init__()
        self._display_name = display_name
        self._rows: tuple[ComparedRow, ...] = ()
        self._texts: tuple[tuple[str, ...], ...] = ()
        self._titles: tuple[str, ...] = ()
        self._mark = ""

    def set_scores(self, scores: Sequence[AbnormalityScore]) -> None:
        """Show these scores of one encoder."""
        self.set_rows([ComparedRow(score) for score in scores])

    def set_rows(self, rows: Sequence[ComparedRow], titles: Sequence[str] = ()) -> None:
        """Show scores of several encoders side by side; ``titles`` are what to call them, the chosen one's first.

        One alone is not called by its name; only whether it is calibrated is told.
        """
        self.beginResetModel()
        self._rows = tuple(rows)
        self._texts = tuple(self._texts_of(row) for row in self._rows)
        self._titles = tuple(titles) if len(titles) > 1 else ()
        self._mark = UNCALIBRATED if len(titles) == 1 and titles[0].endswith(UNCALIBRATED) else ""
        self.endResetModel()

    def _texts_of(self, row: ComparedRow) -> tuple[str, ...]:
        """What the cells of a row show."""
        score, abnormality = row.score, abnormality_text(row.score.abnormality)
        marked = f"{abnormality} {DISAGREE_MARK}" if row.disagree else abnormality
        others = (_short(other) for other in row.others)
        said = probability_text(score)
        if score.doubted:
            said = said.replace(" (", f"{DOUBT_MARK} (") if " (" in said else said + DOUBT_MARK
        return (self._display_name(score.organ), marked, said, *others)

    def rowCount(self, parent: QModelIndex = _NO_INDEX) -> int:
        """Qt: scores."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = _NO_INDEX) -> int:
        """Qt: organ, finding, probability, and one more an encoder that is asked too."""
        return 0 if parent.isValid() else len(HEADERS) + max(0, len(self._titles) - 1)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Qt: the content of a cell."""
        if role not in _ROLES:  # Qt asks a dozen of every cell when it measures rows
            return None
        row, texts = self._rows[index.row()], self._texts[index.row()]
        score = row.score
        if role == Qt.ItemDataRole.DisplayRole:
            return texts[index.column()]
        organ, abnormality = texts[ORGAN], abnormality_text(score.abnormality)
        if role == Qt.ItemDataRole.ToolTipRole and self._titles:
            said = (
                f"{title}: {'no score' if s is None else probability_text(s)}"
                for title, s in zip(self._titles, (score, *row.others), strict=False)
            )
            apart = f"\nthe encoders disagree by {row.spread:.2f}" if row.disagree and row.spread else ""
            return f"{organ}, {abnormality}\n" + "\n".join(said) + apart
        if role == Qt.ItemDataRole.ToolTipRole and score.note:
            return f"{organ}, {abnormality}: {texts[PROBABILITY]}\n{score.note}"
        if role == Qt.ItemDataRole.ToolTipRole:
            spread = "" if score.probability is None else "; in brackets: spread over prompts, not over patients"
            if self._mark and score.probability is not None:
                spread += "\nnot calibrated: as the model gives it"
            if score.status.startswith(IN_VIEW):
                spread += "\nin the part of the organ that is in view; it is cut by the field of view"
            return f"{organ}, {abnormality}: {texts[PROBABILITY]}{spread}"
        if role == SORT_ROLE:
            others = (None if other is None else other.probability for other in row.others)
            return (organ, abnormality, score.probability, *others)[index.column()]
        if role == SCORED_ROLE:
            return any(s is not None and s.probability is not None for s in (score, *row.others))
        if role == DISAGREE_ROLE:
            return row.disagree
        if role == Qt.ItemDataRole.BackgroundRole and row.disagree:
            return QColor.fromRgbF(*DISAGREE_COLOUR)
        if role == ORGAN_ROLE:
            return row.place or score.organ
        if role == PAIR_ROLE:
            return (score.organ, score.abnormality)
        if role == SCORE_ROLE:
            return score
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = int(Qt.ItemDataRole.DisplayRole)
    ) -> Any:
        """Qt: the names of the columns."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            title = HEADERS[section] + self._mark if section == PROBABILITY else HEADERS[min(section, PROBABILITY)]
            if self._titles and section >= PROBABILITY:
                title = self._titles[section - PROBABILITY]
            if role == Qt.ItemDataRole.DisplayRole:
                return title
            return f"{title} not calibrated: probabilities as the model gives them" if UNCALIBRATED in title else None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None


class FindingsProxy(QSortFilterProxyModel):
    """Rows whose organ or finding holds every word of the filter; rows without a score last in either order."""

    def __init__(self) -> None:
        super().__init__()
        self._words: list[str] = []
        self._scored_only = False
        self._disagreeing_only = False

    def set_filter(self, text: str) -> None:
        """Keep rows that hold all words of ``text``."""
        self._words = text.lower().split()
        self.invalidate()

    def set_scored_only(self, scored_only: bool) -> None:
        """Leave out rows without a score."""
        self._scored_only = scored_only
        self.invalidate()

    def set_disagreeing_only(self, disagreeing_only: bool) -> None:
        """Leave out rows on which the encoders agree."""
        self._disagreeing_only = disagreeing_only
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: QModelIndex) -> bool:
        """Qt: whether a row is shown."""
        model = self.sourceModel()
        first = model.index(source_row, ORGAN, source_parent)
        if self._scored_only and not first.data(SCORED_ROLE):
            return False
        if self._disagreeing_only and not first.data(DISAGREE_ROLE):
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
