"""What is worked around in napari's grid is there without our plugin; once it is gone, we shall know."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from qtpy.QtWidgets import QLabel

from napari_ctvlp._qt.own_context import keep_apart

from .windows import add_layers, drop_replaced_grids, picture, replaced_grids

pytestmark = pytest.mark.usefixtures("qapp")


def test_napari_keeps_every_grid_that_it_replaced(make_napari_viewer, phantom, qtbot):
    viewer = make_napari_viewer(show=True)
    first = weakref.ref(viewer.window._qt_viewer.canvas.grid)
    for _ in range(2):
        add_layers(viewer, *phantom)
        viewer.canvas.grid.enabled = True
        add_layers(viewer, *phantom)
        viewer.canvas.grid.enabled = False
        viewer.layers.clear()
        qtbot.wait(10)
    gc.collect()
    assert first() is not None and len(replaced_grids(viewer)) > 3
    drop_replaced_grids(viewer)
    qtbot.wait(10)
    gc.collect()
    assert first() is None


def in_and_out_of_a_grid(viewer, phantom, qtbot):
    """Pictures of a scan with its organs; napari leaves a hidden layer in the grid that it was last seen in."""
    viewer.window.resize(1200, 950)
    qtbot.wait(100)
    scan, organs = add_layers(viewer, *phantom)
    viewer.canvas.grid.enabled = True
    pictures = [picture(viewer, qtbot)]
    organs.visible = False
    for _ in range(3):
        add_layers(viewer, phantom[0])
    pictures.append(picture(viewer, qtbot))
    del viewer.layers[2:]
    organs.visible = True
    pictures.append(picture(viewer, qtbot))
    scan.visible = viewer.canvas.grid.enabled = False
    return [*pictures, picture(viewer, qtbot)]


def test_a_window_of_our_own_keeps_the_last_grid_alone(make_napari_viewer, phantom, qtbot):
    theirs, ours = make_napari_viewer(show=True), make_napari_viewer(show=True)
    for viewer in (theirs, ours):
        inside = QLabel("in the dock")
        viewer.window.add_dock_widget(inside, name="dock")
    keep_apart(ours, inside)  # as the launcher does
    first = weakref.ref(ours.window._qt_viewer.canvas.grid)
    expected = in_and_out_of_a_grid(theirs, phantom, qtbot)
    for seen, wanted in zip(in_and_out_of_a_grid(ours, phantom, qtbot), expected, strict=True):
        assert wanted.max() > 100 and np.abs(seen - wanted).max() <= 2
    assert len(replaced_grids(theirs)) > 2 and not replaced_grids(ours)
    gc.collect()
    assert first() is None
