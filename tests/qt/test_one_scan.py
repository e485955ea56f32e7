"""Several scans in one window: one of them is seen, in all views, and the view goes along."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_ctvlp._qt.layer_lookup import belongs_to, masks_of, scan_of
from napari_ctvlp.scan.masks import organ_statistics
from napari_ctvlp.scan.types import OrganMasks
from tests.qt.test_window import add_layers, notifications  # noqa: F401

PLACES = {
    "elsewhere": ((20, 50, 30), (5.0, 1.0, 1.5), (400.0, 300.0, -900.0)),
    "larger": ((60, 90, 100), (4.0, 3.0, 3.0), (-150.0, -130.0, 130.0)),
}


LEFT_AT = (-22.0, -10.0, 40.0)


@pytest.fixture(params=PLACES)
def other(request, phantom):
    """Another patient: another size, other voxels, another place in the world."""
    shape, spacing, (x, y, z) = PLACES[request.param]
    down, back, left = spacing
    affine = np.array([[0, 0, left, x], [0, back, 0, y], [-down, 0, 0, z], [0, 0, 0, 1]], float)
    hu = np.full(shape, 40, np.int16)
    labels = np.zeros(shape, np.uint8)
    labels[3:8, 5:12, 6:16] = 1
    scan = dataclasses.replace(phantom[0], hu=hu, spacing=spacing, affine=affine, name="other", source="")
    names = {1: "spleen"}
    return scan, OrganMasks(labels, names, "other", statistics=organ_statistics(scan, labels, names))


@pytest.fixture
def two(window, phantom, other, qtbot):
    """A window with side views in which a first scan is looked at off its middle, and then a second one is opened."""
    viewer, widget = window
    widget.views.set_shown(True)
    widget.session.set_scan(*phantom)
    widget.views.settle()
    widget.navigator.go_to(LEFT_AT)
    viewer.scene.camera.zoom = 3.25
    widget.undo.clear()
    widget.session.set_scan(*other)
    widget.views.settle()
    return viewer, widget


def of(layers, scan):
    """Whether all that is seen of ours belongs to a scan, and its image is among it."""
    ours = [layer for layer in layers if layer.visible and (scan_of(layer) is not None or masks_of(layer) is not None)]
    assert all(scan_of(layer) is scan or belongs_to(layer, scan) for layer in ours)
    return any(scan_of(layer) is scan for layer in ours)


def slices(widget, point):
    """Which slices of the open scan a place shows; napari's slider has steps that all scans share."""
    return tuple(round(float(i)) for i in widget.layers.scan_layer.world_to_data(point))


def is_seen_alone(viewer, widget, scan, masks):
    """One patient in all views, in the dock, and under every crosshair."""
    assert widget.session.scan is scan
    widget.views.settle()
    assert of(viewer.layers, scan)
    assert any(masks_of(layer) is masks and layer.visible for layer in viewer.layers)
    for view in widget.views.views:
        assert of(view.layers, scan)
        assert [layer.visible for layer in view.shown] == [True] * len(view.layers)
        here = list(viewer.dims.point)
        here[view.axis] = view.model.dims.point[view.axis]
        assert slices(widget, here) == slices(widget, viewer.dims.point)
    index = widget.layers.scan_layer.world_to_data(viewer.dims.point)
    assert all(-0.5 <= i < n - 0.5 for i, n in zip(index, scan.hu.shape, strict=True))
    reach = np.divide(viewer.canvas.size, viewer.scene.camera.zoom) / 2
    low, high = widget.layers.scan_layer.extent.world[:, 1:]
    centre = np.asarray(viewer.scene.camera.center)[-2:]
    assert (centre - reach < high).all() and (centre + reach > low).all()
    return True


def place(viewer):
    return (*viewer.dims.point, *tuple(viewer.scene.camera.center)[-2:], viewer.scene.camera.zoom)


