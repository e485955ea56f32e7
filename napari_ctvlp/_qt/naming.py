"""Calling organs of the open masks otherwise, and back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from napari_ctvlp._qt.organ_names import OrganNames
from napari_ctvlp.anatomy import display_name
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.drawn import renamed

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_ctvlp._qt.open_layers import OpenLayers
    from napari_ctvlp._qt.scan_panel import ScanPanel
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp.scan.types import OrganMasks
    from napari_ctvlp.session import Session


class Naming:
    """Shows the dialog of names when the panel asks for it, and takes what it says.

    Parameters
    ----------
    session, layers, panel, undo
        Whom it serves.
    """

    def __init__(self, session: Session, layers: OpenLayers, panel: ScanPanel, undo: Undo) -> None:
        self._session = session
        self._layers = layers
        self._panel = panel
        self._undo = undo
        self._named: Labels | None = None
        panel.names_requested.connect(self._on_names)

    def end(self) -> None:
        """Close the dialog with the names of another layer's organs: applied to these they would be wrong."""
        if self._named is not None and self._named is not self._layers.masks_layer:
            self._named = None
            for dialog in self._panel.findChildren(OrganNames):
                dialog.close()

    def _on_names(self) -> None:
        """Let the user say which label is which organ."""
        masks = self._session.masks
        if masks is not None:
            self._named = self._layers.masks_layer
            dialog = OrganNames(masks, display_name, self._panel)
            dialog.named.connect(self._rename)
            dialog.show()

    def _rename(self, names: Mapping[int, str]) -> None:
        masks, layer = self._session.masks, self._layers.masks_layer
        if masks is None or layer is None:
            return
        try:
            named = renamed(masks, names)
        except UserError as error:
            self._session.failed.emit(error)
            return
        if named is not masks:
            self._layers.take(layer, named)
            self._session.set_masks(named)
            self._undo.push("names of organs", partial(self._rename_back, named, masks))

    def _rename_back(self, named: OrganMasks, before: OrganMasks) -> None:
        layer = self._layers.masks_layer
        if layer is None or self._session.masks is not named:  # painted in since
            self._rename(before.names)
        else:
            self._layers.take(layer, before)
            self._session.set_masks(before)
