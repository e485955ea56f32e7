"""Keys of the window: in its dialogs, beside napari's own, and in the list that tells them."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QCursor
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QShortcut

from .windows import add_layers

pytestmark = pytest.mark.usefixtures("qapp")

LEFT = Qt.MouseButton.LeftButton
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def opened(window, phantom, monkeypatch):
    """The window with the phantom; how busy the machine is makes no pauses."""
    monkeypatch.setattr("napari_ctvlp._qt.undo.PAUSE_S", 1e9)
    viewer, widget = window
    add_layers(viewer, *phantom)
    return viewer, widget


def press(window, qtbot, key, modifier=Qt.KeyboardModifier.NoModifier):
    """Press a key in a window that is in front, where its focus is."""
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    QTest.keyClick(window.focusWidget() or window, key, modifier)


def canvas(viewer):
    return viewer.window._qt_viewer.canvas.native


def test_keys_work_in_our_dialogs_and_text_stays_text(opened, qtbot):
    _, widget = opened
    widget.ask("spleen")
    widget.ask("liver")
    widget.asked.toggle()
    dialog = widget.asked.dialog
    dialog.forget_requested.emit(["spleen"])
    assert "spleen" not in widget.queries.texts
    press(dialog, qtbot, Qt.Key.Key_U)
    assert "spleen" in widget.queries.texts, "as the tooltip says"
    press(dialog, qtbot, Qt.Key.Key_R)
    lab = widget.lab.dialog
    assert widget.lab.shown
    lab.activateWindow()
    qtbot.waitUntil(lab.isActiveWindow)
    QTest.mouseClick(lab.negative.viewport(), LEFT)
    before = widget.undo.next
    QTest.keyClicks(lab.focusWidget(), "u")
    assert lab.negative.toPlainText().count("u") and widget.undo.next == before
    QTest.mouseClick(lab.scores.viewport(), LEFT)
    press(lab, qtbot, Qt.Key.Key_R)
    assert not widget.lab.shown, "the key that opened it hides it"
    press(dialog, qtbot, Qt.Key.Key_N)
    assert not widget.asked.shown
    widget.audit.toggle()
    press(widget.audit.dialog, qtbot, Qt.Key.Key_U, SHIFT)
    assert not widget.audit.dialog.isVisible()


def test_a_key_of_the_active_layer_is_napari_s_in_its_canvas(opened, qtbot):
    viewer, widget = opened
    shapes = viewer.add_shapes(np.zeros((0, 2, 3)), ndim=3)
    QTest.mouseClick(canvas(viewer), LEFT)
    press(widget.window(), qtbot, Qt.Key.Key_R)
    assert str(shapes.mode) == "add_rectangle" and not widget.lab.shown
    shapes.mode = "pan_zoom"
    press(widget.window(), qtbot, Qt.Key.Key_Q)
    assert widget.views.shown, "what napari has no use for stays ours"
    QTest.mouseClick(widget.dock.more.prompts, LEFT)
    assert widget.lab.shown
    widget.lab.dialog.close()
    widget.dock.findings.table.setFocus()
    press(widget.window(), qtbot, Qt.Key.Key_R)
    assert widget.lab.shown and str(shapes.mode) == "pan_zoom", "in the dock the key is ours"
    widget.lab.dialog.close()
    viewer.layers.selection.active = widget.layers.scan_layer
    QTest.mouseClick(canvas(viewer), LEFT)
    press(widget.window(), qtbot, Qt.Key.Key_R)
    assert widget.lab.shown, "with our scan the key is ours"


def test_the_place_moves_by_keys_as_one_step(opened, phantom, qtbot):
    viewer, widget = opened
    start = tuple(viewer.dims.point)
    QTest.mouseClick(canvas(viewer), Qt.MouseButton.MiddleButton)
    spacing = phantom[0].spacing
    for key, axis, sign in (
        (Qt.Key.Key_Right, 2, 1),
        (Qt.Key.Key_Up, 1, -1),
        (Qt.Key.Key_PageDown, 0, 1),
        (Qt.Key.Key_Left, 2, -1),
    ):
        before = np.asarray(viewer.dims.point)
        press(widget.window(), qtbot, key, SHIFT)
        wanted = np.zeros(3)
        wanted[axis] = sign * spacing[axis]
        assert np.allclose(np.asarray(viewer.dims.point) - before, wanted)
    widget.undo.undo()
    assert tuple(viewer.dims.point) == start and not widget.undo.next
    table = widget.dock.organs.table
    widget.dock.tables.setCurrentWidget(widget.dock.organs)
    QTest.mouseClick(table.viewport(), LEFT, pos=table.visualRect(table.model().index(0, 1)).center())
    place = tuple(viewer.dims.point)
    press(widget.window(), qtbot, Qt.Key.Key_Down, SHIFT)
    assert tuple(viewer.dims.point) == place and len(widget.dock.organs.selected) == 2, "tables keep their arrows"


def test_a_view_has_the_window_by_key_and_menu(opened, qtbot):
    viewer, widget = opened
    view, bar = widget.views, widget.dock.view
    assert not any(action.isEnabled() for action in bar.maximise)
    view.set_shown(True)
    qtbot.wait(100)
    QTest.mouseClick(canvas(viewer), Qt.MouseButton.MiddleButton)
    QCursor.setPos(widget.window().mapToGlobal(QPoint(5, 5)))
    seen = []
    for _ in range(4):
        press(widget.window(), qtbot, Qt.Key.Key_Q, SHIFT)
        seen.append(view.maximised)
    assert seen == ["axial", "coronal", "sagittal", None]
    sagittal = view.views[1].view.canvas.native
    QCursor.setPos(sagittal.mapToGlobal(sagittal.rect().center()))
    press(widget.window(), qtbot, Qt.Key.Key_Q, SHIFT)
    assert view.maximised == "sagittal", "the one under the cursor"
    widget.undo.undo()
    assert view.maximised is None
    bar.maximise[1].trigger()
    assert view.maximised == "coronal"


def test_the_list_tells_every_key_and_gesture(opened, qtbot):
    _, widget = opened
    main = widget.window()
    press(main, qtbot, Qt.Key.Key_F1)
    dialog = widget.keys_window.dialog
    assert dialog.isVisible()
    text = dialog.text.toPlainText()
    ours = [s for s in main.findChildren(QShortcut) if s.parent() is main and s in widget._keys._made]
    keys = {shortcut.key().toString() for shortcut in ours}
    assert {"U", "Q", "Shift+Q", "Shift+1", "Shift+Y", "F1", "?", "Shift+Left"} <= keys
    listed = {key.strip() for line in text.splitlines() for key in line.split(" or ")}
    assert keys <= listed
    for gesture in ("Click in a view", "Shift and move in a view", "Double-click in a view", "Right drag in a view"):
        assert gesture in listed
    press(dialog, qtbot, Qt.Key.Key_F1)
    assert not dialog.isVisible()
    widget.dock.view.keys_button.click()
    assert dialog.isVisible()
    assert "hold Shift" in widget.dock.view.views_button.toolTip()
