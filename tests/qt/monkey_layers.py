"""What a random user does with layers, ours and others."""

from __future__ import annotations

import dataclasses

import numpy as np
from napari.layers import Image, Labels
from napari.layers._layer_actions import _duplicate_layer

from napari_ctvlp._qt.layer_lookup import scan_of

from .monkey_hands import Hands
from .windows import add_layers

MOST_SCANS = 3


class LayerHands(Hands):
    """Opens, paints, hides and removes layers."""

    def __init__(self, *args):
        super().__init__(*args)
        self._opened = 0

    def too_many_scans(self):
        return sum(scan_of(layer) is not None for layer in self.viewer.layers) >= MOST_SCANS

    def open_scan(self):
        if self.too_many_scans():
            self.remove_a_layer()
            return
        scan, masks = self.phantom
        self._opened += 1
        scan = dataclasses.replace(scan, name=f"scan {self._opened}", hu=scan.hu + np.int16(self.rng.integers(-5, 5)))
        masks = dataclasses.replace(masks, labels=masks.labels.copy())
        if self.chance(0.3):
            add_layers(self.viewer, scan)
            self.widget.session.set_masks(masks)
        else:
            add_layers(self.viewer, scan, masks)

    def layer(self, kind=(Image, Labels)):
        return self.pick(layer for layer in self.viewer.layers if isinstance(layer, kind))

    def remove_a_layer(self):
        layer = self.layer()
        if layer is not None:
            self.viewer.layers.remove(layer)

    def choose_a_layer(self):
        self.viewer.layers.selection.active = self.layer()

    def reorder_layers(self):
        count = len(self.viewer.layers)
        if count > 1:
            self.viewer.layers.move(int(self.rng.integers(count)), int(self.rng.integers(count)))

    def duplicate_a_layer(self):
        if len(self.viewer.layers) < 10:
            self.choose_a_layer()
            _duplicate_layer(self.viewer.layers)

    def turn_the_view(self):
        """What napari's own buttons under the layer list do."""
        kind = self.rng.integers(5)
        if kind == 0:
            self.viewer.dims.transpose()
        elif kind == 1:
            self.viewer.dims.roll()
        elif kind == 2:
            self.viewer.grid.enabled = not self.viewer.grid.enabled
        elif kind == 3:
            self.viewer.dims.ndisplay = 5 - self.viewer.dims.ndisplay
        else:
            self.viewer.reset_view()

    def rename_a_layer(self):
        layer = self.layer()
        if layer is not None:
            layer.name = self.pick(["liver", "a", "similarity", "scan organs"])

    def hide_a_layer(self):
        layer = self.layer()
        if layer is not None:
            layer.visible = not layer.visible

    def add_a_foreign_layer(self):
        if len(self.viewer.layers) > 9:
            return
        scan, masks = self.phantom
        place = {"scale": scan.spacing, "translate": scan.napari_translate}
        kind = self.rng.integers(5)
        if kind == 0:
            self.viewer.add_points(np.zeros((2, 3)), **place)
        elif kind == 1:
            self.viewer.add_image(np.zeros((8, 9, 10), np.float32), name="theirs")
        elif kind == 2:
            self.viewer.add_labels(masks.labels.astype(np.int32), name="their labels", **place)
        elif kind == 3:
            self.viewer.add_labels(np.zeros(scan.hu.shape, np.uint8), name="empty", **place)
        else:
            self.viewer.add_labels(
                masks.labels[::2, ::2, ::2].copy(), name="coarse", scale=np.asarray(scan.spacing) * 2
            )

    def use_foreign_labels(self):
        button = self.widget.dock.scan.use_layer
        if not button.isHidden():
            button.click()

    def paint(self):
        layer = self.widget.layers.masks_layer if self.chance(0.8) else self.layer(Labels)
        if layer is None or layer.multiscale or not layer.visible or layer._slice.empty:
            return  # nobody can: beside a layer napari's tools find no voxel, see test_napari_fill.py
        layer.mode = str(self.pick(["paint", "erase", "fill", "pan_zoom"]))
        where = tuple(int(self.rng.integers(n)) for n in layer.data.shape)
        value = int(self.pick([0, 1, 2, 3, 5, 52, 200]))
        layer.brush_size = int(self.rng.integers(1, 12))
        if layer.mode == "fill":
            layer.fill(where, value)
        else:
            layer.paint(where, value)

    def take_stroke_back(self):
        layer = self.layer(Labels)
        if layer is not None:
            layer.undo() if self.chance(0.7) else layer.redo()
