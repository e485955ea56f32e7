"""Where a widget is docked: `QWidget.window` is the dock itself while that floats."""

from __future__ import annotations

from typing import TypeVar

from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

Kind = TypeVar("Kind", bound=QWidget)


def dock_of(widget: QWidget) -> QDockWidget | None:
    """The dock that a widget stands in."""
    return _around(widget, QDockWidget)


def main_window(widget: QWidget) -> QMainWindow | None:
    """The window that a widget is docked in, also while its dock floats as a window of its own."""
    return _around(widget, QMainWindow)


def _around(widget: QWidget, kind: type[Kind]) -> Kind | None:
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, kind):
        parent = parent.parentWidget()
    return parent
