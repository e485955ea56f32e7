"""Organ masks that were deleted from napari's list of layers come back with the window's undo; napari has none."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari_ctvlp._qt.layer_lookup import masks_of

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from napari_ctvlp._qt.open_layers import OpenLayers
    from napari_ctvlp._qt.organ_looks import OrganLooks
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.session import Session


class DeletedMasks:
    """Makes it a step when the layer of the masks in use is deleted; those of another scan go with their scan.

    Parameters
    ----------
    viewer, session, layers, looks, undo
        Whom it serves.
    wiring : Wiring
        Undoes its connection.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        session: Session,
        layers: OpenLayers,
        looks: OrganLooks,
        undo: Undo,
        wiring: Wiring,
    ) -> None:
        self._viewer, self._session, self._layers, self._looks, self._undo = viewer, session, layers, looks, undo
        # before it is gone: then the session knows of no masks any more, and the looks are those of none
        wiring.connect(viewer.layers.events.removing, self._on_removing)

    def _on_removing(self, event: Any) -> None:
        layer, index = self._viewer.layers[event.index], event.index
        masks = self._session.masks
        if masks is not None and masks_of(layer) is masks:
            mine = self._layers.masks_layer  # what the viewer gives out may be wrapped
            assert mine is not None
            back = partial(self._bring_back, mine, index, self._looks.state)
            self._undo.push(f"deleting “{layer.name}”", back)

    def _bring_back(self, layer: Labels, index: int, looks: Any) -> None:
        """Use them again, drawn as they were; what was answered with them is remembered by the session."""
        layers = self._viewer.layers
        with self._layers.at_rest():
            if layer not in layers:
                layers.insert(min(index, len(layers)), layer)
            layers.selection.active = layer
        self._looks.restore(looks)
