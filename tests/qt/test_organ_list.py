"""The list of organs in the window: one organ in list, ranking, cursor and canvas; looks with a way back."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog, QStyle, QStyleOptionViewItem

from napari_ctvlp._qt.organ_model import ORGAN
from napari_ctvlp._qt.overlay import RESTING

from .windows import add_layers

pytestmark = pytest.mark.usefixtures("qapp")


def alpha(widget, viewer, label):
    widget.overlay.flush()
    return viewer.layers[1].colormap.color_dict[label][3]


def current(view, column=0):
    index = view.selectionModel().selectedRows(column)
    return index[0].data() if index else None


def tick_place(table, index):
    """Where the check box of a cell is drawn."""
    option = QStyleOptionViewItem()
    option.initFrom(table)
    option.rect = table.visualRect(index)
    feature = QStyleOptionViewItem.ViewItemFeature
    option.features = feature.HasCheckIndicator | feature.HasDisplay | feature.HasDecoration
    return table.style().subElementRect(QStyle.SubElement.SE_ItemViewItemCheckIndicator, option, table).center()


def test_list_ranking_cursor_and_canvas_stay_at_one_organ(window, phantom):
    viewer, widget = window
    scan, masks = phantom
    add_layers(viewer, scan, masks)
    organs, ranking = widget.dock.organs.table, widget.dock.ranking
    widget.ask("spleen")
    assert (current(organs), current(ranking)) == ("spleen", "spleen")
    widget.dock.organs.organ_chosen.emit("kidney_right")
    assert tuple(viewer.dims.current_step) == masks.statistics["kidney_right"].centroid_index
    assert (current(organs), current(ranking)) == ("right kidney", "right kidney")
    ranking.organ_chosen.emit("liver")
    assert current(organs) == "liver"
    widget.navigator.point_at(tuple(viewer.layers[1].data_to_world(masks.statistics["kidney_left"].centroid_index)))
    assert (current(organs), current(ranking)) == ("left kidney", "left kidney")
    widget.navigator.point_at(tuple(viewer.layers[1].data_to_world((0, 0, 0))))  # air
    assert (current(organs), current(ranking)) == (None, None)
    widget.navigator.point_at((9999.0, 0.0, 0.0))  # outside of the scan
    assert current(organs) is None


def test_what_is_hidden_is_not_drawn_and_one_key_takes_it_back(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    panel = widget.dock.organs
    panel.group.setCurrentText("urinary")
    panel.hide_button.click()
    assert [alpha(widget, viewer, label) for label in (1, 2, 3)] == [pytest.approx(RESTING), 0, 0]
    panel.select("kidney_left")
    panel.opacity.setValue(50)
    widget.undo.undo()
    widget.undo.undo()
    assert [alpha(widget, viewer, label) for label in (1, 2, 3)] == [pytest.approx(RESTING)] * 3
    panel.solo_button.click()
    assert [alpha(widget, viewer, label) for label in (1, 2, 3)] == [0, 0, pytest.approx(RESTING)]
    window_ = widget.window()
    window_.activateWindow()
    qtbot.waitUntil(window_.isActiveWindow)
    qtbot.keyClick(window_, Qt.Key.Key_U)
    assert alpha(widget, viewer, 1) == pytest.approx(RESTING)
    qtbot.keyClick(window_, Qt.Key.Key_H)
    assert not viewer.layers[1].visible
    qtbot.keyClick(window_, Qt.Key.Key_U)
    assert viewer.layers[1].visible


def test_statistics_are_written_where_the_user_says(window, phantom, tmp_path):
    viewer, widget = window
    add_layers(viewer, *phantom)
    widget.dock.organs.export_button.click()
    dialog = widget.findChild(QFileDialog)
    dialog.fileSelected.emit(str(tmp_path / "organs.csv"))
    dialog.close()
    lines = (tmp_path / "organs.csv").read_text().splitlines()
    assert len(lines) == 1 + len(phantom[1].names)
    assert np.isfinite([float(line.split(",")[2]) for line in lines[1:]]).all()


def test_list_follows_the_masks(window, phantom):
    viewer, widget = window
    assert not widget.dock.organs.isEnabled()
    add_layers(viewer, *phantom)
    assert widget.dock.organs.table.model().rowCount() == 4
    viewer.layers.remove(viewer.layers[1])
    assert widget.dock.organs.table.model().rowCount() == 0


def test_what_a_question_moved_is_taken_back_with_it(window, phantom):
    viewer, widget = window
    add_layers(viewer, *phantom)
    place, own = tuple(viewer.dims.current_step), widget.window_level.value
    widget.ask("spleen")
    viewer.scene.camera.center = (0.0, 5.0, 6.0)
    there, spleen_window = tuple(viewer.dims.current_step), widget.window_level.value
    widget.ask("left kidney")
    assert tuple(viewer.dims.current_step) != there
    assert widget.dock.view.undo_button.toolTip() == "Take back: asking “left kidney” (U)"
    widget.undo.undo()
    assert widget.session.query == widget.dock.query.text() == "spleen"
    assert widget.session.ranking.best.organ == "spleen"
    assert tuple(viewer.dims.current_step) == there and viewer.scene.camera.center == (0.0, 5.0, 6.0)
    assert widget.window_level.value == spleen_window
    widget.undo.undo()
    assert widget.session.ranking is None and widget.dock.query.text() == ""
    assert tuple(viewer.dims.current_step) == place and widget.window_level.value == own


def test_a_cleared_question_and_a_clicked_row_are_taken_back(window, phantom):
    viewer, widget = window
    add_layers(viewer, *phantom)
    widget.ask("spleen")
    there = tuple(viewer.dims.current_step)
    widget.ask("")
    assert widget.session.ranking is None
    widget.undo.undo()
    assert widget.session.ranking.best.organ == "spleen"
    widget.dock.findings.organ_chosen.emit("kidney_right")
    assert tuple(viewer.dims.current_step) != there
    widget.undo.undo()
    assert tuple(viewer.dims.current_step) == there
    assert widget.session.ranking.best.organ == "spleen"


def test_a_click_on_a_check_box_ticks_and_a_click_beside_it_goes_there(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    panel = widget.dock.organs
    widget.dock.tables.setCurrentWidget(panel)
    qtbot.wait(50)
    index = panel.table.model().index(1, ORGAN)
    there = tuple(viewer.dims.point)
    place = tick_place(panel.table, index)
    QTest.mouseClick(panel.table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert index.data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Unchecked
    assert tuple(viewer.dims.point) == there
    widget.undo.undo()
    assert index.data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked and not widget.undo.next
    panel.table.setCurrentIndex(index)
    QTest.keyClick(panel.table, Qt.Key.Key_Space)  # no click follows a tick by key
    QTest.mouseClick(panel.table.viewport(), Qt.MouseButton.LeftButton, pos=panel.table.visualRect(index).center())
    assert tuple(viewer.dims.point) != there


def test_show_all_ends_solo_and_shows_what_was_hidden_as_one_step(window, phantom):
    viewer, widget = window
    add_layers(viewer, *phantom)
    panel, looks = widget.dock.organs, widget.overlay.looks

    def show_all():
        next(action for action in panel.menu_of(0).actions() if action.text() == "Show all").trigger()

    show_all()
    assert not widget.undo.next, "nothing changes"
    panel.visible_requested.emit((1,), False)
    show_all()
    assert looks.shown(1)
    widget.undo.undo()
    assert not looks.shown(1)
    panel.solo_requested.emit((2,))
    show_all()
    assert not looks.solo and all(looks.shown(label) for label in (1, 2, 3, 5))
    widget.undo.undo()
    assert looks.solo == {2}
    widget.undo.undo()
    assert not looks.solo and not looks.shown(1)
