"""The line in which one asks."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QStringListModel, Qt, QTimer, Signal
from qtpy.QtGui import QFocusEvent, QKeyEvent
from qtpy.QtWidgets import QCompleter, QLineEdit, QWidget

SETTLE_MS = 200
"""After the last key; what is written then is answered, though it is not asked yet."""
LINE_KEYS = ("/", "Ctrl+F")
"""Put the cursor into the line, from anywhere in the window."""
TIP = (
    "Answers as you type. Enter asks: the view goes there, and the keys are the window's again; "
    f"{' or '.join(LINE_KEYS)} comes back to this line.\n"
    "Up and Down recall. Esc puts the question asked back, and again leaves the line. "
    "Emptied, or with its cross, it clears the answer; U takes that back."
)


class QueryLine(QLineEdit):
    """Answers while one types; Enter asks, Up and Down recall; words of organs and abnormalities are suggested.

    Signals
    -------
    typed(str)
        The text, when it rests for a moment, was recalled or suggested; at once when it was emptied.
    asked(str)
        The text, when Enter is pressed; empty to clear the answer.
    escaped()
        Esc was pressed.
    left()
        The user has gone elsewhere in the window.
    """

    typed = Signal(str)
    asked = Signal(str)
    escaped = Signal()
    left = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._history: list[str] = []
        self._recalled: int | None = None
        self._draft = ""
        self._words = QStringListModel(self)
        self.setPlaceholderText("Ask in plain words: stone in the left kidney")
        self.setToolTip(TIP)
        self.setAccessibleName("Question about the scan")
        self.setClearButtonEnabled(True)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.timeout.connect(self._on_settled)
        completer = QCompleter(self._words, self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setMaxVisibleItems(8)
        completer.highlighted[str].connect(self._on_suggested)
        completer.activated[str].connect(self._on_suggested)
        self.setCompleter(completer)
        self.returnPressed.connect(self._on_return)
        self.textEdited.connect(self._on_edited)

    def set_suggestions(self, words: Sequence[str]) -> None:
        """Offer these while typing."""
        self._words.setStringList(list(words))

    def set_colours(self, background: str, text: str, chosen: str) -> None:
        """Colour the suggestions: their list is a window of its own, which napari's style does not reach."""
        popup = self.completer().popup()
        popup.setStyleSheet(
            f"QListView {{ background: {background}; color: {text}; border: 1px solid {chosen}; padding: 2px }}"
            f"QListView::item {{ padding: 2px }} QListView::item:selected {{ background: {chosen}; color: {text} }}"
        )

    def set_history(self, texts: Sequence[str]) -> None:
        """Earlier questions, oldest first."""
        self._history = list(texts)
        self._recalled = None

    def setText(self, text: str | None) -> None:
        """Qt: show this text, in place of what was being typed."""
        self._timer.stop()
        super().setText(text)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Recall with Up and Down, tell of Esc; everything else is typing."""
        assert event is not None
        if event.key() == Qt.Key.Key_Up:
            self._recall(-1)
        elif event.key() == Qt.Key.Key_Down:
            self._recall(+1)
        elif event.key() == Qt.Key.Key_Escape:
            if not self._hide_suggestions():
                self._timer.stop()
                self.escaped.emit()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        """Tell when the user goes elsewhere, which a list of suggestions or another window is not."""
        super().focusOutEvent(event)
        reason = None if event is None else event.reason()
        if reason not in (Qt.FocusReason.PopupFocusReason, Qt.FocusReason.ActiveWindowFocusReason):
            if self._timer.isActive():
                self._timer.stop()
                self._on_settled()
            self.left.emit()

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
        self._timer.start()

    def _hide_suggestions(self) -> bool:
        """Whether there were any to be seen."""
        completer = self.completer()
        popup = None if completer is None else completer.popup()
        seen = popup is not None and popup.isVisible()
        if popup is not None:
            popup.hide()
        return seen

    def _on_return(self) -> None:
        self._hide_suggestions()
        self._timer.stop()
        self.asked.emit(self.text())

    def _on_suggested(self, _text: str) -> None:
        self._recalled = None
        self._timer.start()

    def _on_edited(self, text: str) -> None:
        self._recalled = None
        self._timer.start()
        if not text:
            self._timer.stop()
            self._on_settled()

    def _on_settled(self) -> None:
        self.typed.emit(self.text())
