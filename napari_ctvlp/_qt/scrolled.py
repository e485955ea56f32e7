"""A widget that scrolls where the screen is lower than it."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QWidget

LEAST_HEIGHT = 280


class _Scroll(QScrollArea):
    """As wide as what it holds needs, and as low as `LEAST_HEIGHT`."""

    def minimumSizeHint(self) -> QSize:
        bar = self.verticalScrollBar().sizeHint().width()
        widget = self.widget()
        return QSize(max(widget.minimumSizeHint().width(), widget.minimumWidth()) + bar, LEAST_HEIGHT)

    def sizeHint(self) -> QSize:
        return self.widget().sizeHint()


def scrolled(widget: QWidget) -> QScrollArea:
    """Put a widget into a frame that scrolls up and down, and only where it has to."""
    area = _Scroll()
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidgetResizable(True)
    area.setWidget(widget)
    return area
