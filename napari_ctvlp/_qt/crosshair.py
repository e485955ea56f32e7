"""The lines that say where one view's place lies in another, drawn by Qt over the canvas: no layer in the list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QLineF, QObject, QPointF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QWidget

from napari_ctvlp._qt.overlay import ACCENT

if TYPE_CHECKING:
    from napari.components import ViewerModel

GAP = 14
"""Pixels around the place itself that stay free, so that what is looked at is not drawn over."""


def canvas_place(
    world: Sequence[float],
    displayed: Sequence[int],
    center: Sequence[float],
    zoom: float,
    size: tuple[int, int],
    orientation: tuple[str, str] = ("down", "right"),
) -> tuple[float, float]:
    """Pixel (row, column) of a point in world mm on a canvas that shows a slice.

    Parameters
    ----------
    world : position along every axis
    displayed : the two axes shown, rows first
    center : camera centre; its last two values are of the shown axes
    zoom : pixels per mm
    size : canvas (height, width) in pixels
    orientation : where the axes grow to on screen (``camera.orientation2d``)
    """
    signs = (1 if str(orientation[0]) == "down" else -1, 1 if str(orientation[1]) == "right" else -1)
    row, column = (
        (world[axis] - middle) * zoom * sign + pixels / 2
        for axis, middle, sign, pixels in zip(displayed, tuple(center)[-2:], signs, size, strict=True)
    )
    return row, column


class Crosshair(QWidget):
    """Two thin lines over the canvas of a viewer, through the point that its dims stand at; none in 3D.

    Parameters
    ----------
    model : ViewerModel
        Whose point is shown.
    canvas : QWidget
        The canvas' own widget; this one lies over it and lets the mouse through.
    """

    def __init__(self, model: ViewerModel, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._model = model
        self.place: tuple[float, ...] | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._emitters: tuple[Any, ...] = (
            model.dims.events.ndisplay,
            model.dims.events.order,
            model.scene.camera.events.center,
            model.scene.camera.events.zoom,
        )
        for emitter in self._emitters:
            emitter.connect(self._on_moved)
        canvas.installEventFilter(self)
        self.setGeometry(canvas.rect())

    def set_place(self, world: Sequence[float] | None) -> None:
        """Draw through this point in world mm, or not at all."""
        self.place = None if world is None else tuple(world)
        self.setVisible(self.place is not None)
        self.update()

    def release(self) -> None:
        """Listen to the viewer no more."""
        for emitter in self._emitters:
            emitter.disconnect(self._on_moved)
        self._emitters = ()

    def _on_moved(self, event: object = None) -> None:
        if self.isVisible():
            self.update()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt: stay as large as the canvas."""
        if event is not None and event.type() == QEvent.Type.Resize and isinstance(watched, QWidget):
            self.setGeometry(watched.rect())
        return super().eventFilter(watched, event)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: draw the lines."""
        dims, camera = self._model.dims, self._model.scene.camera
        if self.place is None or dims.ndisplay != 2 or dims.ndim != len(self.place):
            return
        row, column = canvas_place(
            self.place,
            dims.displayed,
            camera.center,
            camera.zoom,
            (self.height(), self.width()),
            camera.orientation2d,
        )
        painter = QPainter(self)
        colour = QColor.fromRgbF(*ACCENT, 0.6)
        painter.setPen(QPen(colour, 1))
        for a, b in (
            (QPointF(0, row), QPointF(column - GAP, row)),
            (QPointF(column + GAP, row), QPointF(self.width(), row)),
            (QPointF(column, 0), QPointF(column, row - GAP)),
            (QPointF(column, row + GAP), QPointF(column, self.height())),
        ):
            painter.drawLine(QLineF(a, b))
        painter.end()
