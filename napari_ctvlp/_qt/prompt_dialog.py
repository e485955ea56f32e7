"""The prompt lab's widgets: an entry's prompts on the left, what they make of the open scan on the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import QSignalBlocker, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QTextCursor
from qtpy.QtWidgets import (
    QComboBox,
    QCompleter,
    QDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from napari_ctvlp._qt.interval_delegate import Interval, IntervalDelegate
from napari_ctvlp._qt.overlay import ACCENT
from napari_ctvlp._qt.plain_table import Cell, PlainModel, PlainTable, Row
from napari_ctvlp._qt.wrapped_label import WrappedLabel
from napari_ctvlp.ask.sentences import Sentence
from napari_ctvlp.ask.types import AbnormalityScore

SETTLE_MS = 250
"""After the last key; a word is worth scoring, a letter is not."""
SAVE_KEY = "Ctrl+S"
HINT = f"{SAVE_KEY} writes these prompts into your own copy of the dictionary; everything else in it stays as it is."
ORGAN, SAVED, NOW, CHANGE, PLOT = range(5)
SENTENCE_TITLES = ("Sentence", "Similarity", "By itself")
SENTENCE_TIPS = (
    "Bold: states the finding; else it calls the organ normal",
    "How near the sentence comes to what the encoder sees in the organ: the cosine, 1 is the same",
    "Probability if this were the only sentence of its kind",
)


class PromptDialog(QDialog):
    """Edits texts and shows scores; knows neither a dictionary nor an encoder.

    Signals
    -------
    entry_chosen(str)
        Key of an entry of the list.
    edited()
        The prompts have changed and rest for a moment.
    save_requested(), revert_requested()
        A button was used.
    organ_chosen(str)
        A row of the scores was clicked, or reached with Enter.
    """

    entry_chosen = Signal(str)
    edited = Signal()
    save_requested = Signal()
    revert_requested = Signal()
    organ_chosen = Signal(str)

    def __init__(self, display_name: Callable[[str], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._display_name = display_name
        self.setWindowTitle("Prompt lab")
        self.setModal(False)
        self.resize(1000, 600)
        self.entries = QComboBox()
        self.entries.setAccessibleName("Entry of the abnormality dictionary")
        self.entries.setToolTip("Which finding's prompts to try; type a part of its name")
        self.entries.setEditable(True)
        self.entries.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        completer = self.entries.completer()
        if completer is not None:
            completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
            completer.setFilterMode(Qt.MatchFlag.MatchContains)
        self.positive, self.negative = QPlainTextEdit(), QPlainTextEdit()
        self.positive.setAccessibleName("Prompts that state the finding")
        self.negative.setAccessibleName("Prompts that call the organ normal")
        for editor in (self.positive, self.negative):
            editor.setTabChangesFocus(True)
            editor.setStyleSheet("QPlainTextEdit { border: 1px solid rgba(128, 128, 128, 140); padding: 2px; }")
            editor.setToolTip("One prompt a line; {organ} stands for the organ's name. Ctrl+Z takes back")
        self.told = WrappedLabel()
        self.told.setAccessibleName("What is wrong with the prompts")
        self.revert = QPushButton("Back to the saved prompts")
        self.revert.setToolTip("Ctrl+Z brings yours back")
        self.save = QPushButton("Save to my dictionary")
        self.save.setShortcut(SAVE_KEY)
        for button in (self.revert, self.save):
            button.setAutoDefault(False)
        self._scores = PlainModel(
            ("Organ", "Saved", "Now", "Change", "0 to 1"),
            (
                "Click to see the organ and its sentences",
                "Probability with the prompts as saved",
                "Probability with the prompts on the left; in brackets the spread over them",
                "Now minus saved",
                "Above, pale: as saved; below: now. The bar spans the prompts",
            ),
        )
        self.scores = PlainTable(self._scores, "Scores with these prompts", wide=PLOT)
        self.scores.setItemDelegateForColumn(PLOT, IntervalDelegate(QColor.fromRgbF(*ACCENT), self.scores))
        self._sentences = PlainModel(
            SENTENCE_TITLES,
            SENTENCE_TIPS,
        )
        self.sentences = PlainTable(self._sentences, "Prompts of the chosen organ, nearest first")
        self.heading = QLabel()
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.timeout.connect(self.edited)
        self.positive.textChanged.connect(self._timer.start)
        self.negative.textChanged.connect(self._timer.start)
        self.entries.activated.connect(self._on_entry)
        self.save.clicked.connect(self.save_requested)
        self.revert.clicked.connect(self.revert_requested)
        self.scores.row_chosen.connect(self._on_organ)

    # -- what is shown -----------------------------------------------------------------------------------------

    def set_entries(self, entries: Sequence[tuple[str, str]], key: str) -> None:
        """Offer entries (key, what to call it), and mark one."""
        with QSignalBlocker(self.entries):
            self.entries.clear()
            for known, name in entries:
                self.entries.addItem(name, known)
            self.entries.setCurrentIndex(self.entries.findData(key))

    def set_prompts(self, positive: Sequence[str], negative: Sequence[str], *, undoable: bool = False) -> None:
        """Show prompts, as something the user did where it is to be ``undoable``; tells nobody."""
        for editor, texts in ((self.positive, positive), (self.negative, negative)):
            text = "\n".join(texts)
            with QSignalBlocker(editor):
                if undoable:
                    cursor = QTextCursor(editor.document())
                    cursor.select(QTextCursor.SelectionType.Document)
                    cursor.insertText(text)
                else:
                    editor.setPlainText(text)
        self._timer.stop()

    @property
    def prompts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Positive and negative prompts as they stand, empty lines and repetitions left out."""
        return _lines(self.positive), _lines(self.negative)

    def set_told(self, text: str) -> None:
        """Say what is wrong or what to know; where that is nothing, what saving does."""
        self.told.setText(text or HINT)

    def set_can(self, *, save: bool, revert: bool, why: str) -> None:
        """Whether there is something to save and to revert; ``why`` explains the button."""
        self.save.setEnabled(save)
        self.save.setToolTip(why)
        self.revert.setEnabled(revert)

    def set_scores(self, now: Sequence[AbnormalityScore], saved: Sequence[AbnormalityScore]) -> None:
        """Show scores with these prompts beside those with the saved ones."""
        before = {score.organ: score for score in saved}
        self._scores.set_rows([self._row(score, before.get(score.organ)) for score in now])

    def set_sentences(self, organ: str, found: Sequence[Sentence]) -> None:
        """Show the prompts behind the score of an organ."""
        name = self._display_name(organ) if organ else ""
        self.heading.setText(f"Prompts, {name}" if found else "")
        self._sentences.set_rows([sentence_row(s) for s in found])

    def _row(self, score: AbnormalityScore, saved: AbnormalityScore | None) -> Row:
        name, before = Cell(self._display_name(score.organ)), _interval(saved)
        now = _interval(score, before)
        if now is None:
            why = score.status.removeprefix("N/A: ")
            return Row(score.organ, (name, Cell(""), Cell("N/A", tip=why), Cell(""), Cell(why, tip=why)))
        told = f"{now.probability:.2f} ({now.low:.2f}–{now.high:.2f})"
        old = "" if before is None else f"{before.probability:.2f} ({before.low:.2f}–{before.high:.2f})"
        change = "" if before is None else signed(now.probability - before.probability)
        tip = f"now {told}" + (f", saved {old}" if old else "")
        return Row(score.organ, (name, Cell(old), Cell(told), Cell(change), Cell("", now, tip)))

    # -- inside ------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        left, right, split = QWidget(), QWidget(), QSplitter(Qt.Orientation.Horizontal)
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        for title, widget, share in (
            ("Entry", self.entries, 0),
            ("Prompts that state it, one a line ({organ}: the organ's name)", self.positive, 3),
            ("Prompts that call the organ normal", self.negative, 2),
        ):
            label = QLabel(title)
            label.setBuddy(widget)
            column.addWidget(label)
            column.addWidget(widget, share)
        column.addWidget(self.told)
        buttons = QHBoxLayout()
        buttons.addWidget(self.revert)
        buttons.addStretch(1)
        buttons.addWidget(self.save)
        column.addLayout(buttons)
        other = QVBoxLayout(right)
        other.setContentsMargins(0, 0, 0, 0)
        other.addWidget(QLabel("On the open scan, as you type"))
        other.addWidget(self.scores, 3)
        other.addWidget(self.heading)
        other.addWidget(self.sentences, 3)
        split.addWidget(left)
        split.addWidget(right)
        split.setChildrenCollapsible(False)
        split.setSizes([420, 580])
        QVBoxLayout(self).addWidget(split)

    def _on_organ(self, organ: str) -> None:
        self.organ_chosen.emit(organ)

    def _on_entry(self, place: int) -> None:
        key = self.entries.itemData(place)
        if key is not None:
            self.entry_chosen.emit(key)


def sentence_row(sentence: Sentence) -> Row:
    """A prompt as a row: text, similarity, what it would say alone; those of the finding are bold."""
    kind = "states the finding" if sentence.positive else "calls the organ normal"
    alone = "" if sentence.alone is None else f"{sentence.alone:.2f}"
    cells = (
        Cell(sentence.text, tip=kind, bold=sentence.positive),
        Cell(f"{sentence.similarity:+.3f}", sentence.similarity),
        Cell(alone, -1.0 if sentence.alone is None else sentence.alone, tip=kind),
    )
    return Row(sentence.text, cells)


def signed(change: float) -> str:
    """A difference of probabilities, with its sign; none where it rounds to nothing."""
    return "0.00" if abs(change) < 0.005 else f"{change:+.2f}"


def _interval(score: AbnormalityScore | None, before: Interval | None = None) -> Interval | None:
    if score is None or score.probability is None or score.low is None or score.high is None:
        return None
    return Interval(score.probability, score.low, score.high, before)


def _lines(editor: QPlainTextEdit) -> tuple[str, ...]:
    lines = (line.strip() for line in editor.toPlainText().splitlines())
    return tuple(dict.fromkeys(line for line in lines if line))
