"""What tests of the whole window do: add layers, take pictures, look at them."""

from __future__ import annotations

import numpy as np
from napari.layers import Labels
from vispy.scene import Grid

from napari_ctvlp.anatomy import organ_colour
from napari_ctvlp.scan.layers import masks_layer, scan_layer


def add_layers(viewer, scan, masks=None):
    """Add what the readers add."""
    data, options, _ = scan_layer(scan)
    layers = [viewer.add_image(data, **options)]
    if masks is not None:
        colours = {name: organ_colour(name) for name in masks.names.values()}
        data, options, _ = masks_layer(scan, masks, colours)
        layers.append(viewer.add_labels(data, **options))
    return layers


def replaced_grids(viewer):
    """Grids of views that napari keeps, and lays out anew with every change of size, though it has made another."""
    canvas = viewer.window._qt_viewer.canvas
    return [one for one in canvas.central_widget._widgets if isinstance(one, Grid) and one is not canvas.grid]


def drop_replaced_grids(viewer):
    """Let napari not have grown by grids that came and went; while nothing is open: hidden layers may stay in one."""
    for grid in replaced_grids(viewer):
        viewer.window._qt_viewer.canvas.central_widget.remove_widget(grid)


def picture(viewer, qtbot):
    """What the canvas shows, (rows, columns, RGB) floats; waits for the overlay's turn of the event loop."""
    qtbot.wait(60)
    return viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(float)


def brightness(pixels):
    """Mean luminance (Rec. 709) of (n, RGB) pixels."""
    return float((pixels @ [0.2126, 0.7152, 0.0722]).mean())


def organ_pixels(viewer, masks, organ, shape):
    """Mask of the canvas pixels that show an organ in the present axial slice, a little inside of its edge."""
    camera, step = viewer.scene.camera, viewer.dims.current_step[0]
    layer = next(layer for layer in viewer.layers if isinstance(layer, Labels))
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    scale = viewer.canvas.size[0] / shape[0]
    y = (rows * scale - viewer.canvas.size[0] / 2) / camera.zoom + camera.center[1]
    x = (columns * scale - viewer.canvas.size[1] / 2) / camera.zoom + camera.center[2]
    p = np.round((y - layer.translate[1]) / layer.scale[1]).astype(int)
    q = np.round((x - layer.translate[2]) / layer.scale[2]).astype(int)
    (_, _), (p0, p1), (l0, l1) = masks.statistics[organ].box
    inside = (p > p0) & (p < p1 - 1) & (q > l0) & (q < l1 - 1)
    (i0, i1) = masks.statistics[organ].box[0]
    assert i0 <= step < i1
    assert inside.sum() > 100
    return inside
