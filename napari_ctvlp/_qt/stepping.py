"""Moving the place that all views stand at by keys, a voxel at a time, as one sees it in the axial view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ctvlp._qt.undo import Series

if TYPE_CHECKING:
    import napari

    from napari_ctvlp._qt.navigator import Navigator
    from napari_ctvlp._qt.open_layers import OpenLayers

ACROSS, DOWN, THROUGH = -1, -2, -3
"""Places in the viewer's order of axes: across the screen, down the screen, from slice to slice."""
STEPS = (
    ("Shift+Left", ACROSS, -1),
    ("Shift+Right", ACROSS, 1),
    ("Shift+Up", DOWN, -1),
    ("Shift+Down", DOWN, 1),
    ("Shift+PgUp", THROUGH, -1),
    ("Shift+PgDown", THROUGH, 1),
)
"""Key, axis and direction."""


class Stepping:
    """Moves the place; what is moved without a pause is one step.

    Parameters
    ----------
    viewer, navigator, layers
        Whom it serves.
    """

    def __init__(self, viewer: napari.viewer.Viewer, navigator: Navigator, layers: OpenLayers) -> None:
        self._viewer = viewer
        self._navigator = navigator
        self._layers = layers
        self._series = Series("stepping")

    def step(self, where: int, direction: int) -> None:
        """Go one voxel along an axis of the main view; nothing at the edge of the scan."""
        dims, camera, layer = self._viewer.dims, self._viewer.scene.camera, self._layers.scan_layer
        if layer is None or dims.ndim < 3:
            return
        axis = dims.order[where] - (dims.ndim - 3)
        if not 0 <= axis < 3:  # an axis of something else, over which the scan does not extend
            return
        down, across = camera.orientation2d
        if (where == DOWN and str(down) == "up") or (where == ACROSS and str(across) == "left"):
            direction = -direction
        world = [float(v) for v in dims.point][-3:]
        least, size, count = (float(v[axis]) for v in (layer.translate, layer.scale, layer.data.shape))
        world[axis] = min(max(world[axis] + direction * size, least), least + (count - 1) * size)
        self._navigator.choose_place(tuple(world), self._series.next())
