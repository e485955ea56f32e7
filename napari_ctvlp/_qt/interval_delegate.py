"""A cell that shows a probability with its spread over prompts, and beside it, paler, what it was before."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtCore import QModelIndex, QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from napari_ctvlp._qt.plain_table import VALUE_ROLE

SHORTEST = 110


@dataclass(frozen=True, order=True)
class Interval:
    """A probability and the extremes over prompts, all 0..1; ``before`` is where it was, for comparison."""

    probability: float
    low: float
    high: float
    before: Interval | None = None


class IntervalDelegate(QStyledItemDelegate):
    """Draws an `Interval` on an axis from 0 to 1; the numbers stand in other cells and in the tooltip."""

    def __init__(self, colour: QColor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.colour = colour

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Qt: draw one cell."""
        assert painter is not None
        self.initStyleOption(option, index)
        option.text = ""
        option.widget.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, option.widget)
        value = index.data(VALUE_ROLE)
        if not isinstance(value, Interval):
            return
        area = QRectF(option.rect).adjusted(7, 0, -7, 0)
        text = option.palette.text().color()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        axis = QColor(text)
        axis.setAlpha(60)
        painter.setPen(axis)
        painter.drawLine(QPointF(area.left(), area.center().y()), QPointF(area.right(), area.center().y()))
        for at in (0.0, 0.5, 1.0):
            x = area.left() + at * area.width()
            painter.drawLine(QPointF(x, area.center().y() - 3), QPointF(x, area.center().y() + 3))
        if value.before is not None:
            pale = QColor(text)
            pale.setAlpha(110)
            _draw(painter, area.translated(0, -4), value.before, pale, 2.0)
            _draw(painter, area.translated(0, 4), value, self.colour, 3.0)
        else:
            _draw(painter, area, value, self.colour, 3.0)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Qt: an axis that can still be read."""
        return QSize(SHORTEST, max(22, super().sizeHint(option, index).height()))


def _draw(painter: QPainter, area: QRectF, value: Interval, colour: QColor, thick: float) -> None:
    low, middle, high = (area.left() + v * area.width() for v in (value.low, value.probability, value.high))
    y = area.center().y()
    painter.setPen(Qt.PenStyle.NoPen)
    band = QColor(colour)
    band.setAlpha(min(150, colour.alpha()))
    painter.setBrush(band)
    painter.drawRoundedRect(QRectF(low, y - thick / 2, max(high - low, 1.0), thick), 1, 1)
    painter.setBrush(colour)
    painter.drawEllipse(QPointF(middle, y), thick + 0.5, thick + 0.5)
