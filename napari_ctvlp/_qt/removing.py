"""Taking layers of ours out of a viewer without a collection of all garbage for each canvas."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from napari.components import LayerList
    from napari.layers import Layer


def remove_layer(layers: LayerList, layer: Layer) -> None:
    """Remove a layer of ours, where it is still there."""
    if layer in layers:
        with collecting_later():
            layers.remove(layer)


def remove_with_scan(layers: LayerList, layer: Layer) -> None:
    """Remove a layer of ours whose scan has gone; a selected one in the next turn of the event loop.

    Whoever selects all layers and deletes them has napari (0.9) take one after the other, and fail at one that has gone
    with the one before.
    """
    if layer in layers.selection:
        QTimer.singleShot(0, partial(remove_layer, layers, layer))
    else:
        remove_layer(layers, layer)


@contextmanager
def collecting_later() -> Iterator[None]:
    """Whatever asks for a collection of garbage in here gets one of what is new.

    napari (0.9) collects the garbage of the whole process whenever a canvas loses a layer, because drivers of Windows
    need it: a quarter of a second once torch is loaded, in each of three views. Elsewhere the next collection will do.
    """
    if sys.platform == "win32":
        yield
        return
    whole = gc.collect

    def of_what_is_new(generation: int = 0) -> int:
        return whole(0)

    gc.collect = of_what_is_new
    try:
        yield
    finally:
        gc.collect = whole
