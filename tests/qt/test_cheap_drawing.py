"""What keeps the canvases cheap: nothing is sliced twice or unseen, nor drawn at a cost beyond what it tells."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_ctvlp._qt.furniture import BARE, PREFIX, Furniture
from napari_ctvlp._qt.placing import add_quietly, show_elsewhere
from napari_ctvlp._qt.slice_view import on_slices
from napari_ctvlp._qt.twin import Twin


@pytest.fixture
def volume():
    return np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


def sliced(layer):
    """Grows whenever the layer is sliced for its canvas."""
    times = []
    layer.events.set_data.connect(lambda event=None: times.append(1))
    return times


def test_places_between_slices_go_to_the_nearest_one():
    dims = SimpleNamespace(range=((0.0, 9.0, 3.0), (-4.0, 4.0, 2.0), (0.0, 10.0, 0.5)))
    assert on_slices(dims, (4.4, -1.1, 7.6)) == (3.0, -2.0, 7.5)
    assert on_slices(dims, (-50.0, 50.0, 3.0)) == (0.0, 4.0, 3.0)


def test_a_layer_that_nobody_sees_is_sliced_once_it_is_seen(volume):
    source = Image(volume, opacity=0.0)
    twin, model = Twin(source), ViewerModel()
    model.layers.append(twin.layer)
    times = sliced(twin.layer)
    model.dims.set_point(0, 3)
    source.translate = (0, 1, 0)
    assert not times
    source.opacity = 0.5
    assert times
    assert twin.layer.get_value((3, 2, 2), world=True) == volume[3, 1, 2]
    before = len(times)
    model.dims.set_point(0, 1)
    assert len(times) == before + 1
    twin.release()


def test_a_layer_is_sliced_once_when_it_shows_something_else_elsewhere(volume):
    model = ViewerModel()
    layer = model.add_image(volume)
    times = sliced(layer)
    show_elsewhere(layer, volume[1:] + 1, np.array((2, 2, 2)), np.array((1, 0, 0)))
    assert len(times) == 1
    assert tuple(layer.scale) == (2, 2, 2) and tuple(layer.translate) == (1, 0, 0)
    model.dims.set_point(0, 3)
    assert layer.get_value((3, 2, 4), world=True) == volume[2, 1, 2] + 1


def test_a_layer_of_ours_leaves_the_selection_alone(volume):
    model = ViewerModel()
    below, above = model.add_image(volume, name="below"), model.add_image(volume, name="above")
    model.layers.selection.active = below
    selected = []
    model.layers.selection.events.active.connect(lambda event: selected.append(event.value))
    add_quietly(model, Image(volume, name="ours"), below)
    assert [layer.name for layer in model.layers] == ["below", "ours", "above"]
    assert model.layers.selection.active is below and not selected
    model.layers.append(Image(volume))
    assert model.layers.selection.active is not above and selected


def test_letters_and_scale_bar_have_no_boxes_and_the_bar_gets_its_looks_back(volume, qapp):
    model = ViewerModel()
    model.add_image(volume)
    bar = model.canvas.overlays.scale_bar
    before = {name: np.array(getattr(bar, name)) for name in BARE}
    furniture = Furniture(model)
    furniture.set_window_text("W 400  L 40")
    furniture.show()
    shown = [overlay for overlay in model.canvas.overlays.values() if overlay.visible]
    assert len(shown) == 6 and not any(overlay.box for overlay in shown)
    furniture.hide()
    assert not [overlay for overlay in model.canvas.overlays.values() if overlay.visible]
    furniture.show()
    assert [overlay for overlay in model.canvas.overlays.values() if overlay.visible] == shown, "made anew"
    furniture.remove()
    assert not [key for key in model.canvas.overlays if key.startswith(PREFIX)]
    assert not bar.visible
    assert all(np.array_equal(getattr(bar, name), value) for name, value in before.items())
