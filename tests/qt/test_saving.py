"""The menu of files: exports in the background, sessions with their view, the dictionary read again at once."""

from __future__ import annotations

import json

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from napari_ctvlp._qt.file_menu import FileMenu
from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp._qt.runner import ThreadRunner
from napari_ctvlp._qt.saving import SETTLE_MS
from napari_ctvlp._qt.window_exports import REPORT_PDF, WINDOW_EXPORTS
from napari_ctvlp.anatomy.user_dictionary import user_dictionary_path
from napari_ctvlp.anatomy.windows import LUNG
from napari_ctvlp.cli import main
from napari_ctvlp.opening import open_paths
from napari_ctvlp.session import Rooms, Session
from tests.anatomy.test_user_dictionary import OWN
from tests.scan.makers import body, ipl_affine, write_scan


@pytest.fixture
def files(tmp_path):
    labels = np.zeros((12, 14, 16), np.uint8)
    labels[6:9, 5:9, 4:12] = 5
    labels[2:4, 2:5, 2:5] = 1
    return write_scan(tmp_path / "ct.nii.gz", body()), write_scan(tmp_path / "seg.nii.gz", labels)


@pytest.fixture
def new_window(make_napari_viewer, word_encoder):
    """Makes viewers with a dock whose work runs at once."""
    widgets = []

    def make():
        rooms = Rooms()
        rooms.load_encoder = lambda name: word_encoder
        viewer = make_napari_viewer()
        widget = CtvlpWidget(viewer, Session(rooms=rooms))
        viewer.window.add_dock_widget(widget, name="CT query", area="right")
        widgets.append(widget)
        return viewer, widget

    yield make
    for widget in widgets:
        widget.close_down()


@pytest.fixture
def notifications():
    seen = []

    def note(notification):
        seen.append(notification.message)

    notification_manager.notification_ready.connect(note)
    yield seen
    notification_manager.notification_ready.disconnect(note)


def test_the_menu_offers_what_is_possible(qtbot):
    menu = FileMenu(["a", "b"])
    qtbot.addWidget(menu)
    asked = []
    menu.export_requested.connect(asked.append)
    menu.set_lacking(lambda: ["", "needs organ masks first"])
    assert [a.isEnabled() for a in menu.exports] == [True, False]
    assert [a.text() for a in menu.exports] == ["a...", "b: needs organ masks first"]
    menu.exports[0].trigger()
    assert asked == [0]


def test_exports_follow_what_is_open(new_window, files, tmp_path, notifications):
    _, widget = new_window()
    menu = widget.dock.scan.files
    menu.refresh()
    assert not any(action.isEnabled() for action in menu.exports)
    open_paths(widget.session, files)
    widget.ask("liver")
    menu.refresh()  # an encoder of words gives no map, and NIfTI nothing that a DICOM SEG could refer to
    enabled = [export.needs not in ("map", "dicom") for export in WINDOW_EXPORTS]
    assert [action.isEnabled() for action in menu.exports] == enabled
    texts = [action.text() for action in menu.exports]
    assert "Organ masks (DICOM SEG): the scan was not read from DICOM files" in texts
    widget.saving.export(0, tmp_path / "report")
    assert (tmp_path / "report.html").is_file() and "report.html was written." in notifications
    widget.saving.export(WINDOW_EXPORTS.index(REPORT_PDF), tmp_path / "report")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    masks_as_dicom = next(i for i, e in enumerate(WINDOW_EXPORTS) if e.suffix == ".dcm")
    widget.saving.export(masks_as_dicom, tmp_path / "x")
    assert any("not read from DICOM files" in message for message in notifications)


def test_all_that_was_asked_is_exported(new_window, files, tmp_path):
    _, widget = new_window()
    open_paths(widget.session, files)
    for text in ("liver", "spleen", "where bile is made"):
        widget.ask(text)
    widget.queries.pin("spleen")
    place = next(i for i, e in enumerate(WINDOW_EXPORTS) if e.suffix == ".json")
    widget.saving.export(place, tmp_path / "all")
    told = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert [query["text"] for query in told["queries"]] == ["where bile is made", "spleen", "liver"]


