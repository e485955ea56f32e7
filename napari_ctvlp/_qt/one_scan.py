"""Of several open scans the one that counts is seen, and no other: two patients are never shown in one window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakSet, ref

from napari_ctvlp._qt.layer_lookup import belongs_to, masks_of, scan_of
from napari_ctvlp.errors import UserError

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.session import Session


class OneScan:
    """Hides the layers of every scan but the open one; a scan that somebody shows becomes the open one.

    Parameters
    ----------
    viewer, session
        Whom it serves.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(self, viewer: napari.viewer.Viewer, session: Session, wiring: Wiring) -> None:
        self._viewer = viewer
        self._session = session
        self._hidden: WeakSet[Layer] = WeakSet()
        self._watched: dict[Layer, Callable[..., None]] = {}
        self._busy = False
        wiring.connect(session.scan_changed, self._show_alone)
        wiring.connect(viewer.layers.events.inserted, self._on_layers_changed)
        wiring.connect(viewer.layers.events.removed, self._on_layers_changed)
        wiring.callback(self._watch, ())
        self._watch(viewer.layers)

    def _on_layers_changed(self, event: object = None) -> None:
        self._watch(self._viewer.layers)
        self._show_alone()

    def _show_alone(self, scan: object = None) -> None:
        """Hide what is not of the open scan, and show again what had been hidden of it."""
        with self._at_work():
            for layer in list(self._viewer.layers):
                if self._is_of_another(layer):
                    if layer.visible:
                        layer.visible = False
                        self._hidden.add(layer)
                elif layer in self._hidden and self._session.scan is not None:
                    self._hidden.discard(layer)
                    layer.visible = True

    def _is_of_another(self, layer: Layer) -> bool:
        """Whether this is a scan, or are masks, but not the open ones."""
        scan, masks = self._session.scan, masks_of(layer)
        if scan is None or (masks is None and scan_of(layer) in (None, scan)):
            return False
        return masks is None or not (masks is self._session.masks or belongs_to(layer, scan))

    def _watch(self, layers: Iterable[Layer]) -> None:
        """Hear when somebody shows one of these layers."""
        here = set(layers)
        for layer in self._watched.keys() - here:
            layer.events.visible.disconnect(self._watched.pop(layer))
        for layer in here - self._watched.keys():
            self._watched[layer] = partial(self._on_visible, ref(layer))
            layer.events.visible.connect(self._watched[layer])

    def _on_visible(self, shown: ref[Layer], event: object = None) -> None:
        layer = shown()
        if layer is None or self._busy or not layer.visible or not self._is_of_another(layer):
            return
        self._viewer.layers.selection.active = layer
        if self._is_of_another(layer):
            with self._at_work():
                layer.visible = False
            self._session.failed.emit(UserError(f"{layer.name}: its scan is not open, and the open one is another."))

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        before, self._busy = self._busy, True
        try:
            yield
        finally:
            self._busy = before
