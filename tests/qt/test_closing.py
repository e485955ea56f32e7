"""A dock that is closed while its window lives on keeps nothing of that window once it goes, too."""

from __future__ import annotations

import gc
import weakref

from napari.qt import QtViewer

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
