"""Keys of the window while the dock is open, and the list that tells them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from weakref import WeakSet

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import (
    QAbstractItemView,
    QAbstractSlider,
    QApplication,
    QDialog,
    QMainWindow,
    QShortcut,
    QWidget,
)

from napari_ctvlp._qt.views_dock import DockContent

Action = Callable[[], object]
STEERED = (QAbstractItemView, QAbstractSlider)
"""Widgets that arrows steer, with Shift, too."""


@dataclass(frozen=True)
class Told:
    """A line of the list of keys and mouse: the group it stands in, keys or gesture, and what they do."""

    group: str
    keys: str
    what: str


@dataclass(frozen=True)
class _Wanted:
    key: str
    action: Action
    arrows: bool


class Shortcuts(QObject):
    """Keys that work anywhere in the main window and in our dialogs, except where text is typed.

    Qt's shortcuts and not napari's key bindings: those see "!" for Shift+1, and which sign that is depends on the
    keyboard's layout. A key that napari's own side of the window has a use for is left to it.

    Parameters
    ----------
    parent : QWidget
        The dock; dialogs find the keys there (see `keys_of`).
    taken : callable
        Whether napari has a use for a key (as Qt writes it) at the moment.
    """

    def __init__(self, parent: QWidget, taken: Callable[[str], bool]) -> None:
        super().__init__(parent)
        self._taken = taken
        self._wanted: list[_Wanted] = []
        self._told: list[Told] = []
        self._made: list[QShortcut] = []
        self._dialogs: WeakSet[QDialog] = WeakSet()
        self._window: QMainWindow | None = None

    @property
    def told(self) -> tuple[Told, ...]:
        """What there is to know, in the order in which it was added."""
        return tuple(self._told)

    def add(self, key: str, action: Action, group: str, what: str, *, arrows: bool = False) -> None:
        """Call ``action`` when ``key`` (as Qt writes it: "Shift+1") is pressed, and tell ``what`` it does.

        Keys with ``arrows`` are left to tables and sliders where these have the focus, and do not work in dialogs.
        """
        wanted = _Wanted(key, action, arrows)
        self._wanted.append(wanted)
        self.tell(key, group, what)
        if self._window is not None:
            self._make(wanted, self._window)

    def tell(self, keys: str, group: str, what: str) -> None:
        """List keys or a gesture that something else acts on."""
        self._told.append(Told(group, keys, what))

    def install(self, widget: QWidget) -> None:
        """Listen in the main window that ``widget`` is docked in, floating or not."""
        window = widget.parentWidget()
        while window is not None and not isinstance(window, QMainWindow):
            window = window.parentWidget()
        if window is None or window is self._window:
            return
        self.remove()
        self._window = window
        window.installEventFilter(self)
        for wanted in self._wanted:
            self._make(wanted, window)

    def install_in(self, dialog: QDialog) -> None:
        """Listen in a dialog of ours, too; what is typed into its lines stays text."""
        if dialog not in self._dialogs and self._window is not None:
            self._dialogs.add(dialog)
            for wanted in self._wanted:
                if not wanted.arrows:
                    self._make(wanted, dialog)

    def remove(self) -> None:
        """Release all keys."""
        for shortcut in self._made:
            try:
                shortcut.setEnabled(False)
                shortcut.deleteLater()
            except RuntimeError:  # went with its window
                continue
        self._made.clear()
        self._dialogs.clear()
        window, self._window = self._window, None
        if window is not None:
            with suppress(RuntimeError):  # Qt has deleted it
                window.removeEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt asks who wants a key before it looks for shortcuts: it goes to the focus where that has a use for it."""
        if event is not None and event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            pressed = QKeySequence(event.keyCombination())
            wanted = next((w for w in self._wanted if QKeySequence(w.key) == pressed), None)
            if wanted is not None and self._left(wanted):
                event.accept()
                return True
        return super().eventFilter(watched, event)

    def _left(self, wanted: _Wanted) -> bool:
        """Whether a key is left to what has the focus."""
        focus = QApplication.focusWidget()
        if wanted.arrows and isinstance(focus, STEERED):
            return True
        ours = any(widget is self.parent() or isinstance(widget, DockContent) for widget in line_of(focus))
        return not ours and self._taken(wanted.key)

    def _make(self, wanted: _Wanted, window: QWidget) -> None:
        shortcut = QShortcut(QKeySequence(wanted.key), window)
        shortcut.activated.connect(wanted.action)
        self._made.append(shortcut)


def line_of(widget: QWidget | None) -> Iterator[QWidget]:
    """A widget and those that it stands in, from the inside."""
    while widget is not None:
        yield widget
        widget = widget.parentWidget()


def keys_of(dialog: QDialog) -> Shortcuts | None:
    """The keys of the dock that a dialog belongs to, None where there is none."""
    found = (w.findChild(Shortcuts, options=Qt.FindChildOption.FindDirectChildrenOnly) for w in line_of(dialog))
    return next((keys for keys in found if isinstance(keys, Shortcuts)), None)