def test_a_session_comes_back_as_it_was_seen(new_window, files, tmp_path):
    viewer, widget = new_window()
    open_paths(widget.session, files)
    widget.ask("liver")
    viewer.dims.order = (1, 0, 2)
    viewer.dims.point = tuple(np.add(widget.session.scan.napari_translate, (9.0, 6.0, 4.0)))
    viewer.layers[0].contrast_limits = (-200, 500)
    viewer.layers[1].opacity = 0.25
    viewer.scene.camera.zoom = 4.5
    widget.saving.save_session(tmp_path / "case")
    other, again = new_window()
    assert again.saving.take([str(tmp_path / "case.ctvlp.json")])
    assert not again.saving.take([str(files[0])])
    assert again.session.ranking == widget.session.ranking and again.dock.query.text() == "liver"
    assert tuple(other.dims.order) == (1, 0, 2) and other.dims.point == pytest.approx(viewer.dims.point)
    assert tuple(other.layers[0].contrast_limits) == (-200, 500) and other.layers[1].opacity == 0.25
    assert other.scene.camera.zoom == pytest.approx(4.5)


def test_a_restored_session_is_taken_back_with_one_key(new_window, files, tmp_path):
    _, widget = new_window()
    open_paths(widget.session, files)
    widget.ask("liver")
    widget.dock.use_names.click()
    widget.saving.save_session(tmp_path / "case")
    other, again = new_window()
    open_paths(again.session, files)
    again.ask("spleen")
    scan, masks, layers, place = again.session.scan, again.session.masks, list(other.layers), tuple(other.dims.point)
    other.layers[0].contrast_limits = (-300, 300)
    again.saving.restore_session(tmp_path / "case.ctvlp.json")
    assert again.session.query == "liver" and again.session.scan is scan and list(other.layers) == layers
    assert not again.session.use_names and not again.dock.use_names.isChecked()
    assert again.undo.next == "restoring a session"
    again.undo.undo()
    assert again.session.scan is scan and again.session.masks is masks and list(other.layers) == layers
    assert again.session.query == again.dock.query.text() == "spleen" and again.session.ranking is not None
    assert again.session.use_names and again.dock.use_names.isChecked()
    assert again.session.history == ["spleen"] and tuple(other.dims.point) == pytest.approx(place)
    assert tuple(other.layers[0].contrast_limits) == (-300, 300)


def test_a_session_restored_into_an_empty_window_is_taken_back(new_window, files, tmp_path):
    _, widget = new_window()
    open_paths(widget.session, files)
    widget.saving.save_session(tmp_path / "case")
    other, again = new_window()
    again.saving.restore_session(tmp_path / "case.ctvlp.json")
    assert again.session.scan is not None
    again.undo.undo()
    assert again.session.scan is None and again.session.masks is None and not other.layers
    again.saving.restore_session(tmp_path / "case.ctvlp.json", step=False)
    assert again.session.scan is not None and not again.undo.next, "how a window begins is no step"


def test_what_stood_beside_and_how_organs_were_drawn_comes_back(new_window, files, tmp_path):
    _viewer, widget = new_window()
    open_paths(widget.session, files)
    widget.ask("liver")
    looks = widget.overlay.looks
    looks.set_colour([5], (0.0, 0.25, 1.0))
    looks.set_opacity([5], 0.5)
    looks.set_visible([1], False)
    looks.set_solo([5])
    widget.views.set_shown(True)
    widget.body.set_shown(True)
    widget.similarity.set_wanted(True)
    widget.dock.view.automatic.setChecked(False)
    widget.layers.masks_layer.visible = False
    widget.saving.save_session(tmp_path / "case")
    _, again = new_window()
    again.saving.restore_session(tmp_path / "case.ctvlp.json")
    assert again.overlay.looks.state == looks.state and looks.touched
    assert again.views.shown and again.body.shown and again.similarity.wanted
    assert again.window_level.automatic is False and again.layers.masks_layer.visible is False
    assert again.dock.view.views_button.isChecked() and again.dock.view.body_button.isChecked()
    assert again.undo.next == "restoring a session"
    widget.views.set_shown(False)
    widget.similarity.set_wanted(False)
    widget.saving.save_session(tmp_path / "case")
    again.saving.restore_session(tmp_path / "case.ctvlp.json")
    assert not again.views.shown and again.body.shown and not again.similarity.wanted


