"""Which scan and which masks are open: napari's layers to session, and what the session read to layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer

from napari_ctvlp._qt.layer_lookup import (
    foreign_labels,
    foreign_volume,
    layers_with_scans,
    masks_of,
    pick_masks,
    pick_scan,
    scan_of,
)
from napari_ctvlp.anatomy import organ_colour
from napari_ctvlp.scan.layers import masks_layer, scan_layer

if TYPE_CHECKING:
    import napari

    from napari_ctvlp._qt.overlay import Overlay
    from napari_ctvlp._qt.scan_panel import ScanPanel
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.scan.types import OrganMasks, Scan
    from napari_ctvlp.session import Session


class OpenLayers:
    """Keeps layers and session in step, and shows in the panel what is open.

    Parameters
    ----------
    viewer, session, panel, overlay
        Whom it serves.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(
        self, viewer: napari.viewer.Viewer, session: Session, panel: ScanPanel, overlay: Overlay, wiring: Wiring
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._panel = panel
        self._overlay = overlay
        self._syncing = False
        wiring.connect(session.scan_changed, self._on_scan_changed)
        wiring.connect(session.masks_changed, self._on_masks_changed)
        for emitter in (
            viewer.layers.events.inserted,
            viewer.layers.events.removed,
            viewer.layers.selection.events.active,
        ):
            wiring.connect(emitter, self.sync)
        panel.scan_chosen.connect(self._on_scan_chosen)

    @property
    def scan_layer(self) -> Image | None:
        """The layer that shows the open scan."""
        found = [layer for layer in self._viewer.layers if scan_of(layer) is self._session.scan]
        return found[-1] if found and self._session.scan is not None else None

    @property
    def masks_layer(self) -> Labels | None:
        """The layer that shows the open masks."""
        found = [layer for layer in self._viewer.layers if masks_of(layer) is self._session.masks]
        return found[-1] if found and self._session.masks is not None else None

    @property
    def shown(self) -> list[Image | Labels]:
        """The layers of the open scan, lowest first."""
        return [layer for layer in (self.scan_layer, self.masks_layer) if layer is not None]

    @property
    def foreign(self) -> Layer | None:
        """A layer that was not opened by us and stands where a scan, or masks, are missing."""
        layers = list(self._viewer.layers)
        if self._session.scan is None:
            return foreign_volume(layers)
        return foreign_labels(layers) if self._session.masks is None else None

    def sync(self, event: object = None) -> None:
        """Tell the session which scan and which masks are open, from the layers as they are now."""
        if self._syncing:
            return
        self._syncing = True
        try:
            layers, session = list(self._viewer.layers), self._session
            active = self._active_layer(layers)
            scan = pick_scan(layers, active, session.scan)
            session.set_scan(scan)
            session.set_masks(pick_masks(layers, active, scan, session.masks))
            self._show_scans(layers)
            self._show_hint()
        finally:
            self._syncing = False

    def _active_layer(self, layers: Sequence[Layer]) -> Layer | None:
        # the viewer may be napari's proxy, and what it gives out is wrapped: find the layer itself
        active = self._viewer.layers.selection.active
        return next((layer for layer in layers if layer == active), None)

    def _on_scan_changed(self, scan: Scan | None) -> None:
        self._panel.set_scan(scan)
        if scan is not None and self.scan_layer is None:
            self._add(scan_layer(scan))

    def _on_masks_changed(self, masks: OrganMasks | None) -> None:
        self._panel.set_masks(masks)
        if masks is None or self._session.scan is None:
            self._overlay.set_layer(None)
            return
        if self.masks_layer is None:
            colours = {name: organ_colour(name) for name in masks.names.values()}
            self._add(masks_layer(self._session.scan, masks, colours))
        self._overlay.set_layer(self.masks_layer)

    def _on_scan_chosen(self, place: int) -> None:
        self._viewer.layers.selection.active = layers_with_scans(self._viewer.layers)[place]

    def _add(self, layer_data: tuple[Any, ...]) -> None:
        self._viewer.add_layer(Layer.create(*layer_data))

    def _show_scans(self, layers: Sequence[Layer]) -> None:
        found = layers_with_scans(layers)
        current = next((i for i, layer in enumerate(found) if scan_of(layer) is self._session.scan), 0)
        self._panel.set_scans([layer.name for layer in found], current)

    def _show_hint(self) -> None:
        layer = self.foreign
        if layer is None:
            self._panel.set_hint("", can_reopen=False)
            return
        what = "organ masks" if isinstance(layer, Labels) else "a CT scan"
        self._panel.set_hint(
            f"“{layer.name}” was not opened as {what}, so its orientation is not known. "
            f"Open its file again with napari-ctvlp.",
            can_reopen=layer.source.path is not None,
        )
