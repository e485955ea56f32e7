"""The button that makes masks, with TotalSegmentator's stand-in behind it."""

from __future__ import annotations

import sys

import pytest

from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp._qt.runner import ThreadRunner
from napari_ctvlp._qt.scan_panel import ScanPanel
from napari_ctvlp.session import Session
from tests.segment.conftest import scan, standin  # noqa: F401  (fixtures)
from tests.segment.test_segment import alive

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script with a shebang")


@pytest.fixture
def window(make_napari_viewer, word_rooms, qtbot):
    viewer = make_napari_viewer()
    runner = ThreadRunner()
    widget = CtvlpWidget(viewer, Session(runner, word_rooms))
    widget.on_close(runner.close)
    viewer.window.add_dock_widget(widget, name="CT query", area="right")
    yield widget
    widget.close_down()


def test_the_button_offers_both_models_when_there_are_no_masks(qtbot, phantom):
    panel = ScanPanel()
    qtbot.addWidget(panel)
    asked = []
    panel.segment_requested.connect(asked.append)
    assert panel.make_masks.isHidden()
    panel.set_scan(phantom[0])
    assert not panel.make_masks.isHidden()
    for action in panel.make_masks.menu().actions():
        action.trigger()
    assert asked == [False, True]
    panel.set_masks(phantom[1])
    assert panel.make_masks.isHidden()


def test_one_click_to_masks_and_answers(window, standin, scan, qtbot):  # noqa: F811
    window.session.set_scan(scan)
    window.ask("liver")
    window.dock.scan.make_masks.menu().actions()[1].trigger()
    qtbot.waitUntil(lambda: window.session.ranking is not None, timeout=60_000)
    assert window.session.masks.scheme == "TotalSegmentator, fast model"
    assert len(window._viewer.layers) == 2 and standin.calls[0]["fast"]


def test_cancel_ends_it_and_the_window_goes_on(window, standin, scan, qtbot):  # noqa: F811
    standin.ends("hangs")
    window.session.set_scan(scan)
    window.dock.scan.make_masks.menu().actions()[0].trigger()
    qtbot.waitUntil(lambda: len(standin.lines) == 3, timeout=60_000)
    assert window.dock.progress.label.text() == "making organ masks"
    window.dock.progress.cancel.click()
    qtbot.waitUntil(lambda: not any(alive(line["pid"]) for line in standin.lines), timeout=30_000)
    assert window.session.activity is None and not window.dock.scan.make_masks.isHidden()
