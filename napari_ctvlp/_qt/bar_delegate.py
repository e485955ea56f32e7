"""A cell that shows a number in 0..1 as a bar."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from qtpy.QtCore import QModelIndex, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from napari_ctvlp._qt.ranking_model import VALUE_ROLE

HEIGHT = 8
SHORTEST = 50


class BarDelegate(QStyledItemDelegate):
    """Draws a bar on a faint track; the digits are in the tooltip. The colour is the view's to set."""

    def __init__(self, colour: QColor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.colour = colour

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Qt: draw one cell."""
        assert painter is not None
        self.initStyleOption(option, index)
        option.text = ""
        option.widget.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, option.widget)
        value = min(1.0, max(0.0, float(index.data(VALUE_ROLE) or 0.0)))
        area = QRectF(option.rect).adjusted(4, 0, -6, 0)
        track = QRectF(area.left(), area.center().y() - HEIGHT / 2, area.width(), HEIGHT)
        faint = QColor(self.colour)
        faint.setAlpha(45)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for colour, width in ((faint, track.width()), (self.colour, track.width() * value)):
            painter.setBrush(colour)
            painter.drawRoundedRect(QRectF(track.left(), track.top(), width, HEIGHT), 2, 2)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Qt: a bar that can still be read."""
        return QSize(SHORTEST, super().sizeHint(option, index).height())
