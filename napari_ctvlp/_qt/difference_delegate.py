"""A cell that shows a number in -1..1 as a bar to the left or to the right of the middle."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from qtpy.QtCore import QModelIndex, QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from napari_ctvlp._qt.plain_table import VALUE_ROLE

HEIGHT = 8
SHORTEST = 90


class DifferenceDelegate(QStyledItemDelegate):
    """To the left in one colour, to the right in the other: side and colour say the same."""

    def __init__(self, left: QColor, right: QColor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.left, self.right = left, right

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Qt: draw one cell."""
        assert painter is not None
        self.initStyleOption(option, index)
        option.text = ""
        option.widget.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, option.widget)
        value = min(1.0, max(-1.0, float(index.data(VALUE_ROLE) or 0.0)))
        area = QRectF(option.rect).adjusted(4, 0, -6, 0)
        middle, reach = area.center(), abs(value) * area.width() / 2
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        axis = QColor(option.palette.text().color())
        axis.setAlpha(90)
        painter.setPen(axis)
        painter.drawLine(QPointF(middle.x(), area.top() + 3), QPointF(middle.x(), area.bottom() - 3))
        painter.setPen(Qt.PenStyle.NoPen)
        # more to the first question, whose column is on the left, points to the left
        painter.setBrush(self.left if value > 0 else self.right)
        start = middle.x() - reach if value > 0 else middle.x()
        painter.drawRoundedRect(QRectF(start, middle.y() - HEIGHT / 2, reach, HEIGHT), 2, 2)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Qt: a bar that can still be read."""
        return QSize(SHORTEST, super().sizeHint(option, index).height())
