"""The coordinator: the only one that touches the viewer, and the way from session to widgets and back."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Layer
from napari.utils.notifications import show_error, show_info
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QCloseEvent, QColor, QDragEnterEvent, QDropEvent, QShowEvent
from qtpy.QtWidgets import QFileDialog, QSizePolicy, QVBoxLayout, QWidget

from napari_ctvlp._qt.answer_label import next_step
from napari_ctvlp._qt.cursor_text import cursor_text
from napari_ctvlp._qt.dock import Dock
from napari_ctvlp._qt.encoders import Encoders
from napari_ctvlp._qt.furniture import Furniture
from napari_ctvlp._qt.layer_lookup import (
    foreign_labels,
    foreign_volume,
    layers_with_scans,
    masks_of,
    pick_masks,
    pick_scan,
    scan_of,
)
from napari_ctvlp._qt.overlay import Overlay, ranking_scores
from napari_ctvlp._qt.runner import ThreadRunner
from napari_ctvlp.anatomy import display_name, organ_colour
from napari_ctvlp.anatomy.query import suggestions
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.reader import looks_like_dicom
from napari_ctvlp.session import Session

if TYPE_CHECKING:
    import napari

    from napari_ctvlp.ask.types import Ranking
    from napari_ctvlp.encoder.contract import ScanEncoder
    from napari_ctvlp.scan.types import OrganMasks, Scan

logger = logging.getLogger(__name__)


class CtvlpWidget(QWidget):
    """The dock "CT query": ask the open scan in plain words, see organs light up and scores appear.

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
        self._on_close = ExitStack()
        if session is None:
            runner = ThreadRunner()
            self._on_close.callback(runner.close)
            session = Session(runner)
        self.session = session
        self._on_close.callback(session.close)
        self._offered: tuple[str | Path, Sequence[Any], Callable[[], None] | None] | None = None
        self._window: Callable[[], QWidget | None] = lambda: None
        self._syncing = False

        self.dock = Dock(display_name)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.dock)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setAcceptDrops(True)
        self._overlay = Overlay()
        self._on_close.callback(self._overlay.set_layer, None)
        self._furniture = Furniture(napari_viewer)
        self._on_close.callback(self._furniture.remove)

        self._connect_widgets()
        self._connect_session()
        self._connect_viewer()
        self.dock.query.set_suggestions(suggestions())
        runner = ThreadRunner(2)
        self._on_close.callback(runner.close)
        self.encoders = Encoders(self.dock, session, runner)
        self._on_close.callback(self.encoders.close)
        self._apply_theme()
        # the widget itself may be gone when Qt says so: what has to be undone hangs on the stack, not on the widget
        self.destroyed.connect(self._on_close.close)
        self._sync()
        session.load_encoder()

    # -- connections -------------------------------------------------------------------------------------------

    def _connect_widgets(self) -> None:
        dock, session = self.dock, self.session
        dock.query.asked.connect(self._on_asked)
        dock.ranking.organ_chosen.connect(self._jump)
        dock.findings.organ_chosen.connect(self._jump)
        dock.use_names.toggled.connect(session.set_use_names)
        dock.progress.cancel_requested.connect(session.cancel)
        dock.encoder.encoder_chosen.connect(session.use_encoder)
        dock.series.series_chosen.connect(self._on_series_chosen)
        dock.scan.scan_chosen.connect(self._on_scan_chosen)
        dock.scan.sample_requested.connect(session.open_sample)
        dock.scan.masks_file_requested.connect(self._on_masks_file)
        dock.scan.masks_folder_requested.connect(self._on_masks_folder)
        dock.scan.reopen_requested.connect(self._on_reopen)

    def _connect_session(self) -> None:
        session = self.session
        for signal, slot in (
            (session.scan_changed, self._on_scan_changed),
            (session.masks_changed, self._on_masks_changed),
            (session.encoder_changed, self._on_encoder_changed),
            (session.ranking_changed, self._on_ranking_changed),
            (session.scores_changed, self.dock.findings.set_scores),
            (session.activity_changed, self._on_activity_changed),
            (session.series_offered, self._on_series_offered),
            (session.failed, self._on_failed),
        ):
            signal.connect(slot)
            self._on_close.callback(signal.disconnect, slot, missing_ok=True)

    def _connect_viewer(self) -> None:
        viewer = self._viewer
        for emitter, slot in (
            (viewer.layers.events.inserted, self._on_layers_changed),
            (viewer.layers.events.removed, self._on_layers_changed),
            (viewer.layers.selection.events.active, self._on_layers_changed),
            (viewer.cursor.events.position, self._on_cursor),
            (viewer.events.theme, self._apply_theme),
        ):
            emitter.connect(slot)
            self._on_close.callback(emitter.disconnect, slot)

    # -- viewer to session -------------------------------------------------------------------------------------

    def _on_layers_changed(self, event: object = None) -> None:
        self._sync()

    def _sync(self) -> None:
        """Tell the session which scan and which masks are open, from the layers as they are now."""
        if self._syncing:
            return
        self._syncing = True
        try:
            layers = list(self._viewer.layers)
            active = self._active_layer(layers)
            scan = pick_scan(layers, active, self.session.scan)
            self.session.set_scan(scan)
            self.session.set_masks(pick_masks(layers, active, scan, self.session.masks))
            self._show_scans(layers)
            self._show_hint(layers)
        finally:
            self._syncing = False

    def _active_layer(self, layers: Sequence[Layer]) -> Layer | None:
        # the viewer may be napari's proxy, and what it gives out is wrapped: find the layer itself
        active = self._viewer.layers.selection.active
        return next((layer for layer in layers if layer == active), None)

    def _on_cursor(self, event: object = None) -> None:
        scan = self.session.scan
        layer = self._scan_layer()
        if scan is None or layer is None or not self._viewer.mouse_over_canvas:
            self.dock.position.clear()
            return
        voxel = layer.world_to_data(self._viewer.cursor.position)
        self.dock.position.setText(cursor_text(scan, self.session.masks, tuple(voxel), display_name))

    # -- session to viewer and widgets -------------------------------------------------------------------------

    def _on_scan_changed(self, scan: Scan | None) -> None:
        self.dock.scan.set_scan(scan)
        self.dock.position.clear()
        if scan is None:
            self._furniture.remove()
            return
        if self._scan_layer() is None:
            from napari_ctvlp.scan.layers import scan_layer

            self._add_layer(scan_layer(scan))
        self._furniture.show()

    def _on_masks_changed(self, masks: OrganMasks | None) -> None:
        self.dock.scan.set_masks(masks)
        if masks is None or self.session.scan is None:
            self._overlay.set_layer(None)
        else:
            if self._masks_layer() is None:
                from napari_ctvlp.scan.layers import masks_layer

                colours = {name: organ_colour(name) for name in masks.names.values()}
                self._add_layer(masks_layer(self.session.scan, masks, colours))
            self._overlay.set_layer(self._masks_layer())
        self._show_ready_hint()

    def _on_encoder_changed(self, encoder: ScanEncoder) -> None:
        self.dock.encoder.set_card(encoder.card)

    def _on_ranking_changed(self, ranking: Ranking | None) -> None:
        masks = self.session.masks
        self.dock.ranking.set_ranking(ranking)
        if ranking is None or masks is None:
            self._overlay.reset()
            self._show_ready_hint()
            return
        self.dock.answer.set_ranking(ranking)
        best = ranking.best
        if best is None:
            self._overlay.reset()
        else:
            self._overlay.show(ranking_scores(ranking, masks))
            self._jump(best.organ)

    def _on_activity_changed(self, activity: Any) -> None:
        self.dock.progress.set_activity(activity)
        self._show_ready_hint()

    def _on_series_offered(
        self, path: str | Path, found: Sequence[Any], then: Callable[[], None] | None = None
    ) -> None:
        self._offered = (path, found, then)
        self.dock.series.offer(Path(path).name, [str(series) for series in found])

    def _on_failed(self, error: Exception) -> None:
        if isinstance(error, UserError):
            show_error(str(error))
            return
        logger.error("unexpected error in the window's work", exc_info=error)
        show_error(f"Something went wrong in the plugin itself ({type(error).__name__}); the terminal has the details.")

    # -- widgets to session ------------------------------------------------------------------------------------

    def _on_asked(self, text: str) -> None:
        self.session.ask(text)
        self.dock.query.set_history(self.session.history)

    def ask(self, text: str) -> None:
        """Ask as if typed into the line."""
        self.dock.query.setText(text)
        self._on_asked(text)

    def offer_series(self, path: str | Path, found: Sequence[Any]) -> None:
        """Let the user pick one of several DICOM series of a folder."""
        self._on_series_offered(path, found)

    def _on_series_chosen(self, place: int) -> None:
        if self._offered is not None:
            path, found, then = self._offered
            self._offered = None
            self.session.open_scan(path, found[place].key, then)

    def _on_scan_chosen(self, place: int) -> None:
        layer = layers_with_scans(self._viewer.layers)[place]
        self._viewer.layers.selection.active = layer

    def _on_masks_file(self) -> None:
        dialog = QFileDialog(self, "Organ masks", "", "NIfTI (*.nii *.nii.gz)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        self._ask_for_masks(dialog)

    def _on_masks_folder(self) -> None:
        dialog = QFileDialog(self, "Folder of organ masks")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        self._ask_for_masks(dialog)

    def _ask_for_masks(self, dialog: QFileDialog) -> None:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.session.open_masks)
        dialog.open()

    def _on_reopen(self) -> None:
        layer = self._foreign_layer(list(self._viewer.layers))
        if layer is None or layer.source.path is None:
            return
        if isinstance(layer, Labels):
            self.session.open_masks(layer.source.path)
        else:
            self.session.open_scan(layer.source.path)

    # -- the viewer --------------------------------------------------------------------------------------------

    def _add_layer(self, layer_data: tuple[Any, ...]) -> None:
        self._viewer.add_layer(Layer.create(*layer_data))

    def _scan_layer(self) -> Layer | None:
        found = [layer for layer in self._viewer.layers if scan_of(layer) is self.session.scan]
        return found[-1] if found and self.session.scan is not None else None

    def _masks_layer(self) -> Labels | None:
        found = [layer for layer in self._viewer.layers if masks_of(layer) is self.session.masks]
        return found[-1] if found and self.session.masks is not None else None

    def _jump(self, organ: str) -> None:
        """Show the slice through an organ, and pan to it where it lies outside the view."""
        masks, layer, dims = self.session.masks, self._masks_layer(), self._viewer.dims
        if masks is None or layer is None or organ not in masks.statistics:
            return
        world = tuple(layer.data_to_world(masks.statistics[organ].centroid_index))
        dims.point = (*tuple(dims.point)[: dims.ndim - 3], *world)
        if dims.ndisplay != 2 or dims.ndim != 3:
            return
        camera, size = self._viewer.scene.camera, self._viewer.canvas.size
        wanted = [world[axis] for axis in dims.displayed]
        reach = [pixels / camera.zoom / 2 for pixels in size]
        if any(abs(w - c) > r for w, c, r in zip(wanted, tuple(camera.center)[-2:], reach, strict=True)):
            camera.center = (0.0, *wanted)

    # -- what the widgets show ---------------------------------------------------------------------------------

    def _show_scans(self, layers: Sequence[Layer]) -> None:
        found = layers_with_scans(layers)
        current = next((i for i, layer in enumerate(found) if scan_of(layer) is self.session.scan), 0)
        self.dock.scan.set_scans([layer.name for layer in found], current)

    def _foreign_layer(self, layers: Sequence[Layer]) -> Layer | None:
        if self.session.scan is None:
            return foreign_volume(layers)
        return foreign_labels(layers) if self.session.masks is None else None

    def _show_hint(self, layers: Sequence[Layer]) -> None:
        layer = self._foreign_layer(layers)
        if layer is None:
            self.dock.scan.set_hint("", can_reopen=False)
            return
        what = "organ masks" if isinstance(layer, Labels) else "a CT scan"
        self.dock.scan.set_hint(
            f"“{layer.name}” was not opened as {what}, so its orientation is not known. "
            f"Open its file again with napari-ctvlp.",
            can_reopen=layer.source.path is not None,
        )

    def _show_ready_hint(self) -> None:
        if self.session.ranking is None:
            self.dock.answer.set_hint(next_step(self.session))

    def _apply_theme(self, event: object = None) -> None:
        icon = get_theme(self._viewer.theme).icon.as_rgb_tuple()
        self.dock.ranking.set_name_colour(QColor(*icon[:3]))

    # -- Qt ----------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent | None) -> None:
        """Put the cursor into the question, and learn of the window's end in time."""
        super().showEvent(event)
        self.dock.query.setFocus()
        window = self.window()
        if window is not None and window is not self and window is not self._window():
            self._window = weakref.ref(window)  # a strong reference would outlive the window and keep its canvas
            window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """End all work when the window goes: a child widget gets no close event, and a close event may be refused."""
        if event is not None and event.type() == QEvent.Type.DeferredDelete and watched is self._window():
            self.close_down()
        return super().eventFilter(watched, event)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """End all work when the dock is closed."""
        self.close_down()
        super().closeEvent(event)

    def on_close(self, callback: Callable[[], object]) -> None:
        """Call this, too, when the dock or the window closes."""
        self._on_close.callback(callback)

    def close_down(self) -> None:
        """Stop work, give the layers their colours and the canvas its look back; safe to call twice."""
        self._on_close.close()

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take files and folders."""
        if event is not None and event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """A scan when there is none yet or it is DICOM, else organ masks for the open scan."""
        paths = [url.toLocalFile() for url in event.mimeData().urls()] if event is not None else []
        paths = [path for path in paths if path]
        if len(paths) != 1:
            show_info("Drop one file or one folder at a time.")
            return
        assert event is not None
        event.acceptProposedAction()
        if self.session.scan is None or looks_like_dicom(Path(paths[0])):
            self.session.open_scan(paths[0])
        else:
            self.session.open_masks(paths[0])
