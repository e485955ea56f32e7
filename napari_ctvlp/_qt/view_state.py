"""How a scan is looked at, taken from a viewer, or from the whole window, and given back to one."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from psygnal import Signal

from napari_ctvlp.saved_view import SavedLook, SavedView

if TYPE_CHECKING:
    import napari

    from napari_ctvlp._qt.body import Body
    from napari_ctvlp._qt.linked_views import LinkedViews
    from napari_ctvlp._qt.open_layers import OpenLayers
    from napari_ctvlp._qt.organ_looks import OrganLooks
    from napari_ctvlp._qt.similarity import SimilarityLayer
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.view_bar import ViewBar
    from napari_ctvlp.session import Session


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
        angles=tuple(float(v) for v in camera.angles),
        organs=None if masks_layer is None else bool(masks_layer.visible),
    )


def give_view(viewer: Any, view: SavedView, scan_layer: Image | None, masks_layer: Labels | None) -> None:
    """Look as a saved view did."""
    dims, camera = viewer.dims, viewer.scene.camera
    # a file edited by hand may hold what napari refuses: the rest of the view is still worth having
    with suppress(ValueError):
        if len(view.order) == dims.ndim and sorted(view.order) == list(range(dims.ndim)):
            dims.order = view.order
        if len(view.point) == 3:
            dims.point = (*tuple(dims.point)[: dims.ndim - 3], *view.point)
        dims.ndisplay = view.ndisplay
    with suppress(ValueError):
        if view.zoom > 0:
            camera.zoom = view.zoom
        if len(view.centre) in (2, 3):
            camera.center = view.centre
        if len(view.angles) == 3:
            camera.angles = view.angles
    with suppress(ValueError):
        if scan_layer is not None and view.window is not None and view.window[0] < view.window[1]:
            scan_layer.contrast_limits = view.window
        if masks_layer is not None and view.opacity is not None:
            masks_layer.opacity = min(1.0, max(0.0, view.opacity))
    if masks_layer is not None and view.organs is not None:
        masks_layer.visible = view.organs


class ViewState:
    """All that belongs to how the open scan is looked at: the viewer, what stands beside it, how organs are drawn.

    Parameters
    ----------
    viewer, session, layers, looks, bar, views, body, similarity, undo
        Where it is read and set.

    Notes
    -----
    ``giving`` (psygnal, no value) comes before a view is given back.
    """

    giving = Signal()

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        session: Session,
        layers: OpenLayers,
        looks: OrganLooks,
        bar: ViewBar,
        views: LinkedViews,
        body: Body,
        similarity: SimilarityLayer,
        undo: Undo,
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._layers = layers
        self._looks = looks
        self._bar = bar
        self._views = views
        self._body = body
        self._similarity = similarity
        self._undo = undo

    def take(self) -> SavedView:
        """The view as it is now."""
        names = {} if self._session.masks is None else self._session.masks.names
        looks = ((names[label], look) for label, look in self._looks.touched.items() if label in names)
        return replace(
            taken_view(self._viewer, self._layers.scan_layer, self._layers.masks_layer),
            side_views=self._views.shown,
            body=self._body.shown,
            map=self._similarity.wanted,
            automatic_window=self._bar.automatic.isChecked(),
            looks=tuple(SavedLook(organ, look.colour, look.opacity, look.visible) for organ, look in looks),
            solo=tuple(names[label] for label in sorted(self._looks.solo) if label in names),
            sides=tuple(look for side in self._views.views if self._views.shown and (look := side.look)),
        )

    def give(self, view: SavedView) -> None:
        """Look as a saved view did; what it does not tell stays. It is no step to be taken back."""
        self.giving.emit()
        if view.side_views is not None:
            self._views.set_shown(view.side_views)
        if view.body is not None:
            self._body.set_shown(view.body)
        if view.map is not None:
            self._similarity.set_wanted(view.map)
        if view.automatic_window is not None:
            self._bar.automatic.setChecked(view.automatic_window)
        give_view(self._viewer, view, self._layers.scan_layer, self._layers.masks_layer)
        for side in self._views.views:
            for look in view.sides:
                if look.name == side.name:
                    side.give_look(look)
        self._draw(view)
        self._undo.clear()

    def _draw(self, view: SavedView) -> None:
        """Draw organs as they were drawn, those of today's masks that have the names of then."""
        masks = self._session.masks
        if masks is None:
            return
        if view.side_views is not None:  # all was told, also of the organs that were drawn as at first
            self._looks.begin_again()
        labels: dict[str, list[int]] = {}
        for label, name in masks.names.items():
            labels.setdefault(name, []).append(label)
        for look in view.looks:
            red, green, blue = look.colour
            self._looks.set_colour(labels.get(look.organ, ()), (red, green, blue))
            self._looks.set_opacity(labels.get(look.organ, ()), look.opacity)
            self._looks.set_visible(labels.get(look.organ, ()), look.visible)
        if solo := [label for organ in view.solo for label in labels.get(organ, ())]:
            self._looks.set_solo(solo)
