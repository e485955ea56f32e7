"""Random actions on the real window while scans encode.

Two hundred by default; ``CTVLP_MONKEY_ACTIONS=1000`` judges the window's memory, too, and ``CTVLP_MONKEY_SEED`` takes
another walk.
"""

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
from napari._qt.dialogs.qt_notification import NapariQtNotification
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

ACTIONS = int(os.environ.get("CTVLP_MONKEY_ACTIONS", "200"))
MEASURED = 1000
"""Memory is judged after no fewer actions: of fewer the window's first use is too large a part."""
WARM_UP = 300
"""Random actions before memory is first measured: until then the heap grows by the gaps between what stays."""
REHEARSALS = 3
"""Times that every kind of action is done before memory is measured."""
CONTROL = 20
"""Times that two layers come and go in a viewer without the dock."""


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


def see_everything(viewer, widget, phantom, monkey, qtbot):
    """Imports, canvases, shaders and caches come with the first use, and are no leak: every kind of action, in turn."""
    add_layers(viewer, *phantom)
    widget.views.set_shown(True)
    for question in ("liver", "stone in the left kidney", ""):
        widget.ask(question)
        idle(widget, qtbot)
    for _ in monkey.everything(REHEARSALS):
        qtbot.wait(5)
    idle(widget, qtbot)


def settled_memory(viewer, qtbot):
    """Resident megabytes once everything is closed and what was freed is given back."""
    viewer.layers.clear()
    for notification in list(NapariQtNotification._instances):
        notification.close()  # of a window that is not the active one they stand until somebody closes them
    for _ in range(2):
        qtbot.wait(100)  # canvases free their textures when they are drawn
        gc.collect()
    if os.name == "posix":
        with contextlib.suppress(OSError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
    return psutil.Process().memory_info().rss / 1e6


def memory_of_an_empty_window(viewer, widget, qtbot):
    """The same of a window with the dock, in which nothing is open and nothing can be taken back."""
    viewer.layers.clear()
    idle(widget, qtbot)
    for view in ("coronal", "sagittal", "axial"):
        if widget.views.maximised == view:
            widget.views.maximise(view)  # a canvas that is hidden frees nothing
    widget.views.set_shown(True)
    widget.undo.clear()
    return settled_memory(viewer, qtbot)


def growth_of_napari_alone(viewer, phantom, qtbot):
    """Megabytes that a viewer without the dock keeps of each layer that came and went, once it has warmed up."""

    def come_and_go(times):
        for _ in range(times):
            add_layers(viewer, *phantom)
            qtbot.wait(10)
            viewer.layers.clear()
            qtbot.wait(10)

    come_and_go(5)
    before = settled_memory(viewer, qtbot)
    come_and_go(CONTROL)
    return max(0.0, settled_memory(viewer, qtbot) - before) / (2 * CONTROL)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [int(os.environ.get("CTVLP_MONKEY_SEED", "0"))])
def test_random_actions_leave_nothing_behind(make_napari_viewer, phantom, qtbot, seed):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(900, 600)  # software drawing takes most of the time
    per_layer = growth_of_napari_alone(viewer, phantom, qtbot)
    runner = ThreadRunner()
    widget = CtvlpWidget(viewer, Session(runner, SlowlyRooms()))
    widget.on_close(runner.close)
    viewer.window.add_dock_widget(widget, name="CT query", area="right")
    said = []
    notification_manager.notification_ready.connect(said.append)
    failures = []  # in words: an exception holds the arrays of all its frames
    widget.session.failed.connect(lambda error: failures.append((type(error).__name__, str(error))))
    monkey = Monkey(viewer, widget, phantom, seed)
    layers = []
    try:
        see_everything(viewer, widget, phantom, monkey, qtbot)
        views_shown = [viewer.layers, *(view.model.layers for view in widget.views.views)]
        for _ in range(WARM_UP if ACTIONS >= MEASURED else 0):
            monkey.act()
            qtbot.wait(int(monkey.pick([0, 0, 1, 5, 40])))
        before = memory_of_an_empty_window(viewer, widget, qtbot)
        for shown in views_shown:
            shown.events.inserted.connect(lambda event: layers.append(event.index))
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
    print(f"napari alone keeps {per_layer:.2f} MB of each layer; {len(layers)} layers were added")
    unexpected = [told for kind, told in failures if kind != "UserError"]
    assert not unexpected, unexpected
    assert not [note for note in said if "went wrong" in note.message]
    if ACTIONS >= MEASURED:
        assert after - per_layer * len(layers) < 1.05 * before
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
