"""Canvases of ours in a dock beside the main canvas."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from qtpy.QtCore import QEvent, Qt, QTimer, Signal
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QAbstractButton, QDockWidget, QSizePolicy, QSplitter, QVBoxLayout, QWidget

from napari_ctvlp._qt.docked import dock_of, main_window
from napari_ctvlp._qt.own_context import canvases_share
from napari_ctvlp._qt.slice_view import SliceView

SHARE = 0.36
"""Of the room that the main canvas had."""
NAME = "Coronal and sagittal"
FLOAT_BUTTON = "QTitleBarFloatButton"
"""Of napari's title bar, which has one whatever the dock may do."""


class DockContent(QWidget):
    """What napari docks: a widget that knows its dock.

    Signals
    -------
    removed()
        The user closed the dock.
    toggled(bool)
        Somebody else showed or hid it: the button of its title, or napari's menu of windows.
    """

    removed = Signal()
    toggled = Signal(bool)

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(content)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._docked = False
        self._own = False
        # not within the event: who hears of it shows and hides docks
        self._telling = QTimer(self)
        self._telling.setSingleShot(True)
        self._telling.timeout.connect(self._tell_toggled)
        # methods alone may be connected to timers that belong to Qt: a function made for it is garbage with the widget
        # and emptied before Qt deletes the timer, which then calls it and crashes the process
        self._sharing = QTimer(self)
        self._sharing.setSingleShot(True)
        self._sharing.timeout.connect(self._share_room)

    def place_beside(self, other: QWidget) -> None:
        """Stand left of another docked widget, with some of the main canvas' room; below what of ours stands there."""
        mine, theirs, window = dock_of(self), dock_of(other), main_window(self)
        self._docked = mine is not None
        self._keep_in_window()
        if mine is None or theirs is None or window is None or theirs.isFloating():
            return
        if window.dockWidgetArea(theirs) != Qt.DockWidgetArea.RightDockWidgetArea:
            return
        ours = [dock for content in window.findChildren(DockContent) if (dock := dock_of(content)) not in (None, mine)]
        for dock in ours:
            if window.dockWidgetArea(dock) == Qt.DockWidgetArea.RightDockWidgetArea and not dock.isFloating():
                window.splitDockWidget(dock, mine, Qt.Orientation.Vertical)
                return
        window.splitDockWidget(mine, theirs, Qt.Orientation.Horizontal)
        self._sharing.start(0)  # the new dock has no size before the layout's next turn

    def _share_room(self) -> None:
        mine, window = dock_of(self), main_window(self)
        if mine is not None and window is not None:
            room = window.centralWidget().width() + mine.width()
            window.resizeDocks([mine], [max(200, int(room * SHARE))], Qt.Orientation.Horizontal)

    def set_shown(self, shown: bool) -> None:
        """Show or hide the whole dock."""
        dock = dock_of(self)
        if dock is not None:
            self._own = True
            dock.setVisible(shown)
            self._own = False
            self._keep_in_window()

    def _keep_in_window(self) -> None:
        """Let the dock not float where its canvases would be lost with the OpenGL context of their window.

        Neither may it be moved: while it is dragged it is a window of its own.
        """
        dock = dock_of(self)
        if dock is None or canvases_share():
            return
        feature = QDockWidget.DockWidgetFeature
        dock.setFeatures(dock.features() & ~(feature.DockWidgetFloatable | feature.DockWidgetMovable))
        title = dock.titleBarWidget()
        for button in title.findChildren(QAbstractButton, FLOAT_BUTTON) if title is not None else ():
            button.hide()

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Qt: hidden, or covered by the tab of another dock, or with the whole window."""
        super().hideEvent(event)
        self._note_toggle()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Qt: shown again, by whomever."""
        super().showEvent(event)
        self._note_toggle()

    def _note_toggle(self) -> None:
        if self._docked and not self._own:
            self._telling.start(0)

    def _tell_toggled(self) -> None:
        dock = dock_of(self)
        if dock is not None:
            self.toggled.emit(not dock.isHidden())

    def event(self, event: QEvent | None) -> bool:
        """Qt: napari takes the widget out of its dock when the user closes that."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self._docked and dock_of(self) is None:
            self._docked = False
            self.removed.emit()
        return super().event(event)


class ViewsDock(DockContent):
    """The slice views in a splitter, coronal over sagittal."""

    def __init__(self, views: Sequence[SliceView]) -> None:
        splitter = QSplitter(Qt.Orientation.Vertical)
        for view in views:
            splitter.addWidget(view)
        super().__init__(splitter)
        self._width_before = 0

    def set_central_shown(self, shown: bool) -> None:
        """Show or hide the main canvas; its room goes to the views."""
        mine, window = dock_of(self), main_window(self)
        if window is None or mine is None or window.centralWidget().isVisible() == shown:
            return
        docks = [d for d in window.findChildren(QDockWidget) if d.isVisible() and not d.isFloating()]
        across = (Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea)
        others = [d for d in docks if d is not mine and window.dockWidgetArea(d) in across]
        widths = [d.width() for d in others]
        central = window.centralWidget()
        if shown:
            mine_width = self._width_before
        else:
            self._width_before = mine.width()
            mine_width = mine.width() + central.width()
        central.setVisible(shown)
        window.resizeDocks([*others, mine], [*widths, mine_width], Qt.Orientation.Horizontal)


@contextmanager
def painted_once(widget: QWidget) -> Iterator[None]:
    """Rearrange the window that a widget is docked in; Qt paints all canvases after each step of that."""
    window = main_window(widget)
    if window is None or not window.updatesEnabled():
        yield
        return
    window.setUpdatesEnabled(False)
    try:
        yield
    finally:
        window.setUpdatesEnabled(True)
