"""The list of organs by itself: what it shows and what it asks for."""

from __future__ import annotations

import dataclasses

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog

from napari_ctvlp._qt.organ_looks import OrganLooks
from napari_ctvlp._qt.organ_model import CUT, HU, ORGAN, VOLUME
from napari_ctvlp._qt.organ_panel import OrganPanel
from napari_ctvlp.scan.types import OrganMasks

from .conftest import words

LABELS = {"spleen": 1, "kidney_right": 2, "kidney_left": 3, "liver": 5}


@pytest.fixture
def masks(phantom):
    """The phantom's, with a liver that is cut."""
    statistics = dict(phantom[1].statistics)
    statistics["liver"] = dataclasses.replace(statistics["liver"], touches_edge=True, sd_hu=12.4)
    return OrganMasks(phantom[1].labels, phantom[1].names, "phantom", statistics=statistics)


@pytest.fixture
def panel(qtbot, masks):
    looks = OrganLooks()
    looks.reset({label: (0.1 * label, 0.5, 0.5, 1.0) for label in LABELS.values()})
    panel = OrganPanel(words, looks)
    looks.changed.connect(panel.refresh_looks)
    panel.visible_requested.connect(looks.set_visible)
    panel.solo_requested.connect(looks.set_solo)
    qtbot.addWidget(panel)
    panel.resize(380, 400)
    panel.set_masks(masks)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


def column(panel, number):
    model = panel.table.model()
    return [model.index(row, number).data() for row in range(model.rowCount())]


def cell(panel, organ, number=ORGAN):
    row = column(panel, ORGAN).index(organ)
    return panel.table.model().index(row, number)


def test_rows_tell_volume_density_and_cut(panel):
    assert column(panel, ORGAN) == ["kidney left", "kidney right", "liver", "spleen"]
    assert cell(panel, "liver", VOLUME).data() == "101"
    assert cell(panel, "kidney left", VOLUME).data() == "12.0"
    assert cell(panel, "liver", HU).data() == "60 ± 12"
    assert column(panel, CUT) == ["", "", "cut", ""]
    assert "cut by field of view" in cell(panel, "liver").data(Qt.ItemDataRole.ToolTipRole)
    assert cell(panel, "liver").data(Qt.ItemDataRole.DecorationRole) == QColor.fromRgbF(0.5, 0.5, 0.5)


def test_columns_sort_by_number(panel):
    panel.table.sortByColumn(VOLUME, Qt.SortOrder.DescendingOrder)
    assert column(panel, ORGAN)[0] == "liver"  # 101 ml before 12.0
    panel.table.sortByColumn(HU, Qt.SortOrder.AscendingOrder)
    assert column(panel, ORGAN)[-1] == "liver"
    panel.table.sortByColumn(CUT, Qt.SortOrder.DescendingOrder)
    assert column(panel, ORGAN)[0] == "liver"


def test_filter_and_group_narrow_the_list(panel, qtbot):
    qtbot.keyClicks(panel.filter, "kidney r")
    assert column(panel, ORGAN) == ["kidney right"]
    panel.filter.clear()
    panel.group.setCurrentText("urinary")
    assert column(panel, ORGAN) == ["kidney left", "kidney right"]
    with qtbot.waitSignal(panel.visible_requested) as asked:
        panel.hide_button.click()
    assert asked.args == [(3, 2), False]
    assert cell(panel, "kidney left").data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Unchecked
    panel.group.setCurrentIndex(0)
    assert cell(panel, "liver").data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked


def test_space_checks_and_enter_jumps(panel, qtbot):
    panel.select("spleen")
    panel.table.setFocus()
    with qtbot.waitSignal(panel.visible_requested) as asked:
        qtbot.keyClick(panel.table, Qt.Key.Key_Space)
    assert asked.args == [(1,), False]
    with qtbot.waitSignal(panel.organ_chosen) as chosen:
        qtbot.keyClick(panel.table, Qt.Key.Key_Return)
    assert chosen.args == ["spleen"]


def test_click_jumps_and_selecting_from_outside_does_not(panel, qtbot):
    jumps = []
    panel.organ_chosen.connect(jumps.append)
    panel.select("liver")
    assert panel.selected == (5,)
    assert jumps == []
    rect = panel.table.visualRect(cell(panel, "kidney left", VOLUME))
    qtbot.mouseClick(panel.table.viewport(), Qt.MouseButton.LeftButton, pos=rect.center())
    assert jumps == ["kidney_left"]
    panel.select("no organ")
    assert panel.selected == ()


def test_solo_of_the_selected_and_back(panel, qtbot):
    panel.select("liver")
    panel.solo_button.click()
    states = [cell(panel, name).data(Qt.ItemDataRole.CheckStateRole) for name in ("liver", "spleen")]
    assert states == [Qt.CheckState.Checked, Qt.CheckState.Unchecked]
    panel.solo_button.click()
    assert cell(panel, "spleen").data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked
    assert not panel.solo_button.isChecked()


def test_menu_of_a_row_acts_on_its_group(panel, qtbot):
    menu = panel.menu_of(0)
    actions = {action.text(): action for action in menu.actions()}
    with qtbot.waitSignal(panel.visible_requested) as asked:
        actions["Hide group: urinary"].trigger()
    assert set(asked.args[0]) == {2, 3}
    with qtbot.waitSignal(panel.solo_requested) as asked:
        actions["Show kidney left alone"].trigger()
    assert asked.args == [(3,)]


def test_opacity_and_colour_are_of_the_selected(panel, qtbot):
    panel.select("liver")
    with qtbot.waitSignal(panel.opacity_requested) as asked:
        panel.opacity.setValue(30)
    assert asked.args == [(5,), 0.3]
    panel.colour_button.click()
    dialog = panel.findChild(QColorDialog)
    assert not dialog.isModal() or dialog.isVisible()
    with qtbot.waitSignal(panel.colour_requested) as asked:
        dialog.colorSelected.emit(QColor(255, 0, 0))
    assert asked.args[0] == (5,)
    dialog.close()


def test_without_masks_there_is_nothing_to_do(panel):
    panel.set_masks(None)
    assert column(panel, ORGAN) == []
    assert not panel.isEnabled()
    assert panel.group.count() == 1


def test_group_and_selection_outlive_new_masks_of_the_same_organs(panel, masks):
    panel.group.setCurrentText("urinary")
    panel.select("kidney_left")
    panel.set_masks(dataclasses.replace(masks, notes=("edited by hand",)))
    assert panel.group.currentText() == "urinary"
    assert column(panel, ORGAN) == ["kidney left", "kidney right"]
    assert panel.selected == (LABELS["kidney_left"],)
    panel.set_masks(dataclasses.replace(masks, statistics={"liver": masks.statistics["liver"]}))
    assert panel.group.currentText() != "urinary" and column(panel, ORGAN) == ["liver"]
