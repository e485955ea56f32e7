"""Several canvases in one process: what each does on the GPU is done in its own context, and undone when it closes."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari.qt import QtViewer
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QApplication

from napari_ctvlp._qt.docked import main_window
from napari_ctvlp._qt.removing import collect_once, forget_replaced_grids

if TYPE_CHECKING:
    import napari
    from qtpy.QtWidgets import QWidget


def finish_in_own_context(native: QWidget | None) -> Callable[[], None]:
    """Make a canvas current before vispy finishes what it has to do there.

    napari (0.9) finishes the OpenGL commands of a canvas whenever it loses a layer, in whatever context is current
    then: with one canvas that is its own, with several mostly that of the one drawn last. Commands fail there, the
    rest of the queue is lost ("Could not find texture"), and later drawing may crash the process. Of another window
    they delete what has the same numbers there, and that window crashes the process when it draws the next time.

    Parameters
    ----------
    native : QWidget, optional
        The canvas' own widget, of vispy's Qt backend; nothing is done without.

    Returns
    -------
    callable
        Leaves the canvas as it was, once all who asked have called theirs.
    """
    canvas = getattr(native, "_vispy_canvas", None)
    context = getattr(canvas, "context", None)
    if canvas is None or context is None:
        return lambda: None
    finish = vars(context).get("finish")
    if finish is None:
        finish = context.finish = _Finish(canvas)
    finish.holders += 1

    def give_back() -> None:
        finish.holders -= 1
        if not finish.holders:
            vars(context).pop("finish", None)

    return give_back


class _Finish:
    """What stands in for ``finish`` of a canvas' context for as long as somebody holds it."""

    def __init__(self, canvas: object) -> None:
        self.holders = 0
        self._canvas = weakref.ref(canvas)  # the context belongs to the canvas: no circle

    def __call__(self) -> None:
        canvas: Any = self._canvas()
        if canvas is None or not canvas.native.isValid():
            return  # it was never drawn: what waits is done with the first drawing
        canvas.set_current()
        type(canvas.context).finish(canvas.context)


def empty_canvas(native: QWidget) -> None:
    """Delete what a canvas has on the GPU, which is to be closed next and not drawn any more.

    vispy (0.17) leaves that to the end of the canvas' OpenGL context. What is shared with other contexts outlives it:
    with those of the same window, and of all windows where canvases share (`canvases_share`). Each closed canvas kept
    some 5 MB, mostly letters (software OpenGL, where that is memory of the process).

    Parameters
    ----------
    native : QWidget
        The canvas' own widget, of vispy's Qt backend; one that was never drawn, or is gone, is let be.
    """
    canvas: Any = getattr(native, "_vispy_canvas", None)
    context = getattr(canvas, "context", None)
    if canvas is None or context is None:
        return
    with suppress(RuntimeError):  # Qt was faster
        if not canvas.native.isValid():
            return
        canvas.set_current()
        parser = context.shared.parser
        there, parser._objects = parser._objects, {}
        parser._invalid_objects.update(there)  # what is still said about them is passed over
        for one in there.values():
            if hasattr(one, "delete"):  # in place of one that is deleted already there is a word
                with suppress(Exception):  # of OpenGL, which knows it no more
                    one.delete()


def keep_apart(viewer: napari.viewer.Viewer, inside: QWidget) -> None:
    """Do both with the main canvas of a window of our own, that a widget is docked in, as long as it is open; it also
    collects garbage once for many layers that go, and keeps no grid that napari replaced."""
    if (view := _main_view(viewer, inside)) is not None:
        finish_in_own_context(view.canvas.native)
        collect_once(view.canvas)
        forget_replaced_grids(view.canvas)
        view.installEventFilter(_Emptying(view))


class _Emptying(QObject):
    """Sees a viewer close. Belongs to it."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt: before the viewer itself hears of it."""
        if event is not None and event.type() == QEvent.Type.Close and isinstance(watched, QtViewer):
            empty_canvas(watched.canvas.native)
        return False


def main_canvas(viewer: napari.viewer.Viewer, inside: QWidget) -> QWidget | None:
    """The widget of a viewer's main canvas, found in the window that a widget is docked in."""
    view = _main_view(viewer, inside)
    return view.canvas.native if view is not None else None


def _main_view(viewer: napari.viewer.Viewer, inside: QWidget) -> QtViewer | None:
    wrapped = getattr(viewer, "__wrapped__", viewer)
    window = main_window(inside)
    found = window.findChildren(QtViewer) if window is not None else []
    return next((view for view in found if view.viewer is wrapped), None)


def canvases_share() -> bool:
    """Whether canvases live on when they come into another window, as with a dock that floats.

    The application decides that before it begins; napari (0.9) does not, our own window does (`share_canvases`).
    """
    return QApplication.testAttribute(Qt.ApplicationAttribute.AA_ShareOpenGLContexts)
