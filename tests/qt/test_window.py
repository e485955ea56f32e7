"""The whole window: what one sees, and what is left when it goes."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
from napari.layers import Image, Labels
from napari.utils.notifications import notification_manager

from napari_ctvlp._qt.furniture import PREFIX
from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp._qt.runner import ThreadRunner
from napari_ctvlp._qt.scan_panel import NO_MASKS
from napari_ctvlp.anatomy import organ_colour
from napari_ctvlp.opening import open_scan
from napari_ctvlp.rooms import Rooms
from napari_ctvlp.session import Session

from .conftest import SlowEncoder
from .windows import add_layers, brightness, organ_pixels, picture

pytestmark = pytest.mark.usefixtures("qapp")


def our_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("ctvlp")]


@pytest.fixture
def notifications():
    """Messages of the window's notifications from here on."""
    seen = []

    def note(notification):
        seen.append(notification.message)

    notification_manager.notification_ready.connect(note)
    yield seen
    notification_manager.notification_ready.disconnect(note)


@pytest.fixture
def slow_window(make_napari_viewer, word_rooms, qtbot):
    """A viewer with the dock whose encoder works in a thread until it is told to go on."""
    encoder = SlowEncoder(word_rooms.encoder)
    word_rooms.encoder = encoder
    viewer = make_napari_viewer(show=True)
    runner = ThreadRunner()
    widget = CtvlpWidget(viewer, Session(runner, word_rooms))
    widget.on_close(runner.close)
    viewer.window.add_dock_widget(widget, name="CT query", area="right")
    yield viewer, widget, encoder
    encoder.go_on.set()
    runner.close()
    qtbot.waitUntil(lambda: not our_threads())


def test_asked_organ_brightens_and_others_do_not(window, phantom, qtbot):
    viewer, widget = window
    scan, masks = phantom
    add_layers(viewer, scan, masks)
    viewer.dims.set_current_step(0, 25)  # both kidneys
    before = picture(viewer, qtbot)
    left = organ_pixels(viewer, masks, "kidney_left", before.shape)
    right = organ_pixels(viewer, masks, "kidney_right", before.shape)
    widget.ask("left kidney")
    viewer.dims.set_current_step(0, 25)
    after = picture(viewer, qtbot)
    assert brightness(after[left]) > brightness(before[left]) + 10
    assert brightness(after[right]) < brightness(before[right]) + 3
    assert brightness(after[left]) > brightness(after[right]) + 15
    widget.ask("")
    assert np.abs(picture(viewer, qtbot) - before).max() < 12


