"""The double click in the main canvas, where napari zooms, while another use is made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import napari


class DoubleClick:
    """Takes the double click, and gives napari its own back.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    action : callable
        napari's mouse callback, called in place of its zoom.
    """

    def __init__(self, viewer: napari.viewer.Viewer, action: Callable[[Any, Any], object]) -> None:
        self._callbacks = viewer.mouse_double_click_callbacks
        self._action = action
        self._zooms: list[Any] = []

    def take(self) -> None:
        """Call the action on a double click from now on; safe to call twice."""
        if self._action in self._callbacks:
            return
        self._zooms = [c for c in self._callbacks if getattr(c, "__name__", "") == "double_click_to_zoom"]
        for zoom in self._zooms:
            self._callbacks.remove(zoom)
        self._callbacks.append(self._action)

    def give_back(self) -> None:
        """Let napari zoom again; safe to call twice."""
        if self._action in self._callbacks:
            self._callbacks.remove(self._action)
            self._callbacks.extend(zoom for zoom in self._zooms if zoom not in self._callbacks)
