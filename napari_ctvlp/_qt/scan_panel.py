"""What is open, what it was as stored, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_ctvlp._qt.file_menu import FileMenu
from napari_ctvlp._qt.fold import Fold
from napari_ctvlp._qt.window_exports import WINDOW_EXPORTS
from napari_ctvlp._qt.wrapped_label import NO_BREAK, WrappedLabel
from napari_ctvlp.scan.drawn import EDITED
from napari_ctvlp.scan.types import Audit, OrganMasks, Scan, Severity

NO_SCAN = "Drop a CT here (file or DICOM folder, with its masks or without), or open the sample."
NO_MASKS = "No organ masks: drop them here, add them, or let TotalSegmentator make them."
# Okabe-Ito, told apart by colour-blind readers; the word beside the light says the same
LIGHTS: dict[Severity, tuple[str, str]] = {
    "ok": ("#009E73", "audit ok"),
    "note": ("#56B4E9", "audit: notes"),
    "warning": ("#E69F00", "audit: look at this"),
}


def audit_summary(audit: Audit) -> str:
    """The first warning of an audit, or how the scan lies and how fine it is."""
    for item in audit.items:
        if item.severity == "warning":
            return f"{item.name}: {item.value}"
    # a line may break between two facts, and not within one
    return ", ".join(item.value.replace(" x ", f"{NO_BREAK}x{NO_BREAK}") for item in audit.items[:2])


def audit_html(audit: Audit) -> str:
    """All items of an audit as a table; what needs a look is bold and marked."""
    rows = []
    for item in audit.items:
        mark, tag = ("! ", "b") if item.severity == "warning" else ("", "span")
        rows.append(
            f"<tr><td style='padding-right: 8px'>{mark}{escape(item.name)}</td>"
            f"<td><{tag}>{escape(item.value)}</{tag}></td></tr>"
        )
    return f"<table>{''.join(rows)}</table>"


def masks_summary(masks: OrganMasks) -> str:
    """How many organs, where their names come from, and whether somebody painted in them."""
    count = len(masks.names)
    edited = f", {EDITED}" if EDITED in masks.notes else ""
    return f"{count} organ{'' if count == 1 else 's'}, {masks.scheme}{edited}"


class ScanPanel(QWidget):
    """Scan, audit with a light, masks, and the way to what is missing.

    Folded to one line once scan and masks are there and the audit has no warning.

    Signals
    -------
    scan_chosen(int)
        Place of the picked scan in the list given to `set_scans`.
    masks_file_requested(), masks_folder_requested(), sample_requested(), reopen_requested(), use_layer_requested(),
    names_requested()
        A button or menu entry was used.
    segment_requested(bool)
        Masks are to be made; True asks for the fast model.
    """

    scan_chosen = Signal(int)
    masks_file_requested = Signal()
    masks_folder_requested = Signal()
    segment_requested = Signal(bool)
    sample_requested = Signal()
    reopen_requested = Signal()
    use_layer_requested = Signal()
    names_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fold = Fold("Scan", "How it was stored, what the audit found, which masks it has")
        self.scans = QComboBox()
        self.scans.setAccessibleName("Open scan")
        self.light = QLabel()
        self.light.setTextFormat(Qt.TextFormat.RichText)
        self.details_button = QToolButton()
        self.details_button.setText("details")
        self.details_button.setCheckable(True)
        self.details_button.setAutoRaise(True)
        self.files = FileMenu([export.title for export in WINDOW_EXPORTS])
        self.summary = WrappedLabel()
        self.details = WrappedLabel(text_format=Qt.TextFormat.RichText)
        self.masks = WrappedLabel()
        self.add_masks = QPushButton("Add masks...")
        menu = QMenu(self.add_masks)
        menu.addAction("One file with all organs...", self.masks_file_requested.emit)
        menu.addAction("Folder with one file an organ...", self.masks_folder_requested.emit)
        self.add_masks.setMenu(menu)
        self.make_masks = QPushButton("Make masks")
        self.make_masks.setToolTip("With TotalSegmentator, in a process of its own; Cancel ends it")
        models = QMenu(self.make_masks)
        models.addAction("All organs, full resolution (slow without a GPU)", lambda: self.segment_requested.emit(False))
        models.addAction("All organs, fast (3 mm)", lambda: self.segment_requested.emit(True))
        self.make_masks.setMenu(models)
        self.sample = QPushButton("Open the sample")
        self.hint = WrappedLabel()
        self.reopen = QPushButton("Open as CT scan")
        self.use_layer = QPushButton("Use as organ masks")
        self.use_layer.setToolTip(
            "Take the labels of this layer for the organs of the scan; painting in it is followed"
        )
        self.names = QToolButton()
        self.names.setText("names")
        self.names.setToolTip("Say which label is which organ")
        self.names.setAutoRaise(True)

        status = QHBoxLayout()
        status.addWidget(self.fold)
        status.addWidget(self.scans)
        status.addWidget(self.light)
        status.addStretch(1)
        status.addWidget(self.files)
        masks = QHBoxLayout()
        for button in (self.add_masks, self.make_masks, self.sample):
            masks.addWidget(button, 1)
        hint = QHBoxLayout()
        hint.addWidget(self.hint, 1)
        hint.addWidget(self.reopen)
        hint.addWidget(self.use_layer)
        audit = QHBoxLayout()
        audit.addWidget(self.summary, 1)
        audit.addWidget(self.details_button, 0, Qt.AlignmentFlag.AlignTop)
        organs = QHBoxLayout()
        organs.addWidget(self.masks, 1)
        organs.addWidget(self.names)
        folded = QWidget()
        inner = QVBoxLayout(folded)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addLayout(audit)
        inner.addWidget(self.details)
        inner.addLayout(organs)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(status)
        layout.addWidget(folded)
        layout.addLayout(masks)
        layout.addLayout(hint)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

        self._has_scan = self._has_masks = self._has_warning = False
        self.fold.toggled.connect(folded.setVisible)
        self.details_button.toggled.connect(self.details.setVisible)
        self.scans.activated.connect(self.scan_chosen)
        self.sample.clicked.connect(self.sample_requested)
        self.reopen.clicked.connect(self.reopen_requested)
        self.use_layer.clicked.connect(self.use_layer_requested)
        self.names.clicked.connect(self.names_requested)
        self.set_scans([], 0)
        self.set_scan(None)
        self.set_hint("")

    def set_scans(self, names: Sequence[str], current: int) -> None:
        """The scans among the layers; the list shows when there is a choice."""
        self.scans.clear()
        self.scans.addItems(list(names))
        self.scans.setCurrentIndex(current)
        self.scans.setVisible(len(names) > 1)

    def set_scan(self, scan: Scan | None) -> None:
        """Show this scan's audit, or how to open one."""
        self._has_scan = scan is not None
        self.details_button.setVisible(scan is not None)
        self.details_button.setChecked(False)
        self.details.hide()
        self.light.setVisible(scan is not None)
        if scan is None:
            self._has_warning = False
            self.summary.setText(NO_SCAN)
            self.details.setText("")
        else:
            self.set_audit(scan.audit)
        self.set_masks(None)

    def set_audit(self, audit: Audit) -> None:
        """Show what has been found, of the scan alone or with its masks."""
        self.summary.setText(audit_summary(audit))
        self.details.setText(audit_html(audit))
        self._has_warning = audit.severity == "warning"
        self._suggest_fold()
        colour, word = LIGHTS[audit.severity]
        self.light.setText(f'<span style="color:{colour}">●</span> {word}')

    def set_masks(self, masks: OrganMasks | None) -> None:
        """Show what is known of the masks, or how to get some."""
        self._has_masks = masks is not None
        self._suggest_fold()
        self.sample.setVisible(not self._has_scan)
        self.add_masks.setVisible(self._has_scan and masks is None)
        self.make_masks.setVisible(self._has_scan and masks is None)
        self.masks.setVisible(self._has_scan)
        self.names.setVisible(self._has_scan and masks is not None)
        self.masks.setText(NO_MASKS if masks is None else masks_summary(masks))
        self.masks.setToolTip("" if masks is None else "\n".join(masks.notes))

    def _suggest_fold(self) -> None:
        self.fold.suggest(self._has_warning or not (self._has_scan and self._has_masks))

    def set_hint(self, text: str, *, can_reopen: bool = False, can_use: bool = False) -> None:
        """Say what to do about a layer that is not ours, with the button for it; an empty text hides all."""
        self.hint.setText(text)
        self.hint.setVisible(bool(text))
        self.reopen.setVisible(bool(text) and can_reopen)
        self.use_layer.setVisible(bool(text) and can_use)
