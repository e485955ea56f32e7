"""Where a point in the body lies on a canvas."""

from __future__ import annotations

import pytest

from napari_ctvlp._qt.crosshair import canvas_place


@pytest.mark.parametrize(
    ("world", "displayed", "orientation", "place"),
    [
        ((5, 10, 20), (1, 2), ("down", "right"), (100, 150)),  # the centre of the camera is in the middle
        ((5, 20, 20), (1, 2), ("down", "right"), (120, 150)),  # 10 mm towards posterior: 20 pixels down
        ((5, 10, 50), (1, 2), ("down", "right"), (100, 210)),  # 30 mm towards left: 60 pixels right
        ((5, 20, 50), (1, 2), ("up", "left"), (80, 90)),
        ((13, 0, 20), (0, 2), ("down", "right"), (106, 150)),  # coronal
    ],
)
def test_place_on_canvas(world, displayed, orientation, place):
    assert canvas_place(world, displayed, (0, 10, 20), 2.0, (200, 300), orientation) == place
