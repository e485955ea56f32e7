"""Several canvases: each is drawn, and loses layers, in its own OpenGL context."""

from __future__ import annotations

import subprocess
import sys

import pytest
from napari.qt import QtViewer
from qtpy.QtGui import QOpenGLContext
from qtpy.QtWidgets import QDockWidget, QPushButton
from vispy.gloo import gl
from vispy.gloo.glir import GlirProgram, GlirTexture2D

from napari_ctvlp._qt.docked import dock_of
from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp._qt.own_context import empty_canvas, main_canvas
from napari_ctvlp._qt.views_dock import FLOAT_BUTTON

from .windows import add_layers

pytestmark = pytest.mark.usefixtures("qapp")


@pytest.mark.parametrize("body", [False, True])
def test_commands_of_a_canvas_that_loses_a_layer_are_done_in_its_own_context(window, phantom, qtbot, body):
    viewer, widget = window
    add_layers(viewer, *phantom)
    (widget.body if body else widget.views).set_shown(True)
    widget.ask("liver")
    qtbot.wait(300)
    canvases = [view.canvas._scene_canvas for view in QtViewer._instances]
    assert len(canvases) == (2 if body else 3)
    done = []
    for canvas in canvases:

        def parse(commands, canvas=canvas, parse=canvas.context.shared.parser.parse):
            if any(command[:2] == ("FUNC", "glFinish") for command in commands):
                done.append(QOpenGLContext.currentContext() is canvas.native.context())
            parse(commands)

        canvas.context.shared.parser.parse = parse
    for canvas in reversed(canvases):  # the main one is not the one that was drawn last
        canvas.native.grabFramebuffer()
    viewer.layers.remove(viewer.layers[1])
    assert done and all(done)  # side views keep their layers


def test_a_window_without_our_dock_is_left_as_it_was(window, phantom, qtbot):
    viewer, widget = window
    context = viewer.window._qt_viewer.canvas._scene_canvas.context
    assert "finish" in vars(context)
    for room in (widget.views, widget.body):
        room.set_shown(True)
        room.close()
    assert "finish" in vars(context), "there may be other windows"
    widget.close()
    assert "finish" not in vars(context)


