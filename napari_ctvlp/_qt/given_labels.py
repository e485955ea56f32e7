"""Labels that are there and become the organ masks: somebody's own, opened before their scan, or of another phase."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from napari.layers import Labels

from napari_ctvlp._qt.layer_lookup import LONE_KEY, SCAN_KEY, Own, drawing_of, lone_of, masks_of
from napari_ctvlp.errors import UserError
from napari_ctvlp.work import Task

if TYPE_CHECKING:
    import napari

    from napari_ctvlp._qt.open_layers import OpenLayers
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp.scan.types import OrganMasks, Scan
    from napari_ctvlp.session import Session


class GivenLabels:
    """Makes organ masks of the open scan from labels that are there, off the GUI thread.

    Parameters
    ----------
    viewer, session, undo
        Whom it serves.
    layers : OpenLayers
        Shows them.
    """

    def __init__(self, viewer: napari.viewer.Viewer, session: Session, undo: Undo, layers: OpenLayers) -> None:
        self._viewer = viewer
        self._session = session
        self._undo = undo
        self._layers = layers
        self._measured: WeakKeyDictionary[OrganMasks, ref[Scan]] = WeakKeyDictionary()

    def use(self, layer: Labels) -> None:
        """Take labels that somebody else opened or drew for the organ masks of the open scan."""
        scan, session, rooms = self._session.scan, self._session, self._session.rooms
        if scan is None:
            return
        drawing = drawing_of(layer)

        def done(result: tuple[OrganMasks, bool]) -> None:
            before, own = session.masks, Own.of(layer)
            if self._taken_from(layer, scan, *result):
                back = partial(self._give_back, layer, own, self._layers.masks_layer, before)
                self._undo.push(f"using “{layer.name}” as organ masks", back)

        session.run(Task.MASKS, lambda _report, _cancelled: rooms.take_labels(scan, drawing), done)

    def _give_back(self, layer: Labels, own: Own, shown: Labels | None, before: OrganMasks | None) -> None:
        """Let labels be those of somebody else again; where they (or their copy) are in use, use those of before."""
        in_use = shown is not None and self._layers.masks_layer is shown
        with self._layers.at_rest():
            own.restore(layer)
            if shown is not None and shown is not layer and shown in self._viewer.layers:
                self._viewer.layers.remove(shown)
            if in_use:
                self._session.set_masks(before)
            self._layers.let_go(layer)
            layer.visible = own.visible  # masks that are used no more were hidden
            if layer in self._viewer.layers:
                self._viewer.layers.selection.active = layer

    def adopt(self) -> None:
        """Give masks that were opened before their scan to the scan that has none, measured on it."""
        scan, session, rooms = self._session.scan, self._session, self._session.rooms
        layer = next((layer for layer in reversed(self._viewer.layers) if lone_of(layer) is not None), None)
        lone = lone_of(layer)
        if scan is None or session.masks is not None or session.busy_with(Task.MASKS):
            return
        if not isinstance(layer, Labels) or lone is None:
            return
        drawing = drawing_of(layer)

        def work(_report: object, _cancelled: object) -> tuple[OrganMasks, bool] | UserError:
            try:
                return rooms.adopt(scan, lone, drawing)
            except UserError as error:
                return error

        def done(result: tuple[OrganMasks, bool] | UserError) -> None:
            layer.metadata.pop(LONE_KEY, None)  # asked once
            if isinstance(result, UserError):
                session.failed.emit(result)
                self._layers.show_hint()
            else:
                self._taken_from(layer, scan, *result)

        session.run(Task.MASKS, work, done)

    def measured_on(self, masks: OrganMasks, scan: Scan) -> None:
        """Remember which scan masks were measured on, the first that they are shown with."""
        self._measured.setdefault(masks, ref(scan))

    def is_of_another(self, masks: OrganMasks | None, scan: Scan | None) -> bool:
        """Whether masks were measured on another scan, of the same grid: two phases of one examination."""
        measured = None if masks is None else self._measured.get(masks)
        return measured is not None and measured() is not scan

    def measure_anew(self, layer: Labels) -> None:
        """Use masks that were measured on another scan with the HU of the open one."""
        scan, session, rooms, masks = self._session.scan, self._session, self._session.rooms, masks_of(layer)
        if scan is None or masks is None or session.busy_with(Task.MASKS):
            return

        def done(measured: OrganMasks) -> None:
            if layer in self._viewer.layers and masks_of(layer) is masks:
                self._layers.take(layer, measured)
                session.set_masks(measured)
                self._layers.show_hint()

        session.run(Task.MASKS, lambda _report, _cancelled: rooms.measured_on(scan, masks), done)

    def _taken_from(self, layer: Labels, scan: Scan, masks: OrganMasks, same: bool) -> bool:
        """Use masks that were made from the labels of a layer, which may be their very voxels; whether it is there."""
        if layer not in self._viewer.layers:
            return False
        if same:
            layer.metadata[SCAN_KEY] = scan
            layer.scale, layer.translate = scan.spacing, scan.napari_translate
            layer.units = ("mm",) * 3
            self._layers.take(layer, masks)
            self._raise(layer)
        else:
            layer.visible = False  # it would lie over its own copy
        self._session.set_masks(masks)
        self._layers.show_hint()
        if same:
            self._layers.taken.emit()
        return True

    def _raise(self, layer: Labels) -> None:
        """Put labels that were there before the scan over it: it would hide them."""
        layers, under = self._viewer.layers, self._layers.scan_layer
        if under is not None and layers.index(layer) < layers.index(under):
            layers.move(layers.index(layer), layers.index(under) + 1)
