"""The organs in 3D, on a canvas of their own: what answers is solid, everything else is glass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from napari.components import ViewerModel
from napari.layers import Surface
from napari.qt import QtViewer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_ctvlp._qt.overlay import ACCENT
from napari_ctvlp._qt.own_context import empty_canvas, finish_in_own_context
from napari_ctvlp._qt.removing import collecting_later, remove_layer
from napari_ctvlp.scan.surfaces import Mesh

NAME = "Organs in 3D"
GLASS = 0.18
"""Opacity of the body where organs in it answer."""
BODY, SOLID = "body", "solid"
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
    """A 3D canvas with two surfaces, whatever the number of organs.

    "body" is all that is shown, of glass once something is asked, and "solid" is what answers: an answer then makes but
    the small one anew. Several changes in one turn of the event loop are drawn once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model = ViewerModel(title=NAME, ndisplay=3)
        self.view = QtViewer(self.model)
        finish_in_own_context(self.view.canvas.native)
        self.view.dims.hide()
        self.waiting = QLabel("making surfaces ...")
        self._meshes: dict[int, Mesh] = {}
        self._own: dict[int, Colour] = {}
        self._wanted: Mapping[int | None, Colour] = {}
        self._drawn: dict[str, object] = {}
        self._layers: dict[str, Surface] = {}
        self._closed = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self.flush)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.waiting)
        layout.addWidget(self.view)
        self.setMinimumSize(150, 150)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    @property
    def surfaces(self) -> dict[str, Surface]:
        """What is drawn now."""
        return {name: layer for name, layer in self._layers.items() if layer.visible}

    @property
    def ready(self) -> bool:
        """Whether there are meshes."""
        return bool(self._meshes)

    def set_meshes(self, meshes: Sequence[Mesh], colours: Mapping[int | None, Colour]) -> None:
        """Show these organs, seen from the front."""
        self._meshes = {mesh.label: mesh for mesh in meshes}
        self._own, self._drawn = {}, {}
        self.waiting.setVisible(not meshes)
        self.set_colours(colours)
        self.flush()
        if meshes:
            self.model.scene.camera.set_view_direction((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0))
            self.model.fit_to_view()

    def clear(self) -> None:
        """Let go of what was drawn, and of its memory."""
        self._layers, self._drawn = {}, {}
        with collecting_later():
            self.model.layers.clear()

    def set_colours(self, colours: Mapping[int | None, Colour]) -> None:
        """Draw organs as the slices draw them, soon."""
        self._wanted = dict(colours)
        self._timer.start()

    def flush(self) -> None:
        """Draw what is waiting to be drawn."""
        self._timer.stop()
        if self._closed:
            return
        solid, glass = solid_and_glass(self._wanted)
        asked = bool(glass)
        plain = glass if asked else solid
        self._own.update({label: tuple(round(float(c), 3) for c in colour[:3]) for label, colour in plain.items()})
        body = {label: self._own.get(label, colour) for label, colour in sorted({**solid, **glass}.items())}
        self._draw(SOLID, solid if asked else {}, glass=False)
        self._draw(BODY, body, glass=asked)

    def follow_theme(self, theme: str) -> None:
        """Take the theme of the main viewer."""
        self.model.theme = theme

    def release(self) -> None:
        """Give the canvas up; napari checks that no view is left over."""
        if self._closed:
            return
        self._closed = True
        self._timer.stop()
        self._layers = {}
        empty_canvas(self.view.canvas.native)
        self.view.close()
        self.view.deleteLater()
        del self.view

    def _hide(self, name: str) -> None:
        layer = self._layers.get(name)
        if layer is not None and layer.visible:
            layer.visible = False

    def _draw(self, name: str, wanted: Mapping[int, Colour], glass: bool) -> None:
        opacity, blending = (GLASS, "translucent_no_depth") if glass else (1.0, "opaque")
        meshes = [self._meshes[label] for label in wanted if label in self._meshes]
        if not meshes:
            self._hide(name)
            return
        content = tuple((mesh.label, tuple(wanted[mesh.label][:3])) for mesh in meshes)
        if self._drawn.get(name) == content:
            layer = self._layers[name]
            if layer.blending != blending:
                layer.opacity, layer.blending = opacity, blending
            if not layer.visible:
                layer.visible = True
            return
        self._drawn[name] = content
        offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
        vertices = np.concatenate([mesh.vertices for mesh in meshes])
        faces = np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets[:-1], strict=True)])
        colours = np.concatenate(
            [np.tile((*wanted[mesh.label][:3], 1.0), (len(mesh.vertices), 1)) for mesh in meshes]
        ).astype(np.float32)
        # a surface cannot change its vertices and their colours at once: a new one is less work than the steps between
        before = self._layers.pop(name, None)
        if before is not None:
            remove_layer(self.model.layers, before)
        layer = self._layers[name] = Surface(
            (vertices, faces),
            vertex_colors=colours,
            name=name,
            shading="smooth",
            opacity=opacity,
            blending=blending,
            axis_labels=("I", "P", "L"),
        )
        # what answers is drawn last: glass in front of it would hide it, layer by layer
        self.model.layers.insert(len(self.model.layers) if name == SOLID else 0, layer)
