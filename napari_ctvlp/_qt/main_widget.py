"""The dock "CT query": builds the widgets and the rooms behind them, and ends everything when it closes."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent
from qtpy.QtGui import QCloseEvent, QColor, QShowEvent
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_ctvlp._qt.answering import Answering
from napari_ctvlp._qt.asked import Asked
from napari_ctvlp._qt.audit_window import AuditWindow
from napari_ctvlp._qt.body import Body
from napari_ctvlp._qt.canvas_drop import CanvasDrop
from napari_ctvlp._qt.controls import join_buttons
from napari_ctvlp._qt.deleted_masks import DeletedMasks
from napari_ctvlp._qt.dock import Dock
from napari_ctvlp._qt.docked import main_window
from napari_ctvlp._qt.drop_target import DropTarget
from napari_ctvlp._qt.encoders import Encoders
from napari_ctvlp._qt.ending import Ending
from napari_ctvlp._qt.first_answer import FirstAnswer
from napari_ctvlp._qt.follow_up import FollowUpWindow
from napari_ctvlp._qt.furniture import Furniture
from napari_ctvlp._qt.key_table import add_keys
from napari_ctvlp._qt.keys_window import KeysWindow
from napari_ctvlp._qt.layer_keys import LayerKeys
from napari_ctvlp._qt.linked_views import LinkedViews
from napari_ctvlp._qt.model_input import InputLayer
from napari_ctvlp._qt.navigator import Navigator
from napari_ctvlp._qt.one_scan import OneScan
from napari_ctvlp._qt.open_layers import OpenLayers
from napari_ctvlp._qt.opening import Opening
from napari_ctvlp._qt.organ_list import OrganList
from napari_ctvlp._qt.overlay import Overlay
from napari_ctvlp._qt.own_context import finish_in_own_context, main_canvas
from napari_ctvlp._qt.painting import Painting
from napari_ctvlp._qt.preferences import Preferences, preferred_encoder
from napari_ctvlp._qt.prompt_lab import PromptLab
from napari_ctvlp._qt.reasons import Reasons
from napari_ctvlp._qt.runner import ThreadRunner
from napari_ctvlp._qt.saving import Saving
from napari_ctvlp._qt.scan_places import ScanPlaces
from napari_ctvlp._qt.shortcuts import Shortcuts
from napari_ctvlp._qt.similarity import SimilarityLayer
from napari_ctvlp._qt.stepping import Stepping
from napari_ctvlp._qt.teacher import Teacher
from napari_ctvlp._qt.telling import tell_failure, tell_written
from napari_ctvlp._qt.told_failures import ToldFailures
from napari_ctvlp._qt.undo import Undo
from napari_ctvlp._qt.view_state import ViewState
from napari_ctvlp._qt.window_level import WindowLevel
from napari_ctvlp._qt.wiring import Wiring
from napari_ctvlp.anatomy import display_name
from napari_ctvlp.opening import open_paths
from napari_ctvlp.queries import Queries
from napari_ctvlp.session import Session

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Labels


class CtvlpWidget(DropTarget, QWidget):
    """The dock "CT query": ask the open scan in plain words, see organs light up and scores appear.

    The rooms behind it: `OpenLayers` (what is open), `Opening` (files), `Answering` (questions), `Navigator` (where the
    view stands), `WindowLevel` (HU on the screen), `LinkedViews` (coronal and sagittal).

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        napari fills this in (by the name of the parameter).
    session : Session, optional
        State to show; a new one with threads by default.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer, session: Session | None = None) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._closed_down = False
        self._wiring = wiring = Wiring()
        self._last = wiring.enter_context(Wiring())  # undone after all else, which takes layers out of the canvas
        if session is None:
            runner = ThreadRunner()
            wiring.callback(runner.close)
            session = Session(runner, encoder_name=preferred_encoder())
        self.session = session
        wiring.callback(session.close)
        self._ending = Ending(self, self.close_down, wiring)

        self.overlay = Overlay()
        wiring.callback(self.overlay.set_layer, None)
        self.dock = Dock(display_name, self.overlay.looks)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.dock)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setAcceptDrops(True)

        self._keys = Shortcuts(self, LayerKeys(napari_viewer, self._layers_of_all_views).has)
        self.keys_window = KeysWindow(self._keys, self, wiring)
        self._furniture = Furniture(napari_viewer)
        wiring.callback(self._furniture.remove)
        self.undo = Undo()
        self.layers = OpenLayers(napari_viewer, session, self.dock.scan, self.overlay, self.undo, wiring)
        DeletedMasks(napari_viewer, session, self.layers, self.overlay.looks, self.undo, wiring)
        self._one_scan = OneScan(napari_viewer, session, wiring)
        self._painting = Painting(session, self.layers, wiring)
        self.window_level = WindowLevel(napari_viewer, session, self.layers, self.undo, wiring)
        self.navigator = Navigator(napari_viewer, session, self.layers, self.undo, self.dock.position, wiring)
        self.similarity = SimilarityLayer(
            napari_viewer, session, self.navigator, self.overlay, self.dock.legend, self.undo, wiring
        )
        self.views = LinkedViews(
            napari_viewer, self.navigator, self.window_level, self.undo, self._layers_of_all_views, self
        )
        self.views.filling.hold = FirstAnswer(session, wiring).is_due
        wiring.callback(self.views.close)
        self.body = Body(napari_viewer, session, self.layers, self.undo, self, wiring)
        self._opening = Opening(self.dock, session, self.layers, self, wiring)
        self._canvas_drop = CanvasDrop(self.open_files, self)
        wiring.callback(self._canvas_drop.release)
        self.queries = Queries(session)
        wiring.callback(self.queries.close)
        self._view_state = ViewState(
            napari_viewer,
            session,
            self.layers,
            self.overlay.looks,
            self.dock.view,
            self.views,
            self.body,
            self.similarity,
            self.undo,
        )
        self.saving = Saving(
            napari_viewer,
            session,
            self.dock.scan.files,
            self.dock.query,
            self.dock.use_names,
            self.queries,
            self.undo,
            lambda: (self.layers.scan_layer, self.layers.masks_layer),
            self._view_state,
            lambda: [*self.views.canvases, *self.body.canvases],
            self,
        )
        self._answering = Answering(
            self.dock, session, self.overlay, self.navigator, self.window_level, self.undo, wiring
        )
        self._organ_list = OrganList(
            self.dock.organs, self.dock.ranking, self.overlay.looks, session, self.navigator, self.undo, wiring
        )
        self.lab = PromptLab(
            session, self.undo, self.navigator.choose, self.saving.dictionary_written, display_name, self, wiring
        )
        self.asked = Asked(
            self.dock, session, self.queries, self.undo, self.ask, self.navigator.choose, display_name, self, wiring
        )
        self.input = InputLayer(napari_viewer, session, self.layers, self.undo, wiring)
        self.reasons = Reasons(
            napari_viewer, session, self.navigator, self.undo, self.lab.open, display_name, self, wiring
        )
        self.teacher = Teacher(self.dock, session, self.navigator, self.undo, wiring)
        self.follow_up = FollowUpWindow(session, self.navigator, self.undo, self, wiring)
        self.audit = AuditWindow(session, self.dock.scan, self, wiring)
        others = ThreadRunner(2)
        wiring.callback(others.close)
        self.encoders = Encoders(self.dock, session, others, self.undo)
        wiring.callback(self.encoders.close)
        wiring.connect(session.scan_changed, self._furniture.set_scan)
        wiring.connect(session.written, tell_written)
        wiring.connect(session.failed, tell_failure)
        self._told = ToldFailures(session, wiring)
        self._join_view(wiring)
        self._preferences = Preferences(self.dock, self.views, self.undo, wiring)
        wiring.connect(self._view_state.giving, self._preferences.leave_views)
        wiring.connect(napari_viewer.events.theme, self._apply_theme)
        self._apply_theme()
        self.destroyed.connect(wiring.close)  # not a method of the widget, which may be gone when Qt says so
        self.layers.sync()
        session.load_encoder()

    def _join_view(self, wiring: Wiring) -> None:
        """Join the row of buttons, the keys and what they act on."""
        session, view = self.session, self.dock.view
        join_buttons(self)
        wiring.connect(self.window_level.changed, view.set_window_text)
        wiring.connect(self.window_level.changed, self._show_window_text)
        wiring.connect(self.undo.changed, view.set_undo)
        wiring.connect(self.body.shown_changed, view.set_body_shown)
        wiring.connect(self.similarity.changed, self._on_map_changed)
        wiring.connect(self.views.shown_changed, view.set_views_shown)
        wiring.connect(self.views.shown_changed, self._watch_canvases)
        wiring.connect(session.masks_changed, self.views.update_layers)
        self._places = ScanPlaces(self._viewer, session, self.layers, self.undo, wiring)
        wiring.connect(session.scan_changed, self._on_scan_changed)
        wiring.connect(self.input.changed, self._on_input_changed)
        add_keys(self._keys, self, Stepping(self._viewer, self.navigator, self.layers))
        wiring.callback(self._keys.remove)

    # -- for others --------------------------------------------------------------------------------------------

    def ask(self, text: str) -> None:
        """Ask as if typed into the line."""
        self._answering.ask(text)

    def open_files(self, paths: list[str]) -> None:
        """Open what was dropped: a scan, masks, both, a folder of these, or a saved session."""
        if not self.saving.take(paths):
            open_paths(self.session, paths)

    def offer_series(self, path: str | Path, found: Sequence[Any], then: Callable[[], None] | None = None) -> None:
        """Let the user pick one of several DICOM series of a folder; ``then`` is called when it is open."""
        self._opening.offer_series(path, found, then)

    def toggle_organs(self) -> None:
        """Hide all organs, or show them again."""
        layer = self.layers.masks_layer
        if layer is not None:
            layer.visible = not layer.visible
            self.undo.push("showing the organs" if layer.visible else "hiding the organs", self.toggle_organs)

    def on_close(self, callback: Callable[[], object]) -> None:
        """Call this, too, when the dock or the window closes."""
        self._wiring.callback(callback)

    def close_down(self) -> None:
        """Stop work, give the layers their colours and the canvas its look back; safe to call twice."""
        self._closed_down = True
        self._wiring.close()

    def _on_scan_changed(self, scan: object) -> None:
        self.dock.tools.setVisible(scan is not None)
        self.views.update_layers()
        self._show_first_views()

    def _show_first_views(self) -> None:
        if self.session.scan is not None and self._ending.has_window:
            self._preferences.show_views()

    def _watch_canvases(self, shown: bool = True) -> None:
        self._canvas_drop.watch(main_window(self))

    def _layers_of_all_views(self) -> list[Image | Labels]:
        """What the side views show, lowest first."""
        shown = self.layers.shown
        return [*shown[:1], *self.input.layers, *shown[1:], *self.similarity.layers, *self.reasons.layers]

    def _on_input_changed(self, text: str) -> None:
        self.dock.more.set_input(text)
        self._show_window_text(self.window_level.text)

    def _show_window_text(self, text: str) -> None:
        for shown in (self._furniture, self.views):
            shown.set_window_text(self.input.title or text)

    def _on_map_changed(self, there: bool, wanted: bool) -> None:
        self.dock.set_map(there, wanted and self.session.masks is not None, self.similarity.why_none)

    def _apply_theme(self, event: object = None) -> None:
        theme = get_theme(self._viewer.theme)
        self.dock.ranking.set_name_colour(QColor(*theme.icon.as_rgb_tuple()[:3]))
        self.dock.query.set_colours(theme.foreground.as_hex(), theme.text.as_hex(), theme.current.as_hex())

    # -- Qt ----------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent | None) -> None:
        """Put the cursor into the question, and learn of the window's end in time."""
        super().showEvent(event)
        if self._closed_down:
            return  # a window that closes puts a floating dock back and shows it: nothing shall hold the window then
        self.dock.query.setFocus()
        self._keys.install(self)
        self._watch_canvases()
        for child in self.findChildren(QWidget):
            child.ensurePolished()  # napari's style takes its time: now, and not when a hidden one is first shown
        if self._ending.watch_window(main_window(self)):
            self._last.callback(finish_in_own_context(main_canvas(self._viewer, self)))
            self._show_first_views()

    def event(self, event: QEvent | None) -> bool:
        """Learn of the dock that the widget comes into, and that napari takes it out: no close event comes then."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            self._ending.parent_changed()
        return super().event(event)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """End all work when the dock is closed."""
        self.close_down()
        super().closeEvent(event)
