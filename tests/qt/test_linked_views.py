"""Axial, coronal and sagittal in step."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest
from napari.qt import QtViewer
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_ctvlp._qt.docked import dock_of
from napari_ctvlp._qt.furniture import PREFIX
from napari_ctvlp.anatomy.windows import LUNG

from .windows import add_layers

pytestmark = pytest.mark.usefixtures("qapp")


@pytest.fixture
def linked(window, phantom, qtbot):
    """The window with the phantom and the side views shown; coronal and sagittal views are returned, too."""
    viewer, widget = window
    add_layers(viewer, *phantom)
    widget.views.set_shown(True)
    qtbot.wait(100)
    return viewer, widget, *widget.views.views


def main_canvas(viewer):
    return viewer.window._qt_viewer.canvas.native


def click(native, place, qtbot, modifier=Qt.KeyboardModifier.NoModifier, kind=QEvent.Type.MouseButtonPress):
    point = QPointF(*place)
    whole = QPointF(native.mapToGlobal(QPoint(*place)))
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    QApplication.sendEvent(native, QMouseEvent(kind, point, whole, left, left, modifier))
    QApplication.sendEvent(native, QMouseEvent(QEvent.Type.MouseButtonRelease, point, whole, left, none, modifier))
    qtbot.wait(20)


def pixel(view, world):
    """Pixel (x, y) of a place in a side view."""
    from napari_ctvlp._qt.crosshair import canvas_place

    camera, native = view.model.scene.camera, view.view.canvas.native
    row, column = canvas_place(
        world, view.model.dims.displayed, camera.center, camera.zoom, (native.height(), native.width())
    )
    return round(column), round(row)


def shifted(place, by):
    return tuple(float(v) for v in np.add(place, by))


def points(viewer, *views):
    """Where each view cuts, and the place of every crosshair."""
    return [tuple(viewer.dims.point)] + [view.crosshair.place for view in views]


def test_views_that_fill_later_go_where_the_viewer_stands_by_then(window, phantom, qtbot):
    viewer, widget = window
    widget.views.set_shown(True)
    add_layers(viewer, *phantom)
    place = tuple(np.add(viewer.dims.point, np.multiply(phantom[0].spacing, (2, 3, -4))))
    viewer.dims.point = place
    qtbot.waitUntil(lambda: all(len(view.layers) == 2 for view in widget.views.views))
    qtbot.waitUntil(lambda: not widget.views.filling.under_way)
    assert np.allclose(viewer.dims.point, place)
    for view in widget.views.views:
        assert view.model.dims.point[view.axis] == pytest.approx(place[view.axis])


def test_views_share_the_arrays_and_stand_at_one_place(linked):
    viewer, widget, coronal, sagittal = linked
    assert tuple(coronal.model.dims.order) == (1, 0, 2)
    assert tuple(sagittal.model.dims.order) == (2, 0, 1)
    for view in (coronal, sagittal):
        assert [layer.data is ours.data for layer, ours in zip(viewer.layers, view.shown, strict=True)] == [
            True,
            True,
        ]
        assert view.model.dims.point[view.axis] == viewer.dims.point[view.axis]
    assert len(set(points(viewer, coronal, sagittal))) == 1
    assert widget.views.crosshair.place == tuple(viewer.dims.point)
    assert widget.dock.view.views_button.isChecked()


def test_letters_say_where_things_are(linked):
    _, _, coronal, sagittal = linked
    edges = ("left", "right", "top", "bottom")
    assert [coronal.model.canvas.overlays[PREFIX + e].text for e in edges] == ["R", "L", "S", "I"]
    assert [sagittal.model.canvas.overlays[PREFIX + e].text for e in edges] == ["A", "P", "S", "I"]
    assert coronal.model.canvas.overlays.scale_bar.visible


def test_click_in_any_view_goes_there_in_all(linked, qtbot):
    viewer, widget, coronal, sagittal = linked
    start = tuple(viewer.dims.point)
    world = shifted(start, (9, 0, -20))
    click(coronal.view.canvas.native, pixel(coronal, world), qtbot)
    assert np.allclose(viewer.dims.point, world, atol=2.5)
    assert viewer.dims.point[1] == start[1]  # a coronal click does not change the coronal slice
    assert sagittal.model.dims.point[2] == viewer.dims.point[2]
    assert len(set(points(viewer, coronal, sagittal))) == 1
    native = main_canvas(viewer)
    click(native, (native.width() // 2, native.height() // 2 + 40), qtbot)
    below = shifted(viewer.scene.camera.center, (0, 40 / viewer.scene.camera.zoom, 0))
    assert np.allclose(viewer.dims.point[1:], below[1:], atol=2.5)
    assert coronal.model.dims.point[1] == viewer.dims.point[1]
    assert widget.views.crosshair.place == tuple(viewer.dims.point)


def test_shift_and_move_goes_along_and_move_alone_does_not(linked, qtbot):
    viewer, _, _, sagittal = linked
    native = sagittal.view.canvas.native
    world = shifted(viewer.dims.point, (12, 14, 0))
    x, y = pixel(sagittal, world)
    none = Qt.MouseButton.NoButton
    for modifier, moves in ((Qt.KeyboardModifier.NoModifier, False), (Qt.KeyboardModifier.ShiftModifier, True)):
        before = tuple(viewer.dims.point)
        qtbot.wait(60)
        where = QPointF(native.mapToGlobal(QPoint(x, y)))
        QApplication.sendEvent(native, QMouseEvent(QEvent.Type.MouseMove, QPointF(x, y), where, none, none, modifier))
        qtbot.wait(60)
        assert (tuple(viewer.dims.point) != before) is moves
    assert np.allclose(viewer.dims.point, world, atol=2.5)


def test_scrolling_a_side_view_moves_the_others_lines(linked):
    viewer, widget, coronal, sagittal = linked
    place = coronal.model.dims.point[1] + 8
    coronal.model.dims.set_point(1, place)
    assert viewer.dims.point[1] == place
    assert sagittal.crosshair.place[1] == place
    assert widget.views.crosshair.place[1] == place


def test_looks_are_in_step(linked, phantom):
    viewer, widget, *views = linked
    widget.window_level.choose(LUNG)
    widget.ask("left kidney")
    widget.overlay.flush()
    viewer.layers[1].opacity = 0.3
    viewer.layers[0].colormap = "bop blue"
    for view in views:
        scan, organs = view.shown
        assert tuple(scan.contrast_limits) == tuple(viewer.layers[0].contrast_limits)
        assert scan.colormap.name == "bop blue"
        assert organs.opacity == pytest.approx(0.3)
        glow = viewer.layers[1].colormap.color_dict[3]
        assert np.allclose(organs.colormap.color_dict[3], glow)
    viewer.layers[1].visible = False
    assert not any(view.shown[1].visible for view in views)


def test_what_serves_painting_is_made_where_one_can_paint(linked):
    """napari draws a polygon anew with every colour of a layer, in every canvas that has one."""
    viewer, _, *views = linked
    tools = {"LabelsPolygonOverlay", "LabelsBrushStrokeOverlay"}

    def made(canvas, layer):
        return {type(overlay).__name__ for overlay in canvas._layer_overlay_to_visual[layer]}

    assert made(viewer.window._qt_viewer.canvas, viewer.layers[1]) >= tools
    for view in views:
        assert not made(view.view.canvas, view.shown[1]) & tools


def test_glow_is_drawn_in_the_side_views(linked, qtbot):
    _, widget, coronal, _ = linked

    def amber():
        qtbot.wait(80)
        picture = coronal.view.screenshot(flash=False)[..., :3].astype(float)
        return (picture[..., 0] - picture[..., 2] > 60).sum()

    before = amber()
    widget.ask("left kidney")
    assert amber() > before + 200


def test_double_click_maximises_and_again_gives_back(linked, qtbot):
    viewer, widget, coronal, sagittal = linked
    zoom = viewer.scene.camera.zoom
    kind = QEvent.Type.MouseButtonDblClick
    native = coronal.view.canvas.native
    click(native, (20, 20), qtbot, kind=kind)
    assert widget.views.maximised == "coronal"
    assert coronal.isVisible()
    assert not sagittal.isVisible()
    assert not main_canvas(viewer).isVisible()
    click(native, (20, 20), qtbot, kind=kind)
    assert widget.views.maximised is None
    assert sagittal.isVisible()
    assert main_canvas(viewer).isVisible()
    click(main_canvas(viewer), (30, 30), qtbot, kind=kind)
    assert widget.views.maximised == "axial"
    assert not coronal.isVisible()
    widget.undo.undo()
    assert coronal.isVisible()
    assert viewer.scene.camera.zoom == zoom  # napari's own double click would have zoomed


def test_napari_zooms_on_a_double_click_again_while_the_side_views_are_hidden(linked, qtbot):
    viewer, widget, *_ = linked
    native, kind = main_canvas(viewer), QEvent.Type.MouseButtonDblClick
    widget.views.set_shown(False)
    zoom = viewer.scene.camera.zoom
    click(native, (native.width() // 2, native.height() // 2), qtbot, kind=kind)
    assert viewer.scene.camera.zoom > zoom and widget.views.maximised is None
    widget.views.set_shown(True)
    zoom = viewer.scene.camera.zoom
    click(native, (native.width() // 2, native.height() // 2), qtbot, kind=kind)
    assert viewer.scene.camera.zoom == zoom and widget.views.maximised == "axial"


def test_cursor_in_a_side_view_is_told(linked, phantom, qtbot):
    viewer, widget, coronal, _ = linked
    masks = phantom[1]
    widget.navigator.jump("liver")
    world = viewer.layers[1].data_to_world(masks.statistics["liver"].centroid_index)
    native = coronal.view.canvas.native
    x, y = pixel(coronal, world)
    coronal.model.mouse_over_canvas = True
    none = Qt.MouseButton.NoButton
    where = QPointF(native.mapToGlobal(QPoint(x, y)))
    QApplication.sendEvent(
        native, QMouseEvent(QEvent.Type.MouseMove, QPointF(x, y), where, none, none, Qt.KeyboardModifier.NoModifier)
    )
    assert widget.dock.position.text().startswith("60 HU")
    assert "mm  ·  liver" in widget.dock.position.text()


def test_views_follow_what_is_open(linked, phantom, qtbot):
    viewer, widget, coronal, sagittal = linked
    viewer.layers.remove(viewer.layers[1])
    assert len(coronal.shown) == 1
    viewer.layers.clear()
    assert len(coronal.shown) == 0
    assert coronal.crosshair.place is None
    point = viewer.dims.point
    widget.navigator.go_to((3.0, 2.0, 1.0))  # pointed at a moment ago
    coronal.model.dims.set_point(1, -40)
    assert viewer.dims.point == point
    add_layers(viewer, *phantom)
    qtbot.waitUntil(lambda: len(coronal.shown) == 2)
    qtbot.waitUntil(lambda: len(sagittal.shown) == 2)
    assert tuple(coronal.model.dims.order) == (1, 0, 2)


def test_renamed_reordered_and_foreign_layers_do_no_harm(linked):
    viewer, _, coronal, _ = linked
    viewer.layers[0].name = "renamed"
    viewer.add_points([[1, 2, 3]], name="another plugin's")
    viewer.layers.move(0, 3)
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_point(0, 10)
    assert len(coronal.shown) == 2
    assert coronal.crosshair.place[0] == 10


def test_toggling_keeps_the_views_and_closing_gives_them_back(linked, qtbot):
    viewer, widget, coronal, _ = linked
    callbacks = len(viewer.mouse_double_click_callbacks)
    widget.views.toggle()
    assert not coronal.isVisible()
    assert not widget.dock.view.views_button.isChecked()
    viewer.dims.set_point(1, 6)
    widget.views.toggle()
    assert coronal.isVisible()
    assert coronal.model.dims.point[1] == 6
    widget.close()
    assert widget.views.views == []
    assert len(viewer.mouse_double_click_callbacks) == callbacks
    assert viewer.mouse_double_click_callbacks[-1].__name__ == "double_click_to_zoom"
    qtbot.waitUntil(lambda: len(viewer.window._qt_window.findChildren(QtViewer)) == 1)


def test_hidden_views_do_not_hold_a_scan_that_was_closed(linked, phantom):
    viewer, widget, *sides = linked
    widget.views.set_shown(False)
    viewer.layers.clear()
    assert not any(view.layers or view.shown for view in sides)
    layers = add_layers(viewer, *phantom)
    assert not any(view.layers for view in sides), "a hidden view takes nothing"
    widget.views.set_shown(True)
    assert [view.layers for view in sides] == [layers, layers]


@pytest.mark.skipif(sys.platform == "win32", reason="drivers of Windows need what napari collects there")
def test_a_layer_that_goes_costs_one_collection_of_garbage_and_not_one_a_view(linked):
    viewer, _, *sides = linked
    whole = []

    def on_collection(phase, info):
        if phase == "start" and info["generation"] == 2:
            whole.append(phase)

    collect = gc.collect
    gc.callbacks.append(on_collection)
    gc.disable()  # what comes by itself is not meant
    try:
        viewer.layers.remove(viewer.layers[1])
    finally:
        gc.enable()
        gc.callbacks.remove(on_collection)
    assert [len(view.layers) for view in sides] == [1, 1]
    assert len(whole) <= 1 and gc.collect is collect


def test_a_dock_that_the_user_hides_leaves_the_main_canvas(linked, qtbot):
    viewer, widget, _, _ = linked
    dock = dock_of(widget.views._dock)
    widget.views.maximise("coronal")
    main = viewer.window._qt_viewer.canvas.native
    assert not main.isVisible()
    dock.toggleViewAction().trigger()
    qtbot.waitUntil(lambda: not widget.views.shown)
    assert main.isVisible() and not dock.isVisible() and widget.views.maximised is None
    dock.toggleViewAction().trigger()  # napari's menu
    qtbot.waitUntil(lambda: widget.views.shown)
    widget.views.maximise("axial")
    assert widget.views.shown and main.isVisible() and not dock.isVisible()
    qtbot.wait(20)
    assert widget.views.shown


def test_dock_closed_by_the_user_is_given_up(linked, qtbot):
    viewer, widget, *_ = linked
    viewer.window.remove_dock_widget(widget.views._dock)
    assert not widget.views.shown
    assert not widget.dock.view.views_button.isChecked()
    widget.views.toggle()
    assert len(widget.views.views) == 2
