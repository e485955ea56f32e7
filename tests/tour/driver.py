"""Hands and eyes: keys, mouse, pictures of the real window."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QEventLoop, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QEnterEvent, QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_ctvlp._qt.main_widget import CtvlpWidget

from .watchdog import Watchdog

NONE = Qt.KeyboardModifier.NoModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
PATIENCE_S = 120.0


class Driver:
    """Does to a window what a user would do."""

    def __init__(self, viewer: Any, widget: CtvlpWidget, watchdog: Watchdog, folder: Path) -> None:
        self.viewer = viewer
        self.widget = widget
        self.watchdog = watchdog
        self.folder = folder
        self.files = folder / "files"
        self._pictures = count()
        self._second: Driver | None = None
        self.window = widget.window()
        self.window.activateWindow()

    def clear(self) -> None:
        """Take away what an earlier tour left: a picture that nobody made this time would mislead."""
        for picture in self.folder.glob("[0-9]*_*.png"):
            picture.unlink()
        shutil.rmtree(self.files, ignore_errors=True)
        self.files.mkdir(parents=True)

    def wait(self, milliseconds: int = 150) -> None:
        """Let the event loop run."""
        loop = QEventLoop()
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Let the event loop run until something is there."""
        end = time.monotonic() + PATIENCE_S
        while not ready():
            if time.monotonic() > end:
                raise TimeoutError(f"{self.watchdog.step}: not ready within {PATIENCE_S:.0f} s")
            self.wait(20)

    def idle(self) -> None:
        """Wait until the session has nothing left to do and all is drawn."""
        self.wait(60)
        self.wait_for(lambda: self.widget.session.activity is None)
        self.wait(200)

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier = NONE) -> None:
        """Press a key with the canvas in focus."""
        if QApplication.activeWindow() is not self.window:  # there may be no window manager that goes on to it
            self.front()
        self.canvas().setFocus()
        QTest.keyClick(self.window, key, modifier)
        self.wait()

    def ask(self, text: str) -> None:
        """Type a question and press Enter; an empty one clears the answer."""
        line = self.widget.dock.query
        line.setFocus()
        line.selectAll()
        if text:
            QTest.keyClicks(line, text)
        else:
            QTest.keyClick(line, Qt.Key.Key_Backspace)
        QTest.keyClick(line, Qt.Key.Key_Return)
        self.idle()

    def canvas(self, name: str = "axial") -> QWidget:
        """The canvas of a view."""
        if name == "axial":
            assert self.widget.views.crosshair is not None
            canvas = self.widget.views.crosshair.parentWidget()
            assert canvas is not None
            return canvas
        return next(view.view.canvas.native for view in self.widget.views.views if view.name == name)

    def mouse(
        self,
        canvas: QWidget,
        *path: tuple[float, float],
        button: Qt.MouseButton = Qt.MouseButton.LeftButton,
        modifier: Qt.KeyboardModifier = NONE,
        double: bool = False,
        press: bool = True,
    ) -> None:
        """Press at the first place, move along the path, release at the last; places in 0..1 of the canvas."""
        points = [QPoint(round(x * canvas.width()), round(y * canvas.height())) for x, y in path]
        none = Qt.MouseButton.NoButton
        _enter(canvas, points[0])
        if press:
            kind = QEvent.Type.MouseButtonDblClick if double else QEvent.Type.MouseButtonPress
            _send(canvas, kind, points[0], button, button, modifier)
        for point in points[1:] if press else points:
            self.wait(30)
            _send(canvas, QEvent.Type.MouseMove, point, none, button if press else none, modifier)
        if press:
            _send(canvas, QEvent.Type.MouseButtonRelease, points[-1], button, none, modifier)
        self.wait()

    def place_of(self, world: Sequence[float]) -> tuple[float, float]:
        """Where a point in world mm lies on the main canvas, in 0..1."""
        camera, size = self.viewer.scene.camera, self.viewer.canvas.size
        row, column = (world[axis] for axis in self.viewer.dims.displayed)
        x = 0.5 + (column - camera.center[-1]) * camera.zoom / size[1]
        y = 0.5 + (row - camera.center[-2]) * camera.zoom / size[0]
        return x, y

    def front(self, window: QWidget | None = None) -> None:
        """Bring a window to the front: the main one, or a dialog."""
        window = self.window if window is None else window
        window.raise_()
        window.activateWindow()
        self.wait_for(window.isActiveWindow)

    def dialog_key(self, dialog: QWidget, widget: QWidget, text: str) -> None:
        """Type into a widget of a dialog, which is brought to the front first."""
        self.front(dialog)
        widget.setFocus()
        QTest.keyClicks(widget, text)
        self.wait()

    def picture(self, name: str) -> None:
        """Save what the window shows; the time this takes is not the window's."""
        self.wait(120)
        with self._place_for(name) as place:
            self.viewer.screenshot(str(place), canvas_only=False, flash=False)

    def picture_of(self, widget: QWidget, name: str) -> None:
        """Save what a dialog shows."""
        self.wait(200)
        with self._place_for(name) as place:
            widget.grab().save(str(place))

    def picture_of_screen(self, name: str) -> None:
        """Save the whole screen: menus and dialogs with the window behind them."""
        self.wait(200)
        screen = self.window.screen()
        assert screen is not None
        with self._place_for(name) as place:
            screen.grabWindow(0).save(str(place))

    @contextmanager
    def _place_for(self, name: str) -> Iterator[Path]:
        with self.watchdog.paused():
            yield self.folder / f"{next(self._pictures) + 1:02d}_{name}.png"

    # -- a second window ---------------------------------------------------------------------------------------

    @property
    def second(self) -> Driver:
        """Another window of the same process, opened empty when first needed; it may stand over this one."""
        if self._second is None:
            from napari_ctvlp._qt.launch import DOCK_NAME, open_window

            viewer = open_window()
            self._second = Driver(viewer, viewer.window.dock_widgets[DOCK_NAME], self.watchdog, self.folder)
            self._second._pictures = self._pictures
            self._second.wait_for(lambda: self._second is not None and self._second.widget.session.encoder is not None)
            self._second.idle()
        self._second.front()
        return self._second

    def close_second(self) -> None:
        """Close the other window, where there is one."""
        second, self._second = self._second, None
        if second is not None:
            second.window.close()
            self.front()


def _enter(canvas: QWidget, point: QPoint) -> None:
    """The cursor comes into a canvas, and into all that it stands in."""
    widget: QWidget | None = canvas
    while widget is not None and not widget.isWindow():
        place = QPointF(widget.mapFrom(canvas.window(), canvas.mapTo(canvas.window(), point)))
        QApplication.sendEvent(widget, QEnterEvent(place, place, QPointF(canvas.mapToGlobal(point))))
        widget = widget.parentWidget()


def _send(
    canvas: QWidget,
    kind: QEvent.Type,
    point: QPoint,
    button: Qt.MouseButton,
    held: Qt.MouseButton,
    modifier: Qt.KeyboardModifier,
) -> None:
    place = QPointF(point)
    QApplication.sendEvent(canvas, QMouseEvent(kind, place, QPointF(canvas.mapToGlobal(point)), button, held, modifier))
