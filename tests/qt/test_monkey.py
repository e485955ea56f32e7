"""Random actions on the real window while scans encode.

Two hundred by default; ``CTVLP_MONKEY_ACTIONS=1000`` judges the window's memory, too, and ``CTVLP_MONKEY_SEED`` takes
another walk. ``CTVLP_MONKEY_LOG`` names a file to which each action is written before it is done, for a process that
ends in the middle of one.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import dataclasses
import functools
import gc
import os
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
from napari._app_model import get_app_model
from napari._app_model._app import NapariApplication
from napari._qt.dialogs.qt_notification import NapariQtNotification
from napari.qt import QtViewer
from napari.settings import get_plugin_settings
from napari.utils.notifications import notification_manager
from npe2 import PluginManager, PluginManifest
from qtpy.QtGui import QDesktopServices

import napari_ctvlp
from napari_ctvlp._qt import encoders
from napari_ctvlp._qt.launch import DOCK_NAME
from napari_ctvlp._qt.layer_lookup import masks_of
from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp._qt.own_process import share_arenas
from napari_ctvlp._qt.preferences import PLUGIN
from napari_ctvlp._qt.removing import forget_replaced_grids
from napari_ctvlp._qt.runner import ThreadRunner
from napari_ctvlp.encoder import install, region
from napari_ctvlp.encoder.registry import list_entries
from napari_ctvlp.rooms import Rooms
from napari_ctvlp.scan.statistics import organ_statistics
from napari_ctvlp.session import Session
from tests.segment.conftest import standin  # noqa: F401  (a fixture)

from .monkey import Monkey, check
from .test_napari_fill import outside  # noqa: F401  (a fixture)
from .windows import add_layers, drop_replaced_grids

ACTIONS = int(os.environ.get("CTVLP_MONKEY_ACTIONS", "200"))
MEASURED = 1000
"""Memory is judged after no fewer actions: of fewer the window's first use is too large a part."""
SIZE = (900, 600)
"""Of the window at first, and where memory is compared; software drawing takes most of the time."""
WARM_UP = 300
"""Random actions before memory is first measured: until then the heap grows by the gaps between what stays."""
REHEARSALS = 3
"""Times that every kind of action is done before memory is measured."""
CONTROL = 20
"""Times that two layers come and go in a viewer without the dock."""


class SlowlyRooms(Rooms):
    """The real rooms; encoding takes a moment more, so that things happen meanwhile. All encoders are the starter."""

    def load_encoder(self, name):
        return super().load_encoder("starter")

    def encode_scan(self, encoder, scan, masks, progress, cancelled):
        for step in range(5):
            progress(0.05 * step)
            threading.Event().wait(0.05)
        return encoder.encode_scan(scan, masks, progress=progress, cancelled=cancelled)


def idle(widget, qtbot):
    qtbot.waitUntil(lambda: widget.session.activity is None and not widget.session.is_editing, timeout=120_000)
    qtbot.wait(50)


def see_everything(monkey, qtbot):
    """Imports, canvases, shaders and caches come with the first use, and are no leak: every kind of action, in turn."""
    add_layers(monkey.viewer, *monkey.phantom)
    monkey.widget.views.set_shown(True)
    for question in ("liver", "stone in the left kidney"):
        monkey.widget.ask(question)
        idle(monkey.widget, qtbot)
    for key in [wanted.key for wanted in monkey.widget._keys._wanted]:
        for _ in range(2):  # most keys take back what they did before
            monkey.window.activateWindow()
            qtbot.waitUntil(monkey.window.isActiveWindow)
            monkey.viewer.window._qt_viewer.canvas.native.setFocus()
            monkey.press(monkey.window, key)
            qtbot.wait(5)
    assert monkey.arrived == monkey.pressed, "a key of the window does nothing"
    for _ in monkey.everything(REHEARSALS):
        qtbot.wait(5)
    idle(monkey.widget, qtbot)


