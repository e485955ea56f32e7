"""What was asked, with its answers; two of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QDialog, QHBoxLayout, QLabel, QPushButton, QSplitter, QVBoxLayout, QWidget

from napari_ctvlp._qt.answer_label import probability_line
from napari_ctvlp._qt.bar_delegate import BarDelegate
from napari_ctvlp._qt.difference_delegate import DifferenceDelegate
from napari_ctvlp._qt.overlay import ACCENT, SECOND
from napari_ctvlp._qt.plain_table import Cell, PlainModel, PlainTable, Row
from napari_ctvlp._qt.prompt_dialog import signed
from napari_ctvlp._qt.wrapped_label import WrappedLabel
from napari_ctvlp.ask.contrast import Contrast
from napari_ctvlp.ask.types import Ranking, abnormality_text

QUESTION, ANSWER, PINNED = range(3)
ORGAN, FIRST, NEXT, LEAD, BAR = range(5)
HOW = "Select two questions (Ctrl or Shift) to compare them, one to see its answer again."
MARK = "●"
PIN_SELECTED_KEY = "Ctrl+P"
FORGET_KEY = "Del"


class QueriesDialog(QDialog):
    """Two tables: questions, and the organs under the one or the two that are selected.

    Signals
    -------
    selected(list)
        The texts that are selected, from above; two at most.
    asked(str)
        A question is to be asked again.
    pin_requested(list), forget_requested(list)
        For these texts.
    organ_chosen(str)
        An organ was clicked, or reached with Enter.
    """

    selected = Signal(list)
    asked = Signal(str)
    pin_requested = Signal(list)
    forget_requested = Signal(list)
    organ_chosen = Signal(str)

    def __init__(self, display_name: Callable[[str], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._display_name = display_name
        self.setWindowTitle("Queries")
        self.setModal(False)
        self.resize(860, 560)
        self._asked = PlainModel(
            ("Question", "Answer", "Pinned"),
            (
                "The newest first; Enter or a double click asks again",
                "About the open scan",
                "A column of the organ table",
            ),
        )
        self.questions = PlainTable(self._asked, "Questions asked", wide=QUESTION)
        self.questions.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self._organs = PlainModel(("Organ", "", "", "", ""))
        self.organs = PlainTable(self._organs, "Organs under these questions", wide=ORGAN)
        first, second = QColor.fromRgbF(*ACCENT), QColor.fromRgbF(*SECOND)
        self.organs.setItemDelegateForColumn(FIRST, BarDelegate(first, self.organs))
        self.organs.setItemDelegateForColumn(NEXT, BarDelegate(second, self.organs))
        self.organs.setItemDelegateForColumn(BAR, DifferenceDelegate(first, second, self.organs))
        self.told = WrappedLabel()
        self.again = _button("Ask again", "Return", "Ask the selected question again")
        self.pin = _button("Pin", PIN_SELECTED_KEY, "Show its scores as a column of the organ table, or no longer")
        self.forget = _button(
            "Forget", FORGET_KEY, "Take the selected questions out of the history; U brings them back"
        )
        self._lay_out()
        self.questions.selectionModel().selectionChanged.connect(self._on_selection)  # type: ignore[union-attr]
        self.questions.doubleClicked.connect(self._on_again)
        self.organs.row_chosen.connect(self._on_organ)
        self.again.clicked.connect(self._on_again)
        self.pin.clicked.connect(lambda: self.pin_requested.emit(self.questions.selected))
        self.forget.clicked.connect(lambda: self.forget_requested.emit(self.questions.selected))
        self._on_selection()

    # -- what is shown -----------------------------------------------------------------------------------------

    def set_queries(self, queries: Sequence[tuple[str, Ranking | None, bool]]) -> None:
        """Questions with their answers, and whether they are pinned; the selection stays."""
        kept = self.questions.selected
        self._asked.set_rows([self._question(*query) for query in queries])
        texts = [text for text, _, _ in queries]
        if self.questions.selected != kept:
            self.questions.clearSelection()
            for text in kept:
                if text in texts:
                    self._also_select(texts.index(text))

    def show_nothing(self) -> None:
        """Say how to compare."""
        self.told.setText(HOW)
        self._organs.set_rows(())
        self._show_columns(0)

    def show_answer(self, text: str, ranking: Ranking | None) -> None:
        """The organs of one answer."""
        self.told.setText(
            f"“{text}”: {'not answered yet' if ranking is None else answer_text(ranking, self._display_name)}"
        )
        matches = () if ranking is None else ranking.organs
        self._organs.set_titles(("Organ", "Score", "", "", ""), ("Click to see it",))
        name = self._display_name
        rows = [
            Row(
                m.organ,
                (Cell(name(m.organ)), Cell("", m.score, f"{m.score:.2f}"), Cell(""), Cell(f"{m.score:.2f}"), Cell("")),
            )
            for m in matches
        ]
        self._organs.set_rows(rows)
        self._show_columns(1)

    def show_contrast(self, first: str, second: str, found: Sequence[Contrast]) -> None:
        """Two questions side by side, the organs that differ most first."""
        self.told.setText(f"“{first}” against “{second}”" + ("" if found else ": not answered yet"))
        self._organs.set_titles(
            ("Organ", shortened(first), shortened(second), "Difference", "more to the first  |  to the second"),
            ("Click to see it", first, second, "Score under the first minus score under the second"),
        )
        self._organs.set_rows([self._contrast(one) for one in found])
        self._show_columns(2)

    def _question(self, text: str, ranking: Ranking | None, pinned: bool) -> Row:
        told = "…" if ranking is None else answer_text(ranking, self._display_name)
        tip = "" if ranking is None else ranking.message
        return Row(text, (Cell(text, tip=text), Cell(told, tip=tip), Cell(MARK if pinned else "")))

    def _contrast(self, one: Contrast) -> Row:
        a, b, name = one.first, one.second, self._display_name(one.organ)
        tip = (
            f"{name}: {a.score:.2f} against {b.score:.2f}; by sight {a.visual:.2f} against {b.visual:.2f}, "
            f"by name {a.name:.2f} against {b.name:.2f}"
        )
        cells = (
            Cell(name, tip=tip),
            Cell("", a.score, tip),
            Cell("", b.score, tip),
            Cell(signed(one.difference), one.difference, tip),
            Cell("", one.difference, tip),
        )
        return Row(one.organ, cells)

    # -- inside ------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        above, below, split = QWidget(), QWidget(), QSplitter(Qt.Orientation.Vertical)
        top = QVBoxLayout(above)
        top.setContentsMargins(0, 0, 0, 0)
        top.addWidget(QLabel("Asked"))
        top.addWidget(self.questions, 1)
        buttons = QHBoxLayout()
        for button in (self.again, self.pin, self.forget):
            buttons.addWidget(button)
        buttons.addStretch(1)
        top.addLayout(buttons)
        bottom = QVBoxLayout(below)
        bottom.setContentsMargins(0, 0, 0, 0)
        bottom.addWidget(self.told)
        bottom.addWidget(self.organs, 1)
        split.addWidget(above)
        split.addWidget(below)
        split.setChildrenCollapsible(False)
        QVBoxLayout(self).addWidget(split)

    def _show_columns(self, questions: int) -> None:
        for column, least in ((FIRST, 1), (NEXT, 2), (LEAD, 1), (BAR, 2)):
            self.organs.setColumnHidden(column, questions < least)

    def _also_select(self, row: int) -> None:
        model = self.questions.selectionModel()
        if model is not None:
            model.select(self.questions.model().index(row, 0), model.SelectionFlag.Select | model.SelectionFlag.Rows)  # type: ignore[union-attr]

    def _on_selection(self, *_: object) -> None:
        texts = self.questions.selected
        self.again.setEnabled(len(texts) == 1)
        for button in (self.pin, self.forget):
            button.setEnabled(bool(texts))
        self.selected.emit(texts[:2])

    def _on_again(self, *_: object) -> None:
        texts = self.questions.selected
        if len(texts) == 1:
            self.asked.emit(texts[0])

    def _on_organ(self, organ: str) -> None:
        self.organ_chosen.emit(organ)


def answer_text(ranking: Ranking, display_name: Callable[[str], str]) -> str:
    """An answer in a few words: the best organ, and how likely the finding is."""
    best = ranking.best
    if best is None:
        return ranking.message or "nothing matches"
    told = f"{display_name(best.organ)} {best.score:.2f}"
    finding = ranking.finding
    if finding is not None:
        line = probability_line(finding).removeprefix("Probability ") or finding.status
        where = "" if finding.organ == best.organ or finding.probability is None else f", {display_name(finding.organ)}"
        told += f"; {abnormality_text(finding.abnormality)}{where} {line}"
    return told


def shortened(text: str, limit: int = 18) -> str:
    """A text that fits above a column."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def _button(text: str, key: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setShortcut(key)
    button.setToolTip(f"{tip} ({key})")
    button.setAutoDefault(False)
    return button
