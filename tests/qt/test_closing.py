"""A dock that is closed while its window lives on lets go of it at once, and keeps nothing of it once it goes, too."""

from __future__ import annotations

import gc
import weakref

import pytest
from napari.qt import QtViewer
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget, QPushButton, QShortcut

from napari_ctvlp._qt.furniture import PREFIX
from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp.session import Session

from .windows import add_layers


def used_and_closed(make_napari_viewer, rooms, phantom, qtbot):
    """Weak references to the viewer, its canvas and the dock, after everything that has a canvas was in use.

    A function of its own: napari and pytest look into frames, and what a frame has shown of its variables lives as
    long as it does.
    """
    viewer = make_napari_viewer(show=True)
    widget = CtvlpWidget(viewer, Session(rooms=rooms))
    viewer.window.add_dock_widget(widget, name="CT query", area="right")
    add_layers(viewer, *phantom)
    widget.views.set_shown(True)
    widget.body.set_shown(True)
    widget.ask("liver")
    for dialog in (widget.lab, widget.reasons, widget.follow_up, widget.audit, widget.asked):
        dialog.toggle()
    qtbot.wait(50)
    widget.close_down()
    qtbot.wait(50)
    assert len(viewer.window._qt_window.findChildren(QtViewer)) == 1, "only napari's own canvas is left"
    known = {"viewer": viewer, "canvas": viewer.window._qt_viewer, "dock": widget, "session": widget.session}
    held = {name: weakref.ref(thing) for name, thing in known.items()}
    viewer.close()
    return held


def test_a_viewer_goes_although_its_dock_was_closed_by_code_before_it(make_napari_viewer, word_rooms, phantom, qtbot):
    held = used_and_closed(make_napari_viewer, word_rooms, phantom, qtbot)
    qtbot.wait(100)
    for _ in range(3):
        gc.collect()
    assert not [name for name, ref in held.items() if ref() is not None]


def dock_of(widget):
    return next(dock for dock in widget.window().findChildren(QDockWidget) if dock.widget() is widget)


def press(dock, name):
    """Click a button of the dock's title bar, which napari makes anew when the dock floats."""
    button = next(b for b in dock.titleBarWidget().findChildren(QPushButton) if b.objectName() == name)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def keys_of(viewer):
    """Single letters that do something in the window, as "Q" for the side views."""
    keys = [key for key in viewer.window._qt_window.findChildren(QShortcut) if key.isEnabled()]
    return sorted(key.key().toString() for key in keys if len(key.key().toString()) == 1)


def take_away(viewer, dock, how):
    if how == "x":
        press(dock, "QTitleBarCloseButton")
    elif how == "x while floating":
        press(dock, "QTitleBarFloatButton")
        press(dock, "QTitleBarCloseButton")
    elif how == "code":
        viewer.window.remove_dock_widget(dock.widget())
    else:
        dock.deleteLater()


@pytest.mark.parametrize("how", ["x", "x while floating", "code", "deleted"])
def test_a_dock_that_is_taken_away_lets_go_of_the_window(make_napari_viewer, word_rooms, phantom, qtbot, how):
    viewer = make_napari_viewer(show=True)
    widget = CtvlpWidget(viewer, Session(rooms=word_rooms))
    viewer.window.add_dock_widget(widget, name="CT query", area="right")
    qtbot.waitUntil(lambda: {*"QHKGUWJ"} <= {*keys_of(viewer)})
    add_layers(viewer, *phantom)
    widget.views.set_shown(True)
    widget.ask("liver")
    session = widget.session
    take_away(viewer, dock_of(widget), how)
    qtbot.waitUntil(lambda: not keys_of(viewer))
    assert session._bench.closed
    assert not [name for name in viewer.canvas.overlays if str(name).startswith(PREFIX)]
    assert len(viewer.window._qt_window.findChildren(QtViewer)) == 1
    del widget
    gc.collect()
    qtbot.wait(50)
    viewer.layers.pop()  # nobody listens any more who is gone
    viewer.layers.clear()
    viewer.close()


def test_a_dock_that_floats_hides_or_fills_the_screen_goes_on(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    qtbot.waitUntil(lambda: "Q" in keys_of(viewer))
    keys, dock = keys_of(viewer), dock_of(widget)
    press(dock, "QTitleBarFloatButton")
    qtbot.waitUntil(dock.isFloating)
    press(dock, "QTitleBarHideButton")
    qtbot.waitUntil(lambda: not widget.isVisible())
    dock.show()
    qtbot.waitUntil(widget.isVisible)
    press(dock, "QTitleBarFloatButton")
    qtbot.waitUntil(lambda: not dock.isFloating())
    viewer.window._qt_window.showFullScreen()
    qtbot.wait(50)
    viewer.window._qt_window.showMaximized()
    qtbot.wait(50)
    viewer.window._qt_window.showNormal()
    widget.ask("spleen")
    assert widget.session.ranking.best.organ == "spleen" and keys_of(viewer) == keys
    QTest.keyClick(viewer.window._qt_window, Qt.Key.Key_Q)
    assert widget.views.shown and widget.views.crosshair is not None
