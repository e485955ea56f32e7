"""Several canvases in one process: what is waiting to be done on the GPU is done in the canvas' own context."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari.qt import QtViewer

if TYPE_CHECKING:
    import napari
    from qtpy.QtWidgets import QWidget


def finish_in_own_context(native: QWidget) -> Callable[[], None]:
    """Make a canvas current before vispy finishes what it has to do there.

    napari (0.9) finishes the OpenGL commands of a canvas whenever it loses a layer, in whatever context is current
    then: with one canvas that is its own, with several mostly that of the one drawn last. Commands fail there, the
    rest of the queue is lost ("Could not find texture"), and later drawing may crash the process.

    Parameters
    ----------
    native : QWidget
        The canvas' own widget, of vispy's Qt backend.

    Returns
    -------
    callable
        Leaves the canvas as it was.
    """
    canvas = getattr(native, "_vispy_canvas", None)
    context = getattr(canvas, "context", None)
    if canvas is None or context is None or "finish" in vars(context):
        return lambda: None
    known = weakref.ref(canvas)  # the context belongs to the canvas: no circle

    def finish() -> None:
        own: Any = known()
        if own is None or not own.native.isValid():
            return  # it was never drawn: what waits is done with the first drawing
        own.set_current()
        type(own.context).finish(own.context)

    def give_back() -> None:
        with suppress(AttributeError):
            del context.finish

    context.finish = finish
    return give_back


def main_canvas(viewer: napari.viewer.Viewer, inside: QWidget) -> QWidget | None:
    """The widget of a viewer's main canvas, found among the children of the window that a widget stands in."""
    wrapped = getattr(viewer, "__wrapped__", viewer)
    window = inside.window()
    found = window.findChildren(QtViewer) if window is not None else []
    return next((view.canvas.native for view in found if view.viewer is wrapped), None)
