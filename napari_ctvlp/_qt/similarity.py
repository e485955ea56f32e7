"""The map of similarity on the canvas: one layer, whose content changes with the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image
from psygnal import Signal

from napari_ctvlp._qt.layer_lookup import OWN_KEY
from napari_ctvlp._qt.map_colours import map_colormap
from napari_ctvlp._qt.placing import add_quietly, show_elsewhere
from napari_ctvlp._qt.removing import remove_layer, remove_with_scan
from napari_ctvlp._qt.undo_controls import undo_slider
from napari_ctvlp.work import Task

if TYPE_CHECKING:
    import napari

    from napari_ctvlp._qt.map_legend import MapLegend
    from napari_ctvlp._qt.navigator import Navigator
    from napari_ctvlp._qt.overlay import Overlay
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.ask.locate import SimilarityMap
    from napari_ctvlp.scan.types import Scan
    from napari_ctvlp.session import Session

NAME = "similarity"
MAPPING = "Mapping where in the organs the answer lies…"


class SimilarityLayer:
    """Shows and hides the map, explains it, goes from peak to peak.

    Hiding is an opacity of 0: a layer that is not visible is taken out of every canvas and put back, several times the
    cost.

    Parameters
    ----------
    viewer, session, navigator, overlay, legend, undo
        Whom it serves.
    wiring : Wiring
        Undoes its connections, and takes the layer away.

    Notes
    -----
    ``changed`` (psygnal) carries whether there is a map, or will be one once it is wanted, and whether it is shown.
    """

    changed = Signal(bool, bool)

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        session: Session,
        navigator: Navigator,
        overlay: Overlay,
        legend: MapLegend,
        undo: Undo,
        wiring: Wiring,
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._navigator = navigator
        self._overlay = overlay
        self._legend = legend
        self._undo = undo
        self.wanted = False
        self._layer: Image | None = None
        self._setting = False
        self._peak = 0
        self._why_none = ""
        self._going = False  # to a peak that is being looked for
        wiring.connect(session.located_changed, self._on_located)
        wiring.connect(session.ranking_changed, self._on_ranking)
        wiring.connect(session.activity_changed, self._on_activity)
        wiring.connect(session.masks_changed, self._on_masks_changed)
        wiring.connect(session.scan_changed, self._on_scan_changed)
        wiring.connect(viewer.layers.events.removed, self._on_layer_removed)
        wiring.callback(self._remove)
        legend.opacity_changed.connect(self._on_opacity)
        self._strength = undo_slider(legend.opacity, undo, "opacity of the map")
        legend.peak_requested.connect(self.next_peak)

    @property
    def layers(self) -> list[Image]:
        """The layer, where there is one."""
        return [] if self._layer is None else [self._layer]

    @property
    def shown(self) -> bool:
        """Whether a map is to be seen."""
        return self._layer is not None and self._layer.visible and self._layer.opacity > 0

    @property
    def why_none(self) -> str:
        """Why the answer has no map, or none yet, in a sentence; "" where it has one, or nothing was answered."""
        session = self._session
        if self.wanted and session.located is None and session.busy_with(Task.LOCATE):
            return MAPPING
        embedding, ranking = session.embedding, session.ranking
        if embedding is None or embedding.dense is not None or ranking is None or session.located is not None:
            return ""
        return f"No map: {embedding.encoder.card.name} gives one vector an organ and none of places within."

    def toggle(self) -> None:
        """Show the map or hide it."""
        self.set_wanted(not self.wanted)

    def set_wanted(self, wanted: bool) -> None:
        """Whether the map of an answer is shown."""
        if wanted != self.wanted:
            self.wanted = wanted
            self._undo.push("showing the map" if wanted else "hiding the map", self.toggle)
            self._session.set_map_wanted(wanted)
            self._show()

    def next_peak(self) -> None:
        """Go to the best place that answers, then to the next one, and so on around."""
        located, scan = self._session.located, self._session.scan
        if located is None:
            self._going = self._session.can_locate
            self._session.locate()
            return
        if scan is None or not located.peaks:
            return
        peak = located.peaks[self._peak % len(located.peaks)]
        self._peak = self._peak % len(located.peaks) + 1
        self._legend.set_peak(self._peak, len(located.peaks))
        world = np.asarray(scan.napari_translate) + np.asarray(peak.index) * np.asarray(scan.spacing)
        before = tuple(float(v) for v in self._viewer.dims.point)[-3:]
        self._undo.push("going to a peak", lambda: self._navigator.go_to(before))
        self._navigator.point_at(tuple(float(v) for v in world))

    def _on_ranking(self, ranking: object) -> None:
        """Without places nothing is located, and nobody would be told so."""
        self._going = False
        self._show()

    def _on_masks_changed(self, masks: object) -> None:
        self._show()

    def _on_activity(self, activity: object = None) -> None:
        if self.why_none != self._why_none:
            self._show()

    def _on_located(self, located: SimilarityMap | None) -> None:
        self._peak = 0
        self._legend.set_map(located)
        if located is not None and self._session.scan is not None:
            self._put(located, self._session.scan)
        self._show()
        if self._going and located is not None:
            self._going = False
            self.next_peak()

    def _put(self, located: SimilarityMap, scan: Scan) -> None:
        """Put a map into the layer, made when first needed."""
        spacing = np.asarray(scan.spacing)
        scale = spacing * located.step
        translate = np.asarray(scan.napari_translate) + np.asarray(located.start) * spacing
        if self._layer is not None:
            self._set_opacity(0.0)  # nothing is seen, or sliced in other views, between the steps
            show_elsewhere(self._layer, located.values, scale, translate)
            return
        layer = Image(
            located.values,
            name=NAME,
            colormap=map_colormap(),
            contrast_limits=(0, 255),
            opacity=0.0,
            scale=scale,
            translate=translate,
            axis_labels=("I", "P", "L"),
            units=("mm",) * 3,
            metadata={OWN_KEY: True},
        )
        layer.events.opacity.connect(self._on_layer_opacity)
        self._layer = layer
        add_quietly(self._viewer, layer)

    def _show(self) -> None:
        there = self._session.located is not None
        shown = there and self.wanted and self._layer is not None
        self._set_opacity(self._legend.opacity.value() / 100 if shown else 0.0)
        self._overlay.set_mapped(shown)
        self._why_none = self.why_none
        self.changed.emit(there or (not self.wanted and self._session.can_locate), self.wanted)

    def _on_opacity(self, opacity: float) -> None:
        if self.wanted and self._session.located is not None:
            self._set_opacity(opacity)

    def _set_opacity(self, opacity: float) -> None:
        if self._layer is not None and self._layer.opacity != opacity:
            self._setting = True
            self._layer.opacity = opacity
            self._setting = False

    def _on_layer_opacity(self, event: object = None) -> None:
        """The user changed it in napari's own controls."""
        if self._setting or self._layer is None or self._session.located is None:
            return
        opacity = float(self._layer.opacity)
        if opacity > 0:
            self._legend.set_opacity(opacity)
            self._strength.sync()
        if self.wanted != (opacity > 0):
            self.wanted = opacity > 0
            self._session.set_map_wanted(self.wanted)
            self._overlay.set_mapped(self.wanted)
            self.changed.emit(True, self.wanted)

    def _on_scan_changed(self, scan: object) -> None:
        layer, self._layer = self._layer, None
        if layer is not None:
            remove_with_scan(self._viewer.layers, layer)

    def _on_layer_removed(self, event: object) -> None:
        if self._layer is not None and self._layer not in self._viewer.layers:
            self._layer = None
            self._overlay.set_mapped(False)

    def _remove(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None:
            remove_layer(self._viewer.layers, layer)
