"""One more slice view of the scan, with a canvas of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.qt import QtViewer
from qtpy.QtCore import QTimer
from qtpy.QtGui import QResizeEvent, QShowEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_ctvlp._qt.crosshair import Crosshair
from napari_ctvlp._qt.furniture import Furniture
from napari_ctvlp._qt.own_context import empty_canvas, finish_in_own_context
from napari_ctvlp._qt.pointing import Go, Pointing
from napari_ctvlp._qt.removing import remove_layer
from napari_ctvlp._qt.twin import Twin
from napari_ctvlp._qt.wiring import Wiring
from napari_ctvlp.saved_view import SavedSide

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image, Labels


MOST_SPARE = 4
"""Layers of a view that rest until there is something else for them to show."""
EMPTY_MS = 1500
"""How long a view shows nothing until it keeps no more of them than the next scan and its organs need: each takes some
8 MB on the GPU, or of memory where software draws."""


class SliceView(QWidget):
    """A canvas that shows the scan cut along one axis.

    Parameters
    ----------
    name : str
        "coronal" or "sagittal".
    axis : int
        The axis cut along, of I, P, L.
    go : callable
        Called with the place that was pointed at, see `Pointing`.
    """

    def __init__(self, name: str, axis: int, go: Go) -> None:
        super().__init__()
        self.name = name
        self.axis = axis
        self.model = ViewerModel(title=name, ndisplay=2)
        # without layers the dims have two axes, and the order is set once there are three
        self._order = (axis, *(a for a in range(3) if a != axis))
        self.view = QtViewer(self.model)
        finish_in_own_context(self.view.canvas.native)
        self.crosshair = Crosshair(self.model, self.view.canvas.native)
        self.furniture = Furniture(self.model)
        self._twins: list[Twin] = []
        self._spare: list[Twin] = []
        self._fitted = False
        self._extent = 0
        self._wanted: SavedSide | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._fit)
        self._emptying = QTimer(self)
        self._emptying.setInterval(0)
        self._emptying.timeout.connect(self._empty_next)
        self._trimming = QTimer(self)
        self._trimming.setInterval(EMPTY_MS)
        self._trimming.timeout.connect(self._trim_next)
        self._wiring = Wiring()
        self._wiring.callback(self._close)
        self._go = go
        self._pointing = Pointing(self.model, self._point, self._wiring)
        self.model.mouse_double_click_callbacks.clear()  # it zooms; here it maximises
        self.setMinimumSize(120, 120)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)

    @property
    def layers(self) -> list[Any]:
        """The viewer's layers that are shown here, too, lowest first."""
        return [twin.source for twin in self._twins]

    @property
    def shown(self) -> list[Any]:
        """Its own layers that show them."""
        return [twin.layer for twin in self._twins]

    @property
    def look(self) -> SavedSide | None:
        """How far it is zoomed and to where; None while it shows nothing."""
        if not self._twins or not self._extent:
            return self._wanted
        camera = self.model.scene.camera
        down, across = (float(v) for v in tuple(camera.center)[-2:])
        return SavedSide(self.name, self._extent / float(camera.zoom), (down, across))

    def give_look(self, look: SavedSide) -> None:
        """Zoom and pan so; as soon as there is something to see, where that is not now."""
        self._wanted = look
        if self._twins and self._extent and not self._timer.isActive():
            self._look_as_wanted()

    def show_layers(self, layers: Sequence[Image | Labels]) -> None:
        """Show these layers of the main viewer, lowest first; what is shown already stays as it is.

        The layers of this canvas outlive those that they show: to take one away, or to make one, takes a tenth of a
        second.
        """
        if self.layers == list(layers):
            return
        keep = {id(twin.source): twin for twin in self._twins}
        known = [keep.pop(id(layer), None) for layer in layers]
        for twin in keep.values():
            twin.rest()
        self._spare += keep.values()
        while len(self._spare) > MOST_SPARE:
            remove_layer(self.model.layers, self._spare.pop(0).layer)
        wanted = [twin or self._twin_of(layer) for twin, layer in zip(known, layers, strict=True)]
        scans_changed = not (wanted and self._twins and wanted[0] is self._twins[0] and known[0] is wanted[0])
        if wanted and scans_changed:  # what another scan left would make the view as wide as both
            for twin in self._spare:
                twin.empty(layers[0])
        else:
            self._emptying.start()
        self._twins = wanted
        for place_in_list, twin in enumerate(wanted):
            if twin.layer not in self.model.layers:
                self.model.layers.insert(place_in_list, twin.layer)
            elif (now := self.model.layers.index(twin.layer)) != place_in_list:
                self.model.layers.move(now, place_in_list)
        self.view.dims.setVisible(bool(wanted))  # what rests keeps its axes, and there is nothing to step through
        self._trimming.stop()
        if not wanted:
            self._trimming.start()
            self.furniture.hide()
            self.crosshair.set_place(None)
            return
        self.model.dims.order = self._order
        self.furniture.show()
        if scans_changed:
            self._fitted = False
            self._fit_soon()

    def _empty_next(self) -> None:
        """What rests lets go of one scan a turn of the event loop."""
        full = [twin for twin in self._spare if twin.full]
        if full:
            full[0].empty(self._twins[0].source if self._twins else None)
        if len(full) < 2:
            self._emptying.stop()

    def _trim_next(self) -> None:
        """Remove a layer that rests and that the next scan does not need, one at a time."""
        needed: dict[str, Twin] = {twin.showed: twin for twin in self._spare if twin.showed}
        found = next((twin for twin in self._spare if twin is not needed.get(twin.showed)), None)
        if found is not None:
            self._spare.remove(found)
            remove_layer(self.model.layers, found.layer)
        else:
            self._trimming.stop()

    def _point(self, world: tuple[float, ...], series: str) -> None:
        if self._twins:
            self._go(world, series)

    def _twin_of(self, layer: Image | Labels) -> Twin:
        """One that rests, or a new one."""
        twin = next((twin for twin in self._spare if twin.can_follow(layer)), None)
        if twin is None:
            return Twin(layer)
        self._spare.remove(twin)
        twin.follow(layer)
        return twin

    def set_live(self, live: bool) -> None:
        """Whether layers are followed; a view that is hidden need not."""
        for twin in self._twins:
            twin.set_live(live)

    def go_to(self, world: Sequence[float]) -> None:
        """Show the slice through a point in world mm (I, P, L), the crosshair there, and pan where it is outside.

        Where it stands at that point already it stays panned away.
        """
        dims = self.model.dims
        if dims.ndim != 3 or not self._twins:
            return
        place = on_slices(dims, world)[self.axis]
        # the other two axes lie in the slice: setting them would only slice the same again
        if dims.point[self.axis] != place:
            dims.set_point(self.axis, place)
        if self.crosshair.place != tuple(world):
            self.crosshair.set_place(world)
            keep_in_view(self.model, world)

    def follow_theme(self, theme: str) -> None:
        """Take the theme of the main viewer."""
        self.model.theme = theme

    def release(self) -> None:
        """Give the canvas and all connections up; napari checks that no view is left over."""
        self._wiring.close()

    def on_release(self, callback: Callable[..., object], *args: object) -> None:
        """Call this, too, when the view is given up."""
        self._wiring.callback(callback, *args)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Qt: only now the size is known."""
        super().showEvent(event)
        self._fit_soon()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: what is shown grows and shrinks with the view."""
        super().resizeEvent(event)
        if self._fitted and self._extent and self.isVisible():
            extent = min(self.width(), self.height())
            self.model.scene.camera.zoom *= extent / self._extent
            self._extent = extent

    def _fit_soon(self) -> None:
        if not self._fitted and self.isVisible() and self._twins:
            self._fitted = True
            self._timer.start()

    def _fit(self) -> None:
        if self._twins:
            self._extent = min(self.width(), self.height())
            self.model.fit_to_view()
            self._look_as_wanted()
            # napari (0.9) places a scale bar of another length while it draws, too late for that picture
            getattr(self.view.canvas, "_update_overlay_canvas_positions", lambda: None)()

    def _look_as_wanted(self) -> None:
        look, self._wanted = self._wanted, None
        if look is not None:
            self.model.scene.camera.zoom = self._extent / look.span
            self.model.scene.camera.center = (0.0, *look.centre)

    def _close(self) -> None:
        self._emptying.stop()
        self._trimming.stop()
        for twin in self._twins:
            twin.release()
        self._twins, self._spare = [], []
        self.furniture.remove()
        self.crosshair.release()
        for callbacks in (self.model.mouse_drag_callbacks, self.model.mouse_double_click_callbacks):
            callbacks.clear()  # they lead to the main viewer, and whoever holds the model must not hold that
        empty_canvas(self.view.canvas.native)
        self.view.close()
        self.view.deleteLater()
        del self.view, self.crosshair  # whoever still holds this widget must not hold a canvas


def on_slices(dims: Dims, world: Sequence[float]) -> tuple[float, ...]:
    """The place that a slider can show next to one in world mm; at another the slider corrects it, and all layers are
    sliced twice.

    ``world`` has the last axes of ``dims``.
    """
    places = []
    for value, (start, stop, step) in zip(world, tuple(dims.range)[-len(world) :], strict=True):
        steps = min(max(round((value - start) / step), 0), round((stop - start) / step)) if step else 0
        places.append(float(start + steps * step))
    return tuple(places)


def keep_in_view(model: ViewerModel, world: Sequence[float]) -> None:
    """Pan the camera of a slice view to a point in world mm where it lies outside."""
    camera, size = model.scene.camera, model.canvas.size
    wanted = [world[axis] for axis in model.dims.displayed]
    reach = [pixels / camera.zoom / 2 for pixels in size]
    if any(abs(w - c) > r for w, c, r in zip(wanted, tuple(camera.center)[-2:], reach, strict=True)):
        camera.center = (0.0, *wanted)