@pytest.mark.parametrize("over", ["nothing", "the same files", "another scan", "the same, hidden by another"])
def test_all_views_stand_where_they_stood(make_napari_viewer, word_encoder, files, tmp_path, qtbot, over):
    """As in the window that people open: side views take their layers some time after the view was given."""

    def open_dock():
        rooms = Rooms()
        rooms.load_encoder = lambda name: word_encoder
        viewer = make_napari_viewer(show=True)
        runner = ThreadRunner()
        widget = CtvlpWidget(viewer, Session(runner, rooms))
        widget.on_close(runner.close)
        viewer.window.add_dock_widget(widget, name="CT query", area="right")
        widget.views.set_shown(True)
        return viewer, widget

    def opened(widget, paths):
        open_paths(widget.session, paths)
        qtbot.waitUntil(lambda: widget.session.activity is None and widget.session.scan is not None)

    def stands(viewer, widget):
        sides = [view.model.dims.point[view.axis] for view in widget.views.views]
        assert sides == pytest.approx(viewer.dims.point[1:])
        camera = viewer.scene.camera
        looks = widget.overlay.looks.state
        window = tuple(widget.layers.scan_layer.contrast_limits)
        return (*viewer.dims.point, *tuple(camera.center)[-2:], camera.zoom), (looks, window)

    elsewhere = write_scan(tmp_path / "elsewhere.nii", body((20, 9, 30)), affine=ipl_affine((4, 3, 2), (90, 80, 400)))
    viewer, widget = open_dock()
    opened(widget, files)
    widget.views.settle()
    viewer.dims.point = tuple(np.add(widget.session.scan.napari_translate, (9.0, 2.0, 6.0)))
    viewer.scene.camera.zoom = 9.5
    qtbot.wait(50)  # until the side views have been fitted to the scan
    for view in widget.views.views:
        view.model.scene.camera.zoom *= 2.5
        view.model.scene.camera.center = (0.0, *np.add(tuple(view.model.scene.camera.center)[-2:], (1.5, -2.0)))
    sides = [view.look for view in widget.views.views]
    widget.overlay.looks.set_colour([5], (0.0, 0.25, 1.0))
    widget.saving.save_session(tmp_path / "case")
    qtbot.waitUntil((tmp_path / "case.ctvlp.json").exists)
    if over == "nothing":
        viewer, again = open_dock()
    else:
        again = widget
        again.overlay.looks.set_opacity([1], 0.5)
        again.ask("spleen")
        again.window_level.choose(LUNG)
        if over != "the same files":
            opened(again, [elsewhere])
            qtbot.waitUntil(lambda: again.session.scan.name == "elsewhere")
        if over == "another scan":
            for layer in list(viewer.layers)[:-1]:
                viewer.layers.remove(layer)
    again.saving.restore_session(tmp_path / "case.ctvlp.json")
    qtbot.waitUntil(lambda: again.session.masks is not None and again.session.activity is None)
    again.views.settle()
    qtbot.wait(50)
    place, looks = stands(viewer, again)
    world = np.add(again.session.scan.napari_translate, (9.0, 2.0, 6.0))
    assert place[:3] == pytest.approx(world, abs=1.5) and place[-1] == pytest.approx(9.5)
    for view, side in zip(again.views.views, sides, strict=True):
        assert view.look.span == pytest.approx(side.span, rel=0.02) and view.look.centre == pytest.approx(side.centre)
    assert looks[0].looks[5].colour == (0.0, 0.25, 1.0) and looks[0].looks[1].opacity == 1.0
    assert looks[1] == tuple(np.add(40, (-200, 200)))
    assert [layer.name for layer in viewer.layers if layer.visible] == ["ct", "ct organs"]
    assert len(viewer.layers) == {"nothing": 2, "the same files": 2}.get(over, 3)


def test_three_dimensions_come_back(new_window, files, tmp_path):
    viewer, widget = new_window()
    open_paths(widget.session, files)
    viewer.dims.ndisplay = 3
    viewer.scene.camera.angles = (10.0, 20.0, 30.0)
    widget.saving.save_session(tmp_path / "case")
    other, again = new_window()
    again.saving.restore_session(tmp_path / "case.ctvlp.json")
    assert other.dims.ndisplay == 3 and other.scene.camera.angles == pytest.approx((10.0, 20.0, 30.0))


