"""Outlines of regions on the canvas: one small Labels layer, there only while it is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_ctvlp._qt.overlay import SECOND

if TYPE_CHECKING:
    import napari

    from napari_ctvlp.scan.types import Scan

NAME = "evidence"
SHADES = (1.0, 0.75, 0.5)
"""Opacity of the first region, the second, and all others."""


class RegionLayer:
    """Shows labels that begin somewhere in the scan; which layer is selected stays as it is."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self._layer: Labels | None = None

    @property
    def layers(self) -> list[Labels]:
        """The layer, where there is one."""
        return [] if self._layer is None or self._layer not in self._viewer.layers else [self._layer]

    def show(self, scan: Scan, start: Sequence[int], labels: NDArray[np.uint8]) -> None:
        """Show regions 1, 2, ... of (I, P, L) labels whose first voxel is ``start``."""
        self.remove()
        colours: dict[int | None, tuple[float, ...]] = {None: (0.0, 0.0, 0.0, 0.0), 0: (0.0, 0.0, 0.0, 0.0)}
        for number in range(1, int(labels.max()) + 1):
            colours[number] = (*SECOND, SHADES[min(number, len(SHADES)) - 1])
        layer = Labels(
            labels,
            name=NAME,
            colormap=DirectLabelColormap(color_dict=colours),
            opacity=1.0,
            scale=scan.spacing,
            translate=np.asarray(scan.napari_translate) + np.asarray(start) * np.asarray(scan.spacing),
            axis_labels=("I", "P", "L"),
            units=("mm",) * 3,
        )
        layer.contour = 1
        self._layer = layer  # before the views beside the main one are told of it
        add_quietly(self._viewer, layer)

    def remove(self) -> None:
        """Take the layer away."""
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)


def add_quietly(viewer: napari.viewer.Viewer, layer: Labels | object) -> None:
    """Add a layer on top; the user's tools stay with the user's layer."""
    active = viewer.layers.selection.active
    # the viewer may be napari's proxy, and what it gives out is wrapped: find the layer itself
    active = next((known for known in viewer.layers if known == active), None)
    viewer.add_layer(layer)
    viewer.layers.selection.active = active
