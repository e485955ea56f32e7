"""Outlines of regions on the canvas: one small Labels layer, whose content changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_ctvlp._qt.layer_lookup import OWN_KEY
from napari_ctvlp._qt.overlay import SECOND
from napari_ctvlp._qt.placing import add_quietly, show_elsewhere
from napari_ctvlp._qt.removing import remove_layer, remove_with_scan

if TYPE_CHECKING:
    import napari

    from napari_ctvlp.scan.types import Scan

NAME = "evidence"
SHADES = (1.0, 0.75, 0.5)
"""Opacity of the first region, the second, the third."""


class RegionLayer:
    """Shows labels that begin somewhere in the scan; which layer is selected stays as it is.

    The layer is hidden and not taken away: that takes a second (measured, napari 0.9.2 with three views).
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self._layer: Labels | None = None

    @property
    def layers(self) -> list[Labels]:
        """The layer, where there is one."""
        return [] if self._layer is None or self._layer not in self._viewer.layers else [self._layer]

    @property
    def shown(self) -> bool:
        """Whether outlines are to be seen."""
        return any(layer.visible and layer.opacity > 0 for layer in self.layers)

    def show(self, scan: Scan, start: Sequence[int], labels: NDArray[np.uint8]) -> None:
        """Show regions 1, 2, ... of (I, P, L) labels whose first voxel is ``start``."""
        spacing = np.asarray(scan.spacing)
        translate = np.asarray(scan.napari_translate) + np.asarray(start) * spacing
        for layer in self.layers:
            layer.opacity = 0.0  # nothing is seen, or sliced in other views, between the steps
            show_elsewhere(layer, labels, spacing, translate)
            layer.visible = True
            layer.opacity = 1.0
            return
        colours: dict[int | None, tuple[float, ...]] = {None: (0.0, 0.0, 0.0, 0.0), 0: (0.0, 0.0, 0.0, 0.0)}
        for number, shade in enumerate(SHADES, 1):
            colours[number] = (*SECOND, shade)
        layer = Labels(
            labels,
            name=NAME,
            colormap=DirectLabelColormap(color_dict=colours),
            opacity=1.0,
            scale=spacing,
            translate=translate,
            axis_labels=("I", "P", "L"),
            units=("mm",) * 3,
            metadata={OWN_KEY: True},
        )
        layer.contour = 1
        self._layer = layer  # before the views beside the main one are told of it
        add_quietly(self._viewer, layer)

    def hide(self) -> None:
        """Show nothing."""
        for layer in self.layers:
            layer.visible = False

    def remove_with_scan(self) -> None:
        """Take the layer away of a scan that has gone."""
        layers, self._layer = self.layers, None
        for layer in layers:
            remove_with_scan(self._viewer.layers, layer)

    def remove(self) -> None:
        """Take the layer away."""
        layers, self._layer = self.layers, None
        for layer in layers:
            remove_layer(self._viewer.layers, layer)
