"""Masks that are layers: taken over, painted in, named."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtWidgets import QDialogButtonBox

from napari_ctvlp._qt.layer_lookup import masks_of
from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp._qt.organ_names import NAME, OrganNames
from napari_ctvlp._qt.runner import ThreadRunner
from napari_ctvlp.anatomy import display_name
from napari_ctvlp.scan.drawn import EDITED
from napari_ctvlp.scan.statistics import organ_statistics
from napari_ctvlp.session import Session

from .windows import add_layers, picture


def add_labels(viewer, scan, labels, **options):
    """Labels as another plugin or the user would add them, on the grid of the scan."""
    return viewer.add_labels(labels, scale=scan.spacing, translate=scan.napari_translate, **options)


def settled(widget, qtbot):
    """Wait until what was painted has been measured and answered."""
    qtbot.waitUntil(lambda: not widget.session.is_editing and widget.session.activity is None)


def paint(layer, value, place=np.s_[8:12, 12:40, 10:35]):
    """A stroke, as napari writes it."""
    corner = np.zeros(layer.data.shape, bool)
    corner[place] = True
    layer.data_setitem(np.nonzero(corner), value)


@pytest.fixture
def open_masks(window, phantom):
    viewer, widget = window
    scan, masks = phantom
    add_layers(viewer, scan, masks)
    return viewer, widget, scan, masks, viewer.layers[1]


def test_labels_of_another_plugin_become_the_masks_on_request(window, phantom, qtbot):
    viewer, widget = window
    scan, masks = phantom
    add_layers(viewer, scan)
    layer = add_labels(viewer, scan, masks.labels.astype(np.int32), name="their segmentation")
    own, panel = layer.colormap, widget.dock.scan
    assert widget.session.masks is None, "nothing is taken unasked"
    assert panel.use_layer.isVisible() and "their segmentation" in panel.hint.text()
    panel.use_layer.click()
    assert [type(found).__name__ for found in viewer.layers] == ["Image", "Labels"], "no second layer"
    assert widget.layers.masks_layer is layer
    assert len(widget.session.masks.names) == 4 and widget.session.embedding is not None
    assert not panel.hint.isVisible()
    qtbot.wait(30)
    colours = layer.colormap.color_dict
    assert len({tuple(colours[label][:3]) for label in (1, 2, 3, 5)}) == 4, (
        "what has no name is told apart all the same"
    )
    widget.close_down()
    assert layer.colormap is own, "its own colours come back"


def test_of_two_masks_those_in_use_are_shown(window, phantom):
    viewer, widget = window
    scan, masks = phantom
    ours = add_layers(viewer, scan, masks)[1]
    theirs = add_labels(viewer, scan, (masks.labels > 0).astype(np.int32))
    viewer.layers.selection.active = theirs
    widget.dock.scan.use_layer.click()
    assert widget.layers.masks_layer is theirs
    assert theirs.visible and not ours.visible
    viewer.layers.remove(theirs)
    assert widget.layers.masks_layer is ours and ours.visible


def test_names_come_from_the_layer_and_answers_glow(window, phantom, qtbot):
    import pandas as pd

    viewer, widget = window
    scan, masks = phantom
    add_layers(viewer, scan)
    table = pd.DataFrame({"index": [5, 1, 3, 2], "name": ["Liver", "Spleen", "Left kidney", "Right kidney"]})
    layer = add_labels(viewer, scan, masks.labels.astype(np.int32), features=table)
    widget.dock.scan.use_layer.click()
    assert set(widget.session.masks.names.values()) == set(masks.names.values())
    widget.ask("liver")
    qtbot.wait(30)
    colours = layer.colormap.color_dict
    assert colours[5][3] > 2 * colours[1][3]
    glowing = picture(viewer, qtbot)
    assert ((glowing[..., 0] - glowing[..., 2]) > 60).sum() > 100


def test_labels_on_another_grid_get_a_layer_on_the_scans(window, phantom):
    viewer, widget = window
    scan, masks = phantom
    add_layers(viewer, scan)
    coarse = viewer.add_labels(
        np.ascontiguousarray(masks.labels[::2, ::2, ::2]),
        scale=np.asarray(scan.spacing) * 2,
        translate=np.asarray(scan.napari_translate) + np.asarray(scan.spacing) / 2,
        name="coarse",
    )
    told = []
    widget.session.masks_changed.connect(told.append)
    widget.dock.scan.use_layer.click()
    assert [masks is not None for masks in told] == [True], "measured and encoded once"
    assert EDITED not in widget.session.masks.notes, "nobody painted"
    assert widget.layers.masks_layer is not coarse and not coarse.visible
    assert widget.layers.masks_layer.data.shape == scan.hu.shape
    assert masks_of(coarse) is None


def test_labels_that_are_no_masks_are_refused_in_one_sentence(window, phantom):
    viewer, widget = window
    add_layers(viewer, phantom[0])
    said = []
    widget.session.failed.connect(said.append)
    viewer.add_labels(np.arange(60_000).reshape(30, 40, 50), name="instances")
    widget.dock.scan.use_layer.click()
    assert len(said) == 1 and "instances" in str(said[0]) and widget.session.masks is None


def test_a_stroke_takes_answers_back_at_once_and_brings_new_ones(open_masks, qtbot):
    _, widget, scan, masks, layer = open_masks
    widget.ask("liver")
    assert widget.session.ranking is not None
    layer.mode = "paint"
    paint(layer, 2)
    assert widget.session.ranking is None and widget.session.scores == ()
    assert widget.dock.ranking.model().rowCount() == 0
    settled(widget, qtbot)
    now = widget.session.masks
    assert now is not masks and masks_of(layer) is now
    assert now.statistics == organ_statistics(scan, layer.data, now.names)
    assert widget.session.ranking is not None and widget.session.ranking.text == "liver"
    assert widget.dock.organs.model.rowCount() == 4
    assert widget.dock.scan.masks.text().endswith("edited by hand")
    assert (masks.labels[8:12, 12:40, 10:35] == 5).all(), "what answers were made of is not painted over"


def test_view_and_window_stay_where_one_paints(open_masks, qtbot):
    viewer, widget, _, _, layer = open_masks
    widget.ask("liver")
    widget.window_level.set(1234.0, 56.0)
    viewer.dims.set_current_step(0, 25)
    step = tuple(viewer.dims.current_step)
    layer.mode = "paint"
    paint(layer, 0)
    settled(widget, qtbot)
    assert widget.session.ranking.best.organ == "liver"
    assert tuple(viewer.dims.current_step) == step
    assert widget.window_level.value == (1234.0, 56.0)


def test_naparis_undo_and_redo_are_followed(open_masks, qtbot):
    _, widget, _, masks, layer = open_masks
    before = masks.statistics["liver"]
    layer.mode = "erase"
    paint(layer, 0)
    settled(widget, qtbot)
    smaller = widget.session.masks.statistics["liver"]
    assert smaller.voxels < before.voxels
    layer.undo()
    assert widget.session.is_editing
    settled(widget, qtbot)
    assert widget.session.masks.statistics["liver"] == before
    layer.redo()
    settled(widget, qtbot)
    assert widget.session.masks.statistics["liver"] == smaller


def test_naparis_undo_is_followed_while_the_organs_are_hidden(open_masks, qtbot):
    _, widget, _, _, layer = open_masks
    before = layer.data.copy()
    paint(layer, 1)
    settled(widget, qtbot)
    layer.visible = False
    layer.undo()
    assert widget.session.is_editing
    settled(widget, qtbot)
    np.testing.assert_array_equal(widget.session.masks.labels, before)
    widget.close_down()
    assert "_load_history" not in vars(layer)
    layer.redo()
    assert not np.array_equal(layer.data, before)


def test_a_new_organ_is_painted_seen_and_listed(open_masks, qtbot):
    _, widget, _, _, layer = open_masks
    widget.overlay.looks.set_visible([1], False)
    layer.mode = "paint"
    paint(layer, 52, np.s_[30:36, 20:40, 20:40])
    settled(widget, qtbot)
    assert widget.session.masks.names[52] == "aorta", "by the scheme that the others follow"
    qtbot.wait(30)
    assert layer.colormap.color_dict[52][3] > 0
    assert layer.colormap.color_dict[1][3] == 0, "what was hidden stays hidden"
    assert list(layer.features["organ"]) == ["spleen", "kidney_right", "kidney_left", "liver", "aorta"]
    assert widget.dock.organs.model.row_of("aorta") is not None


def test_side_views_show_what_is_painted(open_masks, qtbot):
    _, widget, _, _, layer = open_masks
    widget.views.set_shown(True)
    layer.mode = "paint"
    paint(layer, 2)
    coronal = widget.views.views[0].shown[1]
    assert coronal.data is layer.data
    settled(widget, qtbot)
    assert coronal.data is layer.data


def test_a_layer_drawn_from_nothing(window, phantom, qtbot):
    viewer, widget = window
    scan, _ = phantom
    add_layers(viewer, scan)
    viewer.layers.selection.active = viewer.layers[0]
    viewer._new_labels()
    layer = viewer.layers[1]
    assert isinstance(layer, Labels)
    widget.dock.scan.use_layer.click()
    assert widget.layers.masks_layer is layer and widget.session.embedding is None
    layer.mode = "paint"
    paint(layer, 1)
    settled(widget, qtbot)
    assert widget.session.masks.names == {1: "label_1"}
    assert widget.session.embedding is not None


def test_the_user_says_which_organ_a_label_is(open_masks, qtbot):
    _, widget, _, masks, layer = open_masks
    widget.dock.scan.names.click()
    dialog = widget.findChild(OrganNames)
    assert dialog.isVisible() and dialog.names[5] == display_name("liver")
    row = next(r for r in range(dialog.table.rowCount()) if dialog.table.item(r, 0).text() == "1")
    dialog.table.item(row, NAME).setText("My tumour")
    dialog.buttons.button(QDialogButtonBox.StandardButton.Apply).click()
    assert widget.session.masks.names == {**masks.names, 1: "my_tumour"}
    assert "my_tumour" in widget.session.embedding.organs
    dialog.close()
    layer.mode = "paint"
    paint(layer, 0, np.s_[:])
    settled(widget, qtbot)
    assert not widget.session.masks.names
    layer.undo()
    settled(widget, qtbot)
    assert widget.session.masks.names[1] == "my_tumour", "what an organ is called outlives its voxels"


def test_other_masks_chosen_in_the_middle_of_a_stroke(open_masks, qtbot, phantom):
    viewer, widget, scan, masks, layer = open_masks
    other = add_labels(viewer, scan, masks.labels.astype(np.int32), name="other")
    viewer.layers.selection.active = other
    widget.dock.scan.use_layer.click()
    viewer.layers.selection.active = layer
    assert widget.session.masks is masks
    layer.mode = "paint"
    paint(layer, 2)
    viewer.layers.selection.active = other
    assert widget.session.masks is masks_of(other)
    qtbot.wait(700)
    viewer.layers.selection.active = layer
    settled(widget, qtbot)
    assert widget.session.masks.statistics == organ_statistics(scan, layer.data, widget.session.masks.names)


def test_what_was_painted_into_masks_that_were_not_in_use_is_measured(open_masks, qtbot):
    viewer, widget, scan, masks, layer = open_masks
    paint(layer, 1)
    settled(widget, qtbot)
    other = add_layers(viewer, scan, dataclasses.replace(masks, labels=masks.labels.copy()))[1]
    viewer.layers.selection.active = other
    assert widget.layers.masks_layer is other
    paint(layer, 2)
    viewer.layers.selection.active = layer
    assert widget.session.is_editing and widget.session.ranking is None
    settled(widget, qtbot)
    np.testing.assert_array_equal(widget.session.masks.labels, layer.data)
    viewer.layers.selection.active = other
    viewer.layers.selection.active = layer
    assert not widget.session.is_editing, "what did not change is not measured"


@pytest.mark.parametrize("closed_first", [False, True])
def test_what_was_painted_before_the_dock_was_opened_again_is_measured(
    make_napari_viewer, word_rooms, phantom, qtbot, closed_first
):
    viewer = make_napari_viewer()

    def open_dock():
        runner = ThreadRunner()
        widget = CtvlpWidget(viewer, Session(runner, word_rooms))
        widget.on_close(runner.close)
        viewer.window.add_dock_widget(widget, name="CT query")
        return widget

    widget = open_dock()
    scan, masks = phantom
    layer = add_layers(viewer, scan, masks)[1]
    before = masks.labels.copy()
    settled(widget, qtbot)
    if closed_first:
        viewer.window.remove_dock_widget(widget)
    layer.mode = "paint"
    paint(layer, 1)
    if not closed_first:
        viewer.window.remove_dock_widget(widget)  # before the stroke came to rest
    np.testing.assert_array_equal(masks.labels, before)
    again = open_dock()
    assert again.session.is_editing
    settled(again, qtbot)
    np.testing.assert_array_equal(again.session.masks.labels, layer.data)
    assert again.session.masks.statistics == organ_statistics(scan, layer.data, again.session.masks.names)
    assert again.session.embedding is not None
    again.close_down()


def test_what_was_painted_before_there_was_a_dock_is_measured(make_napari_viewer, word_rooms, phantom, qtbot):
    viewer = make_napari_viewer()
    scan, masks = phantom
    layer = add_layers(viewer, scan, masks)[1]
    layer.mode = "paint"
    paint(layer, 1)  # into the masks themselves: nobody of us was there
    runner = ThreadRunner()
    widget = CtvlpWidget(viewer, Session(runner, word_rooms))
    widget.on_close(runner.close)
    viewer.window.add_dock_widget(widget, name="CT query")
    assert widget.session.is_editing
    settled(widget, qtbot)
    found = widget.session.masks
    np.testing.assert_array_equal(found.labels, layer.data)
    assert found.statistics == organ_statistics(scan, layer.data, found.names) != masks.statistics
    widget.close_down()


@pytest.mark.parametrize("open_dock", [True, False])
@pytest.mark.parametrize("tool", ["paint", "fill", "paint_polygon", "data_setitem"])
def test_code_that_paints_in_any_mode_leaves_masks_that_were_measured(open_masks, qtbot, tool, open_dock):
    """As other plugins do; others hold these masks, too: those of another phase, the undo, the prior."""
    _, widget, _, masks, layer = open_masks
    assert layer.mode == "pan_zoom" and layer.data is masks.labels
    before = masks.labels.copy()
    if not open_dock:
        widget.close_down()
    corners = np.array([[15, 5, 5], [15, 25, 5], [15, 25, 25]])
    given = {"paint": ((15, 20, 20), 3), "fill": ((15, 2, 2), 3), "paint_polygon": (corners, 3)}
    if tool == "data_setitem":
        paint(layer, 3)
    else:
        getattr(layer, tool)(*given[tool])
    assert not np.array_equal(layer.data, before)
    np.testing.assert_array_equal(masks.labels, before)
    if open_dock:
        settled(widget, qtbot)
        np.testing.assert_array_equal(widget.session.masks.labels, layer.data)
        assert widget.session.masks is not masks


def test_a_layer_that_got_another_shape_is_let_go(open_masks, qtbot):
    _, widget, _, _, layer = open_masks
    said = []
    widget.session.failed.connect(said.append)
    layer.data = layer.data[:-3]
    settled(widget, qtbot)
    qtbot.waitUntil(lambda: bool(said))
    assert "shape" in str(said[0]) and widget.session.masks is None


def test_painting_while_the_scan_encodes_gives_no_stale_answer(make_napari_viewer, word_rooms, phantom, qtbot):
    from .conftest import SlowEncoder

    encoder = word_rooms.encoder = SlowEncoder(word_rooms.encoder)
    viewer = make_napari_viewer(show=True)
    runner = ThreadRunner()
    widget = CtvlpWidget(viewer, Session(runner, word_rooms))
    widget.on_close(runner.close)
    viewer.window.add_dock_widget(widget, name="CT query", area="right")
    embedded = []
    widget.session.embedding_changed.connect(embedded.append)
    scan, masks = phantom
    layer = add_layers(viewer, scan, masks)[1]
    widget.ask("liver")
    qtbot.waitUntil(encoder.started.is_set)
    layer.mode = "paint"
    paint(layer, 0, np.s_[:])
    paint(layer, 7, np.s_[8:12, 12:40, 10:35])
    encoder.go_on.set()
    settled(widget, qtbot)
    answers = [embedding for embedding in embedded if embedding is not None]
    assert [embedding.organs for embedding in answers] == [tuple(widget.session.masks.names.values())]
    assert 7 in widget.session.masks.names and len(widget.session.masks.names) == 1
    widget.close_down()


def test_other_masks_in_the_layer_that_is_painted_in_do_not_end_the_painting(open_masks, qtbot):
    _, widget, _, masks, layer = open_masks
    layer.mode = "paint"
    paint(layer, 0)
    assert widget.session.is_editing
    others = dataclasses.replace(masks)  # as measured anew with the HU of another phase
    widget.layers.take(layer, others)
    widget.session.set_masks(others)
    assert widget.session.is_editing and widget.session.ranking is None, "what is shown is not what was measured"
    settled(widget, qtbot)
    assert widget.session.masks is not others
    np.testing.assert_array_equal(widget.session.masks.labels, layer.data)
