"""Which scan and which masks are open: napari's layers to session, and what the session read to layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet, ref

from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import label_colormap
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_ctvlp._qt.given_labels import GivenLabels
from napari_ctvlp._qt.layer_lookup import (
    MASKS_KEY,
    NAMES_KEY,
    foreign_labels,
    foreign_volume,
    layers_with_scans,
    masks_of,
    pick_masks,
    pick_scan,
    scan_of,
)
from napari_ctvlp._qt.naming import Naming
from napari_ctvlp.anatomy import organ_colour
from napari_ctvlp.scan.layers import features_of, masks_layer, scan_layer
from napari_ctvlp.scan.naming import is_organ

if TYPE_CHECKING:
    import napari

    from napari_ctvlp._qt.overlay import Overlay
    from napari_ctvlp._qt.scan_panel import ScanPanel
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.scan.types import OrganMasks, Scan
    from napari_ctvlp.session import Session


class OpenLayers:
    """Keeps layers and session in step, and shows in the panel what is open.

    Parameters
    ----------
    viewer, session, panel, overlay, undo
        Whom it serves.
    wiring : Wiring
        Undoes its connections.

    Notes
    -----
    ``taken`` (psygnal, no value) comes after a layer that was open already became that of the organ masks: somebody may
    have painted in it meanwhile.
    """

    taken = Signal()

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        session: Session,
        panel: ScanPanel,
        overlay: Overlay,
        undo: Undo,
        wiring: Wiring,
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._panel = panel
        self._overlay = overlay
        self._syncing = False
        self._in_use: Labels | None = None
        self._aside: WeakSet[Labels] = WeakSet()
        self._last: WeakKeyDictionary[Scan, ref[OrganMasks]] = WeakKeyDictionary()
        self._given = GivenLabels(viewer, session, undo, self)
        self._naming = Naming(session, self, panel, undo)
        self._later = QTimer()  # napari's own listeners have not all heard of a new layer yet
        self._later.setSingleShot(True)
        self._later.setInterval(0)
        self._later.timeout.connect(self._over_scan)
        wiring.callback(self._later.stop)
        wiring.connect(session.scan_changed, self._on_scan_changed)
        wiring.connect(session.masks_changed, self._on_masks_changed)
        wiring.connect(viewer.layers.events.inserted, self._on_inserted)
        wiring.connect(viewer.layers.events.removed, self.sync)
        wiring.connect(viewer.layers.selection.events.active, self.sync)
        panel.scan_chosen.connect(self._on_scan_chosen)
        panel.use_layer_requested.connect(self._on_use_layer)

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
        active = self._active_layer(layers)
        if isinstance(active, Labels) and foreign_labels([active]) is not None:
            return active
        return foreign_labels(layers) if self._session.masks is None else None

    def masks_last_of(self, scan: Scan | None) -> OrganMasks | None:
        """The masks that were in use when a scan was last open."""
        known = None if scan is None else self._last.get(scan)
        return None if known is None else known()

    def use_as_masks(self, layer: Labels) -> None:
        """Take labels that somebody else opened or drew for the organ masks of the open scan.

        The layer itself becomes that of the masks where it has the voxels of the scan; else a new layer does.
        """
        self._given.use(layer)

    def let_go(self, layer: Labels) -> None:
        """Forget that a layer was hidden because other masks came into use: it is somebody else's again."""
        self._aside.discard(layer)

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Change several layers, of which the session hears when all is done."""
        self._syncing = True
        try:
            yield
        finally:
            self._syncing = False
        self.sync()

    def take(self, layer: Labels, masks: OrganMasks) -> None:
        """Let a layer show these masks, which are its content."""
        layer.metadata[MASKS_KEY] = masks
        layer.metadata[NAMES_KEY] = {**layer.metadata.get(NAMES_KEY, {}), **masks.names}
        layer.features = features_of(masks)

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
            masks = pick_masks(layers, active, scan, session.masks or self.masks_last_of(scan))
            elsewhere = self._given.is_of_another(masks, scan)
            session.set_masks(None if elsewhere else masks)
            self._show_scans(layers)
            if elsewhere:
                self._given.measure_anew(next(layer for layer in layers if masks_of(layer) is masks))
            else:
                self._given.adopt()
            self.show_hint()
        finally:
            self._syncing = False

    def _on_inserted(self, event: Any) -> None:
        """A copy of the layer of masks carries its mark, and is not that layer: what is painted in it is its own."""
        layers = list(self._viewer.layers)
        layer = next((layer for layer in layers if layer == event.value), None)
        masks = masks_of(layer)
        if layer is not None and masks is not None and sum(masks_of(other) is masks for other in layers) > 1:
            layer.metadata.pop(MASKS_KEY)
        self.sync()

    def _active_layer(self, layers: Sequence[Layer]) -> Layer | None:
        # the viewer may be napari's proxy, and what it gives out is wrapped: find the layer itself
        active = self._viewer.layers.selection.active
        return next((layer for layer in layers if layer == active), None)

    def _on_scan_changed(self, scan: Scan | None) -> None:
        self._panel.set_scan(scan)
        self._later.start()
        if scan is not None and self.scan_layer is None:
            self._add(scan_layer(scan))

    def _on_masks_changed(self, masks: OrganMasks | None) -> None:
        self._panel.set_masks(masks)
        if masks is None or self._session.scan is None:
            self._in_use = None
            self._overlay.set_layer(None)
            self._naming.end()
            return
        self._given.measured_on(masks, self._session.scan)
        self._last[self._session.scan] = ref(masks)
        colours = {label: _colour(label, name) for label, name in masks.names.items()}
        if self.masks_layer is None:
            same = (layer for layer in self._viewer.layers if (m := masks_of(layer)) and m.labels is masks.labels)
            if (layer := next(same, None)) is not None:  # it shows them as they were measured on another phase
                self.take(layer, masks)
            else:
                self._add(masks_layer(self._session.scan, masks, colours))
        self._show_alone(self.masks_layer)
        self._overlay.set_layer(self.masks_layer, colours)
        self._later.start()  # measured on another phase, they come after it
        self._naming.end()

    def _show_alone(self, layer: Labels | None) -> None:
        """Of several masks of a scan show those in use, as the side views do; the others come back when used."""
        before, self._in_use = self._in_use, layer
        if before is not None and before is not layer and before in self._viewer.layers and before.visible:
            before.visible = False
            self._aside.add(before)
        if layer is not None and layer in self._aside:
            self._aside.discard(layer)
            layer.visible = True

    def _over_scan(self) -> None:
        """Another phase that was added on top would cover the organs."""
        layers = self._viewer.layers
        at = [next(n for n, layer in enumerate(layers) if layer == shown) for shown in self.shown]
        if len(at) == 2 and at[1] < at[0]:
            layers.move(at[1], at[0] + 1)

    def _on_use_layer(self) -> None:
        layer = self.foreign
        if isinstance(layer, Labels):
            self.use_as_masks(layer)

    def _on_scan_chosen(self, place: int) -> None:
        self._viewer.layers.selection.active = layers_with_scans(self._viewer.layers)[place]

    def _add(self, layer_data: tuple[Any, ...]) -> None:
        before, self._syncing = self._syncing, True  # a new layer is there before it is the selected one
        try:
            self._viewer.add_layer(Layer.create(*layer_data))
        finally:
            self._syncing = before
        self.sync()

    def _show_scans(self, layers: Sequence[Layer]) -> None:
        found = layers_with_scans(layers)
        current = next((i for i, layer in enumerate(found) if scan_of(layer) is self._session.scan), 0)
        self._panel.set_scans([layer.name for layer in found], current)

    def show_hint(self) -> None:
        """Say in the panel what stands there and is not used, and what can be done about it."""
        layer = self.foreign
        if layer is None:
            self._panel.set_hint("")
            return
        if isinstance(layer, Labels):
            self._panel.set_hint(f"“{layer.name}” is not used as organ masks.", can_use=True)
            return
        self._panel.set_hint(
            f"“{layer.name}” was not opened as a CT scan, so its orientation is not known. "
            f"Open its file again with napari-ctvlp.",
            can_reopen=layer.source.path is not None,
        )


def _colour(label: int, name: str) -> tuple[float, float, float, float]:
    """The colour of an organ; what is none of ours gets one of napari's, by its label."""
    red, green, blue = organ_colour(name) if is_organ(name) else label_colormap(49).map(label)[:3]
    return (float(red), float(green), float(blue), 1.0)
