"""A second layer on the same data, for another view: it looks as the first one does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_ctvlp._qt.layer_lookup import masks_of, scan_of
from napari_ctvlp._qt.recolour import recolour
from napari_ctvlp._qt.strokes import Strokes

FOLLOWED: dict[type, tuple[str, ...]] = {
    Image: (
        "contrast_limits",
        "colormap",
        "gamma",
        "opacity",
        "blending",
        "visible",
        "interpolation2d",
        "scale",
        "translate",
    ),
    Labels: ("colormap", "opacity", "blending", "visible", "contour", "scale", "translate"),
}
PLACE = ("scale", "translate", "units", "axis_labels")
LATER = ("interpolation2d", "contour")
"""What a new layer does not take with its data."""


class _Resting(Layer):
    """Is neither sliced nor sent to its canvas while its opacity is 0, as layers of ours are that wait to be shown."""

    _moved: Any = None  # where the sliders are, of which the layer was not told yet
    _stale = False

    def refresh(self, *args: Any, **kwargs: Any) -> None:
        """napari: show the data anew; once it is seen."""
        if self.opacity > 0:
            super().refresh(*args, **kwargs)
        else:
            self._stale = True

    def _slice_dims(self, dims: Any, force: bool = False) -> None:
        """napari (0.9): the sliders have moved."""
        if self.opacity > 0:
            super()._slice_dims(dims, force)
        else:
            self._moved = dims

    def catch_up(self) -> None:
        """Show what has changed meanwhile, if it is seen now."""
        if self.opacity > 0:
            moved, stale, self._moved, self._stale = self._moved, self._stale, None, False
            if moved is not None:
                self._slice_dims(moved)
            if stale:
                self.refresh()


class _PlainImage(_Resting, Image):
    """An image that nobody sees in a layer list."""

    def _update_thumbnail(self) -> None:
        """Thumbnails would take a third of every change of looks, and these are not shown."""


class _PlainLabels(_Resting, Labels):
    """Labels that nobody sees in a layer list, or paints in: strokes go into the source."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # what napari draws while somebody paints; made in every canvas where it is not hidden, and coloured with the
        # layer, which takes longer than the labels themselves
        for tool in ("polygon", "brush_stroke"):
            if (drawn := self._overlays.get(tool)) is not None:
                drawn.visible = False

    def _update_thumbnail(self) -> None:
        """See `_PlainImage`."""


class Twin:
    """Follows one layer; napari cannot show one layer in two viewers.

    Parameters
    ----------
    layer : Image or Labels
        Its array is shared, not copied.
    """

    def __init__(self, layer: Image | Labels) -> None:
        self.source: Image | Labels | None = layer
        self._names = FOLLOWED[Labels if isinstance(layer, Labels) else Image]
        self._live = True
        self.full = False  # at rest, with what it showed
        self.showed = ""  # at rest: "scan" or "organs", where it showed that
        self._undo: list[Callable[[], None]] = []
        self._strokes: Strokes | None = None
        place = {name: getattr(layer, name) for name in PLACE}
        look = {name: getattr(layer, name) for name in self._names if name not in (*LATER, *PLACE)}
        plain = _PlainLabels if isinstance(layer, Labels) else _PlainImage
        self.layer = plain(layer.data, name=layer.name, **place, **look)
        for name in LATER:
            if name in self._names:
                setattr(self.layer, name, getattr(layer, name))
        self._watch(layer)

    def can_follow(self, layer: Image | Labels) -> bool:
        """Whether it rests, and that layer is one that it can follow: of its kind, and on the GPU of the same size a
        voxel."""
        own = self.layer
        return (
            self.source is None
            and isinstance(layer, Labels) == isinstance(own, Labels)
            and not layer.multiscale
            and not getattr(layer, "rgb", False)
            and layer.ndim == own.ndim
            and layer.dtype == own.dtype
        )

    def follow(self, layer: Image | Labels) -> None:
        """Follow another layer after a rest: a tenth of the time that a new layer takes on a canvas."""
        self.source, self._live, self.full, own = layer, True, False, self.layer
        own.name = layer.name
        with getattr(own, "_block_refresh", nullcontext)():  # napari 0.9; without it each step slices
            own.data = layer.data
            self._place_as(layer)
            for name in self._names:
                self._copy(name)
        own.refresh()
        self._watch(layer)

    def rest(self) -> None:
        """Follow no more, and be hidden; `empty` is to come."""
        self.release()
        self.showed = "scan" if scan_of(self.source) else "organs" if masks_of(self.source) else ""
        self.source = None
        self.layer.visible = False
        self.full = True

    def empty(self, place: Image | Labels | None = None) -> None:
        """At rest, hold nothing of what was followed, and be no wider than the first voxel of a layer."""
        if self.full:
            self.full = False
            self.layer.data = np.zeros((1,) * self.layer.ndim, self.layer.dtype)
            # hidden, layer and canvas keep the slice that was seen last, and with it the whole array
            self.layer.set_view_slice()
            self.layer.events.set_data()
        if place is not None:
            self._place_as(place)

    def _place_as(self, layer: Image | Labels) -> None:
        for name in PLACE:
            if not np.array_equal(getattr(self.layer, name), getattr(layer, name)):
                setattr(self.layer, name, getattr(layer, name))

    def _watch(self, layer: Image | Labels) -> None:
        for name in self._names:
            self._connect(getattr(layer.events, name), partial(self._copy, name))
        if isinstance(layer, Labels):
            strokes = Strokes(layer)  # they change the shared array in place
            self._undo.append(strokes.release)
            strokes.ended.connect(self._refresh)
            self._strokes = strokes
        else:
            self._connect(layer.events.data, self._refresh)

    def set_live(self, live: bool) -> None:
        """Whether to follow now; what changed meanwhile is caught up with."""
        if live and not self._live:
            self._live = True
            for name in self._names:
                self._copy(name)
            self._refresh()
        self._live = live

    def release(self) -> None:
        """Follow no more."""
        for undo in self._undo:
            undo()
        self._undo.clear()
        self._strokes = None

    def _connect(self, emitter: Any, slot: Callable[..., None]) -> None:
        emitter.connect(slot)
        self._undo.append(partial(emitter.disconnect, slot))

    def _copy(self, name: str, event: object = None) -> None:
        value = getattr(self.source, name)
        if self._live and getattr(self.layer, name) is not value:
            if name == "colormap" and isinstance(self.layer, Labels):
                recolour(self.layer, value)
            else:
                setattr(self.layer, name, value)
            if name == "opacity":
                self.layer.catch_up()

    def _refresh(self, event: object = None) -> None:
        if not self._live or self.source is None:
            return
        if self.layer.data is not self.source.data:
            self.layer.data = self.source.data
        else:
            self.layer.refresh()
