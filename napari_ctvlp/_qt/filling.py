"""Side views take what came a layer at a time, so that the window answers meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

from napari_ctvlp._qt.slice_view import SliceView

if TYPE_CHECKING:
    from napari.layers import Image, Labels

HOLD_MS = 10
"""Between two looks whether what comes first has come."""
Layers = Callable[[], "list[Image | Labels]"]


class Filling:
    """Shows layers in views, one in one view a turn of the event loop.

    Parameters
    ----------
    layers : callable
        What all views show, lowest first.
    at_rest : callable
        What holds while a view changes: with its first layer it goes to the middle, and nobody moved it there.
    done : callable
        Called when all views show all.

    Attributes
    ----------
    hold : callable
        Nothing is shown as long as this says so.
    """

    def __init__(
        self, layers: Layers, at_rest: Callable[[], AbstractContextManager[None]], done: Callable[[], None]
    ) -> None:
        self._layers = layers
        self._at_rest = at_rest
        self._done = done
        self.hold: Callable[[], bool] = lambda: False
        self._waiting: list[SliceView] = []
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._on_turn)

    @property
    def under_way(self) -> bool:
        """Whether something is still to be shown."""
        return bool(self._waiting)

    def begin(self, views: Sequence[SliceView]) -> None:
        """Fill these views, and no others that were to be filled."""
        self._waiting = list(views)
        self._timer.start(0)

    def settle(self) -> None:
        """Show now what is still to be shown."""
        while self._waiting:
            self._show_next()

    def stop(self) -> None:
        """Show nothing more."""
        self._waiting = []
        self._timer.stop()

    def _on_turn(self) -> None:
        if self._waiting and self.hold():
            self._timer.start(HOLD_MS)
        else:
            self._show_next()

    def _show_next(self) -> None:
        if self._waiting:
            view, layers = self._waiting[0], self._layers()
            new = [layer for layer in layers if layer not in view.layers]
            with self._at_rest():
                view.show_layers([layer for layer in layers if layer not in new[1:]])
            if len(new) < 2:
                self._waiting.pop(0)
        if self._waiting:
            self._timer.start(0)
        else:
            self._done()
