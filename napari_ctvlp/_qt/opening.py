"""Files that the user gives: dialogs, drops, a choice of series, a layer's own file."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_ctvlp.opening import make_masks, open_choice, open_masks, open_sample, open_scan

if TYPE_CHECKING:
    from napari_ctvlp._qt.dock import Dock
    from napari_ctvlp._qt.open_layers import OpenLayers
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.scan.pairs import SeveralFound
    from napari_ctvlp.session import Session


MASK_FILES = "Organ masks (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.dcm);;All files (*)"


class Opening:
    """Hands the session what to read.

    Parameters
    ----------
    dock, session, layers
        Whom it serves.
    parent : QWidget
        Of the dialogs.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(self, dock: Dock, session: Session, layers: OpenLayers, parent: QWidget, wiring: Wiring) -> None:
        self._dock = dock
        self._session = session
        self._layers = layers
        self._parent = parent
        self._offered: Callable[[int], None] | None = None
        dock.series.series_chosen.connect(self._on_series_chosen)
        dock.scan.sample_requested.connect(partial(open_sample, session))
        dock.scan.masks_file_requested.connect(self._on_masks_file)
        dock.scan.masks_folder_requested.connect(self._on_masks_folder)
        dock.scan.segment_requested.connect(partial(make_masks, session))
        dock.scan.reopen_requested.connect(self._on_reopen)
        wiring.connect(session.series_offered, self.offer_series)
        wiring.connect(session.several_found, self.offer_several)
        wiring.connect(session.scan_changed, self._withdraw)

    def offer_series(self, path: str | Path, found: Sequence[Any], then: Callable[[], None] | None = None) -> None:
        """Let the user pick one of several DICOM series of a folder."""
        self._offered = lambda place: open_scan(self._session, path, found[place].key, then)
        self._dock.series.offer(Path(path).name, [str(series) for series in found])

    def offer_several(self, several: SeveralFound) -> None:
        """Let the user pick one of several scans, or of several files of masks, that were given together."""
        choices = len(several.choices)
        others = () if several.scan is None else ("the scan alone",)
        self._offered = lambda place: open_choice(self._session, several, place if place < choices else None)
        what = "scans" if several.what == "scans" else "files of organ masks"
        self._dock.series.offer(several.place.name, several.names, what, others)

    def _withdraw(self, scan: object = None) -> None:
        """Ask no more what to open: something was."""
        self._offered = None
        self._dock.series.hide()

    def _on_series_chosen(self, place: int) -> None:
        offered, self._offered = self._offered, None
        if offered is not None:
            offered(place)

    def _on_masks_file(self) -> None:
        dialog = QFileDialog(self._parent, "Organ masks", "", MASK_FILES)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        self._ask_for_masks(dialog)

    def _on_masks_folder(self) -> None:
        dialog = QFileDialog(self._parent, "Folder of organ masks")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        self._ask_for_masks(dialog)

    def _ask_for_masks(self, dialog: QFileDialog) -> None:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(partial(open_masks, self._session))
        dialog.open()

    def _on_reopen(self) -> None:
        layer = self._layers.foreign
        if layer is None or layer.source.path is None:
            return
        open_scan(self._session, layer.source.path)
