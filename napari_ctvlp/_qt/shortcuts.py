"""Keys of the window while the dock is open."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QMainWindow, QShortcut, QWidget


class Shortcuts:
    """Keys that work anywhere in the main window except where text is typed.

    Qt's shortcuts and not napari's key bindings: those see "!" for Shift+1, and which sign that is depends on the
    keyboard's layout.
    """

    def __init__(self) -> None:
        self._wanted: list[tuple[str, Callable[[], object]]] = []
        self._made: list[QShortcut] = []
        self._window: QMainWindow | None = None

    def add(self, key: str, action: Callable[[], object]) -> None:
        """Call ``action`` when ``key`` (as Qt writes it: "Shift+1") is pressed."""
        self._wanted.append((key, action))
        if self._window is not None:
            self._make(key, action)

    def install(self, widget: QWidget) -> None:
        """Listen in the main window that ``widget`` is docked in, floating or not."""
        window = widget.parentWidget()
        while window is not None and not isinstance(window, QMainWindow):
            window = window.parentWidget()
        if window is None or window is self._window:
            return
        self.remove()
        self._window = window
        for key, action in self._wanted:
            self._make(key, action)

    def remove(self) -> None:
        """Release all keys."""
        for shortcut in self._made:
            try:
                shortcut.setEnabled(False)
                shortcut.deleteLater()
            except RuntimeError:  # went with its window
                continue
        self._made.clear()
        self._window = None

    def _make(self, key: str, action: Callable[[], object]) -> None:
        shortcut = QShortcut(QKeySequence(key), self._window)
        shortcut.activated.connect(action)
        self._made.append(shortcut)
