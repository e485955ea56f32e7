"""What a score rests on, to read: regions, what becomes of it when something is changed, the sentences."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QDialog, QHBoxLayout, QLabel, QProgressBar, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_ctvlp._qt.findings_model import probability_text
from napari_ctvlp._qt.interval_delegate import Interval, IntervalDelegate
from napari_ctvlp._qt.known_cases_box import KnownCasesBox
from napari_ctvlp._qt.overlay import ACCENT
from napari_ctvlp._qt.plain_table import Cell, PlainModel, PlainTable, Row
from napari_ctvlp._qt.prompt_dialog import SENTENCE_TIPS, SENTENCE_TITLES, sentence_row, signed
from napari_ctvlp._qt.row_heights import ONE_LINE_MORE
from napari_ctvlp._qt.wrapped_label import WrappedLabel
from napari_ctvlp.ask.sentences import Sentence
from napari_ctvlp.ask.types import AbnormalityScore

WHAT, AFTER, CHANGE, PLOT = range(4)
WAITING = "…"
SENTENCES = "Sentences; those that state the finding are bold"
EXAMPLES = "Examples; those with the finding are bold"
EXAMPLE_TITLES = ("Example", "Similarity", "Has it")
EXAMPLE_TIPS = (
    "Examples that the finding was taught by",
    "How alike the encoder finds it and the organ of this scan: the cosine, 1 is the same",
    "What was answered when it was taught",
)
LEFT_OUT = "not tried"
LEAST_ROWS = 5
"""Rows of a table that are always to be seen, its title among them: there are three regions."""


class ReasonsDialog(QDialog):
    """Tables that fill while the scan is encoded again and again.

    Signals
    -------
    region_chosen(int)
        Place of a region in the list; it was clicked, or reached with Enter.
    stop_requested(), again_requested(), prompts_requested()
        A button was used.
    closed()
        The user closed it.
    """

    region_chosen = Signal(int)
    stop_requested = Signal()
    again_requested = Signal()
    prompts_requested = Signal()
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Why this score")
        self.setModal(False)
        self.resize(640, 640)
        self.title = WrappedLabel()
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.notes = WrappedLabel()
        self._regions = PlainModel(
            ("Region", "Organ", "Score there", "LPS mm"),
            (
                "Outlined in the views; click to go there",
                "",
                "What an organ would score that looked like this place everywhere: above 0 it is nearer to the words "
                "for the finding, below 0 to those for a normal organ",
                "Left, posterior, superior",
            ),
        )
        self.regions = PlainTable(self._regions, "Regions that the score comes from", wide=1)
        self._changes = PlainModel(
            ("Changed", "Probability", "Difference", "0 to 1"),
            (
                "Each is encoded as a scan of its own",
                "",
                "Against the score as it is",
                "Above, pale: the score as it is",
            ),
        )
        self.changes = PlainTable(self._changes, "The score after something was changed", wide=PLOT)
        self.changes.setItemDelegateForColumn(PLOT, IntervalDelegate(QColor.fromRgbF(*ACCENT), self.changes))
        self._sentences = PlainModel(SENTENCE_TITLES, SENTENCE_TIPS)
        self.heading = QLabel(SENTENCES)
        self.sentences = PlainTable(self._sentences, "Sentences it was compared with, nearest first")
        self.cases = KnownCasesBox()
        self.doing = QLabel()
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.stop = QPushButton("Stop")
        self.stop.setToolTip("Leave the rest untried")
        self.again = QPushButton("Try the rest")
        self.prompts = QPushButton("Other prompts...")
        self.set_prompts_missing("")
        for button, signal in (
            (self.stop, self.stop_requested),
            (self.again, self.again_requested),
            (self.prompts, self.prompts_requested),
        ):
            button.setAutoDefault(False)
            button.clicked.connect(signal)
        for bar in (self.bar, self.stop, self.again):
            policy: QSizePolicy = bar.sizePolicy()
            policy.setRetainSizeWhenHidden(bar is not self.again)
            bar.setSizePolicy(policy)
        self._lay_out()
        self.regions.row_chosen.connect(self._on_region)
        self.finished.connect(self._on_finished)
        self._before: AbnormalityScore | None = None
        self._names: list[tuple[str, str]] = []
        self._after: dict[int, AbnormalityScore] = {}
        self._working = False
        self.set_idle("")

    # -- what is shown -----------------------------------------------------------------------------------------

    def set_question(self, title: str) -> None:
        """Begin with a score; what was shown before goes."""
        self.title.setText(title)
        self.set_notes(())
        self._before, self._names, self._after = None, [], {}
        for model in (self._regions, self._changes, self._sentences):
            model.set_rows(())

    def set_score(self, title: str, score: AbnormalityScore) -> None:
        """The score that everything is about."""
        self.title.setText(f"{title}: {probability_text(score)}")
        self._before = score

    def set_notes(self, notes: Sequence[str]) -> None:
        """Say what is missing, and why."""
        self.notes.setText("\n".join(notes))
        self.notes.setVisible(bool(notes))

    def set_regions(self, rows: Sequence[tuple[str, float, tuple[float, float, float]]]) -> None:
        """Organ, score and place in LPS mm of each region."""
        self._regions.set_rows(
            [
                Row(n, (Cell(str(n + 1)), Cell(organ), Cell(f"{value:+.2f}", value), Cell(_place(place))))
                for n, (organ, value, place) in enumerate(rows)
            ]
        )

    def set_sentences(self, found: Sequence[Sentence]) -> None:
        """The sentences behind the score."""
        self.heading.setText(SENTENCES)
        self._sentences.set_titles(SENTENCE_TITLES, SENTENCE_TIPS)
        self._sentences.set_rows([sentence_row(s) for s in found])

    def set_examples(self, found: Sequence[Sentence]) -> None:
        """The examples that a finding was taught by, in place of sentences."""
        self.heading.setText(EXAMPLES)
        self._sentences.set_titles(EXAMPLE_TITLES, EXAMPLE_TIPS)
        self._sentences.set_rows([_example_row(n, s) for n, s in enumerate(found)])

    def set_prompts_missing(self, why: str) -> None:
        """Say why there are no prompts to try; empty where there are."""
        self.prompts.setEnabled(not why)
        self.prompts.setToolTip(why or "Open this finding in the prompt lab")

    def set_plan(self, names: Sequence[tuple[str, str]]) -> None:
        """What will be tried: name and what to read from it."""
        self._names, self._after = list(names), {}
        self._show_changes()

    def set_after(self, number: int, score: AbnormalityScore) -> None:
        """The score after one of them."""
        self._after[number] = score
        self._show_changes()

    def set_working(self, text: str, fraction: float | None) -> None:
        """Say what is being done and how far all of it is, 0..1 (None: nobody knows)."""
        again = not self._working
        self._working = True
        self.doing.setText(text)
        self.bar.setRange(0, 0 if fraction is None else 1000)
        self.bar.setValue(round(1000 * (fraction or 0.0)))
        self.bar.show()
        self.stop.show()
        self.again.hide()
        if again:
            self._show_changes()

    def set_idle(self, text: str, *, more: bool = False) -> None:
        """Say how it ended; ``more`` offers to go on."""
        self._working = False
        self.doing.setText(text)
        self.bar.hide()
        self.stop.hide()
        self.again.setVisible(more)
        self._show_changes()

    # -- inside ------------------------------------------------------------------------------------------------

    def _show_changes(self) -> None:
        self._changes.set_rows([self._row(n, *told) for n, told in enumerate(self._names)])

    def _row(self, number: int, name: str, meaning: str) -> Row:
        after, before = self._after.get(number), self._before
        what = Cell(name, tip=meaning)
        if after is None or before is None:
            blank = Cell(WAITING if self._working else LEFT_OUT, tip=meaning)
            return Row(number, (what, blank, Cell(""), Cell("")))
        told, old, now = probability_text(after), _interval(before), _interval(after)
        if old is None or now is None:
            return Row(number, (what, Cell("N/A", tip=told), Cell(""), Cell(told, tip=told)))
        change = signed(now.probability - old.probability)
        drawn = Interval(now.probability, now.low, now.high, old)
        return Row(number, (what, Cell(told), Cell(change, tip=meaning), Cell("", drawn, meaning)))

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.addWidget(self.title)
        layout.addWidget(self.notes)
        for heading, table, share in (
            (QLabel("Where it comes from"), self.regions, 2),
            (QLabel("What if"), self.changes, 4),
            (self.heading, self.sentences, 4),
        ):
            layout.addWidget(heading)
            table.setMinimumHeight(LEAST_ROWS * (table.fontMetrics().height() + ONE_LINE_MORE))
            layout.addWidget(table, share)
        layout.addWidget(self.cases, 3)
        row = QHBoxLayout()
        row.addWidget(self.doing)
        row.addWidget(self.bar, 1)
        for button in (self.stop, self.again, self.prompts):
            row.addWidget(button)
        layout.addLayout(row)

    def _on_region(self, number: int) -> None:
        self.region_chosen.emit(number)

    def _on_finished(self, _result: int) -> None:
        self.closed.emit()


def _example_row(number: int, example: Sentence) -> Row:
    cosine = Cell(f"{example.similarity:+.3f}", example.similarity)
    return Row(number, (Cell(example.text, bold=example.positive), cosine, Cell("yes" if example.positive else "no")))


def _place(place: tuple[float, float, float]) -> str:
    return ", ".join(f"{v:.0f}" for v in place)


def _interval(score: AbnormalityScore) -> Interval | None:
    if score.probability is None or score.low is None or score.high is None:
        return None
    return Interval(score.probability, score.low, score.high)
