"""Files dropped onto the dock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari._qt.dialogs.qt_notification import NapariQtNotification
from napari.layers import Image, Labels
from napari.qt import QtViewer
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QWidget

from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp.session import Session
from tests.scan.makers import body, write_scan


@pytest.fixture
def dropped(make_napari_viewer, word_rooms):
    """Drops paths onto the dock of a new viewer; gives the viewer and the dock."""
    viewer = make_napari_viewer()
    widget = CtvlpWidget(viewer, Session(rooms=word_rooms))
    viewer.window.add_dock_widget(widget, name="CT query", area="right")

    def drop(*paths):
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        event = QDropEvent(
            QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        )
        widget.dropEvent(event)
        return viewer, widget

    yield drop
    widget.close_down()


@pytest.fixture
def files(tmp_path):
    labels = np.zeros((12, 14, 16), np.uint8)
    labels[6:9, 5:9, 4:12] = 5
    return write_scan(tmp_path / "seg.nii.gz", labels), write_scan(tmp_path / "ct.nii.gz", body())


@pytest.mark.parametrize("as_folder", [False, True])
def test_scan_and_masks_together(dropped, files, as_folder):
    viewer, widget = dropped(files[0].parent) if as_folder else dropped(*files)
    assert [type(layer) for layer in viewer.layers] == [Image, Labels]
    assert widget.session.embedding is not None and widget.session.masks.names == {5: "liver"}


def test_a_scan_with_some_masks_of_one_organ_each(dropped, files, tmp_path):
    organs = []
    for nth, name in enumerate(("liver", "spleen", "kidney_left")):
        labels = np.zeros((12, 14, 16), np.uint8)
        labels[nth * 3 + 1 : nth * 3 + 3, 5:9, 4:12] = 1
        organs.append(write_scan(tmp_path / f"{name}.nii.gz", labels))
    viewer, widget = dropped(organs[0], files[1], organs[1])
    assert [type(layer) for layer in viewer.layers] == [Image, Labels]
    assert set(widget.session.masks.names.values()) == {"liver", "spleen"}


def test_one_after_the_other(dropped, files):
    dropped(files[1])
    viewer, widget = dropped(files[0])
    assert [type(layer) for layer in viewer.layers] == [Image, Labels]
    assert widget.session.masks is not None


@pytest.fixture
def on_canvas(dropped, monkeypatch):
    """Drops paths onto the canvas of a viewer in which the dock is open; gives what napari was left to open."""
    viewer, widget = dropped()
    left = []  # no canvas is held here: napari's fixture would find it again
    monkeypatch.setattr(QtViewer, "_open_from_list_of_urls_data", lambda self, urls, **options: left.extend(urls))
    widget._watch_canvases()

    def drop(*paths, over=None, held=Qt.KeyboardModifier.NoModifier):
        over = viewer.window._qt_viewer if over is None else over
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        how = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, held)
        QApplication.sendEvent(over, QDragEnterEvent(QPoint(5, 5), *how))  # Qt drops on what was entered
        QApplication.sendEvent(over, QDropEvent(QPointF(5, 5), *how))
        return [Path(url.toLocalFile()).name for url in left]

    return drop, viewer, widget


@pytest.mark.parametrize("over", ["canvas", "welcome", "side view"])
@pytest.mark.parametrize("as_folder", [False, True])
def test_the_canvas_takes_what_the_dock_takes(on_canvas, files, over, as_folder):
    drop, viewer, widget = on_canvas
    target = viewer.window._qt_viewer
    if over == "welcome":
        target = next(w for w in target.findChildren(QWidget) if type(w).__name__ == "QtWelcomeWidget")
    elif over == "side view":
        widget.views.set_shown(True)
        target = widget.views.views[0].view
    assert drop(*([files[0].parent] if as_folder else files), over=target) == []
    assert [type(layer) for layer in viewer.layers] == [Image, Labels]
    assert widget.session.embedding is not None


def test_what_is_no_ct_is_left_to_napari(on_canvas, files, tmp_path):
    drop, viewer, widget = on_canvas
    (tmp_path / "notes.txt").write_text("nothing to see", encoding="utf-8")
    (tmp_path / "cells.png").write_bytes(b"\x89PNG")
    assert drop(tmp_path / "notes.txt") == ["notes.txt"]
    assert drop(files[0], tmp_path / "cells.png") == ["notes.txt", "seg.nii.gz", "cells.png"]
    assert widget.session.scan is None and not viewer.layers


def test_a_session_is_taken_by_the_canvas_too(on_canvas, files, tmp_path):
    drop, viewer, widget = on_canvas
    drop(*files)
    widget.saving.save_session(tmp_path / "case")
    viewer.layers.clear()
    assert drop(tmp_path / "case.ctvlp.json") == []
    assert widget.session.scan is not None


def test_with_a_key_held_down_napari_is_meant(on_canvas, files):
    drop, _, widget = on_canvas
    assert drop(*files, held=Qt.KeyboardModifier.ShiftModifier) == ["seg.nii.gz", "ct.nii.gz"]
    assert widget.session.scan is None


def test_once_the_dock_is_closed_all_is_left_to_napari(on_canvas, files):
    drop, _, widget = on_canvas
    widget.close_down()
    assert drop(*files) == ["seg.nii.gz", "ct.nii.gz"]


def test_of_several_masks_in_a_folder_one_is_chosen_in_the_dock(dropped, files, tmp_path):
    other = np.zeros((12, 14, 16), np.uint8)
    other[1:3, 5:9, 4:12] = 1
    write_scan(tmp_path / "seg_other.nii.gz", other)
    _, widget = dropped(tmp_path)
    chooser = widget.dock.series
    assert not chooser.isHidden() and chooser.label.text().endswith("holds 2 files of organ masks. Which one?")
    offered = [chooser.box.itemText(place) for place in range(chooser.box.count())]
    assert offered == ["seg.nii.gz", "seg_other.nii.gz", "the scan alone"]
    chooser.box.setCurrentIndex(1)
    chooser.open.click()
    np.testing.assert_array_equal(widget.session.masks.labels, other)
    assert chooser.isHidden()


def test_a_file_of_another_kind_is_one_sentence(dropped, files, tmp_path):
    (tmp_path / "README.md").write_text("# nothing to see", encoding="utf-8")
    told = []
    _, widget = dropped()
    widget.session.failed.connect(told.append)
    dropped(tmp_path / "README.md")
    dropped(files[1])
    dropped(tmp_path / "README.md")
    assert [str(error).count("README.md") for error in told] == [1, 1]
    assert widget.session.scan is not None


def test_what_went_wrong_goes_when_a_scan_opens(dropped, files, tmp_path, qtbot):
    (tmp_path / "README.md").write_text("# nothing to see", encoding="utf-8")
    viewer, _ = dropped()
    viewer.show()
    viewer.window.resize(900, 700)
    before = list(NapariQtNotification._instances)
    dropped(tmp_path / "README.md")
    (said,) = [made for made in NapariQtNotification._instances if made not in before]
    assert said.isVisible() and "README.md" in said.message.text()
    dropped(files[1])
    assert said not in NapariQtNotification._instances and not said.isVisible()
