"""Taking layers out of a viewer without a collection of all garbage for each canvas, and grids that napari replaced."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from napari._vispy.canvas import VispyCanvas
    from napari.components import LayerList
    from napari.layers import Layer
    from vispy.scene import Node

QUIET_MS = 1500
"""After the last layer was removed, until what it left is collected."""


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


def collect_once(canvas: VispyCanvas) -> None:
    """Have a canvas of a window of our own collect what removed layers leave once, when no more go, for all of them.

    Whoever deletes five layers waited for five collections (see `collecting_later`).
    """
    if hasattr(canvas, "_clean_and_update_scenegraph"):  # napari 0.9
        canvas._clean_and_update_scenegraph = _CollectingOnce(canvas)


class _CollectingOnce:
    """What stands in for what napari does in a canvas that lost a layer."""

    def __init__(self, canvas: VispyCanvas) -> None:
        self._canvas = weakref.ref(canvas)  # it belongs to the canvas: no circle
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(QUIET_MS)
        self._timer.timeout.connect(_collect)

    def __call__(self) -> None:
        if (canvas := self._canvas()) is not None:
            with collecting_later():
                type(canvas)._clean_and_update_scenegraph(canvas)
            self._timer.start()


def _collect() -> None:
    gc.collect()


def forget_replaced_grids(canvas: VispyCanvas) -> None:
    """Have a canvas of a window of our own let go of its grid of views when napari has made another.

    napari (0.9) makes one whenever layers come or go in its grid mode, takes the one before out of the picture, and
    leaves it among what is laid out: 7,000 blocks of memory of Python for each of its boxes, as long as the window is
    open, and gaps between them afterwards.
    """
    if hasattr(canvas, "_init_or_update_grid"):  # napari 0.9
        canvas._init_or_update_grid = _OneGrid(canvas)


class _OneGrid:
    """What stands in for what napari does where the shape of its grid may have changed."""

    def __init__(self, canvas: VispyCanvas) -> None:
        self._canvas = weakref.ref(canvas)  # it belongs to the canvas: no circle

    def __call__(self) -> None:
        if (canvas := self._canvas()) is None:
            return
        before = canvas.grid
        type(canvas)._init_or_update_grid(canvas)
        if canvas.grid is before or before not in canvas.central_widget._widgets:
            return
        for layer in canvas.layer_to_visual.values():
            if _is_under(layer.node, before):
                layer.node.parent = canvas.view.scene  # a hidden one stays where it was, and would be cut to that box
        canvas.central_widget.remove_widget(before)


def _is_under(node: Node, grid: Node) -> bool:
    parent = node.parent
    while parent is not None and parent is not grid:
        parent = parent.parent
    return parent is grid
