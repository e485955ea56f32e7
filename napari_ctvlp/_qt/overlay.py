"""The organs' colours on the canvas: faint by themselves, glowing in proportion to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtCore import QObject, QTimer

from napari_ctvlp._qt.organ_looks import Colour, OrganLooks
from napari_ctvlp._qt.recolour import recolour

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_ctvlp.ask.types import Ranking
    from napari_ctvlp.scan.types import OrganMasks

# Amber of the Okabe-Ito palette made lighter: far from every grey of a CT in brightness, for colour-blind readers too
ACCENT: tuple[float, float, float] = (1.0, 0.82, 0.2)
SECOND: tuple[float, float, float] = (0.35, 0.7, 0.9)
"""Sky blue, far from the accent in hue and in lightness to every kind of eye: the second of two, outlines on a glow."""
RESTING = 0.4
"""Alpha of every organ while nothing is asked: faint enough to see the scan through."""
RECEDED = 0.1
"""Alpha of an organ that does not answer."""
GLOW = (0.25, 0.8)
"""Alpha of a matching organ, from a weak answer to a sure one; a stone inside must stay visible."""
UNDER_A_MAP = 0.25
"""Share of the glow that stays where a map of similarity is drawn over it."""
NEW: tuple[float, float, float, float] = (0.6, 0.6, 0.6, 1.0)
"""Colour of what is being painted and is no organ yet."""
CLEAR: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
MATCH_SHARE = 0.5
"""An organ glows when its score is at least this share of the best one's."""


def highlight_colours(
    scores: Mapping[int, float],
    base: Mapping[int | None, Colour],
    accent: tuple[float, float, float] = ACCENT,
    strength: float = 1.0,
) -> dict[int | None, Colour]:
    """Colours for an answer: accent in proportion to the score, everything else its own colour made faint.

    Parameters
    ----------
    scores : mapping of label to score in 0..1
    base : mapping of label (None for any other) to RGBA in 0..1
    accent : RGB of the glow
    strength : share of the usual glow

    Returns
    -------
    dict
        Label (and None) to RGBA, as `DirectLabelColormap` takes it.
    """
    best = max(scores.values(), default=0.0)
    colours: dict[int | None, Colour] = {}
    for label, (red, green, blue, alpha) in base.items():
        score = scores.get(label, 0.0) if label is not None else 0.0
        if best > 0 and score >= MATCH_SHARE * best:
            colours[label] = (*accent, strength * alpha * (GLOW[0] + (GLOW[1] - GLOW[0]) * min(1.0, score)))
        else:
            colours[label] = (red, green, blue, RECEDED * alpha)
    return colours


def ranking_scores(ranking: Ranking, masks: OrganMasks) -> dict[int, float]:
    """Score by label, of an answer that matched."""
    by_organ = {match.organ: match.score for match in ranking.organs}
    return {label: by_organ[name] for label, name in masks.names.items() if name in by_organ}


class Overlay(QObject):
    """Recolours one Labels layer, at most once per turn of the event loop; the data is never touched.

    The layer's own colours are drawn faint while nothing is asked, and given back when the layer is let go. What the
    user chose for single organs (``looks``) holds in both.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.looks = OrganLooks()
        self._layer: Labels | None = None
        self._own: Any = None
        self._base: dict[int | None, Colour] = {}
        self._scores: Mapping[int, float] | None = None
        self._mapped = False
        self._wanted: dict[int | None, Colour] | None = None
        self._kept: WeakKeyDictionary[Labels, Any] = WeakKeyDictionary()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self.flush)
        self.looks.changed.connect(self._draw)

    def set_layer(self, layer: Labels | None, colours: Mapping[int, Colour] | None = None) -> None:
        """Recolour this layer from now on; the one before gets its own colours back.

        Parameters
        ----------
        layer : Labels or None
        colours : mapping of int to Colour, optional
            Colours of labels for which the layer itself has none; those of a layer whose colours follow no table.
            Given again for the same layer, they are of labels that are new in it.
        """
        if layer is self._layer:
            self._add(colours or {})
            return
        if self._layer is not None and self._own is not None:
            self._kept[self._layer] = self.looks.state
            self._wanted = None
            self._timer.stop()
            self._layer.colormap = self._own
        self._layer = layer
        self._base = {}
        self._own = None
        self._scores = None
        if layer is not None:
            self._own = layer.colormap
            table = getattr(layer.colormap, "color_dict", None) or {None: NEW, 0: CLEAR}
            self._base.update((colours or {}).items())
            self._base.update((key, _rgba(value)) for key, value in table.items())
        self.looks.reset({label: colour for label, colour in self._base.items() if label})
        if layer in self._kept:  # its scan was open before
            self.looks.restore(self._kept[layer])

    def _add(self, colours: Mapping[int, Colour]) -> None:
        new = {label: colour for label, colour in colours.items() if label not in self._base}
        if new:
            self._base.update(new.items())
            self.looks.extend(new)

    def show(self, scores: Mapping[int, float]) -> None:
        """Let these labels glow in proportion to their scores and the others recede."""
        self._scores = dict(scores)
        self._draw()

    def reset(self) -> None:
        """Draw every organ in its own colour, faint."""
        self._scores = None
        self._draw()

    def set_mapped(self, mapped: bool) -> None:
        """Whether a map of similarity is drawn over the organs that answer; their glow makes room for it."""
        if mapped != self._mapped:
            self._mapped = mapped
            self._draw()

    def _draw(self) -> None:
        base: dict[int | None, Colour] = dict(self._base)
        base.update(self.looks.base().items())
        if self._scores is None:
            self._want({label: (*colour[:3], RESTING * colour[3]) for label, colour in base.items()})
        else:
            strength = UNDER_A_MAP if self._mapped else 1.0
            self._want(highlight_colours(self._scores, base, strength=strength))

    def flush(self) -> None:
        """Recolour now what is waiting to be recoloured."""
        self._timer.stop()
        wanted, self._wanted = self._wanted, None
        if wanted is not None and self._layer is not None:
            # always a new object: napari does not see changes inside a colormap (napari issue 7327)
            recolour(self._layer, DirectLabelColormap(color_dict=dict(wanted)))

    def _want(self, colours: dict[int | None, Colour]) -> None:
        if self._layer is None or not self._base:
            return
        self._wanted = colours
        self._timer.start()


def _rgba(value: object) -> Colour:
    red, green, blue, alpha = (float(v) for v in np.asarray(value, float))
    return red, green, blue, alpha