def settled_memory(viewer, qtbot):
    """Resident megabytes once everything is closed and what was freed is given back."""
    viewer.layers.clear()
    drop_replaced_grids(viewer)
    for notification in list(NapariQtNotification._instances):
        with contextlib.suppress(RuntimeError):  # it went with its window
            notification.close()  # of a window that is not the active one they stand until somebody closes them
    notification_manager.records.clear()  # napari keeps all, with the frames of what failed
    for _ in range(3):
        gc.collect()
        for view in QtViewer._instances:
            with contextlib.suppress(RuntimeError):  # Qt deletes a window's views before Python does
                view.canvas._scene_canvas.update()
        qtbot.wait(100)  # canvases delete what is garbage when they are drawn
    if os.name == "posix":
        with contextlib.suppress(OSError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
    return psutil.Process().memory_info().rss / 1e6


class _Allocated(ctypes.Structure):
    """``struct mallinfo2`` of the GNU C library: the fifth and the eighth number are what is in use."""

    _fields_ = [(f"of_{n}", ctypes.c_size_t) for n in range(10)]


def in_use():
    """Megabytes that the C library gave out and did not get back; the rest of resident memory are gaps between them."""
    try:
        ask = ctypes.CDLL("libc.so.6").mallinfo2
    except (OSError, AttributeError):
        return float("nan")
    ask.restype = _Allocated
    found = ask()
    return (found.of_4 + found.of_7) / 1e6


def memory_of_an_empty_window(monkey, qtbot):
    """The same of a window with the dock, in which nothing is open and nothing can be taken back.

    What the user chose to keep is let go of first: other encoders, taught findings, pinned questions. What is made
    once, views and dialogs, is there before and after.
    """
    viewer, widget = monkey.viewer, monkey.widget
    viewer.layers.clear()
    idle(widget, qtbot)
    viewer.grid.enabled, viewer.dims.ndisplay = False, 2
    viewer.window.resize(*SIZE)  # pictures of canvases take some 30 bytes a pixel
    for view in ("coronal", "sagittal", "axial"):
        if widget.views.maximised == view:
            widget.views.maximise(view)  # a canvas that is hidden frees nothing
    widget.body.set_shown(True)
    widget.body.set_shown(False)
    widget.views.set_shown(True)
    add_layers(viewer, *monkey.phantom)  # every view keeps its letters from its first scan on: 20 MB each
    idle(widget, qtbot)
    widget.views.settle()
    qtbot.wait(200)
    viewer.layers.clear()
    for room in (widget.lab, widget.reasons, widget.follow_up, widget.asked, widget.audit):
        if room.dialog is None:
            room.toggle()
        if room.dialog is not None:
            room.dialog.close()
    widget.encoders.others.set_names(())
    widget.session.set_taught(())
    widget.queries.restore([], ())
    if widget.session.encoder_name != "starter":
        widget.session.use_encoder("starter")
    idle(widget, qtbot)
    widget.undo.clear()
    # side views that stay empty let go of layers that wait for something else to show
    qtbot.waitUntil(lambda: not any(view._trimming.isActive() for view in widget.views.views), timeout=30_000)
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


@pytest.fixture
def settings(plugin_settings, npe2pm):
    """The plugin's settings as napari makes them of the manifest, in a folder of the test."""
    npe2pm.register(PluginManifest.from_file(Path(napari_ctvlp.__file__).with_name("napari.yaml")))
    return get_plugin_settings(PLUGIN)


@pytest.fixture
def no_calls_are_kept(make_napari_viewer, npe2pm):
    """What the fixtures of napari and npe2 put in the place of two functions keeps its calls: 250,000, and 60 MB."""
    app = get_app_model()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NapariApplication, "get_app_model", lambda *_: app)
        patch.setattr(PluginManager, "instance", lambda *_: npe2pm)
        yield


