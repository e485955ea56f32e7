"""What the encoder saw, on the canvas."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctvlp._qt.furniture import WINDOW
from napari_ctvlp._qt.model_input import NAME
from napari_ctvlp.encoder.contract import ModelInput

from .windows import add_layers

pytestmark = pytest.mark.usefixtures("qapp")


@pytest.fixture
def shown(window, word_rooms, phantom):
    """The window with the phantom, whose encoder sees every second voxel through two windows."""
    viewer, widget = window
    scan, masks = phantom

    def model_input(scan, *, progress=None, cancelled=None):
        values = np.stack([np.full((20, 30, 40), v, np.float32) for v in (-1, 1)])
        return ModelInput(("-160 to 240 HU", "bone"), values, (-1.0, 1.0), (0.5, 0.5, 0.5), (2.0, 2.0, 2.0))

    word_rooms.encoder.model_input = model_input
    add_layers(viewer, scan, masks)
    widget.undo.clear()
    return viewer, widget


def layer_of(viewer):
    """The layer, where it is to be seen."""
    return next((layer for layer in viewer.layers if layer.name.startswith(NAME) and layer.visible), None)


def test_each_step_shows_the_next_window_and_after_the_last_none(shown):
    viewer, widget = shown
    button, active = widget.dock.more.input, viewer.layers.selection.active
    texts = []
    for _ in range(3):
        button.click()
        layer = layer_of(viewer)
        texts.append((button.text(), button.isChecked(), None if layer is None else layer.name))
    assert texts == [
        ("Input 1/2", True, f"{NAME}: -160 to 240 HU"),
        ("Input 2/2", True, f"{NAME}: bone"),
        ("Input", False, None),
    ]
    assert viewer.layers.selection.active is active
    widget.undo.undo()
    assert layer_of(viewer).name == f"{NAME}: bone"
    widget.undo.undo()
    widget.undo.undo()
    assert layer_of(viewer) is None and not widget.undo.next


def test_it_lies_on_the_scan_under_the_organs_in_all_views(shown, qtbot):
    viewer, widget = shown
    viewer.window.resize(1500, 950)
    widget.views.set_shown(True)
    widget.dock.more.input.click()
    layer, scan, organs = layer_of(viewer), widget.layers.scan_layer, widget.layers.masks_layer
    names = [known.name for known in viewer.layers]
    assert names.index(scan.name) < names.index(layer.name) < names.index(organs.name)
    assert np.allclose(layer.data_to_world((3, 4, 5)), scan.data_to_world((6.5, 8.5, 10.5)))
    # in one line as soon as the canvas has its size
    qtbot.waitUntil(lambda: viewer.canvas.overlays[WINDOW].text == "input: -160 to 240 HU")
    widget.views.settle()
    for view in widget.views.views:
        assert [known.name for known in view.shown] == [scan.name, layer.name, organs.name]


def test_it_goes_with_its_scan_and_with_its_encoder_and_when_deleted(shown, phantom):
    viewer, widget = shown
    button = widget.dock.more.input
    button.click()
    viewer.layers.remove(layer_of(viewer))
    assert not button.isChecked()
    button.click()
    widget.session.use_encoder("other")
    assert layer_of(viewer) is None and not button.isChecked()
    button.click()
    assert layer_of(viewer) is not None and button.text() == "Input 1/2"
    viewer.layers.clear()
    assert layer_of(viewer) is None and not button.isChecked() and button.text() == "Input"
    button.click()
    assert not button.isChecked()


def test_an_encoder_that_does_not_show_it_says_so(shown, word_rooms):
    _, widget = shown
    del word_rooms.encoder.model_input
    told = []
    widget.session.failed.connect(told.append)
    widget.dock.more.input.click()
    assert "does not show what it is fed" in str(told[0]) and not widget.dock.more.input.isChecked()


def test_when_the_dock_closes_it_goes_in_the_own_context_of_the_canvas(shown):
    """napari deletes on the GPU what a layer had there in whatever context is current, see `finish_in_own_context`."""
    viewer, widget = shown
    widget.views.set_shown(True)
    widget.dock.more.input.click()
    context, went = viewer.window._qt_viewer.canvas._scene_canvas.context, []
    viewer.layers.events.removing.connect(lambda event: went.append("finish" in vars(context)))
    widget.close()
    assert went == [True] and "finish" not in vars(context)
