"""When a dock is at its end: a widget in it gets no close event from its window, and none when it is taken out."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QApplication, QWidget

if TYPE_CHECKING:
    from napari_ctvlp._qt.wiring import Wiring


class Ending(QObject):
    """Watches the dock and the window of a widget, and says when either goes.

    The window hides when it was closed, and there is still time to give the other canvases back; one that was never
    shown is only deleted, and so may be the dock. A close event may be refused, and says nothing.

    Parameters
    ----------
    widget : QWidget
        What stands in the dock.
    end : callable
        Called at the end, perhaps more than once.
    wiring : Wiring
        Undoes what is watched.
    """

    def __init__(self, widget: QWidget, end: Callable[[], None], wiring: Wiring) -> None:
        super().__init__(widget)
        self._widget = widget
        self._end = end
        self._wiring = wiring
        self._window: Callable[[], QWidget | None] = lambda: None
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self._on_quit)  # gone with this object

    @property
    def has_window(self) -> bool:
        """Whether the widget has come into a window that is still there."""
        return self._window() is not None

    def watch_window(self, window: QWidget | None) -> bool:
        """Watch this window from now on; whether it is another one than before."""
        if window is None or window is self._window():
            return False
        self._window = weakref.ref(window)  # a strong reference would outlive the window and keep its canvas
        self._watch(window)
        return True

    def parent_changed(self) -> None:
        """Watch the dock that the widget stands in now; outside of any it is at its end.

        Docks that float, hide or change sides, and windows that fill the screen, leave the widget in its dock.
        """
        dock = self._widget.parentWidget()
        if dock is None:
            self._end()
        else:
            self._watch(dock)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """End when the dock or the window goes."""
        if event is not None and event.type() == QEvent.Type.DeferredDelete and watched is self._widget.parentWidget():
            self._end()
        if event is not None and watched is self._window():
            hides = event.type() == QEvent.Type.Hide and not event.spontaneous()
            if hides or event.type() == QEvent.Type.DeferredDelete:
                self._end()
        return super().eventFilter(watched, event)

    def _on_quit(self) -> None:
        """End where the application quits without closing its windows, as Ctrl+C has it do."""
        self._end()

    def _watch(self, thing: QWidget) -> None:
        thing.installEventFilter(self)
        self._wiring.callback(self._leave, weakref.ref(thing))

    def _leave(self, known: Callable[[], QWidget | None]) -> None:
        """Hear no more of a dock or a window, which may live on without the widget."""
        thing = known()
        if thing is not None:
            with suppress(RuntimeError):  # Qt has deleted it
                thing.removeEventFilter(self)
