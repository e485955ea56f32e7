"""The audit card in the window: the light, the dialog, print and page."""

from __future__ import annotations

import dataclasses

from qtpy.QtCore import Qt

from napari_ctvlp._qt.telling import tell_failure

from .test_teacher import press
from .windows import add_layers


def cut_liver(phantom):
    scan, masks = phantom
    statistics = dict(masks.statistics)
    statistics["liver"] = dataclasses.replace(statistics["liver"], touches_edge=True)
    return scan, dataclasses.replace(masks, statistics=statistics)


def test_the_light_knows_of_the_masks(window, phantom):
    viewer, widget = window
    panel = widget.dock.scan
    assert not widget.dock.tools.isVisible()
    add_layers(viewer, phantom[0])
    assert "audit ok" in panel.light.text() and widget.dock.tools.isVisible()
    add_layers(viewer, *cut_liver(phantom))
    assert "notes" in panel.light.text()
    panel.details_button.click()
    assert "cut organs" in panel.details.text() and "liver" in panel.details.text()


def test_key_and_button_show_and_hide_the_card(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *cut_liver(phantom))
    press(widget, Qt.Key.Key_U, qtbot)
    dialog = widget.audit.dialog
    assert dialog.isVisible()
    text = dialog.text.toPlainText()
    for word in ("orientation", "contrast phase", "cut organs", "BSD-3-Clause", "not for diagnosis"):
        assert word in text
    widget.dock.tools.audit.click()
    assert not dialog.isVisible()


def test_the_card_follows_what_is_open(window, phantom):
    viewer, widget = window
    add_layers(viewer, *phantom)
    widget.audit.toggle()
    dialog = widget.audit.dialog
    assert "4 organs" in dialog.text.toPlainText()
    viewer.layers.clear()
    assert not dialog.isVisible()


def test_without_a_scan_it_says_what_to_do(window):
    _, widget = window
    heard = []
    widget.session.failed.disconnect(tell_failure)
    widget.session.failed.connect(heard.append)
    widget.audit.toggle()
    assert "open one first" in str(heard[0]) and widget.audit.dialog is None


def test_written_as_pdf_and_html(window, phantom, tmp_path):
    viewer, widget = window
    add_layers(viewer, *phantom)
    widget.audit.write(str(tmp_path / "card"))
    data = (tmp_path / "card.pdf").read_bytes()
    assert data.startswith(b"%PDF") and data.count(b"/Type /Page\n") <= 2 and len(data) > 3000
    widget.audit.write(str(tmp_path / "card.html"))
    assert "contrast phase" in (tmp_path / "card.html").read_text()


def test_a_place_that_cannot_be_written_to_is_said(window, phantom, tmp_path):
    viewer, widget = window
    add_layers(viewer, *phantom)
    heard = []
    widget.session.failed.disconnect(tell_failure)
    widget.session.failed.connect(heard.append)
    widget.audit.write(str(tmp_path / "no" / "card.pdf"))
    assert "card.pdf cannot be written" in str(heard[0])


def test_closing_the_window_takes_the_card_along(window, phantom):
    viewer, widget = window
    add_layers(viewer, *phantom)
    widget.audit.toggle()
    widget.close_down()
    assert widget.audit.dialog is None
