"""What the walk works around in napari's grid is there without our plugin; once it is gone, the walk shall know."""

from __future__ import annotations

import gc
import weakref

import pytest

from .windows import add_layers, drop_replaced_grids, replaced_grids

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
