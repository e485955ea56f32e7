"""Found and filled in by napari itself: menu, sample, files, and the wrapped viewer that plugins get."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from npe2 import PluginManifest

import napari_ctvlp
from napari_ctvlp._qt.furniture import PREFIX
from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp._qt.similarity import NAME
from napari_ctvlp.anatomy.windows import LUNG
from napari_ctvlp.ask.locate import Peak, SimilarityMap
from napari_ctvlp.rooms import Rooms
from napari_ctvlp.scan import OrganMasks, read_masks, read_scan
from napari_ctvlp.scan.dicom_seg import write_seg
from napari_ctvlp.session import Session
from tests.scan.makers import body, ipl_affine, write_scan, write_series

PLUGIN = "napari-ctvlp"


@pytest.fixture
def plugin(npe2pm):
    """The manifest of the checkout, registered for one test."""
    manifest = PluginManifest.from_file(Path(napari_ctvlp.__file__).with_name("napari.yaml"))
    with npe2pm.tmp_plugin(manifest=manifest):
        yield manifest


@pytest.fixture
def docked(plugin, make_napari_viewer, monkeypatch, word_rooms, qtbot):
    """A viewer with the dock as napari's menu opens it."""
    for name in ("load_encoder", "rank_organs", "score_abnormalities"):
        monkeypatch.setattr(Rooms, name, lambda self, *args, name=name: getattr(word_rooms, name)(*args))
    viewer = make_napari_viewer(show=True)
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "CT query")
    yield viewer, widget
    viewer.close()
    qtbot.waitUntil(lambda: not [t for t in threading.enumerate() if t.name.startswith("ctvlp")])


@pytest.mark.filterwarnings("error:Private attribute access:FutureWarning")
def test_sample_opens_and_is_answered(docked, qtbot):
    viewer, widget = docked
    assert isinstance(widget, CtvlpWidget)
    viewer.open_sample(PLUGIN, "torso")
    assert len(viewer.layers) == 2
    widget.ask("liver")
    qtbot.waitUntil(lambda: widget.session.ranking is not None, timeout=20_000)
    liver = widget.session.masks.statistics["liver"].centroid_index
    assert tuple(viewer.dims.current_step) == liver
    assert viewer.canvas.overlays[PREFIX + "right"].text == "L"
    viewer.layers.remove(viewer.layers[0])
    assert widget.session.scan is None


def test_files_open_through_the_reader(docked, shared_data):
    viewer, widget = docked
    folder = shared_data / "ct/ts_abdomen_top30"
    viewer.open(str(folder / "ct.nii.gz"), plugin=PLUGIN)
    viewer.open(str(folder / "seg_v2_multilabel.nii.gz"), plugin=PLUGIN)
    assert widget.session.scan.name == "ct"
    assert "liver" in widget.session.masks.names.values()


@pytest.fixture
def pair(tmp_path):
    """A scan and its masks, whose labels follow a scheme that only the scan tells."""
    labels = np.zeros((12, 14, 16), np.uint8)
    labels[5:8, 5:9, 5:11], labels[1:3, 1:4, -4:-1] = 5, 20
    return write_scan(tmp_path / "ct.nii.gz", body()), write_scan(tmp_path / "organs.nii.gz", labels)


def same_masks(masks, expected):
    assert (dict(masks.names), masks.scheme, masks.notes) == (dict(expected.names), expected.scheme, expected.notes)
    assert masks.statistics == expected.statistics and masks.source == expected.source
    np.testing.assert_array_equal(masks.labels, expected.labels)


@pytest.mark.parametrize("at_once", [True, False])
def test_masks_opened_before_their_scan_are_measured_on_it(docked, pair, qtbot, at_once):
    viewer, widget = docked
    ct, organs = (str(path) for path in pair)
    if at_once:
        viewer.open([organs, ct], plugin=PLUGIN)
    else:
        viewer.open(organs, plugin=PLUGIN)
        assert widget.session.masks is None
        viewer.open(ct, plugin=PLUGIN)
    qtbot.waitUntil(lambda: widget.session.embedding is not None, timeout=20_000)
    same_masks(widget.session.masks, read_masks(organs, widget.session.scan))
    assert [type(layer).__name__ for layer in viewer.layers] == ["Image", "Labels"], "over the scan, not under it"
    assert widget.layers.masks_layer is viewer.layers[1] and not widget.dock.scan.hint.isVisible()


def test_masks_opened_before_the_dock_are_measured_when_it_opens(plugin, pair, make_napari_viewer, word_rooms):
    viewer = make_napari_viewer()
    for path in reversed(pair):
        viewer.open(str(path), plugin=PLUGIN)
    widget = CtvlpWidget(viewer, Session(rooms=word_rooms))
    same_masks(widget.session.masks, read_masks(pair[1], widget.session.scan))
    widget.close_down()


