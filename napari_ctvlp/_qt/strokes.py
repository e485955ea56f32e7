"""When the content of a Labels layer changes: strokes, fills, napari's own undo, another array."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

from napari_ctvlp._qt.wiring import Wiring

if TYPE_CHECKING:
    from napari.layers import Labels


class Strokes:
    """Watches one layer.

    Parameters
    ----------
    layer : Labels

    Notes
    -----
    ``touched`` (psygnal, no value) comes with every piece of a stroke, ``ended`` when a stroke ended, was undone or
    redone, or when the layer got another array. What other code writes into the array without the layer's knowing is
    not seen.
    """

    touched = Signal()
    ended = Signal()

    def __init__(self, layer: Labels) -> None:
        self._layer = layer
        self._undone = _undone(layer)
        self._wiring = wiring = Wiring()
        wiring.connect(layer.events.labels_update, self._on_touched)
        wiring.connect(layer.events.paint, self._on_ended)
        wiring.connect(layer.events.data, self._on_ended)
        wiring.connect(layer.events.set_data, self._on_drawn)

    def release(self) -> None:
        """Watch no more."""
        self._wiring.close()

    def _on_touched(self, event: object = None) -> None:
        self.touched.emit()

    def _on_ended(self, event: object = None) -> None:
        self._undone = _undone(self._layer)
        self.touched.emit()
        self.ended.emit()

    def _on_drawn(self, event: object = None) -> None:
        """Undo and redo tell nobody, and draw the layer anew, as does every change of slice."""
        if _undone(self._layer) != self._undone:
            self._on_ended()


def _undone(layer: Labels) -> int:
    """How many steps of napari's undo could be redone; 0 where this napari does not tell."""
    return len(getattr(layer, "_redo_history", ()))
