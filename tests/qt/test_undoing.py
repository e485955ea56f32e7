"""Every action of the window is taken back with one key."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_ctvlp._qt.organ_model import ORGAN, VOLUME

from .windows import add_layers

pytestmark = pytest.mark.usefixtures("qapp")

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton


@pytest.fixture
def opened(window, phantom, monkeypatch):
    """The window with the phantom; how busy the machine is makes no pauses."""
    monkeypatch.setattr("napari_ctvlp._qt.undo.PAUSE_S", 1e9)
    viewer, widget = window
    add_layers(viewer, *phantom)
    return viewer, widget


def undo_by_key(widget, qtbot):
    main = widget.window()
    main.activateWindow()
    qtbot.waitUntil(main.isActiveWindow)
    QTest.keyClick(main, Qt.Key.Key_U)


def mouse(canvas, kind, place, held=LEFT, button=LEFT, modifier=Qt.KeyboardModifier.NoModifier):
    point = QPoint(int(place[0] * canvas.width()), int(place[1] * canvas.height()))
    event = QMouseEvent(kind, QPointF(point), QPointF(canvas.mapToGlobal(point)), button, held, modifier)
    QApplication.sendEvent(canvas, event)


def test_a_click_in_a_view_is_taken_back_and_the_question_stays(opened, qtbot):
    viewer, widget = opened
    widget.views.set_shown(True)
    widget.views.settle()
    qtbot.wait(100)
    widget.ask("spleen")
    there = tuple(viewer.dims.point)
    canvas = widget.views.views[0].view.canvas.native
    mouse(canvas, QEvent.Type.MouseButtonPress, (0.55, 0.45))
    mouse(canvas, QEvent.Type.MouseButtonRelease, (0.55, 0.45), held=NONE)
    assert tuple(viewer.dims.point) != there
    undo_by_key(widget, qtbot)
    assert tuple(viewer.dims.point) == there
    assert widget.session.query == "spleen" and widget.undo.next == "asking “spleen”"
    # Shift and move is one step, and the next one begins where Shift was let go
    for modifier in (Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.NoModifier):
        for step in range(4):
            mouse(canvas, QEvent.Type.MouseMove, (0.5, 0.4 + 0.03 * step), NONE, NONE, modifier)
            qtbot.wait(20)
    moved = tuple(viewer.dims.point)
    mouse(canvas, QEvent.Type.MouseMove, (0.4, 0.6), NONE, NONE, Qt.KeyboardModifier.ShiftModifier)
    qtbot.wait(20)
    assert np.abs(np.subtract(moved, there)).max() > 10 < np.abs(np.subtract(viewer.dims.point, moved)).max()
    undo_by_key(widget, qtbot)
    assert np.allclose(viewer.dims.point, moved, atol=1.5)  # side views go to the middle of a voxel
    undo_by_key(widget, qtbot)
    assert tuple(viewer.dims.point) == there and widget.undo.next == "asking “spleen”"


def test_what_is_switched_filtered_and_sorted_in_the_dock_is_taken_back(opened, qtbot):
    _, widget = opened
    dock, session, organs = widget.dock, widget.session, widget.dock.organs
    widget.ask("spleen")

    def order():
        return [organs.table.model().index(row, ORGAN).data() for row in range(organs.table.model().rowCount())]

    def state():
        header = organs.table.horizontalHeader()
        sorting = header.sortIndicatorSection(), header.sortIndicatorOrder()
        opacity = dock.legend.opacity.value()
        switches = session.use_names, dock.use_names.isChecked(), widget.window_level.automatic
        return (*switches, opacity, organs.filter.text(), organs.group.currentText(), order(), sorting)

    def sort():
        header = organs.table.horizontalHeader()
        place = QPoint(header.sectionViewportPosition(VOLUME) + 5, header.height() // 2)
        QTest.mouseClick(header.viewport(), LEFT, pos=place)

    dock.tables.setCurrentWidget(organs)
    qtbot.wait(50)
    actions = (
        dock.use_names.click,
        dock.view.automatic.trigger,
        lambda: QTest.keyClick(dock.legend.opacity, Qt.Key.Key_Right),
        lambda: QTest.keyClicks(organs.filter, "kidney"),
        lambda: organs.group.setCurrentText("urinary"),
        sort,
        lambda: (QTest.keyClicks(dock.findings.filter, "left"), dock.findings.hide_na.click()),
    )
    states = [state()]
    for action in actions[:-1]:
        action()
        assert state() != states[-1]
        states.append(state())
    actions[-1]()
    for _ in range(2):
        widget.undo.undo()
    assert dock.findings.filter.text() == "" and not dock.findings.hide_na.isChecked()
    for before in reversed(states[:-1]):
        widget.undo.undo()
        assert state() == before
    assert session.query == "spleen" and widget.undo.next == "asking “spleen”"


def test_going_to_an_organ_from_a_dialog_is_a_step(opened, qtbot):
    viewer, widget = opened
    for text in ("spleen", "liver"):
        widget.ask(text)
    there = tuple(viewer.dims.point)
    widget.asked.toggle()
    widget.lab.open()
    for dialog in (widget.asked.dialog, widget.lab.dialog):
        dialog.organ_chosen.emit("kidney_left")
        assert tuple(viewer.dims.point) != there
        widget.undo.undo()
        assert tuple(viewer.dims.point) == there and widget.undo.next == "asking “liver”"
    widget.follow_up.toggle()
    widget.follow_up.dialog.organ_chosen.emit("kidney_left")
    widget.undo.undo()
    assert tuple(viewer.dims.point) == there and widget.undo.next == "asking “liver”"


def test_another_encoder_is_taken_back(opened):
    _, widget = opened
    picker, session = widget.dock.encoder, widget.session
    widget.ask("spleen")
    picker.encoder_chosen.emit("/models/mine")
    assert session.encoder_name == "/models/mine" and session.ranking is not None
    widget.undo.undo()
    assert session.encoder_name == "starter" and picker.box.currentData() == "starter"
    assert session.ranking.best.organ == "spleen" and widget.undo.next == "asking “spleen”"
    picker.encoder_chosen.emit("starter")
    assert widget.undo.next == "asking “spleen”", "what changes nothing is no step"


@pytest.mark.parametrize("step", [1, 2])
def test_labels_used_as_masks_are_given_back(opened, phantom, step):
    viewer, widget = opened
    scan, masks = phantom
    ours = widget.layers.masks_layer
    theirs = viewer.add_labels(
        np.ascontiguousarray((masks.labels > 0)[::step, ::step, ::step].astype(np.int32)),
        name="theirs",
        scale=np.asarray(scan.spacing) * step,
        translate=np.asarray(scan.napari_translate) + np.asarray(scan.spacing) * (step - 1) / 2,
    )
    metadata, layers = dict(theirs.metadata), list(viewer.layers)
    widget.dock.scan.use_layer.click()
    assert widget.session.masks is not masks
    widget.undo.undo()
    assert widget.session.masks is masks and widget.layers.masks_layer is ours
    assert ours.visible and theirs.visible and list(viewer.layers) == layers
    assert theirs.metadata == metadata and widget.layers.foreign is theirs
