"""Teaching in the window: yes and no by button and key, one key back, files."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt

from napari_ctvlp._qt.findings_model import ABNORMALITY, ORGAN
from napari_ctvlp._qt.telling import tell_failure
from tests.test_teaching import BrightRooms, with_hu

from .windows import add_layers


@pytest.fixture
def word_rooms(word_encoder):
    return BrightRooms(word_encoder)


@pytest.fixture
def opened(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *with_hu(phantom, kidney_left=150, kidney_right=30))
    qtbot.wait(50)
    return viewer, widget


def press(widget, key, qtbot, modifier=Qt.KeyboardModifier.ShiftModifier):
    window = widget.window()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window, key, modifier)


def test_its_name_typed_as_a_question_is_answered_by_it(opened, phantom, qtbot):
    viewer, widget = opened
    teach_all(widget, viewer, phantom)
    widget.dock.query.setText("bright rim in the right kidney")
    qtbot.keyClick(widget.dock.query, Qt.Key.Key_Return)
    answer = widget.dock.answer.text()
    assert answer.startswith("Bright rim (taught), right kidney: present: 2 with and 2 without; cross-validated AUC")
    assert "Probability" in answer


def row_of(widget, text):
    model = widget.dock.findings.table.model()
    return [r for r in range(model.rowCount()) if text in model.index(r, ABNORMALITY).data()]


def teach_all(widget, viewer, phantom):
    teacher = widget.teacher
    teacher.panel.name.setEditText("bright rim")
    for organ, present in (("kidney_left", True), ("kidney_right", False)):
        widget.navigator.jump(organ)
        teacher.answer(present)
    viewer.layers.clear()
    add_layers(viewer, *with_hu(phantom, kidney_left=20, kidney_right=160))
    for organ, present in (("kidney_left", False), ("kidney_right", True)):
        widget.navigator.jump(organ)
        teacher.answer(present)


def test_a_row_asks_and_the_key_answers_and_u_takes_back(opened, qtbot):
    _, widget = opened
    table = widget.dock.findings.table
    model = table.model()
    row = next(r for r in range(model.rowCount()) if model.index(r, ORGAN).data() == "spleen")
    table.selectRow(row)
    name = model.index(row, ABNORMALITY).data()
    assert widget.teacher.bar.question.text() == f"{name} in the spleen?"
    press(widget, Qt.Key.Key_Y, qtbot)
    (finding,) = widget.session.taught
    assert (finding.present, finding.absent) == (1, 0)
    assert "1 with, 0 without" in widget.teacher.bar.question.text()
    press(widget, Qt.Key.Key_X, qtbot)
    assert widget.session.taught[0].absent == 1 and widget.session.taught[0].present == 0  # the last word counts
    for _ in range(2):
        press(widget, Qt.Key.Key_U, qtbot, Qt.KeyboardModifier.NoModifier)
    assert widget.session.taught == ()


def test_a_new_name_and_two_of_each_make_a_row_that_is_marked(opened, phantom, qtbot):
    viewer, widget = opened
    teach_all(widget, viewer, phantom)
    rows = row_of(widget, "bright rim (taught)")
    assert len(rows) == 2
    tip = widget.dock.findings.table.model().index(rows[0], ABNORMALITY).data(Qt.ItemDataRole.ToolTipRole)
    assert "2 with and 2 without" in tip
    panel = widget.teacher.panel
    assert [panel.table.item(0, c).text() for c in range(3)] == ["bright rim", "2", "2"]
    assert panel.table.item(0, 3).text() != "–" and "chance" in panel.note.text()


def test_a_taught_row_can_be_answered_too(opened, phantom, qtbot):
    viewer, widget = opened
    teach_all(widget, viewer, phantom)
    widget.dock.findings.table.selectRow(row_of(widget, "bright rim (taught)")[0])
    assert widget.teacher.panel.name.currentText() == "bright rim"
    assert widget.teacher.bar.question.text().startswith("bright rim in the ")


def test_a_row_chosen_before_does_not_take_the_name_back(opened, phantom):
    viewer, widget = opened
    widget.dock.findings.table.selectRow(0)
    teach_all(widget, viewer, phantom)
    widget.session.dictionary_changed()
    assert widget.teacher.panel.name.currentText() == "bright rim"
    assert [f.name for f in widget.session.taught] == ["bright rim"]


def test_without_a_name_the_key_leads_to_where_it_is_given(opened, qtbot):
    _, widget = opened
    widget.navigator.jump("liver")
    widget.teacher.answer(True)
    assert widget.dock.tables.currentWidget() is widget.teacher.panel
    assert widget.session.taught == () and "Name it" in widget.teacher.panel.bar.question.text()
    assert not widget.teacher.panel.bar.yes.isEnabled()


def test_forget_and_back(opened, phantom):
    viewer, widget = opened
    teach_all(widget, viewer, phantom)
    panel = widget.teacher.panel
    panel.table.selectRow(0)
    panel.forget.click()
    assert widget.session.taught == () and not row_of(widget, "(taught)")
    widget.undo.undo()
    assert len(widget.session.taught) == 1 and row_of(widget, "(taught)")


def test_save_and_open(opened, phantom, tmp_path, qtbot):
    viewer, widget = opened
    teach_all(widget, viewer, phantom)
    widget.teacher.save(str(tmp_path / "rim"))
    assert (tmp_path / "rim.taught.json").exists()
    widget.session.set_taught(())
    widget.teacher.take(str(tmp_path / "rim.taught.json"))
    assert widget.session.taught[0].present == 2
    widget.undo.undo()
    assert widget.session.taught == ()


def test_a_file_that_cannot_be_used_is_said_and_changes_nothing(opened, tmp_path):
    _, widget = opened
    heard = []
    widget.session.failed.disconnect(tell_failure)
    widget.session.failed.connect(heard.append)
    (tmp_path / "x.json").write_text("{}")
    widget.teacher.take(str(tmp_path / "x.json"))
    assert "no taught findings" in str(heard[0]) and widget.undo.next == ""


def test_another_scan_has_no_organ_chosen_that_it_lacks(opened, phantom):
    viewer, widget = opened
    widget.teacher.panel.name.setEditText("x")
    widget.navigator.jump("liver")
    assert widget.teacher.bar.yes.isEnabled()
    viewer.layers.clear()
    assert not widget.teacher.bar.yes.isEnabled() and not widget.teacher.bar.isVisible()


def select_row(widget, organ, finding):
    table, model = widget.dock.findings.table, widget.dock.findings.table.model()
    row = next(
        r
        for r in range(model.rowCount())
        if (model.index(r, ORGAN).data(), model.index(r, ABNORMALITY).data()) == (organ, finding)
    )
    table.selectRow(row)
    return model.index(row, ABNORMALITY)


def asked(widget):
    return widget.teacher.bar.question.text()


def test_the_finding_and_the_organ_of_a_question_are_what_is_taught(opened, qtbot):
    """Not the row that was selected before it."""
    _, widget = opened
    select_row(widget, "spleen", "splenomegaly")
    widget.ask("stone in the left kidney")
    assert asked(widget) == "kidney stone in the left kidney?"
    press(widget, Qt.Key.Key_Y, qtbot)
    (finding,) = widget.session.taught
    assert (finding.name, [e.organ for e in finding.examples]) == ("kidney stone", ["kidney_left"])


def test_what_is_chosen_after_a_question_changes_it(opened, qtbot):
    _, widget = opened
    widget.ask("stone in the left kidney")
    widget.navigator.choose("kidney_right")
    assert asked(widget) == "kidney stone in the right kidney?"
    select_row(widget, "spleen", "splenomegaly")
    assert asked(widget) == "splenomegaly in the spleen?"


def test_a_click_on_the_row_that_is_selected_already_takes_it_again(opened, qtbot):
    _, widget = opened
    index = select_row(widget, "left kidney", "kidney stone")
    widget.ask("liver")
    widget.dock.findings.table.clicked.emit(index)
    assert asked(widget) == "kidney stone in the left kidney?"


def test_a_question_selects_the_row_of_its_finding(opened):
    _, widget = opened
    select_row(widget, "spleen", "splenomegaly")
    widget.ask("stone in the left kidney")
    index = widget.dock.findings.table.currentIndex()
    assert [index.siblingAtColumn(c).data() for c in (ORGAN, ABNORMALITY)] == ["left kidney", "kidney stone"]
    widget.ask("liver")
    assert not widget.dock.findings.table.currentIndex().isValid()


def test_an_answer_that_comes_anew_does_not_take_back_what_was_chosen_since(opened):
    _, widget = opened
    widget.ask("stone in the left kidney")
    select_row(widget, "spleen", "splenomegaly")
    widget.session.dictionary_changed()
    assert asked(widget) == "splenomegaly in the spleen?"


def test_a_name_that_was_typed_stays_while_one_asks_the_way_to_organs(opened):
    _, widget = opened
    widget.teacher.panel.name.setEditText("bright rim")
    widget.ask("left kidney")
    assert asked(widget) == "bright rim in the left kidney?"
    widget.ask("spleen")
    assert asked(widget) == "bright rim in the spleen?"


def test_a_finding_is_refused_where_its_entry_does_not_look(opened, qtbot):
    _, widget = opened
    heard = []
    widget.session.failed.disconnect(tell_failure)
    widget.session.failed.connect(lambda error: heard.append(str(error)))
    widget.ask("stone in the left kidney")
    widget.navigator.choose("liver")
    assert asked(widget) == "kidney stone is not looked for in the liver." and not widget.teacher.bar.yes.isEnabled()
    press(widget, Qt.Key.Key_Y, qtbot)
    assert widget.session.taught == ()
    assert heard[0].startswith("Kidney stone is looked for in right kidney, left kidney, so the liver cannot be")


def test_the_bar_names_no_organ_that_nobody_is_at(opened, qtbot):
    _, widget = opened
    rests = asked(widget)
    widget.ask("stone in the left kidney")
    widget.ask("zzz qqq")
    assert widget.session.ranking.best is None and asked(widget) == rests
    while widget.undo.next:
        widget.undo.undo()
    assert asked(widget) == rests and not widget.dock.findings.table.selectionModel().hasSelection()
    widget.navigator.choose("spleen")
    assert "spleen" in asked(widget)
    widget.undo.undo()
    assert asked(widget) == rests


def test_going_back_goes_back_to_the_organ_before(opened):
    _, widget = opened
    for organ in ("liver", "spleen"):
        widget.navigator.choose(organ)
    widget.undo.undo()
    assert asked(widget) == "What is in the liver? Name it."
