"""The window as the command line opens it."""

from __future__ import annotations

import gc
import shutil
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from napari_ctvlp._qt.launch import DOCK_NAME, open_window
from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp.errors import UserError
from napari_ctvlp.rooms import Rooms


@pytest.fixture
def windows(make_napari_viewer, monkeypatch, word_rooms, phantom, qtbot):
    """Viewers that `open_window` makes; the sample is the phantom, answers are by words."""
    made = []

    def viewer(title):
        made.append(make_napari_viewer(show=True, title=title))
        return made[-1]

    monkeypatch.setattr("napari.Viewer", viewer)
    for name in ("load_encoder", "rank_organs", "score_abnormalities"):
        monkeypatch.setattr(Rooms, name, lambda self, *args, name=name: getattr(word_rooms, name)(*args))
    monkeypatch.setattr(Rooms, "load_sample", lambda self: phantom)
    yield made
    gc.unfreeze()  # `open_window` keeps its window out of collections, as if the process were its own
    for viewer in made:
        viewer.close()
    qtbot.waitUntil(lambda: not [t for t in threading.enumerate() if t.name.startswith("ctvlp")])


def test_sample_with_a_question_leaves_a_picture(windows, tmp_path):
    from imageio.v3 import imread

    open_window(sample=True, ask="left kidney", screenshot=tmp_path / "new" / "window.png")
    picture = imread(tmp_path / "new" / "window.png")[..., :3].astype(float)
    assert picture.shape[0] >= 800
    amber = (picture[..., 0] - picture[..., 2]) > 60
    canvas = amber[:, : picture.shape[1] * 3 // 4]  # the dock at the right has bars of that colour
    assert np.count_nonzero(canvas) > 500  # the organ glows, so the canvas is in the picture


def test_window_stays_open_and_answers_in_the_background(windows, qtbot):
    viewer = open_window(sample=True, ask="spleen")
    widget = viewer.window.dock_widgets[DOCK_NAME]
    assert isinstance(widget, CtvlpWidget)
    assert widget.session.ranking is None  # nothing was waited for
    qtbot.waitUntil(lambda: widget.session.ranking is not None)
    assert widget.session.ranking.best.organ == "spleen"
    assert widget.dock.query.text() == "spleen"


def test_scan_and_masks_are_read(windows, qtbot, shared_data):
    folder = shared_data / "ct/ts_abdomen_top30"
    viewer = open_window(folder / "ct.nii.gz", folder / "seg_v2_fast_folder", ask="liver")
    session = viewer.window.dock_widgets[DOCK_NAME].session
    qtbot.waitUntil(lambda: session.ranking is not None, timeout=20_000)
    assert session.ranking.best.organ == "liver"
    assert len(viewer.layers) == 2


def test_scan_without_masks_still_gives_a_picture(windows, tmp_path, shared_data):
    open_window(shared_data / "ct/ts_abdomen_top30/ct.nii.gz", ask="liver", screenshot=tmp_path / "window.png")
    assert (tmp_path / "window.png").stat().st_size > 10_000


def test_bad_scan_ends_the_picture_with_one_sentence(windows, tmp_path):
    bad = tmp_path / "bad.nii"
    bad.write_bytes(b"")
    with pytest.raises(UserError, match=r"^bad\.nii"):
        open_window(bad, screenshot=tmp_path / "window.png")
    assert not (tmp_path / "window.png").exists()


def test_a_series_can_be_named(windows, tmp_path, shared_data):
    for source in ("dicom/ts_upper_abdomen_j2k", "dicom/dcmqi_ct_3slice"):
        shutil.copytree(shared_data / source, tmp_path / "study" / Path(source).name)
    with pytest.raises(UserError, match="2 series"):
        open_window(tmp_path / "study", screenshot=tmp_path / "window.png")
    open_window(tmp_path / "study", series=1, screenshot=tmp_path / "window.png")
    assert (tmp_path / "window.png").exists()


def test_what_removed_layers_leave_is_collected_once_when_no_more_go(windows, qtbot, monkeypatch):
    viewer = open_window(sample=True)
    widget = viewer.window.dock_widgets[DOCK_NAME]
    qtbot.waitUntil(lambda: widget.session.embedding is not None)
    qtbot.wait(200)
    left = [weakref.ref(layer) for layer in viewer.layers]
    assert len(left) == 2
    whole, asked = gc.collect, []
    monkeypatch.setattr(gc, "collect", lambda generation=2: (asked.append(generation), whole(generation))[1])
    viewer.layers.clear()
    qtbot.wait(100)
    assert asked and 2 not in asked
    qtbot.waitUntil(lambda: 2 in asked)
    qtbot.wait(100)
    assert asked.count(2) == 1
    assert not [layer for layer in left if layer() is not None]


def test_an_error_that_was_told_is_let_go(windows, qtbot):
    widget = open_window().window.dock_widgets[DOCK_NAME]
    error = UserError("x.nii: is empty.")
    told = weakref.ref(error)
    widget.session.failed.emit(error)
    del error
    qtbot.wait(50)
    gc.collect()
    assert told() is None
