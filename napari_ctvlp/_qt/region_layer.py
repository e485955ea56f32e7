"""Outlines of regions on the canvas: one small Labels layer, whose content changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_ctvlp._qt.overlay import SECOND
from napari_ctvlp._qt.removing import remove_layer, remove_with_scan

if TYPE_CHECKING:
    import napari

    from napari_ctvlp.scan.types import Scan

NAME = "evidence"
SHADES = (1.0, 0.75, 0.5)
"""Opacity of the first region, the second, the third."""


class RegionLayer:
    """Shows labels that begin somewhere in the scan; which layer is selected stays as it is.

    Hiding is an opacity of 0: taking a layer away takes a second (measured, napari 0.9.2 with three views).
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
            layer.opacity = 0.0  # nothing is seen between the steps
            layer.data, layer.scale, layer.translate = labels, spacing, translate
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
        )
        layer.contour = 1
        self._layer = layer  # before the views beside the main one are told of it
        add_quietly(self._viewer, layer)

    def hide(self) -> None:
        """Show nothing."""
        for layer in self.layers:
            layer.opacity = 0.0

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


def add_quietly(viewer: napari.viewer.Viewer, layer: Labels | object) -> None:
    """Add a layer on top; the user's tools stay with the user's layer."""
    active = viewer.layers.selection.active
    # the viewer may be napari's proxy, and what it gives out is wrapped: find the layer itself
    active = next((known for known in viewer.layers if known == active), None)
    viewer.add_layer(layer)
    viewer.layers.selection.active = active
