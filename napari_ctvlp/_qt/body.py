"""Opens the organs in 3D on request and keeps their colours in step with the slices."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.QtWidgets import QWidget

from napari_ctvlp._qt.body_view import NAME, BodyView
from napari_ctvlp._qt.views_dock import DockContent
from napari_ctvlp.work import Task

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from napari_ctvlp._qt.open_layers import OpenLayers
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.scan.surfaces import Mesh
    from napari_ctvlp.session import Session


class Body:
    """The 3D view: surfaces are made in the background, the canvas when it is first asked for.

    Parameters
    ----------
    viewer, session, layers, undo
        Whom it serves.
    beside : QWidget
        The dock that it stands left of.
    wiring : Wiring
        Undoes its connections.

    Notes
    -----
    ``shown_changed`` (psygnal) carries whether it is shown.
    """

    shown_changed = Signal(bool)

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        session: Session,
        layers: OpenLayers,
        undo: Undo,
        beside: QWidget,
        wiring: Wiring,
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._layers = layers
        self._undo = undo
        self._beside = beside
        self._dock: DockContent | None = None
        self._labels: Labels | None = None
        self.view: BodyView | None = None
        self.shown = False
        wiring.connect(session.masks_changed, self._on_masks_changed)
        wiring.connect(viewer.events.theme, self._on_theme)
        wiring.callback(self.close)

    @property
    def canvases(self) -> list[QWidget]:
        """The canvas, where it is to be seen."""
        canvas = None if self.view is None else self.view.view.canvas.native
        return [canvas] if canvas is not None and canvas.isVisible() else []

    def toggle(self) -> None:
        """Show the organs in 3D or hide them."""
        self.set_shown(not self.shown)

    def set_shown(self, shown: bool) -> None:
        """Show the organs in 3D, or hide them; surfaces are made when first shown."""
        if shown == self.shown:
            return
        if shown and self._dock is None:
            self._make()
        assert self._dock is not None
        self.shown = shown
        self._dock.set_shown(shown)
        self._follow(self._layers.masks_layer if shown else None)
        if shown and self.view is not None and not self.view.ready:
            self._ask_for_meshes()
        self._undo.push("3D view" if shown else "hiding the 3D view", self.toggle)
        self.shown_changed.emit(shown)

    def close(self) -> None:
        """Give the canvas back; safe to call twice."""
        self._follow(None)
        if self._dock is None:
            return
        dock, self._dock = self._dock, None
        if self.view is not None:
            self.view.release()
            self.view = None
        with suppress(LookupError, RuntimeError, AttributeError):  # the user closed it, or the window is gone
            self._viewer.window.remove_dock_widget(dock)
        with suppress(RuntimeError):
            dock.deleteLater()
        if self.shown:
            self.shown = False
            self.shown_changed.emit(False)

    def _make(self) -> None:
        self.view = BodyView()
        self.view.follow_theme(self._viewer.theme)
        self._dock = DockContent(self.view)
        self._dock.removed.connect(self.close)
        self._viewer.window.add_dock_widget(self._dock, name=NAME, area="right")
        self._dock.place_beside(self._beside)

    def _ask_for_meshes(self) -> None:
        scan, masks, rooms = self._session.scan, self._session.masks, self._session.rooms
        if scan is not None and masks is not None:
            self._session.run(
                Task.SURFACES, lambda _report, cancelled: rooms.organ_meshes(scan, masks, cancelled), self._on_meshes
            )

    def _on_meshes(self, meshes: list[Mesh]) -> None:
        if self.view is not None and self._labels is not None:
            self.view.set_meshes(meshes, self._colours(self._labels))

    def _follow(self, layer: Labels | None) -> None:
        """Take the colours of this layer from now on."""
        if self._labels is not None:
            self._labels.events.colormap.disconnect(self._on_colours)
        self._labels = layer
        if layer is not None:
            layer.events.colormap.connect(self._on_colours)
            self._on_colours()

    def _on_colours(self, event: object = None) -> None:
        if self.view is not None and self._labels is not None and self.view.ready:
            self.view.set_colours(self._colours(self._labels))

    def _colours(self, labels: Labels) -> Mapping[int | None, Any]:
        """What the slices are drawn with; labels of somebody else have no table of colours at first."""
        table = getattr(labels.colormap, "color_dict", None)
        if table is not None:
            return table
        masks = self._session.masks
        return {} if masks is None else {label: labels.colormap.map(label) for label in masks.names}

    def _on_masks_changed(self, masks: object) -> None:
        if self.view is None:
            return
        self._follow(self._layers.masks_layer if self.shown else None)
        self.view.set_meshes((), {})
        if masks is None:
            self.view.clear()
        if self.shown:
            self._ask_for_meshes()

    def _on_theme(self, event: object = None) -> None:
        if self.view is not None:
            self.view.follow_theme(self._viewer.theme)
