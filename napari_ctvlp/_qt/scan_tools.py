"""Two buttons below the scan: its audit card, and a comparison with a prior."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_ctvlp._qt.audit_window import AUDIT_KEY
from napari_ctvlp._qt.follow_up import FOLLOW_UP_KEY


class ScanTools(QWidget):
    """Buttons for windows of their own, shown while a scan is open.

    Signals
    -------
    audit_requested(), follow_up_requested()
        A button was used.
    """

    audit_requested = Signal()
    follow_up_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.audit = QPushButton("Audit card")
        self.audit.setToolTip(f"Scan, masks, contrast, encoder and licence on one page to print ({AUDIT_KEY})")
        self.follow_up = QPushButton("Follow-up")
        self.follow_up.setToolTip(f"Compare with a prior of the same patient, organ by organ ({FOLLOW_UP_KEY})")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.audit, 1)
        layout.addWidget(self.follow_up, 1)
        self.audit.clicked.connect(self.audit_requested)
        self.follow_up.clicked.connect(self.follow_up_requested)
        self.hide()
