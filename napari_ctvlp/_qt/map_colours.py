"""The colours of a map of similarity: clear where it says nothing, bright where it is high."""

from __future__ import annotations

import numpy as np
from napari.utils.colormaps import Colormap, ensure_colormap
from numpy.typing import NDArray

FROM = 0.25
"""Where in the colour map the lowest value begins: the dark end would hide the scan."""
FAINTEST = 0.2
"""Alpha of the lowest value; the highest has 1."""


def map_colours() -> NDArray[np.float64]:
    """(256, 4) RGBA: 0 is outside and clear, 1 to 255 run through inferno, which is even to every kind of eye."""
    colours = np.zeros((256, 4))
    share = np.linspace(0, 1, 255)
    colours[1:] = ensure_colormap("inferno").map(FROM + (1 - FROM) * share)
    colours[1:, 3] = FAINTEST + (1 - FAINTEST) * share
    return colours


def map_colormap() -> Colormap:
    """The same for a layer of uint8."""
    return Colormap(map_colours(), name="similarity")
