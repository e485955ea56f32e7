"""The organs in 3D, on a canvas of their own: what answers is solid, everything else is glass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from napari.components import ViewerModel
from napari.layers import Surface
from napari.qt import QtViewer
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_ctvlp._qt.overlay import ACCENT
from napari_ctvlp.scan.surfaces import Mesh

NAME = "Organs in 3D"
GLASS = 0.18
"""Opacity of organs that do not answer."""
Colour = Sequence[float]


def solid_and_glass(colours: Mapping[int | None, Colour]) -> tuple[dict[int, Colour], dict[int, Colour]]:
    """Of the colours drawn on the slices those of organs to draw solid and those to draw as glass.

    Without an answer all that are shown are solid; with one, those that glow.
    """
    shown = {label: colour for label, colour in colours.items() if label and colour[3] > 0}
    glowing = {label: colour for label, colour in shown.items() if np.allclose(colour[:3], ACCENT, atol=1e-3)}
    if not glowing:
        return shown, {}
    return glowing, {label: colour for label, colour in shown.items() if label not in glowing}


class BodyView(QWidget):
    """A 3D canvas with two surfaces, whatever the number of organs."""

    def __init__(self) -> None:
        super().__init__()
        self.model = ViewerModel(title=NAME, ndisplay=3)
        self.view = QtViewer(self.model)
        self.view.dims.hide()
        self.waiting = QLabel("making surfaces ...")
        self._meshes: dict[int, Mesh] = {}
        self._layers: dict[str, Surface] = {}
        self._closed = False
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.waiting)
        layout.addWidget(self.view)
        self.setMinimumSize(150, 150)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    @property
    def surfaces(self) -> dict[str, Surface]:
        """What is drawn: "solid" and "glass", where there is any."""
        return dict(self._layers)

    def set_meshes(self, meshes: Sequence[Mesh], colours: Mapping[int | None, Colour]) -> None:
        """Show these organs, seen from the front."""
        self._meshes = {mesh.label: mesh for mesh in meshes}
        self.waiting.setVisible(not meshes)
        self.set_colours(colours)
        if meshes:
            self.model.scene.camera.set_view_direction((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0))
            self.model.fit_to_view()

    def set_colours(self, colours: Mapping[int | None, Colour]) -> None:
        """Draw organs as the slices draw them."""
        if self._closed:
            return
        for name, wanted in zip(("solid", "glass"), solid_and_glass(colours), strict=True):
            self._draw(name, wanted)

    def follow_theme(self, theme: str) -> None:
        """Take the theme of the main viewer."""
        self.model.theme = theme

    def release(self) -> None:
        """Give the canvas up; napari checks that no view is left over."""
        if self._closed:
            return
        self._closed = True
        self._layers = {}
        self.view.close()
        self.view.deleteLater()
        del self.view

    def _draw(self, name: str, wanted: Mapping[int, Colour]) -> None:
        meshes = [self._meshes[label] for label in wanted if label in self._meshes]
        layer = self._layers.get(name)
        if not meshes:
            if layer is not None:
                layer.visible = False
            return
        offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
        vertices = np.concatenate([mesh.vertices for mesh in meshes])
        faces = np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets[:-1], strict=True)])
        colours = np.concatenate(
            [np.tile((*wanted[mesh.label][:3], 1.0), (len(mesh.vertices), 1)) for mesh in meshes]
        ).astype(np.float32)
        if layer is None:
            layer = Surface(
                (vertices, faces),
                vertex_colors=colours,
                name=name,
                shading="smooth",
                opacity=GLASS if name == "glass" else 1.0,
                blending="translucent_no_depth" if name == "glass" else "opaque",
                axis_labels=("I", "P", "L"),
            )
            self._layers[name] = layer
            self.model.add_layer(layer)
            return
        layer.vertex_colors = None
        layer.data = (vertices, faces)
        layer.vertex_colors = colours
        layer.visible = True
