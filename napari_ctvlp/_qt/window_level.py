"""The window of HU that the scan is shown with: presets, right drag, the choice by the organ asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_ctvlp.anatomy.windows import Window, window_of, window_text
from napari_ctvlp.scan.layers import SOFT_TISSUE

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_ctvlp._qt.open_layers import OpenLayers
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.ask.types import Ranking
    from napari_ctvlp.scan.types import Scan
    from napari_ctvlp.session import Session

Value = tuple[float, float]
"""Width and level in HU."""
RIGHT = 2
"""Number of the right mouse button in napari's events."""
NARROWEST = 1.0
PIXELS_A_WIDTH = 400
"""Pixels of drag that change level or width by a whole width."""


class WindowLevel:
    """Sets the contrast limits of the open scan; the layer itself holds the truth.

    Parameters
    ----------
    viewer, session, layers, undo
        Whom it serves.
    wiring : Wiring
        Undoes its connections.

    Notes
    -----
    ``changed`` (psygnal) carries the text to show, empty without a scan.
    """

    changed = Signal(str)

    def __init__(
        self, viewer: napari.viewer.Viewer, session: Session, layers: OpenLayers, undo: Undo, wiring: Wiring
    ) -> None:
        self._session = session
        self._layers = layers
        self._undo = undo
        self.automatic = True
        self._layer: Image | None = None
        self._choice: tuple[Value, Value] | None = None  # before, after
        self._drags = 0
        wiring.connect(session.scan_changed, self._on_scan_changed)
        wiring.connect(session.ranking_changed, self._on_ranking_changed)
        viewer.mouse_drag_callbacks.append(self.drag)
        wiring.callback(self._forget_drag, viewer)
        wiring.callback(self._follow, None)

    @property
    def value(self) -> Value | None:
        """(width, level) in HU, None without a scan."""
        if self._layer is None:
            return None
        low, high = self._layer.contrast_limits
        return (high - low, (high + low) / 2)

    @property
    def text(self) -> str:
        """Width, level and the name of the preset, empty without a scan."""
        value = self.value
        return "" if value is None else window_text(*value)

    def set(self, width: float, level: float, *, what: str = "window", series: str = "") -> None:
        """Show HU from ``level`` - ``width`` / 2 to ``level`` + ``width`` / 2."""
        layer, before = self._layer, self.value
        width = max(NARROWEST, width)
        if layer is None or before is None or before == (width, level):
            return
        self._undo.push(what, partial(self.set, *before), series=series)
        layer.contrast_limits = (level - width / 2, level + width / 2)

    def restore(self, value: Value) -> None:
        """Show the window of before a question, which takes the question's own choice back."""
        width, level = value
        self._choice = None
        if self._layer is not None:
            self._layer.contrast_limits = (level - width / 2, level + width / 2)

    def choose(self, window: Window) -> None:
        """Show a preset."""
        self.set(window.width, window.level, what=f"{window.name} window")

    def choose_own(self) -> None:
        """Show the window that the scan's file asks for, soft tissue where it asks for none."""
        if self._session.scan is not None:
            level, width = self._session.scan.window or SOFT_TISSUE
            self.set(width, level, what="the scan's own window")

    def set_automatic(self, automatic: bool) -> None:
        """Whether a question chooses the window by the organ that answers."""
        self.automatic = automatic

    def drag(self, viewer: Any, event: Any) -> Iterator[None]:
        """napari's mouse callback: right drag; to the right for wider, down for a higher level (darker), as in OHIF."""
        start = self.value
        if event.button != RIGHT or event.modifiers or start is None or viewer.dims.ndisplay != 2:
            return
        event.handled = True  # else the camera zooms
        origin = tuple(float(v) for v in event.pos)
        step = max(start[0], 40.0) / PIXELS_A_WIDTH
        self._drags += 1
        series = f"drag {self._drags}"
        yield
        while event.type == "mouse_move":
            event.handled = True
            right, down = (float(now) - then for now, then in zip(event.pos, origin, strict=True))
            self.set(start[0] + right * step, start[1] + down * step, what="window by drag", series=series)
            yield
        event.handled = True

    def _follow(self, layer: Image | None) -> None:
        if self._layer is not None:
            self._layer.events.contrast_limits.disconnect(self._tell)
        self._layer = layer
        if layer is not None:
            layer.events.contrast_limits.connect(self._tell)
        self._tell()

    def _tell(self, event: object = None) -> None:
        self.changed.emit(self.text)

    def _forget_drag(self, viewer: napari.viewer.Viewer) -> None:
        if self.drag in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self.drag)

    def _on_scan_changed(self, scan: Scan | None) -> None:
        self._choice = None
        self._follow(self._layers.scan_layer)

    def _on_ranking_changed(self, ranking: Ranking | None) -> None:
        """Choose by the organ that answers; when the question is taken back, so is the choice.

        An answer that comes again (masks were painted, the encoder changed) leaves the window as it is.
        """
        if not self._session.is_news or (ranking is None and self._session.query):
            return
        value = self.value
        if value is None or self._layer is None:
            return
        if self._choice is not None and value != self._choice[1]:
            self._choice = None  # changed by hand since
        organ = ranking.shown if ranking is not None else ""
        if organ and self.automatic:
            window = window_of(organ)
            # part of the question, so that it is taken back with it and is no step of its own
            self._layer.contrast_limits = window.limits
            self._choice = (self._choice[0] if self._choice else value, (window.width, window.level))
        elif self._choice is not None:
            width, level = self._choice[0]
            self._layer.contrast_limits = (level - width / 2, level + width / 2)
            self._choice = None
