"""What can be done with an answer, each with its key: why, in other words, beside another, as the encoder sees it."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QWidget

EVIDENCE_KEY = "W"
PROMPTS_KEY = "R"
QUERIES_KEY = "N"
INPUT_KEY = "I"
PIN_KEY = "Shift+N"


class AskBar(QWidget):
    """Buttons under an answer.

    Signals
    -------
    evidence_requested(), prompts_requested(), queries_requested(), pin_requested(), input_requested()
        A button was used.
    """

    evidence_requested = Signal()
    prompts_requested = Signal()
    queries_requested = Signal()
    pin_requested = Signal()
    input_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.evidence = QPushButton("Why")
        self.evidence.setToolTip(
            f"Evidence for the score asked for, or selected below: regions, sentences, what if ({EVIDENCE_KEY})"
        )
        self.prompts = QPushButton("Prompts")
        self.prompts.setToolTip(f"Prompt lab: try other words for a finding on this scan ({PROMPTS_KEY})")
        self.queries = QPushButton("Queries")
        self.queries.setToolTip(f"What was asked, with its answers; compare two, pin some ({QUERIES_KEY})")
        self.pin = QPushButton("Pin")
        self.pin.setToolTip(f"Show this question's scores as a column of the organ table, or no longer ({PIN_KEY})")
        self.pin.setCheckable(True)
        self.input = QPushButton("Input")
        self.input.setToolTip(
            f"What the encoder saw: the scan as resampled and windowed for it; again for its next window ({INPUT_KEY})"
        )
        self.input.setCheckable(True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for button, signal in (
            (self.evidence, self.evidence_requested),
            (self.prompts, self.prompts_requested),
            (self.queries, self.queries_requested),
            (self.pin, self.pin_requested),
            (self.input, self.input_requested),
        ):
            button.clicked.connect(signal)
            widest = "Input 8/8" if button is self.input else button.text()
            button.setMinimumWidth(button.fontMetrics().horizontalAdvance(widest) + 10)
            layout.addWidget(button, 1)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def set_input(self, text: str) -> None:
        """Which window of the encoder's input is shown ("1/3"); empty for none."""
        self.input.setText(f"Input {text}".rstrip())
        self.input.setChecked(bool(text))

    def set_pinned(self, pinned: bool) -> None:
        """Whether the question that is open is pinned."""
        self.pin.setChecked(pinned)
