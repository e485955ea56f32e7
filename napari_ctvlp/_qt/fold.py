"""A heading that hides what stands below it, or shows it."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QToolButton, QWidget


class Fold(QToolButton):
    """Checked while what it names is shown; ``toggled`` tells.

    What the user opened stays open. What has to be seen is opened even where the user closed it.
    """

    def __init__(self, text: str, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._by_hand = False
        self.setText(text)
        self.setToolTip(tip)
        font = self.font()
        font.setBold(True)
        self.setFont(font)
        self.setAutoRaise(True)
        self.setCheckable(True)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.toggled.connect(self._point)
        self.clicked.connect(self._on_clicked)
        self._point(False)

    def suggest(self, shown: bool) -> None:
        """Show what has to be seen, or hide what need not be; the latter not where the user opened it."""
        if shown or not self._by_hand:
            self.setChecked(shown)

    def _on_clicked(self, shown: bool) -> None:
        self._by_hand = shown

    def _point(self, shown: bool) -> None:
        self.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
