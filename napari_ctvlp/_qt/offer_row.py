"""What installing an encoder means, the user's yes, and how far the work is."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_ctvlp._qt.wrapped_label import WrappedLabel


class OfferRow(QWidget):
    """Terms with a button to say yes; then a bar with a button to stop; hidden when there is nothing to say.

    Signals
    -------
    agreed(), file_requested(), cancel_requested()
        Yes to the terms; the user wants to bring a file; the work is to end.
    """

    agreed = Signal()
    file_requested = Signal()
    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = WrappedLabel()
        self.text.setAccessibleName("Terms")
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.agree = QPushButton("Agree and download")
        self.file = QPushButton("Choose checkpoint…")
        self.dismiss = QPushButton("Not now")
        self.bar = QProgressBar()
        self.cancel = QPushButton("Cancel")
        self.agree.clicked.connect(self.agreed)
        self.file.clicked.connect(self.file_requested)
        self.dismiss.clicked.connect(self.close_offer)
        self.cancel.clicked.connect(self.cancel_requested)
        buttons = QHBoxLayout()
        for widget in (self.agree, self.file, self.dismiss):
            buttons.addWidget(widget)
        buttons.addStretch(1)
        work = QHBoxLayout()
        work.addWidget(self.bar, 1)
        work.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setSpacing(3)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        layout.addLayout(work)
        self.close_offer()

    def show_offer(self, text: str, *, can_download: bool, wants_file: bool) -> None:
        """Show terms, or what else is to be done; no work is under way."""
        self.text.setText(text)
        self._show(agree=can_download, file=wants_file, dismiss=True, work=False)

    def show_work(self, text: str, fraction: float | None) -> None:
        """Show how far the work is, 0..1, or that it cannot be told."""
        self.text.setText(text)
        self.bar.setRange(0, 0 if fraction is None else 1000)
        self.bar.setValue(0 if fraction is None else round(1000 * fraction))
        self._show(agree=False, file=False, dismiss=False, work=True)

    def close_offer(self) -> None:
        """Say nothing more."""
        self._show(agree=False, file=False, dismiss=False, work=False)
        self.hide()

    def _show(self, *, agree: bool, file: bool, dismiss: bool, work: bool) -> None:
        self.agree.setVisible(agree)
        self.file.setVisible(file)
        self.dismiss.setVisible(dismiss)
        self.bar.setVisible(work)
        self.cancel.setVisible(work)
        self.show()
