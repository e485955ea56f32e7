"""New colours without a new slice."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.colormaps import DirectLabelColormap

from napari_ctvlp._qt.recolour import recolour

from .windows import add_layers, picture

GREEN = DirectLabelColormap(color_dict={None: (0, 0, 0, 0), 0: (0, 0, 0, 0), 5: (0, 1, 0, 1)})


def green(pixels):
    return ((pixels[..., 1] - pixels[..., 0]) > 100).sum()


@pytest.mark.parametrize("ndisplay", [2, 3])
def test_colours_are_drawn_and_nothing_is_sliced(window, phantom, qtbot, ndisplay):
    viewer, widget = window
    layer = add_layers(viewer, *phantom)[1]
    widget.overlay.set_layer(None)
    viewer.dims.set_current_step(0, 15)
    viewer.dims.ndisplay = ndisplay
    layer.opacity = 1.0
    letters = green(picture(viewer, qtbot))
    sliced = []
    layer.events.set_data.connect(sliced.append)
    recolour(layer, GREEN)
    assert green(picture(viewer, qtbot)) > letters + 200
    assert not sliced
    assert layer.get_color(5)[1] == 1


def test_wide_labels_take_naparis_own_way(window, phantom, qtbot):
    viewer, _ = window
    scan, masks = phantom
    add_layers(viewer, scan)
    layer = viewer.add_labels(masks.labels.astype(np.int32), scale=scan.spacing, translate=scan.napari_translate)
    viewer.dims.set_current_step(0, 15)
    letters = green(picture(viewer, qtbot))
    recolour(layer, GREEN)
    assert green(picture(viewer, qtbot)) > letters + 200
