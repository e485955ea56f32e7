"""Letters at the edges of the canvas that say where left, front and head are, a scale bar in mm, the window of HU."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari.components.overlays import TextOverlay

from napari_ctvlp._qt.canvas_room import bar_length, room_beside, room_between, text_width, window_place

if TYPE_CHECKING:
    import napari
    from napari.components import ViewerModel

# towards higher and lower index of the axes I, P, L
TOWARDS = ("I", "P", "L")
AGAINST = ("S", "A", "R")
EDGES = {"top": "top_center", "bottom": "bottom_center", "left": "middle_left", "right": "middle_right"}
PREFIX = "ctvlp_"
WINDOW = PREFIX + "window"
KEYS = (*(PREFIX + edge for edge in EDGES), WINDOW)
LETTER_POINTS, TEXT_POINTS = 14, 10
COLOUR = (0.15, 0.76, 0.36, 1.0)
"""Green: to be read on air, on bone and on napari's light canvas alike, and no colour of an answer."""
BARE: dict[str, Any] = {"box": False, "colored": True, "color": COLOUR}
"""Looks of the scale bar. Behind this and the texts napari (0.9) would draw boxes, whose shaders it makes anew whenever
a layer comes, goes, hides or moves: two thirds of the time that takes (measured, six boxes in each of three views)."""


def edge_letters(
    displayed: tuple[int, ...], vertical: str = "down", horizontal: str = "right"
) -> dict[str, str] | None:
    """Letters for the edges of a slice view of an (I, P, L) volume.

    Parameters
    ----------
    displayed : axes shown, slowest first (napari's ``dims.displayed``)
    vertical, horizontal : where the axes grow to on screen (``camera.orientation2d``)

    Returns
    -------
    dict or None
        Letter by edge ("top", "bottom", "left", "right"); None when the view is not a slice.
    """
    if len(displayed) != 2 or max(displayed) > 2:
        return None
    rows, columns = displayed
    down, up = TOWARDS[rows], AGAINST[rows]
    right, left = TOWARDS[columns], AGAINST[columns]
    if str(vertical) == "up":
        down, up = up, down
    if str(horizontal) == "left":
        right, left = left, right
    return {"top": up, "bottom": down, "left": left, "right": right}


class Furniture:
    """Adds the letters, the window and, when there is none, a scale bar; takes away again only what it added.

    In a narrow view the scale bar is shorter, and the window stands above the letter: none of them covers another.
    """

    def __init__(self, viewer: napari.viewer.Viewer | ViewerModel) -> None:
        self._viewer = viewer
        self._own_scale_bar = False
        self._bar_looked: dict[str, Any] = {}
        self._shown = False
        self._window_text = ""

    def set_scan(self, scan: object | None) -> None:
        """Furnish the canvas while a scan is open."""
        if scan is None:
            self.hide()
        else:
            self.show()

    def show(self) -> None:
        """Add what is missing and set the letters for the present view."""
        if not self._shown:
            self._shown = True
            bar = self._viewer.canvas.overlays.scale_bar
            if not bar.visible:
                bar.visible = True
                self._own_scale_bar = True
                self._bar_looked = {name: getattr(bar, name) for name in BARE}
                for name, value in BARE.items():
                    setattr(bar, name, value)
            self._viewer.dims.events.connect(self.update)
            self._viewer.scene.camera.events.orientation.connect(self.update)
            for emitter in self._sizes():
                emitter.connect(self._arrange)
        self.update()

    def update(self, event: object = None) -> None:
        """Set the letters for the present view; none in 3D."""
        dims = self._viewer.dims
        letters = None
        if dims.ndim == 3:
            letters = edge_letters(tuple(dims.displayed), *self._viewer.scene.camera.orientation2d)
        overlays = self._viewer.canvas.overlays
        for edge, position in EDGES.items():
            key = PREFIX + edge
            if letters is None:
                if key in overlays:
                    overlays[key].visible = False
                continue
            if key not in overlays:
                overlays[key] = _text(letters[edge], position, LETTER_POINTS)
            elif overlays[key].text != letters[edge] or not overlays[key].visible:
                overlays[key].text = letters[edge]
                overlays[key].visible = True
        self._arrange()

    def set_window_text(self, text: str) -> None:
        """Say with which window the scan is shown; empty for nothing."""
        self._window_text = text
        self._arrange()

    def _sizes(self) -> tuple[Any, ...]:
        return self._viewer.canvas.events.size, self._viewer.scene.camera.events.zoom

    def _arrange(self, event: object = None) -> None:
        """Fit scale bar and window into the view as large as it is now."""
        if not self._shown:
            return
        canvas = self._viewer.canvas
        width, padding = canvas.size[1], canvas.overlay_tiling.padding[0]
        middle, side = self._letter_width("bottom"), max(self._letter_width("left"), self._letter_width("right"))
        beside = room_beside(width, middle, padding)
        if self._own_scale_bar:
            self._set_bar_length(bar_length(self._viewer.scene.camera.zoom, beside, _measure))
        self._show_window(*window_place(self._window_text, beside, room_between(width, side, padding), _measure))

    def _letter_width(self, edge: str) -> float:
        letter = self._viewer.canvas.overlays.get(PREFIX + edge)
        return text_width(letter.text, LETTER_POINTS) if letter is not None and letter.visible else 0.0

    def _set_bar_length(self, length: float | None) -> None:
        bar = self._viewer.canvas.overlays.scale_bar
        if bar.length != length:
            bar.length = length
            bar.events.font_size.emit(bar.font_size)  # napari draws a new length only when the zoom or this changes

    def _show_window(self, position: str, text: str) -> None:
        overlays = self._viewer.canvas.overlays
        if WINDOW not in overlays:
            if text:
                overlays[WINDOW] = _text(text, position, TEXT_POINTS)
            return
        overlay = overlays[WINDOW]
        for name, value in (("text", text), ("position", position), ("visible", bool(text))):
            if getattr(overlay, name) != value:
                setattr(overlay, name, value)

    def hide(self) -> None:
        """Show nothing of it until `show`; napari takes ten times as long to make texts as to show them again."""
        if not self._shown:
            return
        self._shown = False
        self._viewer.dims.events.disconnect(self.update)
        self._viewer.scene.camera.events.orientation.disconnect(self.update)
        for emitter in self._sizes():
            emitter.disconnect(self._arrange)
        for overlay in self._texts():
            overlay.visible = False
        if self._own_scale_bar:
            self._own_scale_bar = False
            self._set_bar_length(None)
            bar = self._viewer.canvas.overlays.scale_bar
            bar.visible = False
            for name, value in self._bar_looked.items():
                setattr(bar, name, value)

    def remove(self) -> None:
        """Take away what was added."""
        self.hide()
        for key in KEYS:
            with suppress(KeyError):  # a user may have removed one
                del self._viewer.canvas.overlays[key]

    def _texts(self) -> list[TextOverlay]:
        overlays = self._viewer.canvas.overlays
        return [overlays[key] for key in KEYS if key in overlays]


def _text(text: str, position: str, points: int) -> TextOverlay:
    return TextOverlay(text=text, position=position, font_size=points, visible=True, box=False, color=COLOUR)


def _measure(text: str) -> float:
    return text_width(text, TEXT_POINTS)
