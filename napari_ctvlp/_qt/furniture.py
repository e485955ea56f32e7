"""Letters at the edges of the canvas that say where left, front and head are, a scale bar in mm, the window of HU."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from napari.components.overlays import TextOverlay

if TYPE_CHECKING:
    import napari
    from napari.components import ViewerModel

# towards higher and lower index of the axes I, P, L
TOWARDS = ("I", "P", "L")
AGAINST = ("S", "A", "R")
EDGES = {"top": "top_center", "bottom": "bottom_center", "left": "middle_left", "right": "middle_right"}
PREFIX = "ctvlp_"
WINDOW = PREFIX + "window"


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
    """Adds the letters, the window and, when there is none, a scale bar; takes away again only what it added."""

    def __init__(self, viewer: napari.viewer.Viewer | ViewerModel) -> None:
        self._viewer = viewer
        self._own_scale_bar = False
        self._shown = False

    def set_scan(self, scan: object | None) -> None:
        """Furnish the canvas while a scan is open."""
        if scan is None:
            self.remove()
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
            self._viewer.dims.events.connect(self.update)
            self._viewer.scene.camera.events.orientation.connect(self.update)
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
                overlays[key] = TextOverlay(text=letters[edge], position=position, font_size=14, visible=True)
            elif overlays[key].text != letters[edge] or not overlays[key].visible:
                overlays[key].text = letters[edge]
                overlays[key].visible = True

    def set_window_text(self, text: str) -> None:
        """Say with which window the scan is shown; empty for nothing."""
        overlays = self._viewer.canvas.overlays
        if WINDOW in overlays:
            overlays[WINDOW].text = text
            overlays[WINDOW].visible = bool(text)
        elif text:
            overlays[WINDOW] = TextOverlay(text=text, position="bottom_left", font_size=10, visible=True)

    def remove(self) -> None:
        """Take away what was added."""
        if not self._shown:
            return
        self._shown = False
        self._viewer.dims.events.disconnect(self.update)
        self._viewer.scene.camera.events.orientation.disconnect(self.update)
        for key in (*(PREFIX + edge for edge in EDGES), WINDOW):
            with suppress(KeyError):  # a user may have removed one
                del self._viewer.canvas.overlays[key]
        if self._own_scale_bar:
            self._own_scale_bar = False
            self._viewer.canvas.overlays.scale_bar.visible = False
