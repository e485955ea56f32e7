"""Layers of ours that come to the canvas, or change what they show and where, at the least cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Labels, Layer


def add_quietly(viewer: napari.viewer.Viewer, layer: Layer, above: Layer | None = None) -> None:
    """Add a layer on top, or right above another one; the user's tools stay with the user's layer."""
    layers = viewer.layers
    active = layers.selection.active
    # the viewer may be napari's proxy, and what it gives out is wrapped: find the layer itself
    active = next((known for known in layers if known == active), None)
    place = next((n + 1 for n, known in enumerate(layers) if above is not None and known == above), len(layers))
    with _selecting_nothing(layers):
        layers.insert(place, layer)
    layers.selection.active = active


@contextmanager
def _selecting_nothing(layers: Any) -> Iterator[None]:
    """napari (0.9) selects what is new, which shows its controls, and those of the user's layer again after that."""
    layers = getattr(layers, "__wrapped__", layers)
    before = getattr(layers, "_activate_on_insert", None)
    if before is None:
        yield
        return
    layers._activate_on_insert = False
    try:
        yield
    finally:
        layers._activate_on_insert = before


def show_elsewhere(layer: Image | Labels, data: Any, scale: NDArray[Any], translate: NDArray[Any]) -> None:
    """Give a layer other voxels of another size at another place, sliced once."""
    with getattr(layer, "_block_refresh", nullcontext)():  # napari 0.9; without it each step slices
        layer.data = data
        for name, value in (("scale", scale), ("translate", translate)):
            if not np.array_equal(getattr(layer, name), value):
                setattr(layer, name, value)
    layer.refresh()
