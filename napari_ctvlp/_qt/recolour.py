"""Colours of labels without slicing them anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Labels


def recolour(layer: Labels, colormap: Any) -> None:
    """Give a Labels layer another colormap.

    napari follows a new colormap with a slice, a thumbnail and an upload of all that is shown, in 3D the whole volume.
    Of labels of up to 16 bits the canvas holds the labels themselves, so that new colours are a new table of colours
    there and nothing else. The thumbnail catches up with the next slice.

    Parameters
    ----------
    layer : Labels
    colormap : DirectLabelColormap or CyclicLabelColormap
    """
    block = getattr(layer, "_block_refresh", None)  # napari 0.9
    if block is None or np.dtype(layer.dtype).itemsize > 2 or type(colormap) is not type(layer.colormap):
        layer.colormap = colormap
        return
    with block():
        layer.colormap = colormap
