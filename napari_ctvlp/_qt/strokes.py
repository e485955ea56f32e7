"""When the content of a Labels layer changes: strokes, fills, napari's own undo, another array."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod, ref

from psygnal import Signal

from napari_ctvlp._qt.wiring import Wiring

if TYPE_CHECKING:
    from napari.layers import Labels

WRITERS = ("paint", "fill", "paint_polygon", "data_setitem")
"""Functions by which napari (0.9) writes what is painted, and other code may."""


class Strokes:
    """Watches one layer.

    Parameters
    ----------
    layer : Labels

    Notes
    -----
    Undo and redo in a layer that is hidden are heard of when it is shown again, unless `tell_of_undo` is used.

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
        wiring.connect(layer.events.set_data, self.look_for_undo)

    def release(self) -> None:
        """Watch no more."""
        self._wiring.close()

    def _on_touched(self, event: object = None) -> None:
        self.touched.emit()

    def _on_ended(self, event: object = None) -> None:
        self._undone = _undone(self._layer)
        self.touched.emit()
        self.ended.emit()

    def look_for_undo(self, event: object = None) -> None:
        """Undo and redo tell nobody, and draw the layer anew, as does every change of slice."""
        if _undone(self._layer) != self._undone:
            self._on_ended()


def tell_of_undo(layer: Labels, tell: Callable[[], object]) -> Callable[[], None]:
    """Have a method called after each undo and redo, which draw nothing while the layer is hidden.

    Returns
    -------
    callable
        Leaves the layer as it was.
    """
    if not hasattr(type(layer), "_load_history"):  # another napari than 0.9
        return lambda: None
    known, told = ref(layer), WeakMethod(tell)  # the layer must hold neither itself nor the dock

    def load(*args: Any, **options: Any) -> None:
        found: Any = known()
        type(found)._load_history(found, *args, **options)
        call = told()
        if call is not None:
            call()

    vars(layer)["_load_history"] = load

    def give_back() -> None:
        found = known()
        if found is not None and vars(found).get("_load_history") is load:
            del vars(found)["_load_history"]

    return give_back


def before_stroke(layer: Labels, prepare: Callable[[Labels], object]) -> None:
    """Have a function called before somebody paints into a layer through napari's functions, in whatever mode it is.

    It is called once; nothing of ours is in the way of what napari does from then on.
    """
    known = ref(layer)  # the layer must not hold itself

    def wrapped(name: str) -> Callable[..., Any]:
        def write(*args: Any, **options: Any) -> Any:
            found: Any = known()
            no_more_before_stroke(found)
            prepare(found)
            return getattr(found, name)(*args, **options)

        return write

    vars(layer).update({name: wrapped(name) for name in WRITERS if hasattr(type(layer), name)})


def no_more_before_stroke(layer: Labels) -> None:
    """Call nothing before the next stroke."""
    for name in WRITERS:
        vars(layer).pop(name, None)


def has_strokes(layer: Labels) -> bool:
    """Whether anybody has painted into a layer, as far as napari's undo goes back; False where it does not tell."""
    return bool(getattr(layer, "_undo_history", ()))


def _undone(layer: Labels) -> int:
    """How many steps of napari's undo could be redone; 0 where this napari does not tell."""
    return len(getattr(layer, "_redo_history", ()))
