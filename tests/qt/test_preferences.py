"""Settings of the plugin in napari's preferences."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from napari.settings import get_plugin_settings
from npe2 import PluginManifest

import napari_ctvlp
from napari_ctvlp._qt.launch import DOCK_NAME, open_window
from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp._qt.preferences import PLUGIN, preferred_encoder
from napari_ctvlp.rooms import Rooms
from napari_ctvlp.session import Session

from .windows import add_layers


@pytest.fixture
def settings(plugin_settings, npe2pm):
    """The plugin's settings as napari makes them of the manifest, in a folder of the test."""
    npe2pm.register(PluginManifest.from_file(Path(napari_ctvlp.__file__).with_name("napari.yaml")))
    return get_plugin_settings(PLUGIN)


@pytest.fixture
def open_dock(make_napari_viewer, word_rooms, qtbot):
    made = []

    def make():
        viewer = make_napari_viewer(show=True)
        widget = CtvlpWidget(viewer, Session(rooms=word_rooms))
        viewer.window.add_dock_widget(widget, name="CT query", area="right")
        made.append(widget)
        return viewer, widget

    yield make
    for widget in made:
        widget.close_down()
    qtbot.wait(1)


def test_the_manifest_says_how_the_dock_begins_anyway(settings, open_dock):
    _, widget = open_dock()
    dock = widget.dock
    assert preferred_encoder() == settings.asking.encoder == "starter"
    assert dock.use_names.isChecked() and dock.view.automatic.isChecked() and not widget.views.shown
    assert dock.legend.opacity.value() == settings.looking.map_opacity == 70


def test_a_dock_begins_as_the_user_prefers(settings, open_dock, phantom, qtbot):
    settings.asking.use_names = False
    settings.asking.encoder = "/models/mine"
    settings.looking.automatic_window = False
    settings.looking.side_views = True
    settings.looking.map_opacity = 35
    viewer, widget = open_dock()
    add_layers(viewer, *phantom)
    assert preferred_encoder() == "/models/mine"
    assert widget.session.use_names is False and widget.window_level.automatic is False
    qtbot.waitUntil(lambda: widget.views.shown and len(widget.views.canvases) == 3)
    assert widget.dock.legend.opacity.value() == 35
    assert widget.undo.next == "", "how it begins is no step"
    before = widget.window_level.value
    widget.ask("liver")
    assert widget.window_level.value == before


def test_side_views_wait_for_a_scan_and_come_once(settings, open_dock, phantom, qtbot):
    assert settings.looking.side_views is True
    viewer, widget = open_dock()
    qtbot.waitUntil(widget.isVisible)
    qtbot.wait(50)
    assert not widget.views.shown, "there is nothing to show"
    add_layers(viewer, *phantom)
    qtbot.waitUntil(lambda: widget.views.shown)
    widget.views.toggle()
    viewer.layers.clear()
    add_layers(viewer, *phantom)
    qtbot.wait(50)
    assert not widget.views.shown, "the user has closed them"


def test_a_dock_without_side_views(settings, open_dock, phantom, qtbot):
    settings.looking.side_views = False
    viewer, widget = open_dock()
    add_layers(viewer, *phantom)
    qtbot.waitUntil(widget.isVisible)
    qtbot.wait(50)
    assert not widget.views.shown


@pytest.mark.parametrize(
    ("side_views", "asked_for", "loads"), [(True, None, "/models/mine"), (False, "starter", "starter")]
)
def test_the_window_of_the_command_line_begins_so_too(
    settings, make_napari_viewer, monkeypatch, word_rooms, phantom, qtbot, side_views, asked_for, loads
):
    settings.asking.encoder = "/models/mine"
    settings.looking.side_views = side_views
    loaded = []

    def load_encoder(self, name):
        loaded.append(name)
        return word_rooms.encoder

    monkeypatch.setattr(Rooms, "load_encoder", load_encoder)
    monkeypatch.setattr(Rooms, "load_sample", lambda self: phantom)
    monkeypatch.setattr("napari.Viewer", lambda title: make_napari_viewer(show=True, title=title))
    viewer = open_window(sample=True, encoder=asked_for)
    widget = viewer.window.dock_widgets[DOCK_NAME]
    qtbot.waitUntil(lambda: widget.session.embedding is not None)
    qtbot.wait(50)
    assert loaded == [loads] and widget.views.shown is side_views
    viewer.close()
    qtbot.waitUntil(lambda: not [t for t in threading.enumerate() if t.name.startswith("ctvlp")])


def test_an_open_dock_follows(settings, open_dock):
    _viewer, widget = open_dock()
    settings.asking.use_names = False
    assert widget.session.use_names is False and not widget.dock.use_names.isChecked()
    widget.dock.use_names.setChecked(True)
    assert settings.asking.use_names is False, "what is switched in the dock holds there alone"


def test_out_of_range_is_refused_by_napari(settings):
    with pytest.raises(ValueError):
        settings.looking.map_opacity = 400


def test_a_closed_dock_follows_no_more(settings, make_napari_viewer, word_rooms, qtbot):
    viewer = make_napari_viewer(show=True)
    widget = CtvlpWidget(viewer, Session(rooms=word_rooms))
    viewer.window.add_dock_widget(widget, name="CT query", area="right")
    assert widget.dock.use_names.isChecked()
    widget.close_down()
    settings.asking.use_names = False
    assert widget.dock.use_names.isChecked()
    qtbot.wait(1)
