"""Where the view stands in the scan: jump to an organ, say what lies under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_ctvlp._qt.cursor_text import cursor_text
from napari_ctvlp.anatomy import display_name

if TYPE_CHECKING:
    import napari

    from napari_ctvlp._qt.open_layers import OpenLayers
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp._qt.wrapped_label import WrappedLabel
    from napari_ctvlp.session import Session


class Navigator:
    """Moves the viewer, and writes the place under the cursor.

    Parameters
    ----------
    viewer, session, layers
        Whom it serves.
    position : WrappedLabel
        Where the place under the cursor is written.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        session: Session,
        layers: OpenLayers,
        position: WrappedLabel,
        wiring: Wiring,
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._layers = layers
        self._position = position
        wiring.connect(viewer.cursor.events.position, self._on_cursor)
        wiring.connect(session.scan_changed, self._on_scan_changed)

    def jump(self, organ: str) -> None:
        """Show the slice through an organ, and pan to it where it lies outside the view."""
        masks, layer = self._session.masks, self._layers.masks_layer
        if masks is None or layer is None or organ not in masks.statistics:
            return
        self.go_to(tuple(layer.data_to_world(masks.statistics[organ].centroid_index)))

    def go_to(self, world: tuple[float, ...]) -> None:
        """Show the slices through a point in world mm (I, P, L), and pan to it where it lies outside the view."""
        dims = self._viewer.dims
        dims.point = (*tuple(dims.point)[: dims.ndim - 3], *world)
        if dims.ndisplay != 2 or dims.ndim != 3:
            return
        camera, size = self._viewer.scene.camera, self._viewer.canvas.size
        wanted = [world[axis] for axis in dims.displayed]
        reach = [pixels / camera.zoom / 2 for pixels in size]
        if any(abs(w - c) > r for w, c, r in zip(wanted, tuple(camera.center)[-2:], reach, strict=True)):
            camera.center = (0.0, *wanted)

    def _on_scan_changed(self, scan: object) -> None:
        self._position.clear()

    def _on_cursor(self, event: object = None) -> None:
        scan, layer = self._session.scan, self._layers.scan_layer
        if scan is None or layer is None or not self._viewer.mouse_over_canvas:
            self._position.clear()
            return
        voxel = layer.world_to_data(self._viewer.cursor.position)
        self._position.setText(cursor_text(scan, self._session.masks, tuple(voxel), display_name))
