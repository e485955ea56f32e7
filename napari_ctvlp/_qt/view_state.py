"""How a scan is looked at, taken from a viewer and given back to one."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from napari.layers import Image, Labels

from napari_ctvlp.saved_session import SavedView


def taken_view(viewer: Any, scan_layer: Image | None, masks_layer: Labels | None) -> SavedView:
    """The view of a viewer, and the looks of its two layers."""
    dims, camera = viewer.dims, viewer.scene.camera
    return SavedView(
        point=tuple(float(v) for v in dims.point[-3:]),
        order=tuple(int(v) for v in dims.order),
        ndisplay=int(dims.ndisplay),
        zoom=float(camera.zoom),
        centre=tuple(float(v) for v in camera.center),
        window=None if scan_layer is None else tuple(float(v) for v in scan_layer.contrast_limits),  # type: ignore[arg-type]
        opacity=None if masks_layer is None else float(masks_layer.opacity),
    )


def give_view(viewer: Any, view: SavedView, scan_layer: Image | None, masks_layer: Labels | None) -> None:
    """Look as a saved view did; 3D is left to the user, because it can take seconds."""
    dims, camera = viewer.dims, viewer.scene.camera
    # a file edited by hand may hold what napari refuses: the rest of the view is still worth having
    with suppress(ValueError):
        if len(view.order) == dims.ndim and sorted(view.order) == list(range(dims.ndim)):
            dims.order = view.order
        if len(view.point) == 3:
            dims.point = (*tuple(dims.point)[: dims.ndim - 3], *view.point)
    with suppress(ValueError):
        if view.zoom > 0:
            camera.zoom = view.zoom
        if len(view.centre) in (2, 3):
            camera.center = view.centre
    with suppress(ValueError):
        if scan_layer is not None and view.window is not None and view.window[0] < view.window[1]:
            scan_layer.contrast_limits = view.window
        if masks_layer is not None and view.opacity is not None:
            masks_layer.opacity = min(1.0, max(0.0, view.opacity))
