"""A picture of all views as they stand on the screen, without panels and names of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QBuffer, QIODevice, QPoint, QRect
from qtpy.QtGui import QColor, QImage, QPainter
from qtpy.QtWidgets import QWidget

from napari_ctvlp._qt.crosshair import Crosshair
from napari_ctvlp.atomic import write_bytes

SUFFIX = ".png"


def picture_of(canvases: Sequence[Any], background: QColor) -> QImage:
    """What several canvases of one window show, each where it stands, with the crosshairs over them.

    Parameters
    ----------
    canvases : sequence of QOpenGLWidget
        Those that are visible, at least one.
    background : QColor
        Between them.
    """
    places = [QRect(canvas.mapToGlobal(QPoint(0, 0)), canvas.size()) for canvas in canvases]
    whole = places[0]
    for place in places[1:]:
        whole = whole.united(place)
    ratio = canvases[0].devicePixelRatioF()
    picture = QImage(round(whole.width() * ratio), round(whole.height() * ratio), QImage.Format.Format_RGB32)
    picture.setDevicePixelRatio(ratio)
    picture.fill(background)
    painter = QPainter(picture)
    for canvas, place in zip(canvases, places, strict=True):
        corner = place.topLeft() - whole.topLeft()
        # not what Qt would grab: napari's notifications lie over the canvas, too
        painter.drawImage(corner, canvas.grabFramebuffer())
        for crosshair in canvas.findChildren(Crosshair):
            if crosshair.isVisible():
                crosshair.render(painter, corner + crosshair.pos(), flags=QWidget.RenderFlag.DrawChildren)
    painter.end()
    return picture


def write_picture(path: str | Path, picture: QImage) -> Path:
    """Write a picture as PNG, whole or not at all; a name without the ending gets it.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    target = Path(path)
    if target.suffix.lower() != SUFFIX:
        target = target.with_name(target.name + SUFFIX)
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    picture.save(buffer, "PNG")
    write_bytes(target, bytes(buffer.data().data()))
    return target
