"""Clicks that go nowhere."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from napari_ctvlp._qt.pointing import LEFT, Pointing
from napari_ctvlp._qt.wiring import Wiring


@pytest.mark.parametrize(("position", "went"), [((1.0, 2.0), []), ((1.0, 2.0, 3.0), [(1.0, 2.0, 3.0)])])
def test_a_click_without_a_volume_goes_nowhere(qtbot, position, went):
    layers = SimpleNamespace(selection=SimpleNamespace(active=None))
    dims = SimpleNamespace(ndisplay=2)
    model = SimpleNamespace(mouse_drag_callbacks=[], mouse_move_callbacks=[], layers=layers, dims=dims)
    gone = []
    with Wiring() as wiring:
        Pointing(model, lambda world, series: gone.append(world), wiring)
        event = SimpleNamespace(button=LEFT, modifiers=(), pos=(5, 5), position=position, type="mouse_press")
        press = model.mouse_drag_callbacks[0](model, event)
        next(press)
        event.type = "mouse_release"
        assert list(press) == [] and gone == went
