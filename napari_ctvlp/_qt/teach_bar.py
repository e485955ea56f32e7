"""Is it there? Two buttons that make an organ an example."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_ctvlp._qt.wrapped_label import WrappedLabel

YES_KEY = "Shift+Y"
NO_KEY = "Shift+X"


class TeachBar(QWidget):
    """Asks whether a finding is in an organ; the answer is an example to learn from.

    Signals
    -------
    answered(bool)
        Whether it is there.
    """

    answered = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.question = WrappedLabel()
        self.yes = QPushButton("✓ Yes")
        self.yes.setToolTip(f"Accept: it is there. Teaches this finding by example ({YES_KEY})")
        self.yes.setAccessibleName("Accept: the finding is there")
        self.no = QPushButton("✗ No")
        self.no.setToolTip(f"Reject: it is not there. Teaches this finding by example ({NO_KEY})")
        self.no.setAccessibleName("Reject: the finding is not there")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.question, 1)
        layout.addWidget(self.yes)
        layout.addWidget(self.no)
        self.yes.clicked.connect(lambda: self.answered.emit(True))
        self.no.clicked.connect(lambda: self.answered.emit(False))
        self.set_question("", False)

    def set_question(self, text: str, can_answer: bool) -> None:
        """Ask this; buttons answer only where ``can_answer``."""
        self.question.setText(text)
        self.yes.setEnabled(can_answer)
        self.no.setEnabled(can_answer)
