"""What one needs while looking is in sight at common sizes of the screen; the rest is folded or scrolls."""

from __future__ import annotations

import dataclasses

import pytest
from qtpy.QtWidgets import QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_ctvlp._qt.pages import Pages
from napari_ctvlp._qt.wrapped_label import WrappedLabel
from napari_ctvlp.scan.types import Audit, AuditItem
from tests.qt.windows import add_layers


def whole(widget) -> bool:
    """Whether a widget is in sight, and nothing of it is cut."""
    return widget.isVisible() and widget.visibleRegion().boundingRect() == widget.rect()


@pytest.mark.parametrize("size", [(1366, 768), (1500, 950)])
def test_view_bar_and_readout_are_in_sight(window, phantom, qtbot, size):
    viewer, widget = window
    dock = widget.dock
    viewer.window.resize(*size)
    widget.views.set_shown(True)
    add_layers(viewer, *phantom)
    widget.ask("left kidney")
    dock.view.map_button.click()  # the legend takes its room, too
    qtbot.waitUntil(lambda: widget.window().height() == size[1] and dock.legend.isVisible())
    qtbot.wait(50)
    needed = (
        dock.query, dock.answer, dock.legend, dock.ranking, dock.use_names, dock.more, dock.tables, dock.scan.light,
        dock.scan.files, dock.tools, dock.encoder.box, dock.encoder.badge, dock.view.window_button,
        dock.view.undo_button,
        dock.view.views_button, dock.view.body_button, dock.view.organs_button, dock.view.map_button, dock.position,
        dock.notice,
    )  # fmt: skip
    assert [widget for widget in needed if not whole(widget)] == []


def test_what_is_needed_while_looking_does_not_scroll(window, phantom, qtbot):
    viewer, widget = window
    dock = widget.dock
    viewer.window.resize(1000, 600)
    add_layers(viewer, *phantom)
    dock.scan.fold.click()
    bar = dock.findChild(QScrollArea).verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0)
    for place in (0, bar.maximum()):
        bar.setValue(place)
        assert all(whole(part) for part in (dock.view.window_button, dock.view.undo_button, dock.position))
    qtbot.waitUntil(lambda: whole(dock.scan.files) and whole(dock.encoder.box))  # and nothing is cut at the side


def test_the_scan_is_folded_once_nothing_is_missing(window, phantom):
    viewer, widget = window
    panel = widget.dock.scan
    assert panel.fold.isChecked() and panel.summary.isVisible()  # it says how to open one
    add_layers(viewer, phantom[0])
    assert panel.fold.isChecked() and panel.masks.isVisible()  # masks are missing
    add_layers(viewer, *phantom)
    assert not panel.fold.isChecked() and not panel.summary.isVisible() and panel.light.isVisible()
    panel.fold.click()
    assert panel.summary.isVisible() and panel.names.isVisible()
    panel.set_audit(phantom[0].audit)
    assert panel.fold.isChecked()  # what the user opened stays open
    panel.fold.click()
    panel.set_audit(Audit((AuditItem("spacing", "guessed", "warning"),)))
    assert panel.summary.isVisible() and "guessed" in panel.summary.text()


def test_the_encoder_tells_its_origin_when_unfolded(window, word_encoder):
    picker = window[1].dock.encoder
    picker.set_card(dataclasses.replace(word_encoder.card, trained_on="many scans"))
    assert not picker.origin.isVisible()
    picker.fold.click()
    assert picker.origin.isVisible() and "many scans" in picker.origin.text()


def test_tabs_are_as_high_as_the_page_in_front(qtbot):
    tabs = Pages()
    qtbot.addWidget(tabs)
    low, high = (QWidget() for _ in range(2))
    for page, height in ((low, 40), (high, 400)):
        content = QLabel()
        content.setMinimumHeight(height)
        QVBoxLayout(page).addWidget(content)
    tabs.addTab(low, "low")
    tabs.addTab(high, "high")
    tabs.show()
    assert tabs.minimumSizeHint().height() < 400
    tabs.setCurrentWidget(high)
    assert tabs.minimumSizeHint().height() >= 400


def test_a_label_keeps_the_room_of_its_lines(qtbot):
    label = WrappedLabel(lines=2)
    qtbot.addWidget(label)
    label.resize(300, 20)
    label.show()
    heights = []
    for text in ("60 HU", "60 HU\nleft kidney", ""):
        label.setText(text)
        heights.append(label.minimumHeight())
    assert len(set(heights)) == 1 and not label.hasHeightForWidth()


def test_a_label_is_as_high_as_its_text_and_no_higher(qtbot):
    column, label, rest = QWidget(), WrappedLabel(), QWidget()
    qtbot.addWidget(column)
    layout = QVBoxLayout(column)
    layout.addWidget(label)
    layout.addWidget(rest, 1)
    label.setText("trained on 2000 synthetic scans of 250 procedural bodies; no real patient")
    column.resize(340, 600)
    column.show()
    qtbot.waitUntil(lambda: label.width() > 300)
    qtbot.waitUntil(lambda: label.height() < 3.5 * label.fontMetrics().lineSpacing())


def test_the_legend_takes_no_room_from_the_ranked_organs(window, phantom, qtbot):
    viewer, widget = window
    dock = widget.dock
    viewer.window.resize(1500, 900)
    add_layers(viewer, *phantom)
    widget.ask("left kidney")
    qtbot.wait(50)
    before = dock.ranking.height(), dock.tables.height()
    for _ in range(2):  # and gives back what it took, each time
        dock.show_legend(True)
        qtbot.waitUntil(lambda: whole(dock.legend) and dock.tables.height() < before[1])
        assert abs(dock.ranking.height() - before[0]) <= 2
        dock.show_legend(False)
        qtbot.waitUntil(lambda: abs(dock.tables.height() - before[1]) <= 2)
        assert abs(dock.ranking.height() - before[0]) <= 2


def test_a_word_that_has_no_end_breaks_and_is_told_as_it_was(qtbot):
    label = WrappedLabel()
    qtbot.addWidget(label)
    label.resize(300, 20)
    label.setText("nothing matches")
    one = label.minimumHeight()
    word = "x" * 600
    label.setText(f"nothing matches {word}")
    assert label.minimumHeight() > 8 * one and label.text() == f"nothing matches {word}"
    name = "a_long_but_usual_name_of_a_file.nii.gz"
    label.setText(name)
    assert QLabel.text(label) == name  # copied as it is


def test_a_long_question_is_named_by_its_beginning_where_it_is_taken_back(window):
    _, widget = window
    widget.ask("x" * 600)
    tip = widget.dock.view.undo_button.toolTip()
    assert tip.startswith("Take back: asking “xxx") and len(tip) < 100