def test_nothing_is_deleted_in_another_window(window, make_napari_viewer, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    widget.views.set_shown(True)
    qtbot.wait(200)
    other = make_napari_viewer(show=True)
    dock = CtvlpWidget(other)
    other.window.add_dock_widget(dock, name="CT query", area="right")
    add_layers(other, *phantom)
    qtbot.wait(200)
    canvases = [view.canvas._scene_canvas for view in QtViewer._instances]
    had = {canvas: on_the_gpu(canvas) for canvas in canvases if canvas.native.window() is viewer.window._qt_window}
    assert len(had) == 3
    for leave in (lambda: other.layers.pop(), other.close):
        for canvas in had:
            canvas.native.grabFramebuffer()  # the one drawn last, in whose context napari would delete
            canvas.set_current()
        leave()
        for canvas, names in had.items():
            assert left_of(*names, canvas) == names
    viewer.layers.clear()
    qtbot.wait(50)


def on_the_gpu(canvas):
    """Names of what a canvas has there: textures and programs."""
    objects = canvas.context.shared.parser._objects.values()
    return tuple([one.handle for one in objects if isinstance(one, kind)] for kind in (GlirTexture2D, GlirProgram))


def left_of(textures, programs, canvas):
    """Which of them another canvas, of the same window, can still see."""
    canvas.set_current()
    return [name for name in textures if gl.glIsTexture(name)], [name for name in programs if gl.glIsProgram(name)]


@pytest.mark.parametrize("body", [False, True])
def test_a_view_that_closes_leaves_nothing_on_the_gpu(window, phantom, qtbot, body):
    viewer, widget = window
    add_layers(viewer, *phantom)
    room = widget.body if body else widget.views
    room.set_shown(True)
    widget.ask("liver")
    qtbot.waitUntil(lambda: not body or bool(widget.body.view.surfaces))
    qtbot.wait(300)
    main = viewer.window._qt_viewer.canvas._scene_canvas
    others = [canvas for view in QtViewer._instances if (canvas := view.canvas._scene_canvas) is not main]
    assert len(others) == (1 if body else 2)
    assert all(QOpenGLContext.areSharing(main.native.context(), canvas.native.context()) for canvas in others)
    had = [on_the_gpu(canvas) for canvas in others]
    for textures, programs in had:
        assert programs and (textures or body)
        assert left_of(textures, programs, main) == (textures, programs)
    room.close()
    for names in had:
        assert left_of(*names, main) == ([], [])
    own = on_the_gpu(main)
    assert all(own) and left_of(*own, main) == own
    viewer.layers.clear()
    qtbot.wait(50)


def test_a_canvas_that_was_never_drawn_or_is_gone_is_let_be(window, phantom, qtbot):
    viewer, _ = window
    widget = QPushButton()
    empty_canvas(widget)
    add_layers(viewer, *phantom)
    qtbot.wait(50)
    canvas = viewer.window._qt_viewer.canvas._scene_canvas
    for _ in range(2):
        empty_canvas(canvas.native)
    assert not any(left_of(*on_the_gpu(canvas), canvas))


def test_the_main_canvas_is_found_while_the_dock_floats(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    main = viewer.window._qt_viewer.canvas.native
    dock = dock_of(widget)
    dock.setFloating(True)
    qtbot.waitUntil(dock.isFloating)
    assert main_canvas(viewer, widget) is main
    widget.views.set_shown(True)
    assert widget.views.crosshair is not None and widget.views.canvases[0] is main
    assert "finish" in vars(viewer.window._qt_viewer.canvas._scene_canvas.context)


def test_a_dock_whose_canvases_would_be_lost_stays_in_the_window(window, phantom, qtbot):
    """napari does not have canvases share; floated, ours failed to draw from then on."""
    viewer, widget = window
    add_layers(viewer, *phantom)
    feature = QDockWidget.DockWidgetFeature
    for room in (widget.views, widget.body):
        for shown in (True, False, True):
            room.set_shown(shown)
        dock = dock_of(room._dock)
        assert not dock.features() & (feature.DockWidgetFloatable | feature.DockWidgetMovable)
        (button,) = dock.titleBarWidget().findChildren(QPushButton, FLOAT_BUTTON)
        assert not button.isVisible() and dock.features() & feature.DockWidgetClosable
    assert dock_of(widget).features() & feature.DockWidgetFloatable


FLOATING = """
import os, sys
from qtpy.QtTest import QTest
from napari_ctvlp._qt.docked import dock_of
from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp._qt.launch import DOCK_NAME, open_window
viewer = open_window()
widget = viewer.window.dock_widgets[DOCK_NAME]
failed = []
sys.excepthook = lambda kind, error, frames: failed.append(error)
widget.dock.scan.sample_requested.emit()
while widget.session.masks is None:
    QTest.qWait(20)
widget.views.set_shown(True)
widget.body.set_shown(True)
QTest.qWait(300)
for room in (widget.views, widget.body):
    for floating in (True, False, True):
        dock_of(room._dock).setFloating(floating)
        QTest.qWait(200)
        viewer.dims.set_current_step(0, 5 + floating)
QTest.qWait(200)
print(len(failed), dock_of(widget.views._dock).isFloating(), flush=True)
os._exit(0)
"""


@pytest.mark.slow
def test_canvases_of_our_own_window_float(qapp):
    done = subprocess.run([sys.executable, "-c", FLOATING], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == ["0", "True"]
    assert "Error drawing" not in done.stderr


CLOSING = """
import os
from qtpy.QtTest import QTest
from napari_ctvlp._qt.launch import open_window
from tests.qt.test_own_context import left_of, on_the_gpu
first, second = open_window(sample=True), open_window(sample=True)
QTest.qWait(3000)
canvas, other = (viewer.window._qt_viewer.canvas._scene_canvas for viewer in (first, second))
had = on_the_gpu(other)
print(*(len(names) for names in left_of(*had, canvas)))
second.close()
QTest.qWait(300)
print(*(len(names) for names in left_of(*had, canvas)), flush=True)
os._exit(0)
"""


@pytest.mark.slow
def test_a_window_of_our_own_that_closes_leaves_nothing_on_the_gpu(qapp):
    done = subprocess.run([sys.executable, "-c", CLOSING], capture_output=True, text=True, check=True)
    textures, programs, *left = map(int, done.stdout.split()[-4:])
    assert textures and programs and left == [0, 0]
