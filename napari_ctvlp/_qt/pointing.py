"""Pointing at a place in a view: click, or Shift while moving."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_ctvlp._qt.undo import Series

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ctvlp._qt.wiring import Wiring

LEFT = 1
"""Number of the left mouse button in napari's events."""
STILL = 3
"""Pixels that a click may move."""

Go = Callable[[tuple[float, ...], str], None]
"""Takes a place in world mm (I, P, L), and the series of moves that it belongs to (empty for a click)."""


class Pointing(QObject):
    """Calls ``go`` with the place pointed at; with Shift at most once per turn of the event loop.

    A click belongs to the active layer's tool where it is not pan and zoom.
    """

    def __init__(self, model: ViewerModel, go: Go, wiring: Wiring) -> None:
        super().__init__()
        self._go = go
        self._wanted: tuple[float, ...] | None = None
        self._series = Series(f"moving in {id(self)}")
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._flush)
        for callbacks, callback in (
            (model.mouse_drag_callbacks, self.click),
            (model.mouse_move_callbacks, self.move),
        ):
            callbacks.append(callback)
            wiring.callback(_remove, callbacks, callback)

    def click(self, model: Any, event: Any) -> Iterator[None]:
        """napari's mouse callback: go where the left button was pressed and released in one place."""
        active = model.layers.selection.active
        panning = active is None or str(active.mode) == "pan_zoom"
        if event.button != LEFT or event.modifiers or model.dims.ndisplay != 2 or not panning:
            return
        start = tuple(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        still = all(abs(now - then) <= STILL for now, then in zip(event.pos, start, strict=True))
        if still and len(event.position) >= 3:  # a canvas without a volume has places of two coordinates
            self._go(tuple(float(v) for v in event.position)[-3:], "")

    def move(self, model: Any, event: Any) -> None:
        """napari's mouse callback: go along with the cursor while Shift is held."""
        if "Shift" in event.modifiers and model.dims.ndisplay == 2 and len(event.position) >= 3:
            self._wanted = tuple(float(v) for v in event.position)[-3:]
            if not self._timer.isActive():
                self._timer.start()
        else:
            self._series.end()

    def _flush(self) -> None:
        if self._wanted is not None:
            wanted, self._wanted = self._wanted, None
            self._go(wanted, self._series.next())


def _remove(callbacks: list[Any], callback: object) -> None:
    if callback in callbacks:
        callbacks.remove(callback)
