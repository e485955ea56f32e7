"""Where the view stands in the scan: jump to an organ, say what lies under the cursor."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_ctvlp._qt.cursor_text import cursor_text
from napari_ctvlp._qt.pointing import Pointing
from napari_ctvlp._qt.slice_view import keep_in_view, on_slices
from napari_ctvlp.anatomy import display_name

if TYPE_CHECKING:
    import napari
    from napari.components import ViewerModel

    from napari_ctvlp._qt.open_layers import OpenLayers
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp._qt.wrapped_label import WrappedLabel
    from napari_ctvlp.session import Session

Place = tuple[tuple[float, ...], tuple[float, ...], str]
"""World point (I, P, L mm), centre of the camera, and the organ that was reached."""


class Navigator:
    """Moves the viewer, and writes the place under the cursor.

    Parameters
    ----------
    viewer, session, layers, undo
        Whom it serves.
    position : WrappedLabel
        Where the place under the cursor is written.
    wiring : Wiring
        Undoes its connections.

    Notes
    -----
    ``organ_reached`` (psygnal) carries the organ that was jumped to, pointed at or gone back to, empty where none lies
    there.
    """

    organ_reached = Signal(str)

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        session: Session,
        layers: OpenLayers,
        undo: Undo,
        position: WrappedLabel,
        wiring: Wiring,
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._layers = layers
        self._undo = undo
        self._position = position
        self._reached = ""
        self._under: ViewerModel = viewer  # the view that the cursor was in last
        self.watch(viewer, wiring)
        self._pointing = Pointing(viewer, self.choose_place, wiring)
        wiring.connect(session.masks_changed, self._on_masks_changed)
        wiring.connect(session.scan_changed, self._on_scan_changed)

    def watch(self, model: ViewerModel, wiring: Wiring) -> None:
        """Write what lies under the cursor of this view, too."""
        wiring.connect(model.cursor.events.position, partial(self._on_cursor, model))

    @property
    def place(self) -> Place:
        """Where the view stands, for `return_to`."""
        point = tuple(float(v) for v in self._viewer.dims.point)[-3:]
        return point, tuple(self._viewer.scene.camera.center), self._reached

    def return_to(self, place: Place) -> None:
        """Stand where the view stood."""
        world, centre, organ = place
        self.go_to(world)
        self._viewer.scene.camera.center = centre
        masks = self._session.masks
        self._reach(organ if masks is not None and organ in masks.statistics else "")

    def choose(self, organ: str) -> None:
        """Jump to an organ that the user picked, as a step that can be taken back."""
        masks = self._session.masks
        if masks is not None and organ in masks.statistics:
            self._undo.push(f"going to {display_name(organ)}", partial(self.return_to, self.place))
            self.jump(organ)

    def choose_place(self, world: tuple[float, ...], series: str = "") -> None:
        """Go to a point in world mm (I, P, L) that the user picked, as a step; moves of one series are one step."""
        before = self.place
        self.point_at(world)
        if self.place != before:
            self._undo.push("going to a place", partial(self.return_to, before), series=series)

    def jump(self, organ: str) -> None:
        """Show the slice through an organ, and pan to it where it lies outside the view."""
        masks, layer = self._session.masks, self._layers.masks_layer
        if masks is None or layer is None or organ not in masks.statistics:
            return
        self.go_to(tuple(layer.data_to_world(masks.statistics[organ].centroid_index)))
        self._reach(organ)

    def point_at(self, world: tuple[float, ...]) -> None:
        """Go to a point in world mm (I, P, L) and tell which organ lies there."""
        self.go_to(world)
        self._reach(self._organ_at(world))

    def _reach(self, organ: str) -> None:
        self._reached = organ
        self.organ_reached.emit(organ)

    def _organ_at(self, world: tuple[float, ...]) -> str:
        masks, layer = self._session.masks, self._layers.masks_layer
        if masks is None or layer is None:
            return ""
        index = tuple(round(float(v)) for v in layer.world_to_data(world))
        if any(i < 0 or i >= n for i, n in zip(index, masks.labels.shape, strict=True)):
            return ""
        return masks.names.get(int(masks.labels[index]), "")

    def go_to(self, world: tuple[float, ...]) -> None:
        """Show the slices through a point in world mm (I, P, L), and pan to it where it lies outside the view."""
        dims = self._viewer.dims
        if dims.ndim < 3:  # what was pointed at is closed by now
            return
        world = on_slices(dims, world)
        dims.point = (*tuple(dims.point)[: dims.ndim - 3], *world)
        if dims.ndisplay == 2 and dims.ndim == 3:
            keep_in_view(self._viewer, world)

    def _on_scan_changed(self, scan: object) -> None:
        self._position.clear()

    def _on_masks_changed(self, masks: object) -> None:
        self._on_cursor(self._under)  # nobody moves the mouse for it
        if self._session.masks is None:
            self._reached = ""

    def _on_cursor(self, model: ViewerModel, event: object = None) -> None:
        self._under = model
        scan, layer = self._session.scan, self._layers.scan_layer
        if scan is None or layer is None or not model.mouse_over_canvas:
            self._position.clear()
            return
        voxel = layer.world_to_data(model.cursor.position)
        self._position.setText(cursor_text(scan, self._session.masks, tuple(voxel), display_name))