def test_strokes_in_masks_opened_before_their_scan_are_kept(docked, pair, qtbot):
    viewer, widget = docked
    viewer.open(str(pair[1]), plugin=PLUGIN)
    viewer.layers[0].data_setitem((np.array([9]), np.array([7]), np.array([8])), 5)
    viewer.open(str(pair[0]), plugin=PLUGIN)
    qtbot.waitUntil(lambda: widget.session.embedding is not None, timeout=20_000)
    masks = widget.session.masks
    assert masks.labels[9, 7, 8] == 5 and masks.source == "" and len(masks.names) == 2
    expected = masks.labels == 5
    assert masks.statistics[masks.names[5]].mean_hu == pytest.approx(widget.session.scan.hu[expected].mean())


def test_masks_of_elsewhere_stay_what_they_are(docked, pair, tmp_path, qtbot):
    viewer, widget = docked
    far = ipl_affine(origin=(900.0, -35.0, 110.0))
    labels = np.ones((12, 14, 16), np.uint8)
    seen = []
    notification_manager.notification_ready.connect(seen.append)
    try:
        viewer.open([str(write_scan(tmp_path / "far_seg.nii.gz", labels, affine=far)), str(pair[0])], plugin=PLUGIN)
        qtbot.waitUntil(lambda: bool(seen), timeout=20_000)
        widget.layers.sync()
    finally:
        notification_manager.notification_ready.disconnect(seen.append)
    assert len(seen) == 1 and "far_seg.nii.gz: does not meet the scan" in seen[0].message
    assert widget.session.masks is None and len(viewer.layers) == 2 and widget.dock.scan.use_layer.isVisible()


def test_several_series_are_offered_in_the_open_dock(docked, shared_data, tmp_path, qtbot):
    viewer, widget = docked
    for source in ("dicom/ts_upper_abdomen_j2k", "dicom/dcmqi_ct_3slice"):
        shutil.copytree(shared_data / source, tmp_path / "study" / Path(source).name)
    viewer.open(str(tmp_path / "study"), plugin=PLUGIN)
    assert len(viewer.layers) == 0
    chooser = widget.dock.series
    assert chooser.isVisible()
    slices = [chooser.box.itemText(place) for place in range(chooser.box.count())]
    chooser.box.setCurrentIndex(next(place for place, text in enumerate(slices) if "3 slices" in text))
    chooser.open.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=20_000)
    assert viewer.layers[0].data.shape == (3, 512, 512)


def test_masks_in_an_export_come_with_the_series_that_is_chosen(docked, tmp_path, qtbot):
    viewer, widget = docked
    write_series(tmp_path / "export/001", body())
    scan, labels = read_scan(tmp_path / "export/001"), np.zeros((12, 14, 16), np.uint8)
    labels[6:9, 5:9, 4:12] = 5
    (tmp_path / "export/002").mkdir()
    write_seg(tmp_path / "export/002/1.dcm", scan, OrganMasks(labels, {5: "liver"}, "made"))
    viewer.open(str(tmp_path / "export"), plugin=PLUGIN)
    assert [layer.name for layer in viewer.layers] == ["001", "001 organs"]
    viewer.layers.clear()
    write_series(tmp_path / "export/003", body(), SeriesInstanceUID="1.2.9", SeriesNumber=9)
    viewer.open(str(tmp_path / "export"), plugin=PLUGIN)
    assert len(viewer.layers) == 0 and widget.dock.series.isVisible()
    widget.dock.series.open.click()
    qtbot.waitUntil(lambda: widget.session.masks is not None, timeout=20_000)
    assert widget.session.masks.names == {1: "liver"} and len(viewer.layers) == 2


@pytest.mark.filterwarnings("error:Private attribute access:FutureWarning")
def test_views_map_and_3d_work_with_the_wrapped_viewer(docked, qtbot):
    viewer, widget = docked
    viewer.open_sample(PLUGIN, "torso")
    qtbot.waitUntil(lambda: widget.session.embedding is not None, timeout=20_000)
    widget.views.set_shown(True)
    assert widget.views.crosshair is not None  # the main canvas was found
    widget.navigator.jump("spleen")
    assert all(view.crosshair.place == tuple(viewer.dims.point) for view in widget.views.views)
    widget.window_level.choose(LUNG)
    assert tuple(widget.views.views[0].shown[0].contrast_limits) == LUNG.limits
    stat = widget.session.masks.statistics["spleen"]
    start = tuple(a for a, _ in stat.box)
    peak = Peak("spleen", stat.centroid_index, 1.0)
    active = viewer.layers.selection.active
    widget.session._set_located(
        SimilarityMap("spleen", "test", ("spleen",), np.ones((4, 4, 4), np.uint8), start, 1, 0.0, 1.0, (peak,))
    )
    widget.similarity.toggle()
    assert viewer.layers[NAME].opacity > 0
    assert viewer.layers.selection.active is active
    qtbot.waitUntil(lambda: len(widget.views.views[0].shown) == 3)
    widget.similarity.next_peak()
    widget.body.set_shown(True)
    qtbot.waitUntil(lambda: widget.body.view.ready, timeout=20_000)
    widget.close()
    assert [layer.name for layer in viewer.layers] == ["synthetic sample", "synthetic sample organs"]
