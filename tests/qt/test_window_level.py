"""The window of HU: presets by key and menu, drag, the organ asked for, the file's own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_ctvlp._qt.furniture import WINDOW
from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp.anatomy.windows import BONE, LUNG, PRESETS, SOFT_TISSUE
from napari_ctvlp.session import Session

from .windows import add_layers, brightness, picture

pytestmark = pytest.mark.usefixtures("qapp")


def limits(viewer):
    return tuple(viewer.layers[0].contrast_limits)


def press(widget, qtbot, key, shift=True):
    modifier = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
    window = widget.window()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window, key, modifier)


def drag(viewer, qtbot, start, end, button=Qt.MouseButton.RightButton):
    """Press, move and release over the canvas, in pixels of the canvas widget."""
    native = viewer.window._qt_viewer.canvas.native
    none = Qt.KeyboardModifier.NoModifier

    def send(kind, place, which, held):
        point = QPointF(*place)
        event = QMouseEvent(kind, point, QPointF(native.mapToGlobal(point.toPoint())), which, held, none)
        QApplication.sendEvent(native, event)

    middle = tuple((a + b) / 2 for a, b in zip(start, end, strict=True))
    send(QEvent.Type.MouseButtonPress, start, button, button)
    for place in (middle, end):
        qtbot.wait(50)  # vispy drops moves that follow each other too fast
        send(QEvent.Type.MouseMove, place, Qt.MouseButton.NoButton, button)
    send(QEvent.Type.MouseButtonRelease, end, button, Qt.MouseButton.NoButton)


def test_keys_choose_presets_and_one_key_takes_back(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    viewer.window.resize(1500, 950)
    qtbot.waitUntil(lambda: viewer.canvas.size[1] > 600)  # room for every name in one line
    for place, preset in enumerate(PRESETS):
        press(widget, qtbot, Qt.Key(Qt.Key.Key_1.value + place))
        assert limits(viewer) == preset.limits
        assert viewer.canvas.overlays[WINDOW].text == f"W {preset.width:g}  L {preset.level:g}  {preset.name}"
        assert widget.dock.view.window_button.text() == viewer.canvas.overlays[WINDOW].text
    press(widget, qtbot, Qt.Key.Key_U, shift=False)
    assert limits(viewer) == PRESETS[-2].limits


def test_signs_can_still_be_typed_into_the_question(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    widget.dock.query.setFocus()
    qtbot.keyClicks(widget.dock.query, "U!")
    assert widget.dock.query.text() == "U!"
    assert limits(viewer) == SOFT_TISSUE.limits


def test_menu_says_each_preset_with_its_key(window, phantom):
    viewer, widget = window
    add_layers(viewer, *phantom)
    actions = {action.text(): action for action in widget.dock.view.window_button.menu().actions()}
    actions["bone   2500 / 480\tShift+4"].trigger()
    assert limits(viewer) == BONE.limits


def test_file_decides_first_and_is_one_key_away(window, phantom, qtbot):
    viewer, widget = window
    scan = dataclasses.replace(phantom[0], window=(-500.0, 1400.0))
    add_layers(viewer, scan, phantom[1])
    assert widget.window_level.value == (1400, -500)
    press(widget, qtbot, Qt.Key.Key_1)
    press(widget, qtbot, Qt.Key.Key_0)
    assert widget.window_level.value == (1400, -500)


def test_right_drag_changes_the_window_and_not_the_camera(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    zoom, center = viewer.scene.camera.zoom, tuple(viewer.scene.camera.center)
    before = picture(viewer, qtbot)
    drag(viewer, qtbot, (200, 200), (280, 260))  # wider by 80 pixels, level up by 60
    width, level = widget.window_level.value
    assert (width, level) == (480, 100)
    assert viewer.scene.camera.zoom == zoom
    assert tuple(viewer.scene.camera.center) == center
    assert brightness(picture(viewer, qtbot).reshape(-1, 3)) < brightness(before.reshape(-1, 3)) - 1
    drag(viewer, qtbot, (200, 200), (200, 100))
    widget.undo.undo()  # the second drag as a whole
    assert widget.window_level.value == (480, 100)
    widget.undo.undo()
    assert widget.window_level.value == (400, 40)


def test_left_drag_stays_the_cameras(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    center = np.array(viewer.scene.camera.center)
    drag(viewer, qtbot, (200, 200), (260, 260), Qt.MouseButton.LeftButton)
    assert widget.window_level.value == (400, 40)
    assert not np.allclose(viewer.scene.camera.center, center)


def test_a_window_never_gets_empty(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    drag(viewer, qtbot, (1000, 200), (0, 200))
    assert widget.window_level.value[0] == 1


def test_organ_asked_for_chooses_and_taking_back_restores(window, phantom):
    viewer, widget = window
    scan, masks = phantom
    masks = dataclasses.replace(masks, names={**masks.names, 5: "lung_lower_lobe_right"})
    masks.statistics["lung_lower_lobe_right"] = masks.statistics["liver"]
    add_layers(viewer, scan, masks)
    widget.window_level.set(333, 33)
    widget.ask("lung lower lobe right")
    assert limits(viewer) == LUNG.limits
    widget.ask("spleen")
    assert limits(viewer) == SOFT_TISSUE.limits
    widget.ask("")
    assert widget.window_level.value == (333, 33)
    widget.ask("lung lower lobe right")
    widget.window_level.choose(BONE)  # by hand: stays
    widget.ask("")
    assert limits(viewer) == BONE.limits
    widget.dock.view.automatic.setChecked(False)
    widget.ask("lung lower lobe right")
    assert limits(viewer) == BONE.limits


def test_closing_releases_keys_and_drag(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    main = widget.window()
    widget.close()
    qtbot.keyClick(main, Qt.Key.Key_2, Qt.KeyboardModifier.ShiftModifier)
    drag(viewer, qtbot, (200, 200), (280, 260))
    assert limits(viewer) == SOFT_TISSUE.limits
    assert WINDOW not in viewer.canvas.overlays
    assert widget.window_level.drag not in viewer.mouse_drag_callbacks


def test_no_scan_has_no_window(window):
    _, widget = window
    widget.window_level.choose(LUNG)
    assert widget.window_level.value is None
    assert not widget.dock.view.window_button.isEnabled()
    assert not widget.dock.view.undo_button.isEnabled()


def test_keys_act_on_the_window_in_front_alone(window, phantom, make_napari_viewer, word_rooms, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    other_viewer = make_napari_viewer(show=True)
    other = CtvlpWidget(other_viewer, Session(rooms=word_rooms))
    other_viewer.window.add_dock_widget(other, name="CT query", area="right")
    add_layers(other_viewer, *phantom)
    try:
        press(other, qtbot, Qt.Key.Key_4)
        assert limits(other_viewer) == BONE.limits
        assert limits(viewer) == SOFT_TISSUE.limits
        press(widget, qtbot, Qt.Key.Key_2)
        assert limits(viewer) == LUNG.limits
        assert limits(other_viewer) == BONE.limits
    finally:
        other.close_down()
