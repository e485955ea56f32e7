"""A label whose lines break, and that keeps the height they need."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QLabel, QWidget


class WrappedLabel(QLabel):
    """Selectable text over as many lines as it takes.

    Inside a splitter or a dock Qt does not ask a label how high it gets at its width, and squeezes its neighbours: the
    height is told by the minimum instead.
    """

    def __init__(self, parent: QWidget | None = None, text_format: Qt.TextFormat = Qt.TextFormat.PlainText) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setTextFormat(text_format)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        policy = self.sizePolicy()
        policy.setHeightForWidth(False)
        self.setSizePolicy(policy)

    def setText(self, text: str | None) -> None:
        """Qt: show this text."""
        super().setText(text)
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: the text may need more or fewer lines."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setMinimumHeight(0)  # it counts in what Qt says of the height, which would never become less
        self.setMinimumHeight(max(self.heightForWidth(self.width()), self.fontMetrics().height()))
