"""What can be done with an answer, each with its key: why, in other words, beside another, as the encoder sees it."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QWidget

EVIDENCE_KEY = "W"
PROMPTS_KEY = "R"
QUERIES_KEY = "N"
INPUT_KEY = "I"


class AskBar(QWidget):
    """Buttons under an answer.

    Signals
    -------
    evidence_requested(), prompts_requested(), queries_requested(), input_requested()
        A button was used.
    """

    evidence_requested = Signal()
    prompts_requested = Signal()
    queries_requested = Signal()
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
        self.input = QPushButton("Input")
        self.input.setToolTip(f"What the encoder saw: the scan as resampled and windowed for it ({INPUT_KEY})")
        self.input.setCheckable(True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for button, signal in (
            (self.evidence, self.evidence_requested),
            (self.prompts, self.prompts_requested),
            (self.queries, self.queries_requested),
            (self.input, self.input_requested),
        ):
            button.clicked.connect(signal)
            layout.addWidget(button, 1)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def set_input_shown(self, shown: bool) -> None:
        """Whether the encoder's input is shown."""
        self.input.setChecked(shown)
