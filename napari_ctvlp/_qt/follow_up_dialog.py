"""The window "Follow-up": the prior, what to beware of, the organs by change, and both scans of the chosen organ."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QModelIndex, Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_ctvlp._qt.drop_target import DropTarget
from napari_ctvlp._qt.follow_up_model import CHANGE, FINDING, HEADERS, ORGAN_ROLE, FollowUpModel, FollowUpProxy
from napari_ctvlp._qt.row_heights import RowHeights
from napari_ctvlp._qt.series_chooser import SeriesChooser
from napari_ctvlp._qt.wrapped_label import WrappedLabel
from napari_ctvlp.ask.followup import FollowUp

HINT = (
    "Open a prior scan of the same patient with its organ masks: drop both here (files, or a folder that holds them), "
    "or choose the scan, then its masks."
)
PICTURE_HEIGHT = 230


class FollowUpDialog(DropTarget, QDialog):
    """Asks for a prior and shows what has changed since.

    Signals
    -------
    scan_file_requested(), scan_folder_requested(), masks_file_requested(), masks_folder_requested()
        A menu entry was used.
    paths_dropped(list)
        Files or folders.
    organ_chosen(str)
        The row that is now selected.
    export_requested(), close_requested()
        The table is wanted as CSV; the prior is to be forgotten.
    """

    scan_file_requested = Signal()
    scan_folder_requested = Signal()
    masks_file_requested = Signal()
    masks_folder_requested = Signal()
    paths_dropped = Signal(list)
    organ_chosen = Signal(str)
    export_requested = Signal()
    close_requested = Signal()

    def __init__(self, display_name: Callable[[str], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Follow-up: compare with a prior")
        self.setAcceptDrops(True)
        self.scan = QPushButton("Prior scan...")
        self.scan.setToolTip("The earlier scan of the same patient")
        menu = QMenu(self.scan)
        menu.addAction("A file...", self.scan_file_requested.emit)
        menu.addAction("A DICOM folder, or one with the scan and its masks...", self.scan_folder_requested.emit)
        self.scan.setMenu(menu)
        self.masks = QPushButton("Its masks...")
        self.masks.setToolTip("The organ masks of the prior")
        menu = QMenu(self.masks)
        menu.addAction("One file with all organs...", self.masks_file_requested.emit)
        menu.addAction("Folder with one file an organ...", self.masks_folder_requested.emit)
        self.masks.setMenu(menu)
        self.export = QPushButton("CSV...")
        self.export.setToolTip("Write the table to a file; nothing in it tells who the patient is")
        self.forget = QPushButton("Close the prior")
        self.forget.setToolTip("Forget the prior scan and free its memory")
        self.series = SeriesChooser()
        self.state = WrappedLabel()
        self.caveats = WrappedLabel()
        self.caveats.setAccessibleName("What to beware of")
        self._telling = True
        self._model = FollowUpModel(display_name)
        self._proxy = FollowUpProxy()
        self._proxy.setSourceModel(self._model)
        self.table = QTableView()
        self.table.setModel(self._proxy)
        self.table.setAccessibleName("Organs by change")
        self.table.setSortingEnabled(True)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setShowGrid(False)
        self.table.setTabKeyNavigation(False)
        self.table.verticalHeader().hide()
        RowHeights(self.table)
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        for column in range(len(HEADERS)):
            stretches = column in (0, CHANGE, FINDING)
            mode = QHeaderView.ResizeMode.Stretch if stretches else QHeaderView.ResizeMode.ResizeToContents
            header.setSectionResizeMode(column, mode)
        self.table.sortByColumn(CHANGE, Qt.SortOrder.DescendingOrder)
        self.before, self.now = _Picture("prior"), _Picture("now")
        self._lay_out()
        self.forget.clicked.connect(self.close_requested)
        self.export.clicked.connect(self.export_requested)
        self.table.selectionModel().currentRowChanged.connect(self._on_row)
        self.set_found(None)
        self.set_state(HINT)
        self.resize(900, 760)

    def _lay_out(self) -> None:
        top, pictures = QHBoxLayout(), QHBoxLayout()
        for button in (self.scan, self.masks):
            top.addWidget(button)
        top.addStretch(1)
        for button in (self.export, self.forget):
            top.addWidget(button)
        pictures.addWidget(self.before, 1)
        pictures.addWidget(self.now, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(self.series)
        layout.addWidget(self.state)
        layout.addWidget(self.caveats)
        layout.addWidget(self.table, 1)
        layout.addLayout(pictures)

    def set_state(self, text: str) -> None:
        """Say what is open, missing or under way."""
        self.state.setText(text)

    def set_found(self, found: FollowUp | None) -> None:
        """Show a comparison, or none; the chosen organ stays chosen, and only a new choice is told."""
        chosen = self.table.currentIndex().data(ORGAN_ROLE)
        self._telling = False
        self._model.set_rows(() if found is None else found.rows)
        self.caveats.setText("" if found is None else "\n".join(f"⚠ {caveat}" for caveat in found.caveats))
        self.caveats.setVisible(found is not None and bool(found.caveats))
        for button in (self.export, self.forget):
            button.setEnabled(found is not None)
        organs = [self._proxy.index(row, 0).data(ORGAN_ROLE) for row in range(self._proxy.rowCount())]
        if chosen in organs:
            self.table.selectRow(organs.index(chosen))
        self._telling = True
        if chosen not in organs:
            self.set_pictures("", None, None)
            if organs:
                self.table.selectRow(0)

    def set_pictures(self, title: str, before: NDArray[np.uint8] | None, now: NDArray[np.uint8] | None) -> None:
        """Show an organ in both scans; (rows, columns, RGB) each, None where a scan lacks it."""
        self.before.set_picture(title, before)
        self.now.set_picture(title, now)

    def _on_row(self, index: QModelIndex) -> None:
        if index.isValid() and self._telling:
            self.organ_chosen.emit(index.data(ORGAN_ROLE))

    def open_files(self, paths: list[str]) -> None:
        """Take a prior and its masks, which were dropped."""
        self.paths_dropped.emit(paths)


class _Picture(QWidget):
    """A slice with its title."""

    def __init__(self, when: str) -> None:
        super().__init__()
        self._when = when
        self.title = QLabel()
        self.title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.picture = QLabel()
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.title)
        layout.addWidget(self.picture)
        self.hide()

    def set_picture(self, title: str, pixels: NDArray[np.uint8] | None) -> None:
        """Show pixels; without any say that this scan lacks the organ, without a title nothing."""
        self.setVisible(bool(title))
        self.title.setText(f"{self._when}: {title}")
        if pixels is None:
            self.picture.setPixmap(QPixmap())
            self.picture.setText("not in the masks")
            return
        height, width = pixels.shape[:2]
        image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        self.picture.setPixmap(QPixmap.fromImage(image.copy()))
        self.picture.setAccessibleName(f"{self._when}: axial slice through the {title}, outlined")
