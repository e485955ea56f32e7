"""The part of the window "Why this score" that shows known examples: nothing but a button until a library is open."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_ctvlp._qt.plain_table import Cell, PlainModel, PlainTable, Row
from napari_ctvlp._qt.wrapped_label import WrappedLabel

YES, NO = "●", "○"


class KnownCasesBox(QWidget):
    """A table of the organs that look most like the one in question.

    Signals
    -------
    library_requested()
        The user wants to choose a folder.
    """

    library_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.heading = QLabel("Nearest known examples")
        self.choose = QPushButton("Open case library...")
        self.choose.setToolTip("A folder of findings taught by examples (files saved under Teach); nothing is uploaded")
        self.choose.setAutoDefault(False)
        self.told = WrappedLabel()
        self._model = PlainModel(
            ("Example", "What is known of it", "Similarity"),
            (
                "The organ, and the scan by the first digits of its hash",
                f"{YES} is there, {NO} is not, as whoever taught it said",
                "How alike the encoder finds the two organs: the cosine, 1 is the same",
            ),
        )
        self.table = PlainTable(self._model, "Nearest known examples", wide=1)
        top = QHBoxLayout()
        top.addWidget(self.heading)
        top.addStretch(1)
        top.addWidget(self.choose)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(self.told)
        layout.addWidget(self.table, 1)
        self.choose.clicked.connect(self.library_requested)
        self.set_cases("", ())

    def set_cases(self, told: str, rows: Sequence[tuple[str, Sequence[tuple[str, bool]], float]]) -> None:
        """Show examples (name, findings, cosine), nearest first, under a sentence; no table without rows."""
        self.told.setText(told)
        self.told.setVisible(bool(told))
        self.heading.setVisible(bool(told))
        self._model.set_rows(
            [
                Row(number, (Cell(name), Cell(_findings(findings)), Cell(f"{cosine:.2f}", cosine)))
                for number, (name, findings, cosine) in enumerate(rows)
            ]
        )
        self.table.setVisible(bool(rows))
        high = QSizePolicy.Policy.Expanding if rows else QSizePolicy.Policy.Maximum
        self.setSizePolicy(QSizePolicy.Policy.Preferred, high)  # without a table its share of the room is the others'


def _findings(findings: Sequence[tuple[str, bool]]) -> str:
    return ", ".join(f"{YES if there else NO} {name}" for name, there in findings)
