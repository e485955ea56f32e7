"""A label whose lines break, and that keeps the height they need."""

from __future__ import annotations

import re
from math import ceil

from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import QFontMetricsF, QResizeEvent
from qtpy.QtWidgets import QLabel, QWidget

NO_BREAK = "\u00a0"
"""A space at which no line breaks."""
LONGEST, PIECE = 40, 10
"""Words of more characters may break anywhere, after so many."""
MAY_BREAK = "\u200b"
_LONG = re.compile(rf"\S{{{LONGEST + 1},}}")
_PIECES = re.compile(rf".{{1,{PIECE}}}")


def shortened(text: str, limit: int = 60) -> str:
    """The beginning of a text that is too long to be told whole."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def breakable(text: str) -> str:
    """A text whose longest words may break; Qt breaks none, and draws the rest of it nowhere."""
    if not _LONG.search(text):
        return text
    return _LONG.sub(lambda found: MAY_BREAK.join(_PIECES.findall(found[0])), text)


class WrappedLabel(QLabel):
    """Selectable text over as many lines as it takes, with room for ``lines`` of them at least.

    Inside a splitter or a dock Qt does not ask a label how high it gets at its width, and squeezes its neighbours: the
    height is told by the minimum instead.
    """

    def __init__(
        self,
        parent: QWidget | None = None,
        text_format: Qt.TextFormat = Qt.TextFormat.PlainText,
        lines: int = 1,
    ) -> None:
        super().__init__(parent)
        self._lines = lines
        if lines > 1:
            self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
            self.setIndent(0)  # of a text at the top Qt indents that, too
            self.setContentsMargins(self.fontMetrics().horizontalAdvance("x") // 2, 0, 0, 0)
        self.setWordWrap(True)
        self.setTextFormat(text_format)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def hasHeightForWidth(self) -> bool:
        """Qt: no, the minimum tells the height; each new text would say yes, and so would all that holds the label."""
        return False

    def sizeHint(self) -> QSize:
        """Qt: no higher than the text is; Qt's own guess is of a narrower label."""
        return QSize(super().sizeHint().width(), self.minimumHeight())

    def setText(self, text: str | None) -> None:
        """Qt: show this text."""
        plain = self.textFormat() == Qt.TextFormat.PlainText
        super().setText(breakable(text) if text and plain else text)
        self._fit()

    def text(self) -> str:
        """Qt: what is shown, without the places where it may break."""
        return super().text().replace(MAY_BREAK, "")

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: the text may need more or fewer lines."""
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent | None) -> None:
        """Qt: the theme may bring another font."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def _fit(self) -> None:
        self.setMinimumHeight(0)  # it counts in what Qt says of the height, which would never become less
        margins = self.contentsMargins()
        least = self._lines * ceil(QFontMetricsF(self.font()).lineSpacing()) + margins.top() + margins.bottom()
        self.setMinimumHeight(max(self.heightForWidth(self.width()), least))
