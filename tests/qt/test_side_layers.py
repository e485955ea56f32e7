"""The layers of a side view outlive the scans that they show."""

from __future__ import annotations

import dataclasses
import gc
import weakref

import numpy as np
import pytest
from napari.layers import Image, Layer
from napari.qt import QtViewer

from napari_ctvlp._qt.slice_view import MOST_SPARE, SliceView
from napari_ctvlp.anatomy import organ_colour
from napari_ctvlp.anatomy.windows import LUNG
from napari_ctvlp.scan.layers import masks_layer, scan_layer

from .test_one_scan import other  # noqa: F401  (a fixture)

pytestmark = pytest.mark.usefixtures("qapp")


def layers_of(scan, masks):
    """What the main viewer would hold."""
    colours = {name: organ_colour(name) for name in masks.names.values()}
    return [Layer.create(*scan_layer(scan)), Layer.create(*masks_layer(scan, masks, colours))]


@pytest.fixture
def make_view(qtbot):
    """Side views of one size, shown; they are given up at the end."""
    made = []

    def make(axis=1):
        view = SliceView("coronal", axis, lambda *_: None)
        made.append(view)
        view.resize(320, 280)
        view.show()
        return view

    yield make
    for view in made:
        view.release()
        view.close()
        view.deleteLater()
    qtbot.waitUntil(lambda: not QtViewer._instances)


def picture(view, qtbot):
    """What is drawn, (rows, columns, RGBA)."""
    qtbot.wait(100)
    image = view.view.canvas.native.grabFramebuffer()
    return np.frombuffer(image.constBits().asarray(image.sizeInBytes()), np.uint8).reshape(image.height(), -1, 4).copy()


@pytest.mark.parametrize("axis", [1, 2])
def test_another_scan_looks_as_in_a_new_view(make_view, phantom, other, qtbot, axis):  # noqa: F811
    before, after = layers_of(*phantom), layers_of(*other)
    before[0].contrast_limits = LUNG.limits
    before[0].gamma, before[1].opacity, before[1].contour = 0.5, 0.9, 2
    place = after[1].data_to_world(other[1].statistics["spleen"].centroid_index)
    view, new = make_view(axis), make_view(axis)
    view.show_layers(before)
    view.go_to(np.add(before[0].extent.world[0], before[0].extent.world[1]) / 2)
    old = picture(view, qtbot)
    own = view.shown
    assert view.view.dims.isVisible()
    view.show_layers([])
    assert not view.layers and not view.shown and not view.view.dims.isVisible()
    for count in (1, 2):
        view.show_layers(after[:count])
    assert [id(layer) for layer in view.shown] == [id(layer) for layer in own], "no layer was made anew"
    new.show_layers(after)
    for each in (view, new):
        each.go_to(place)
    assert view.model.dims.range == new.model.dims.range
    assert view.model.dims.point[axis] == new.model.dims.point[axis]
    pictures = [picture(each, qtbot) for each in (view, new)]
    assert np.array_equal(*pictures) and not np.array_equal(pictures[0], old)
    after[0].contrast_limits = LUNG.limits  # it is followed, and the one before is not
    before[1].visible = False
    assert tuple(view.shown[0].contrast_limits) == LUNG.limits and view.shown[1].visible
    again = [picture(each, qtbot) for each in (view, new)]
    assert np.array_equal(*again) and not np.array_equal(again[0], pictures[0])


def test_nothing_of_a_scan_that_was_closed_is_held(make_view, phantom, qtbot):
    view = make_view()

    def show():
        scan = dataclasses.replace(phantom[0], hu=phantom[0].hu.copy())
        masks = dataclasses.replace(phantom[1], labels=phantom[1].labels.copy())
        layers = layers_of(scan, masks)
        view.show_layers(layers)
        return [weakref.ref(one) for one in (*layers, scan.hu, masks.labels)]

    held = show()
    gc.collect()
    assert all(one() is not None for one in held)
    view.show_layers([])
    qtbot.waitUntil(lambda: not any(twin.full for twin in view._spare))
    gc.collect()
    assert not [one for one in held if one() is not None]


def test_layers_that_rest_make_no_view_wider(make_view, phantom, other):  # noqa: F811
    far = layers_of(*other)
    view, new = make_view(), make_view()
    view.show_layers(layers_of(*phantom))
    view.show_layers(far[:1])
    new.show_layers(far[:1])
    assert len(view.model.layers) == 2 and len(view.shown) == 1
    assert view.model.dims.range == new.model.dims.range
    assert not next(layer for layer in view.model.layers if layer not in view.shown).visible


def test_a_layer_of_another_kind_gets_one_of_its_own(make_view, phantom):
    scan, organs = layers_of(*phantom)
    place = {name: getattr(scan, name) for name in ("scale", "translate", "units", "axis_labels")}
    map_of = Image(np.ones(scan.data.shape, np.float32), **place)
    view = make_view()
    view.show_layers([scan, organs])
    view.show_layers([map_of])
    assert view.shown[0].data is map_of.data and view.shown[0].dtype == np.float32
    view.show_layers([scan, map_of, organs])
    assert [layer.data is source.data for layer, source in zip(view.shown, view.layers, strict=True)] == [True] * 3
    assert len(view.model.layers) == 3, "all three were there"
    assert [view.model.layers.index(layer) for layer in view.shown] == [0, 1, 2]


def test_few_layers_rest(make_view, phantom, qtbot):
    scan, _ = layers_of(*phantom)
    view = make_view()
    for kind in (np.int8, np.uint8, np.int16, np.uint16, np.float32, np.float64):
        view.show_layers([scan, Image(np.ones(scan.data.shape, kind), scale=scan.scale)])
    qtbot.waitUntil(lambda: not any(twin.full for twin in view._spare))
    assert len(view.shown) == 2 and len(view.model.layers) == 2 + MOST_SPARE
    for layer in view.model.layers:
        assert layer.units == scan.units or layer is view.shown[1]


def test_a_view_that_stays_empty_keeps_what_the_next_scan_needs(make_view, phantom, other, qtbot, monkeypatch):  # noqa: F811
    monkeypatch.setattr("napari_ctvlp._qt.slice_view.EMPTY_MS", 20)
    scan, organs = layers_of(*phantom)
    maps = [Image(np.ones(scan.data.shape, kind), scale=scan.scale) for kind in (np.float32, np.uint8)]
    view = make_view()
    view.show_layers([scan, maps[0], organs, maps[1]])
    kept = [view.shown[0], view.shown[2]]
    view.show_layers([])
    assert len(view.model.layers) == 4, "another scan may come at once"
    qtbot.waitUntil(lambda: len(view.model.layers) == 2)
    qtbot.wait(60)
    assert list(view.model.layers) == kept
    view.show_layers(layers_of(*other))
    assert view.shown == kept
    qtbot.wait(60)
    assert list(view.model.layers) == kept


def test_nothing_is_pointed_at_in_a_view_that_shows_nothing(make_view, phantom):
    view, went = make_view(), []
    view._go = lambda *place: went.append(place)
    view.show_layers(layers_of(*phantom))
    view._pointing._wanted = (1.0, 2.0, 3.0)  # the mouse moved, and the scan closes before the next turn
    view.show_layers([])
    view._pointing._flush()
    assert not went