def test_another_scan_is_seen_alone_from_its_middle(two, other):
    viewer, widget = two
    assert is_seen_alone(viewer, widget, *other)
    index = widget.layers.scan_layer.world_to_data(viewer.dims.point)
    assert index == pytest.approx([(n - 1) // 2 for n in other[0].hu.shape], abs=1)  # napari's steps are all scans'
    assert len(viewer.layers) == 4  # hidden, not removed


def test_one_key_goes_back_to_the_scan_of_before(two, phantom, other):
    viewer, widget = two
    assert widget.undo.next == "showing other"
    widget.undo.undo()
    assert is_seen_alone(viewer, widget, *phantom)
    assert slices(widget, viewer.dims.point) == slices(widget, LEFT_AT) and viewer.scene.camera.zoom == 3.25
    assert widget.undo.next == ""


def test_what_was_done_before_can_be_taken_back_after_it(window, phantom, other):
    _, widget = window
    widget.session.set_scan(*phantom)
    widget.undo.clear()
    widget.navigator.choose("liver")
    widget.session.set_scan(*other)
    widget.window_level.set(1500, -600)
    for name in ("window", "showing other", "going to liver"):
        assert widget.undo.next == name
        widget.undo.undo()
    assert widget.undo.next == ""


def test_a_chosen_layer_brings_its_scan_back_where_it_was_left(two, phantom, other):
    viewer, widget = two
    there = place(viewer)
    viewer.layers.selection.active = viewer.layers[0]
    assert is_seen_alone(viewer, widget, *phantom)
    assert slices(widget, viewer.dims.point) == slices(widget, LEFT_AT)
    assert viewer.scene.camera.zoom == pytest.approx(3.25)
    widget.undo.undo()
    assert is_seen_alone(viewer, widget, *other)
    assert place(viewer) == pytest.approx(there)


@pytest.mark.parametrize("nth", [0, 1])
def test_to_show_a_layer_of_another_scan_is_to_open_that(two, phantom, nth):
    viewer, widget = two
    viewer.layers[nth].visible = True
    assert is_seen_alone(viewer, widget, *phantom)


def test_to_hide_the_open_scan_shows_no_other(two, other):
    viewer, widget = two
    widget.layers.scan_layer.visible = False
    assert widget.session.scan is other[0]
    assert [layer.visible for layer in viewer.layers] == [False, False, False, True]
    assert all([layer.visible for layer in view.shown] == [False, True] for view in widget.views.views)


def test_when_the_open_scan_is_deleted_the_other_is_seen(two, phantom):
    viewer, widget = two
    for layer in list(viewer.layers)[2:]:
        viewer.layers.remove(layer)
    assert is_seen_alone(viewer, widget, *phantom)
    assert widget.undo.next == ""


def test_no_key_leads_to_a_scan_that_was_deleted(two, other):
    viewer, widget = two
    del viewer.layers[0]
    assert widget.undo.next == ""
    assert is_seen_alone(viewer, widget, *other)


def test_masks_whose_scan_is_gone_are_not_laid_over_another(two, other, notifications):  # noqa: F811
    viewer, widget = two
    del viewer.layers[0]
    orphans = viewer.layers[0]
    orphans.visible = True
    assert not orphans.visible
    assert is_seen_alone(viewer, widget, *other)
    assert any("its scan is not open" in text for text in notifications)


def test_scans_that_napari_reads_are_seen_alone_too(window, phantom, other):
    viewer, widget = window
    widget.views.set_shown(True)
    add_layers(viewer, *phantom)
    add_layers(viewer, *other)
    assert is_seen_alone(viewer, widget, *other)


def test_another_phase_is_looked_at_where_the_first_was(window, phantom):
    viewer, widget = window
    add_layers(viewer, *phantom)
    widget.navigator.go_to(LEFT_AT)
    viewer.scene.camera.zoom = 3.25
    there = place(viewer)
    late = dataclasses.replace(phantom[0], name="late", hu=phantom[0].hu + np.int16(50))
    add_layers(viewer, late)
    assert place(viewer) == there
    assert [layer.visible for layer in viewer.layers] == [False, True, True]  # masks of both


def test_of_two_masks_those_in_use_come_back_with_their_scan(window, phantom, other):
    viewer, widget = window
    widget.session.set_scan(*phantom)
    widget.session.set_masks(dataclasses.replace(phantom[1], labels=phantom[1].labels.copy()))
    first = viewer.layers[1]
    viewer.layers.selection.active = first
    assert widget.session.masks is phantom[1]
    widget.session.set_scan(*other)
    viewer.layers.selection.active = viewer.layers[0]
    assert widget.session.masks is phantom[1]
    assert [layer.visible for layer in viewer.layers] == [True, True, False, False, False]


def test_a_question_that_was_answered_does_not_move_the_view_again(two, phantom):
    viewer, widget = two
    viewer.layers.selection.active = viewer.layers[0]
    widget.ask("liver")
    widget.navigator.go_to(LEFT_AT)
    viewer.layers.selection.active = viewer.layers[3]
    viewer.layers.selection.active = viewer.layers[0]
    assert widget.session.ranking.best.organ == "liver"
    assert slices(widget, viewer.dims.point) == slices(widget, LEFT_AT)


def test_a_scan_that_was_closed_comes_back_in_the_middle(window, phantom):
    viewer, widget = window
    widget.session.set_scan(*phantom)
    widget.navigator.go_to(LEFT_AT)
    viewer.layers.clear()
    widget.session.set_scan(*phantom)
    low, high = widget.layers.scan_layer.extent.world
    assert viewer.scene.camera.center[-2:] == pytest.approx(((low + high) / 2)[1:])
