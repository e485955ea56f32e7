"""Files dropped onto a canvas: CT and organ masks open as if dropped onto the dock, all else is left to napari."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from napari.qt import QtViewer
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QDragLeaveEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QWidget

from napari_ctvlp._npe2 import get_reader
from napari_ctvlp.saved_session import SUFFIX


class CanvasDrop(QObject):
    """Looks at what is dropped onto the canvases of a window before napari does.

    napari asks which reader is to be used as soon as two claim a file, and offers its own first, which turns a CT.

    Parameters
    ----------
    open_files : callable
        Opens paths as the dock does.
    parent : QObject
    """

    def __init__(self, open_files: Callable[[list[str]], object], parent: QObject) -> None:
        super().__init__(parent)
        self._open_files = open_files
        self._watched: list[QWidget] = []

    def watch(self, window: QWidget | None) -> None:
        """Look at the canvases that a window has now."""
        for widget in _targets(window):
            if not any(widget is known for known in self._watched):
                widget.installEventFilter(self)
                self._watched.append(widget)

    def release(self) -> None:
        """Leave all to napari again."""
        watched, self._watched = self._watched, []
        for widget in watched:
            with suppress(RuntimeError):  # it went with its window
                widget.removeEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt asks before a canvas gets an event."""
        if not isinstance(event, QDropEvent) or event.type() != QEvent.Type.Drop:
            return False
        paths = [path for url in event.mimeData().urls() if (path := url.toLocalFile())]
        # with a key held down napari stacks files, or lets the user choose the reader: it was meant for napari then
        if event.modifiers() != Qt.KeyboardModifier.NoModifier or not are_ours(paths):
            return False
        event.acceptProposedAction()
        if watched is not None:
            QApplication.sendEvent(watched, QDragLeaveEvent())  # it would go on to look like a place to drop on
        self._open_files(paths)
        return True


def are_ours(paths: Sequence[str]) -> bool:
    """Whether these are scans, organ masks, folders of them, or one saved session; by names and first bytes."""
    if len(paths) == 1 and paths[0].lower().endswith(SUFFIX):
        return True
    return bool(paths) and all(get_reader(path) is not None for path in paths)


def _targets(window: QWidget | None) -> Iterator[QWidget]:
    """The canvases of a window, and what lies over one while there is nothing to show."""
    for view in [] if window is None else window.findChildren(QtViewer):
        yield view
        yield from (child for child in view.findChildren(QWidget) if child.acceptDrops())