def test_the_answer_that_comes_after_a_restored_view_moves_nothing(
    make_napari_viewer, word_encoder, files, tmp_path, qtbot
):
    """As in the window that people open, where answers come from threads, after the view was given."""

    def open_dock():
        rooms = Rooms()
        rooms.load_encoder = lambda name: word_encoder
        viewer = make_napari_viewer()
        runner = ThreadRunner()
        widget = CtvlpWidget(viewer, Session(runner, rooms))
        widget.on_close(runner.close)
        viewer.window.add_dock_widget(widget, name="CT query", area="right")
        return viewer, widget

    viewer, widget = open_dock()
    open_paths(widget.session, files)
    widget.ask("liver")
    qtbot.waitUntil(lambda: widget.session.ranking is not None)
    viewer.dims.point = tuple(np.add(widget.session.scan.napari_translate, (3.0, 6.0, 4.0)))
    widget.window_level.choose(LUNG)
    widget.saving.save_session(tmp_path / "case")
    qtbot.waitUntil((tmp_path / "case.ctvlp.json").exists)
    other, again = open_dock()
    again.saving.restore_session(tmp_path / "case.ctvlp.json")
    qtbot.waitUntil(lambda: again.session.ranking is not None and again.session.activity is None)
    assert other.dims.point == pytest.approx(viewer.dims.point)
    assert tuple(again.layers.scan_layer.contrast_limits) == LUNG.limits
    again.ask("spleen")
    qtbot.waitUntil(lambda: again.session.ranking.text == "spleen")
    assert tuple(again.layers.scan_layer.contrast_limits) != LUNG.limits, "a new question goes to its answer"
    for each in (widget, again):
        each.close_down()


def test_a_bad_session_is_one_notification(new_window, tmp_path, notifications):
    _, widget = new_window()
    (tmp_path / "bad.ctvlp.json").write_text("{")
    widget.saving.restore_session(tmp_path / "bad.ctvlp.json")
    assert notifications == ["bad.ctvlp.json: is no saved session (it is not JSON)."]


def test_a_changed_dictionary_scores_again_at_once(new_window, files, qtbot):
    path = user_dictionary_path()
    path.parent.mkdir(parents=True)
    _, widget = new_window()
    open_paths(widget.session, files)
    assert len(widget.session.scores) > 100
    path.write_text(OWN)
    qtbot.waitUntil(lambda: {s.abnormality for s in widget.session.scores} == {"fuzzy_liver"}, timeout=10_000)
    temporary = path.with_name("editor.tmp")
    temporary.write_text(OWN.replace("fuzzy_liver", "furry_liver"))
    temporary.replace(path)  # as editors save
    qtbot.waitUntil(lambda: {s.abnormality for s in widget.session.scores} == {"furry_liver"}, timeout=10_000)
    path.unlink()
    qtbot.waitUntil(lambda: len(widget.session.scores) > 100, timeout=10_000)


def test_a_dictionary_copied_later_is_followed_too(new_window, files, qtbot):
    path = user_dictionary_path()
    assert not path.parent.exists()
    _, widget = new_window()
    open_paths(widget.session, files)
    main(["dictionary", "--copy"])
    path.write_text(OWN)
    qtbot.waitUntil(lambda: {s.abnormality for s in widget.session.scores} == {"fuzzy_liver"})
    assert path.parent.as_posix() in widget.saving._watcher.directories()
    assert path.parent.parent.as_posix() not in widget.saving._watcher.directories()


def test_a_broken_dictionary_is_told_once_and_changes_no_answer(new_window, files, qtbot, notifications):
    path = user_dictionary_path()
    path.parent.mkdir(parents=True)
    path.write_text(OWN)
    _, widget = new_window()
    open_paths(widget.session, files)
    widget.ask("liver")
    ranking = widget.session.ranking
    for organ in ("lever", "livr"):
        notifications.clear()
        path.write_text(OWN.replace("[liver]", f"[{organ}]"))
        qtbot.waitUntil(lambda: bool(notifications))
        qtbot.wait(3 * SETTLE_MS)
        assert len(notifications) == 1 and f"line 4: '{organ}'" in notifications[0]
    assert widget.session.ranking is ranking and {s.abnormality for s in widget.session.scores} == {"fuzzy_liver"}
    path.write_text(OWN.replace("fuzzy", "furry"))
    qtbot.waitUntil(lambda: {s.abnormality for s in widget.session.scores} == {"furry_liver"})


@pytest.mark.parametrize("opens", ["file", "folder", "nothing"])
def test_where_the_dictionary_is_is_told_in_any_case(new_window, notifications, monkeypatch, opens):
    asked = []

    def open_url(url):
        asked.append(url.toLocalFile())
        return opens == ("file" if asked[-1].endswith(".yaml") else "folder")

    monkeypatch.setattr("napari_ctvlp._qt.saving.QDesktopServices.openUrl", open_url)
    _, widget = new_window()
    widget.dock.scan.files.edit_dictionary.trigger()
    path = user_dictionary_path()
    assert path.is_file() and len(notifications) == 1 and str(path) in notifications[0]
    assert asked == ([str(path)] if opens == "file" else [str(path), str(path.parent)])
    assert ("text editor" in notifications[0]) == (opens != "file")
    assert ("folder is shown" in notifications[0]) == (opens == "folder")
