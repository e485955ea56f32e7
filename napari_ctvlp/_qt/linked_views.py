"""Axial, coronal and sagittal in step: place, layers, looks; any of them can have the window to itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QApplication, QWidget

from napari_ctvlp._qt.crosshair import Crosshair
from napari_ctvlp._qt.double_click import DoubleClick
from napari_ctvlp._qt.filling import Filling, Layers
from napari_ctvlp._qt.own_context import main_canvas
from napari_ctvlp._qt.shortcuts import line_of
from napari_ctvlp._qt.slice_view import SliceView
from napari_ctvlp._qt.views_dock import NAME, ViewsDock, painted_once
from napari_ctvlp._qt.wiring import Wiring

if TYPE_CHECKING:
    import napari

    from napari_ctvlp._qt.navigator import Navigator
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.window_level import WindowLevel

AXIAL = "axial"
SIDES = (("coronal", 1), ("sagittal", 2))


class LinkedViews:
    """Opens and closes the side views and keeps all three together.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Its canvas is the main view.
    navigator, window_level, undo
        Where pointing, right drag and maximising go.
    layers : callable
        Layers of the viewer that all views show, lowest first.
    beside : QWidget
        The dock that the views stand left of.

    Notes
    -----
    ``shown_changed`` (psygnal) carries whether the side views are shown. Layers that came are shown by ``filling``.
    """

    shown_changed = Signal(bool)

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        navigator: Navigator,
        window_level: WindowLevel,
        undo: Undo,
        layers: Layers,
        beside: QWidget,
    ) -> None:
        self._viewer = viewer
        self._navigator = navigator
        self._window_level = window_level
        self._undo = undo
        self._layers = layers
        self._beside = beside
        self.views: list[SliceView] = []
        self.crosshair: Crosshair | None = None
        self.maximised: str | None = None
        self._dock: ViewsDock | None = None
        self._shown = False
        self._double_click = DoubleClick(viewer, partial(self._on_double_click, AXIAL))
        self._moving = False
        self._window_text = ""
        self.filling = Filling(layers, self._at_rest, self._follow)
        self._wiring = Wiring()

    @property
    def shown(self) -> bool:
        """Whether the side views are shown."""
        return self._shown

    @property
    def canvases(self) -> list[QWidget]:
        """The canvases of the slices that are to be seen, the main one first."""
        self.settle()
        main = main_canvas(self._viewer, self._beside)
        sides = [view.view.canvas.native for view in self.views]
        return [canvas for canvas in (main, *sides) if canvas is not None and canvas.isVisible()]

    def toggle(self) -> None:
        """Show the side views or hide them."""
        self.set_shown(not self._shown)

    def set_shown(self, shown: bool) -> None:
        """Show the side views, made when first shown, or hide them."""
        if shown == self._shown:
            return
        if shown and self._dock is None:
            self._make()
        self._restore()
        assert self._dock is not None
        self._shown = shown
        if shown:
            self._double_click.take()
        else:
            self._double_click.give_back()
        self._dock.set_shown(shown)
        for view in self.views:
            view.set_live(shown)
        self.filling.begin(self.views)
        self.settle()
        if not shown and self.crosshair is not None:
            self.crosshair.set_place(None)
        self._undo.push("views" if shown else "hiding the views", partial(self.set_shown, not shown))
        self.shown_changed.emit(shown)

    def update_layers(self) -> None:
        """Show what the main viewer shows, after layers came or went.

        What went goes at once; what came is shown one layer in one view at a time, since that takes up to a tenth of a
        second.
        """
        layers = self._layers()
        with self._at_rest():
            for view in self.views:
                # a view that is hidden takes nothing new, but must not hold the scan that was closed
                view.show_layers([layer for layer in view.layers if layer in layers])
        if not (layers and self._shown) and self.crosshair is not None:
            self.crosshair.set_place(None)
        self.filling.begin(self.views if self._shown else ())

    def set_window_text(self, text: str) -> None:
        """Say in the side views, too, with which window the scan is shown."""
        self._window_text = text
        for view in self.views:
            view.furniture.set_window_text(text)

    def settle(self) -> None:
        """Show now what is still to be shown."""
        self.filling.settle()

    def maximise(self, name: str) -> None:
        """Give one view the window, or, where it has it already, give all three their places back."""
        if not self._shown or self._dock is None:
            return
        before = self.maximised
        wanted = None if before == name else name
        self._arrange(wanted)
        self._undo.push(f"maximising {name}", partial(self._arrange, before))

    def maximise_next(self) -> None:
        """Do so with the view under the cursor; where none is, with one after the other, then with none."""
        pointed = self._under_cursor
        if pointed is not None:
            self.maximise(pointed)
        elif self.maximised is None:
            self.maximise(AXIAL)
        else:
            names = [AXIAL, *(view.name for view in self.views), self.maximised]
            following = names[names.index(self.maximised) + 1]
            self.maximise(following)

    @property
    def _under_cursor(self) -> str | None:
        """The view that the mouse is over."""
        line = list(line_of(QApplication.widgetAt(QCursor.pos())))
        views = [(AXIAL, main_canvas(self._viewer, self._beside))]
        views += [(view.name, view.view.canvas.native) for view in self.views]
        over = (name for name, canvas in views if canvas is not None and canvas in line)
        return next(over, None)

    def close(self) -> None:
        """Give all canvases back; safe to call twice."""
        if self._dock is None:
            return
        self._restore()
        dock, self._dock = self._dock, None
        self._wiring.close()
        self._wiring = Wiring()
        with suppress(LookupError, RuntimeError, AttributeError):  # the user closed it, or the window is gone
            self._viewer.window.remove_dock_widget(dock)
        with suppress(RuntimeError):
            dock.deleteLater()
        self.views = []
        self.filling.stop()
        self.crosshair = None
        if self._shown:
            self._shown = False
            self.shown_changed.emit(False)

    # -- making ------------------------------------------------------------------------------------------------

    def _make(self) -> None:
        viewer, wiring = self._viewer, self._wiring
        self.views = [SliceView(name, axis, self._navigator.choose_place) for name, axis in SIDES]
        for view in self.views:
            model = view.model
            view.follow_theme(viewer.theme)
            view.furniture.set_window_text(self._window_text)
            model.mouse_drag_callbacks.append(self._window_level.drag)
            model.mouse_double_click_callbacks.append(partial(self._on_double_click, view.name))
            wiring.connect(model.dims.events.point, partial(self._on_side_moved, view))
            self._navigator.watch(model, wiring)
            wiring.callback(view.release)
        canvas = main_canvas(viewer, self._beside)
        if canvas is not None:
            self.crosshair = Crosshair(viewer, canvas)
            wiring.callback(self._drop_crosshair, self.crosshair)
        wiring.connect(viewer.dims.events.point, self._follow)
        wiring.connect(viewer.layers.events.inserted, self._on_layers_changed)
        wiring.connect(viewer.layers.events.removed, self._on_layers_changed)
        wiring.connect(viewer.layers.events.reordered, self._on_layers_changed)
        wiring.connect(viewer.events.theme, self._on_theme)
        wiring.callback(self._double_click.give_back)
        self._dock = ViewsDock(self.views)
        self._dock.removed.connect(self.close)
        self._dock.toggled.connect(self._on_dock_toggled)
        viewer.window.add_dock_widget(self._dock, name=NAME, area="right")
        self._dock.place_beside(self._beside)

    def _on_dock_toggled(self, shown: bool) -> None:
        if self.maximised != AXIAL:  # its dock is hidden by ourselves
            self.set_shown(shown)

    def _drop_crosshair(self, crosshair: Crosshair) -> None:
        crosshair.release()
        with suppress(RuntimeError):  # the canvas went first
            crosshair.hide()
            crosshair.deleteLater()

    # -- keeping in step ---------------------------------------------------------------------------------------

    def _follow(self, event: object = None) -> None:
        """Bring the side views to where the main viewer stands."""
        if self._moving or not self._shown or not self._layers():
            return
        with self._at_rest():
            world = tuple(float(v) for v in self._viewer.dims.point)[-3:]
            if self.crosshair is not None:
                self.crosshair.set_place(world if self._viewer.dims.ndim == 3 else None)
            for view in self.views:
                view.go_to(world)

    @contextmanager
    def _at_rest(self) -> Iterator[None]:
        """Change the side views; that they move then is no move of the user."""
        before, self._moving = self._moving, True
        try:
            yield
        finally:
            self._moving = before

    def _on_side_moved(self, view: SliceView, event: object = None) -> None:
        """A side view was scrolled."""
        if self._moving or not self._shown or not view.layers or view.model.dims.ndim != 3:
            return
        dims = self._viewer.dims
        axis = dims.ndim - 3 + view.axis
        place = float(view.model.dims.point[view.axis])
        if dims.point[axis] != place:
            dims.set_point(axis, place)

    def _on_layers_changed(self, event: object = None) -> None:
        self.update_layers()

    def _on_theme(self, event: object = None) -> None:
        for view in self.views:
            view.follow_theme(self._viewer.theme)

    # -- maximising --------------------------------------------------------------------------------------------

    def _on_double_click(self, name: str, model: Any, event: Any) -> None:
        if self._shown:
            self.maximise(name)

    def _restore(self) -> None:
        if self.maximised is not None:
            self._arrange(None)

    def _arrange(self, name: str | None) -> None:
        if self._dock is None:
            return
        self.maximised = name
        with painted_once(self._dock):
            self._give_room(name)

    def _give_room(self, name: str | None) -> None:
        assert self._dock is not None
        for view in self.views:
            view.setVisible(name in (None, AXIAL, view.name))
        self._dock.set_shown(name != AXIAL and (self._shown or name is not None))
        self._dock.set_central_shown(name in (None, AXIAL))