def test_left_is_left(window, phantom, qtbot):
    """The spleen and the left kidney lie on the right half of an axial canvas, and the letters say so."""
    viewer, widget = window
    add_layers(viewer, *phantom)
    plain = picture(viewer, qtbot)
    for question, side in (("left kidney", 1), ("right kidney", 0), ("spleen", 1), ("liver", 0)):
        widget.ask(question)
        glowing = picture(viewer, qtbot)
        amber = (glowing[..., 0] - glowing[..., 2]) > 60
        halves = amber[:, : plain.shape[1] // 2].sum(), amber[:, plain.shape[1] // 2 :].sum()
        assert halves[side] > 20 * max(1, halves[1 - side]), question
    overlays = viewer.canvas.overlays
    assert [overlays[PREFIX + edge].text for edge in ("left", "right", "top", "bottom")] == ["R", "L", "A", "P"]
    assert overlays.scale_bar.visible


def test_view_jumps_to_the_best_organ_and_to_a_clicked_one(window, phantom):
    viewer, widget = window
    scan, masks = phantom
    add_layers(viewer, scan, masks)
    widget.ask("spleen")
    assert tuple(viewer.dims.current_step) == masks.statistics["spleen"].centroid_index
    widget.dock.findings.organ_chosen.emit("kidney_right")
    assert tuple(viewer.dims.current_step) == masks.statistics["kidney_right"].centroid_index


def test_jump_pans_to_an_organ_outside_the_view(window, phantom):
    viewer, widget = window
    add_layers(viewer, *phantom)
    viewer.scene.camera.zoom *= 8
    widget.ask("spleen")
    spleen = viewer.layers[1].data_to_world(phantom[1].statistics["spleen"].centroid_index)
    assert np.allclose(viewer.scene.camera.center[-2:], spleen[-2:])


def test_question_that_nothing_answers_leaves_view_and_colours(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    step, before = tuple(viewer.dims.current_step), picture(viewer, qtbot)
    widget.ask("banana")
    assert widget.dock.answer.text() == "Nothing here matches."
    assert tuple(viewer.dims.current_step) == step
    assert np.abs(picture(viewer, qtbot) - before).max() < 12


def test_a_finding_without_an_entry_shows_where_to_look_and_no_score(window, phantom, monkeypatch):
    viewer, widget = window
    monkeypatch.setattr(type(widget.session.rooms), "rank_organs", Rooms.rank_organs)
    scan, masks = phantom
    add_layers(viewer, scan, masks)
    widget.ask("nephrocalcinosis on the right")
    assert tuple(viewer.dims.current_step) == masks.statistics["kidney_right"].centroid_index
    told = "I know where to look for 'nephrocalcinosis', not how to score it: the dictionary has no entry for it."
    assert told in widget.dock.answer.text()
    assert not any(word in widget.dock.answer.text() for word in ("present", "absent"))
    widget.ask("Hill-Sachs lesion")
    assert "The masks hold no organ in which to look for 'Hill-Sachs lesion'." in widget.dock.answer.text()


def test_scan_without_masks_says_what_is_missing(window, phantom):
    viewer, widget = window
    add_layers(viewer, phantom[0])
    assert widget.dock.scan.masks.text() == NO_MASKS
    assert widget.dock.scan.add_masks.isVisible()
    assert widget.dock.ranking.model().rowCount() == 0


def test_layers_from_elsewhere_are_explained(window, phantom):
    viewer, widget = window
    viewer.add_image(np.zeros((4, 5, 6)), name="mystery")
    assert "mystery" in widget.dock.scan.hint.text()
    assert not widget.dock.scan.reopen.isVisible()  # it has no file to open again
    add_layers(viewer, phantom[0])
    assert widget.dock.scan.hint.text() == ""


def test_masks_read_in_the_dock_become_a_layer(window, phantom):
    viewer, widget = window
    add_layers(viewer, phantom[0])
    widget.session.set_masks(phantom[1])
    assert [type(layer) for layer in viewer.layers] == [Image, Labels]
    assert widget.session.embedding is not None
    viewer.layers.remove(viewer.layers[1])
    assert widget.session.masks is None
    assert widget.dock.scan.masks.text() == NO_MASKS


def test_choosing_another_scan_switches_answers(window, phantom):
    import dataclasses

    viewer, widget = window
    scan, masks = phantom
    other = dataclasses.replace(scan, name="other")
    add_layers(viewer, scan, masks)
    widget.ask("liver")
    add_layers(viewer, other)
    assert widget.session.scan is other
    widget.dock.scan.scan_chosen.emit(0)
    assert widget.session.scan is scan
    assert widget.dock.scan.scans.currentText() == "phantom"


def test_another_phase_does_not_cover_the_organs(window, phantom, qtbot):
    import dataclasses

    viewer, widget = window
    scan, masks = phantom
    add_layers(viewer, scan, masks)
    add_layers(viewer, dataclasses.replace(scan, name="late"))
    first, organs, late = [layer.name for layer in viewer.layers]
    qtbot.waitUntil(lambda: [layer.name for layer in viewer.layers] == [first, late, organs])
    viewer.layers.move(2, 0)  # an order of the user's stays
    widget.ask("liver")
    qtbot.wait(50)
    assert [layer.name for layer in viewer.layers] == [organs, first, late]


def test_a_scan_that_lies_elsewhere_is_gone_to(window, phantom, qtbot):
    import dataclasses

    viewer, widget = window
    scan, masks = phantom
    add_layers(viewer, scan, masks)
    away = scan.affine.copy()
    away[:3, 3] += (300, -200, 400)
    far = dataclasses.replace(scan, name="far", affine=away)
    add_layers(viewer, far)
    middle = far.napari_translate + np.multiply(far.spacing, np.subtract(far.hu.shape, 1)) / 2
    qtbot.waitUntil(lambda: np.abs(viewer.dims.point - middle).max() <= max(far.spacing))
    widget.ask("liver")
    widget.dock.scan.scan_chosen.emit(0)
    qtbot.waitUntil(lambda: np.abs(np.subtract(viewer.dims.point, scan.napari_translate)).max() < 300)


def test_masks_of_one_phase_tell_the_hu_of_the_phase_that_is_open(window, phantom):
    import dataclasses

    viewer, widget = window
    scan, masks = phantom
    late = dataclasses.replace(scan, name="portal", hu=scan.hu + np.int16(100))
    add_layers(viewer, scan, masks)
    native = widget.session.masks.statistics["liver"].mean_hu
    add_layers(viewer, late)
    assert widget.session.scan is late
    assert widget.session.masks.statistics["liver"].mean_hu == pytest.approx(native + 100)
    assert widget.session.masks.names == masks.names and len(viewer.layers) == 3
    widget.dock.scan.scan_chosen.emit(0)
    assert widget.session.scan is scan
    assert widget.session.masks.statistics["liver"].mean_hu == pytest.approx(native)
    widget.session.set_masks(masks)
    assert len(viewer.layers) == 3 and widget.layers.masks_layer is not None
    widget.ask("liver")
    assert widget.session.ranking.best.organ == "liver"


def test_removing_the_scan_while_encoding_leaves_nothing(slow_window, phantom, qtbot, notifications):
    viewer, widget, encoder = slow_window
    add_layers(viewer, *phantom)
    widget.ask("liver")
    qtbot.waitUntil(encoder.started.is_set)
    qtbot.waitUntil(lambda: widget.dock.progress.bar.value() == 50)
    viewer.layers.clear()
    qtbot.waitUntil(encoder.was_cancelled.is_set)
    qtbot.wait(50)
    assert widget.session.ranking is None
    assert widget.dock.ranking.model().rowCount() == 0
    assert not widget.dock.progress.bar.isVisible()
    assert notifications == []


def test_organs_that_are_measured_on_another_phase_lie_over_it(slow_window, phantom, qtbot):
    viewer, widget, encoder = slow_window
    encoder.go_on.set()
    add_layers(viewer, *phantom)
    late = dataclasses.replace(phantom[0], hu=phantom[0].hu + 60, name="late", source="")
    before = widget.session.masks
    widget.session.set_scan(late)  # its masks come from a thread, when all is at rest again
    qtbot.waitUntil(lambda: widget.session.masks not in (None, before))
    qtbot.waitUntil(lambda: widget.session.embedding is not None)
    qtbot.wait(50)
    layers = list(viewer.layers)
    assert layers.index(widget.layers.masks_layer) > layers.index(widget.layers.scan_layer)


def test_cancel_ends_the_encoding(slow_window, phantom, qtbot, notifications):
    viewer, widget, encoder = slow_window
    add_layers(viewer, *phantom)
    qtbot.waitUntil(lambda: widget.dock.progress.cancel.isVisible())
    qtbot.waitUntil(encoder.started.is_set)
    widget.dock.progress.cancel.click()
    qtbot.waitUntil(encoder.was_cancelled.is_set)
    assert not widget.dock.progress.bar.isVisible()
    assert notifications == []


@pytest.mark.parametrize("way", ["dock", "window"])
def test_closing_while_encoding_leaves_no_thread(slow_window, phantom, qtbot, notifications, way):
    viewer, widget, encoder = slow_window
    add_layers(viewer, *phantom)
    qtbot.waitUntil(encoder.started.is_set)
    if way == "dock":
        viewer.window.remove_dock_widget(widget)
        widget.close()
    else:
        viewer.close()
    qtbot.waitUntil(encoder.was_cancelled.is_set)
    qtbot.waitUntil(lambda: not our_threads())
    assert notifications == []


def test_closing_the_dock_gives_the_canvas_its_look_back(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    own = organ_colour("liver")
    widget.ask("spleen")
    widget.close()
    assert np.allclose(viewer.layers[1].colormap.color_dict[5][:3], own[:3])
    assert viewer.layers[1].colormap.color_dict[5][3] == 1
    assert not [key for key in viewer.canvas.overlays if key.startswith(PREFIX)]
    assert not viewer.canvas.overlays.scale_bar.visible
    viewer.layers.clear()  # nobody listens any more


def test_a_scale_bar_of_the_user_stays(window, phantom):
    viewer, widget = window
    viewer.canvas.overlays.scale_bar.visible = True
    add_layers(viewer, *phantom)
    widget.close()
    assert viewer.canvas.overlays.scale_bar.visible


def test_bad_input_gives_one_sentence(window, tmp_path, notifications):
    _, widget = window
    bad = tmp_path / "bad.nii"
    bad.write_bytes(b"")
    open_scan(widget.session, bad)
    assert len(notifications) == 1
    assert notifications[0].startswith("bad.nii")
    assert str(tmp_path) not in notifications[0]


def test_unexpected_error_gives_one_sentence(window, phantom, notifications, caplog):
    _, widget = window
    widget.session.rooms.read_scan = lambda path, series=None: 1 / 0
    open_scan(widget.session, "scan.nii")
    assert len(notifications) == 1
    assert "ZeroDivisionError" in notifications[0]


def test_letters_leave_3d_alone(window, phantom):
    viewer, _ = window
    add_layers(viewer, phantom[0])
    viewer.dims.order = (1, 0, 2)
    assert viewer.canvas.overlays[PREFIX + "top"].text == "S"
    viewer.dims.ndisplay = 3
    assert not viewer.canvas.overlays[PREFIX + "top"].visible
