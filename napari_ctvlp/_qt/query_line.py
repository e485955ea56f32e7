"""The line in which one asks."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QStringListModel, Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QCompleter, QLineEdit, QWidget


class QueryLine(QLineEdit):
    """Enter asks, Up and Down recall earlier questions, Esc clears; words of organs and abnormalities are suggested.

    Signals
    -------
    asked(str)
        The text, when Enter is pressed; empty when the line was cleared.
    """

    asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._history: list[str] = []
        self._recalled: int | None = None
        self._draft = ""
        self._words = QStringListModel(self)
        self.setPlaceholderText("Ask in plain words: stone in the left kidney")
        self.setToolTip("Enter asks, Up and Down recall, Esc clears")
        self.setAccessibleName("Question about the scan")
        self.setClearButtonEnabled(True)
        completer = QCompleter(self._words, self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setMaxVisibleItems(8)
        self.setCompleter(completer)
        self.returnPressed.connect(self._on_return)
        self.textEdited.connect(self._on_edited)

    def set_suggestions(self, words: Sequence[str]) -> None:
        """Offer these while typing."""
        self._words.setStringList(list(words))

    def set_history(self, texts: Sequence[str]) -> None:
        """Earlier questions, oldest first."""
        self._history = list(texts)
        self._recalled = None

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Recall with Up and Down, clear with Esc; everything else is typing."""
        assert event is not None
        if event.key() == Qt.Key.Key_Up:
            self._recall(-1)
        elif event.key() == Qt.Key.Key_Down:
            self._recall(+1)
        elif event.key() == Qt.Key.Key_Escape:
            self.clear()
            self._recalled = None
            self.asked.emit("")
        else:
            super().keyPressEvent(event)

    def _recall(self, step: int) -> None:
        if self._recalled is None:
            if step > 0 or not self._history:
                return
            self._draft = self.text()
            self._recalled = len(self._history)
        place = max(0, self._recalled + step)
        if place >= len(self._history):
            self.setText(self._draft)
            self._recalled = None
        else:
            self.setText(self._history[place])
            self._recalled = place

    def _on_return(self) -> None:
        completer = self.completer()
        if completer is not None and completer.popup() is not None:
            completer.popup().hide()
        self.asked.emit(self.text())

    def _on_edited(self, text: str) -> None:
        self._recalled = None
        if not text:
            self.asked.emit("")
