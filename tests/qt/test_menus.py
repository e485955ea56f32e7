"""Entries in napari's own menus, run as napari runs them: with the dock open, hidden, or not there yet."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from napari._app_model import get_app_model
from napari._app_model.constants._menus import is_menu_contributable
from napari.plugins._npe2 import on_plugins_registered
from napari.utils.notifications import notification_manager
from npe2 import PluginManifest
from qtpy.QtWidgets import QFileDialog

import napari_ctvlp
from napari_ctvlp._menus import PLUGIN, WIDGET
from napari_ctvlp._qt.launch import DOCK_NAME
from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp.rooms import Rooms

from .windows import add_layers


@pytest.fixture
def manifest(npe2pm):
    """That of the checkout, registered with napari's own menus for one test."""
    made = PluginManifest.from_file(Path(napari_ctvlp.__file__).with_name("napari.yaml"))
    with npe2pm.tmp_plugin(manifest=made):
        on_plugins_registered({made})
        yield made


@pytest.fixture
def viewer(manifest, make_napari_viewer, monkeypatch, word_rooms, qtbot):
    """A viewer without the dock; a dock that is opened in it answers by words, and masks are at hand."""
    for name in ("load_encoder", "rank_organs", "score_abnormalities"):
        monkeypatch.setattr(Rooms, name, lambda self, *args, name=name: getattr(word_rooms, name)(*args))
    made = make_napari_viewer(show=True)
    yield made
    made.close()
    qtbot.waitUntil(lambda: not [t for t in threading.enumerate() if t.name.startswith("ctvlp")])


def run(name):
    """Choose an entry."""
    get_app_model().commands.execute_command(f"{PLUGIN}.{name}").result()


def docks(viewer):
    return [widget for widget in viewer.window.dock_widgets.values() if isinstance(widget, CtvlpWidget)]


def test_entries_stand_where_napari_lets_a_plugin_add_them(manifest, viewer):
    menus = manifest.contributions.menus
    assert {"napari/layers/segment", "napari/layers/measure", "napari/file/io_utilities"} <= set(menus)
    for menu, items in menus.items():
        assert is_menu_contributable(menu)
        shown = {item.command.id for item in get_app_model().menus.get_menu(menu) if hasattr(item, "command")}
        assert {item.command for item in items} <= shown


@pytest.mark.parametrize("before", ["closed", "open", "hidden"])
def test_entries_work_wherever_the_dock_is(viewer, phantom, monkeypatch, qtbot, before):
    scan, masks = phantom
    asked = []
    monkeypatch.setattr(Rooms, "segment", lambda self, scan, fast, *_: asked.append(fast) or masks)
    add_layers(viewer, scan)
    if before != "closed":
        frame, _ = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
        frame.setVisible(before == "open")
    run("make_masks_fast")
    (widget,) = docks(viewer)
    qtbot.waitUntil(lambda: widget.isVisible() and widget.session.masks is masks)
    assert asked == [True]
    run("statistics")
    assert widget.dock.tables.currentWidget() is widget.dock.organs
    assert widget.dock.organs.isVisible() and widget.dock.organs.listed
    run("views")
    assert widget.views.shown
    run("body")
    assert widget.body.shown
    run("follow_up")
    run("export")
    menu = widget.dock.scan.files.menu()
    assert menu.isVisible() and any(action.isEnabled() for action in widget.dock.scan.files.exports)
    menu.close()
    assert docks(viewer) == [widget]


@pytest.mark.parametrize(("name", "title"), [("save_session", "Save the session"), ("restore_session", "Restore")])
def test_sessions_are_asked_for_in_a_dialog(viewer, phantom, name, title):
    add_layers(viewer, *phantom)
    run(name)
    (dialog,) = docks(viewer)[0].findChildren(QFileDialog)
    assert dialog.isVisible() and title in dialog.windowTitle()
    dialog.close()


def test_without_a_scan_entries_say_so(viewer):
    said = []

    def note(notification):
        said.append(notification.message)

    notification_manager.notification_ready.connect(note)
    try:
        for name in ("make_masks", "statistics", "follow_up", "export", "save_session"):
            run(name)
    finally:
        notification_manager.notification_ready.disconnect(note)
    assert said == ["There is no open scan; open one first."] * 5


def test_all_ways_to_open_the_dock_lead_to_the_same(viewer, qtbot):
    """napari names docks by the plugin's name here and by its display name there: they have to be the same."""
    frame, widget = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    assert frame.name == DOCK_NAME
    qtbot.waitUntil(widget.isVisible)
    run("dock")
    assert docks(viewer) == [widget] and not frame.isVisible()
    run("dock")
    assert docks(viewer) == [widget] and frame.isVisible()
