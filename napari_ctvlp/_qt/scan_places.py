"""Where each open scan is looked at: the view goes along when another scan counts, and one key takes that back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

import numpy as np

from napari_ctvlp._qt.layer_lookup import scan_of

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_ctvlp._qt.open_layers import OpenLayers
    from napari_ctvlp._qt.undo import Step, Undo
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.scan.types import OrganMasks, Scan
    from napari_ctvlp.session import Session

STEP = "another scan"
"""Series of the step that goes back to the scan of before."""
FILLED = 0.95
"""Of the canvas, by a scan that is seen for the first time; as napari does with a first layer."""


@dataclass(frozen=True)
class Sight:
    """How a scan was looked at when another took its place.

    Attributes
    ----------
    point, centre : tuple of float
        Of the slices and of the camera, in mm (I, P, L).
    zoom : float
    query : str
        What was asked of it.
    """

    point: tuple[float, ...]
    centre: tuple[float, ...]
    zoom: float
    query: str


class ScanPlaces:
    """Takes the view into the scan that counts.

    Parameters
    ----------
    viewer, session, layers, undo
        Whom it serves.
    wiring : Wiring
        Undoes its connections.

    Notes
    -----
    A scan on the grid of the one before, such as another phase, is looked at where that was; one that was seen already,
    where it was left; else in its middle.
    """

    def __init__(
        self, viewer: napari.viewer.Viewer, session: Session, layers: OpenLayers, undo: Undo, wiring: Wiring
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._layers = layers
        self._undo = undo
        self._seen: WeakKeyDictionary[Scan, Sight] = WeakKeyDictionary()
        self._scan: Callable[[], Scan | None] = lambda: None
        self._before: ref[Image] | None = None
        wiring.connect(session.scan_changed, self._on_scan_changed)
        wiring.connect(viewer.layers.events.removed, self._on_removed)

    def _on_scan_changed(self, scan: Scan | None) -> None:
        before = self._scan()
        if before is scan:
            return
        sight = self._sight
        steps = self._undo.put_aside()  # they were made in the scan of before
        self._scan = (lambda: None) if scan is None else ref(scan)
        if before is not None:
            self._seen.pop(before, None)
            if any(scan_of(layer) is before for layer in self._viewer.layers):  # else napari has turned to what is left
                self._seen[before] = sight
        if scan is None:
            return
        seen = self._seen.get(scan)
        if seen is not None and seen.query == self._session.query:
            self._session.is_news = False  # it was answered, and the view has gone where the answer is
        if before is None or not _on_one_grid(before, scan):
            self._look(seen or self._middle(scan))
        layer = next((layer for layer in self._viewer.layers if before is not None and scan_of(layer) is before), None)
        if layer is not None:
            self._before = ref(layer)
            masks = self._layers.masks_last_of(before)
            back = partial(self._go_back, self._before, None if masks is None else ref(masks), sight, steps)
            self._undo.push(f"showing {scan.name}", back, series=STEP)

    def _go_back(self, before: ref[Image], masks: ref[OrganMasks] | None, sight: Sight, steps: list[Step]) -> None:
        layer = before()
        scan = scan_of(layer)
        if layer is None or scan is None or layer not in self._viewer.layers:
            return
        with self._layers.at_rest():
            self._viewer.layers.selection.active = layer
            self._session.set_scan(scan, None if masks is None else masks())
        self._look(sight)
        self._undo.bring(steps)

    def _on_removed(self, event: object = None) -> None:
        """Do not offer to go back to what is there no more."""
        if self._before is not None and self._before() not in self._viewer.layers:
            self._before = None
            self._undo.forget(STEP)

    @property
    def _sight(self) -> Sight:
        dims, camera = self._viewer.dims, self._viewer.scene.camera
        return Sight(
            tuple(float(v) for v in dims.point[-3:]),
            tuple(float(v) for v in camera.center),
            float(camera.zoom),
            self._session.query,
        )

    def _middle(self, scan: Scan) -> Sight | None:
        """The middle of a scan, with all of it in the canvas."""
        layer, dims, size = self._layers.scan_layer, self._viewer.dims, self._viewer.canvas.size
        if layer is None:
            return None
        low, high = np.asarray(layer.extent.world)[:, -3:]
        displayed = [axis - dims.ndim for axis in dims.displayed]
        across = (high - low)[displayed]
        # turned in 3D, any side may come to lie along the shorter side of the canvas
        fits = np.divide(size, across) if dims.ndisplay == 2 else min(size) / np.linalg.norm(across)
        point = layer.data_to_world([(n - 1) // 2 for n in scan.hu.shape])
        centre = ((low + high) / 2)[displayed]
        return Sight(
            tuple(float(v) for v in point[-3:]),
            (*(0.0,) * (3 - len(centre)), *(float(v) for v in centre)),
            FILLED * float(np.min(fits)),
            "",
        )

    def _look(self, sight: Sight | None) -> None:
        if sight is None:
            return
        dims, camera = self._viewer.dims, self._viewer.scene.camera
        if dims.ndim >= 3 and len(sight.point) == 3:
            dims.point = (*tuple(dims.point)[: dims.ndim - 3], *sight.point)
        camera.center, camera.zoom = sight.centre, sight.zoom


def _on_one_grid(one: Scan, other: Scan) -> bool:
    return one.hu.shape == other.hu.shape and bool(np.allclose(one.affine, other.affine, atol=1e-2))
