"""Scan panel, progress, encoder picker, series chooser: what they say and what they ask for."""

from __future__ import annotations

import dataclasses

import pytest

from napari_ctvlp._qt.encoder_picker import EncoderPicker
from napari_ctvlp._qt.progress_row import ProgressRow
from napari_ctvlp._qt.scan_panel import NO_MASKS, NO_SCAN, ScanPanel
from napari_ctvlp._qt.series_chooser import SeriesChooser
from napari_ctvlp.scan.types import Audit, AuditItem
from napari_ctvlp.work import Activity, Task


@pytest.fixture
def shown(qtbot):
    def show(widget):
        qtbot.addWidget(widget)
        widget.show()
        qtbot.waitExposed(widget)
        return widget

    return show


def test_empty_panel_says_how_to_begin(shown, qtbot):
    panel = shown(ScanPanel())
    assert panel.summary.text() == NO_SCAN
    assert not panel.add_masks.isVisible()
    with qtbot.waitSignal(panel.sample_requested):
        panel.sample.click()


def test_scan_without_masks_offers_to_add_them(shown, phantom, qtbot):
    panel = shown(ScanPanel())
    panel.set_scan(phantom[0])
    assert panel.masks.text() == NO_MASKS
    assert panel.add_masks.isVisible()
    entries = panel.add_masks.menu().actions()
    with qtbot.waitSignals([panel.masks_file_requested, panel.masks_folder_requested]):
        for entry in entries:
            entry.trigger()
    panel.set_masks(phantom[1])
    assert panel.masks.text() == "4 organs, phantom"
    assert not panel.add_masks.isVisible()


@pytest.mark.parametrize(
    ("severity", "word", "summary"),
    [
        ("ok", "audit ok", "LPI, 3 mm"),
        ("note", "audit: notes", "LPI, 3 mm"),
        ("warning", "audit: look at this", "spacing: 3 mm"),
    ],
)
def test_light_has_a_word_beside_its_colour(shown, phantom, severity, word, summary):
    audit = Audit((AuditItem("orientation", "LPI"), AuditItem("spacing", "3 mm", severity)))
    panel = shown(ScanPanel())
    panel.set_scan(dataclasses.replace(phantom[0], audit=audit))
    assert word in panel.light.text()
    assert panel.summary.text() == summary


def test_details_show_the_whole_audit(shown, phantom):
    panel = shown(ScanPanel())
    panel.set_scan(phantom[0])
    assert not panel.details.isVisible()
    panel.details_button.click()
    assert panel.details.isVisible()
    for item in phantom[0].audit.items:
        assert item.name in panel.details.text()
        assert item.value in panel.details.text()


def test_scans_can_be_chosen_when_there_are_several(shown, qtbot):
    panel = shown(ScanPanel())
    panel.set_scans(["one"], 0)
    assert not panel.scans.isVisible()
    panel.set_scans(["one", "two"], 1)
    assert panel.scans.isVisible()
    assert panel.scans.currentText() == "two"
    with qtbot.waitSignal(panel.scan_chosen) as chosen:
        panel.scans.activated.emit(0)
    assert chosen.args == [0]


def test_progress_shows_how_far_and_ends_on_request(shown, qtbot):
    row = shown(ProgressRow())
    assert not row.bar.isVisible()
    row.set_activity(Activity(Task.ENCODING, 0.63))
    assert (row.label.text(), row.bar.value()) == ("encoding", 63)
    with qtbot.waitSignal(row.cancel_requested):
        row.cancel.click()
    row.set_activity(Activity(Task.ENCODER))
    assert row.bar.isVisible()
    assert row.bar.maximum() == 0
    assert not row.cancel.isVisible()
    row.set_activity(None)
    assert not row.bar.isVisible()


def test_picker_shows_the_card_and_keeps_paths(shown, qtbot, word_encoder):
    picker = shown(EncoderPicker())
    picker.set_encoders(["starter"], "some/folder/my_encoder")
    assert picker.box.currentText() == "my_encoder"
    picker.set_card(word_encoder.card)
    assert "trained on nothing" in picker.origin.text()
    assert word_encoder.card.summary in picker.toolTip()
    assert word_encoder.card.licence in picker.toolTip()
    for place, name in enumerate(("starter", "some/folder/my_encoder")):
        with qtbot.waitSignal(picker.encoder_chosen) as chosen:
            picker.box.activated.emit(place)
        assert chosen.args == [name]


def test_card_texts_cannot_inject_markup(shown, word_encoder):
    picker = shown(EncoderPicker())
    picker.set_card(dataclasses.replace(word_encoder.card, summary="<img src=x>"))
    assert "<img" not in picker.toolTip()


def test_series_are_offered_in_the_dock(shown, qtbot):
    chooser = shown(SeriesChooser())
    chooser.offer("study", ["thin, 300 slices", "thick, 60 slices"])
    assert chooser.isVisible()
    assert "2 series" in chooser.label.text()
    chooser.box.setCurrentIndex(1)
    with qtbot.waitSignal(chooser.series_chosen) as chosen:
        chooser.open.click()
    assert chosen.args == [1]
    assert not chooser.isVisible()