@pytest.fixture
def two_encoders(monkeypatch):
    """There is another encoder to compare with, by name."""
    entries = list_entries()
    starter = entries["starter"]
    known = {"starter": starter, "other": dataclasses.replace(starter, name="other", folder=starter.place)}
    for module in (encoders, install, region):
        monkeypatch.setattr(module, "list_entries", lambda: known)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [int(os.environ.get("CTVLP_MONKEY_SEED", "0"))])
def test_random_actions_leave_nothing_behind(
    make_napari_viewer,
    phantom,
    qtbot,
    seed,
    settings,
    no_calls_are_kept,
    two_encoders,
    standin,  # noqa: F811
    outside,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    share_arenas()  # as a window of our own does
    viewer = make_napari_viewer(show=True)
    forget_replaced_grids(viewer.window._qt_viewer.canvas)  # so does that
    viewer.window.resize(*SIZE)
    per_layer = growth_of_napari_alone(viewer, phantom, qtbot)
    failures = []  # in words: an exception holds the arrays of all its frames

    def make_widget(viewer):
        runner = ThreadRunner()
        widget = CtvlpWidget(viewer, Session(runner, SlowlyRooms()))
        widget.on_close(runner.close)
        viewer.window.add_dock_widget(widget, name=DOCK_NAME, area="right")
        widget.session.failed.connect(lambda error: failures.append((type(error).__name__, str(error))))
        return widget

    said = []

    def hear(note):
        said.append(note.message)

    notification_manager.notification_ready.connect(hear)
    make_viewer = functools.partial(make_napari_viewer, show=True)
    monkey = Monkey(viewer, phantom, seed, tmp_path, make_viewer, make_widget, settings)
    monkey.answer_dialogs(monkeypatch)
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: True)
    layers = []
    try:
        see_everything(monkey, qtbot)
        for _ in range(WARM_UP if ACTIONS >= MEASURED else 0):
            monkey.act()
            qtbot.wait(int(monkey.pick([0, 0, 1, 5, 40])))
        before, used_before = memory_of_an_empty_window(monkey, qtbot), in_use()
        views = len(QtViewer._instances)
        viewer.layers.events.inserted.connect(lambda event: layers.append(event.index))
        for count in range(ACTIONS):
            monkey.act()
            try:
                check(monkey)
                qtbot.wait(int(monkey.pick([0, 0, 1, 5, 40])))
                check(monkey)
            except AssertionError as error:
                raise AssertionError(f"after {count} actions, last {monkey.done[-8:]}: {error}") from error
        after, used = memory_of_an_empty_window(monkey, qtbot), in_use()
        the_last_answer_is_that_of_a_fresh_session(viewer, monkey.widget, phantom, qtbot)
    finally:
        notification_manager.notification_ready.disconnect(hear)
        print(f"\n{collections.Counter(monkey.done).most_common()}\nkeys: {monkey.arrived}\nlast: {monkey.done[-12:]}")
    print(f"memory {before:.0f} MB before, {after:.0f} MB after {ACTIONS} actions; {len(gc.get_objects())} objects now")
    print(f"of it the C library gave out {used_before:.0f} MB before and {used:.0f} MB after; the heap has gaps, too")
    print(f"napari alone keeps {per_layer:.2f} MB of each layer; {len(layers)} layers were added")
    print(f"napari failed {len(outside)} times to fill outside of a layer")
    unexpected = [told for kind, told in failures if kind != "UserError"]
    assert not unexpected, unexpected
    assert not [text for text in said if "went wrong" in text]
    if ACTIONS >= MEASURED:
        assert not used > 1.05 * used_before  # not known elsewhere than with the GNU C library
        assert after - per_layer * len(layers) < 1.05 * before
    gc.collect()
    assert not [known for known in monkey.gone if known() is not None], "a dock or a viewer that was closed lives on"
    assert len(QtViewer._instances) == views
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
