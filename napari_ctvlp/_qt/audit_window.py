"""The audit card as a window: read it, print it, save it."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QDialog, QFileDialog, QHBoxLayout, QPushButton, QTextBrowser, QVBoxLayout, QWidget

from napari_ctvlp._qt.dialogs import bring_up
from napari_ctvlp._qt.pdf import write_pdf
from napari_ctvlp.ask.audit_card import AuditCard, audit_card, card_html, full_audit, write_card
from napari_ctvlp.errors import UserError
from napari_ctvlp.exports import write

if TYPE_CHECKING:
    from napari_ctvlp._qt.scan_panel import ScanPanel
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.session import Session

AUDIT_KEY = "Shift+U"


def write_card_pdf(path: str | Path, card: AuditCard) -> Path:
    """Print a card on A4 into a PDF file, which is complete or not there.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    return write_pdf(path, card_html(card), "Audit card")


class AuditDialog(QDialog):
    """Shows a card, with buttons to save and to print it."""

    def __init__(self, save: Callable[[], None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Audit card")
        self.text = QTextBrowser()
        self.text.setAccessibleName("Audit card")
        # paper: what is seen is what is printed, in a dark theme as well
        self.text.setStyleSheet("QTextBrowser { background: white; color: black }")
        palette = self.text.palette()
        palette.setColor(QPalette.ColorRole.Text, Qt.GlobalColor.black)
        self.text.setPalette(palette)
        self.save = QPushButton("Save as PDF or HTML...")
        self.save.setToolTip("One page to print or to send; nothing in it tells who the patient is")
        self.shut = QPushButton("Close")
        buttons = QHBoxLayout()
        buttons.addWidget(self.save)
        buttons.addStretch(1)
        buttons.addWidget(self.shut)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text, 1)
        layout.addLayout(buttons)
        self.save.clicked.connect(save)
        self.shut.clicked.connect(self.hide)
        self.resize(760, 780)

    def set_card(self, card: AuditCard) -> None:
        """Show this card."""
        place = self.text.verticalScrollBar().value()
        self.text.setHtml(card_html(card))
        self.text.verticalScrollBar().setValue(place)


class AuditWindow:
    """Keeps the light in the dock and the card in step with what is open.

    Parameters
    ----------
    session : Session
    panel : ScanPanel
        Shows the light, and the lines that belong to the scan.
    parent : QWidget
        The dock; the dialog goes with it.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(self, session: Session, panel: ScanPanel, parent: QWidget, wiring: Wiring) -> None:
        self._session = session
        self._panel = panel
        self._parent = parent
        self.dialog: AuditDialog | None = None
        wiring.connect(session.masks_changed, self._on_masks)
        wiring.connect(session.encoder_changed, self._refresh)
        wiring.connect(session.embedding_changed, self._refresh)
        wiring.callback(self._close)

    @property
    def card(self) -> AuditCard | None:
        """The card of what is open."""
        session = self._session
        if session.scan is None:
            return None
        encoder = session.encoder
        return audit_card(session.scan, session.masks, None if encoder is None else encoder.card, session.embedding)

    def toggle(self) -> None:
        """Show the card, or hide it."""
        if self.card is None:
            self._session.failed.emit(UserError("There is no open scan to audit; open one first."))
            return
        if self.dialog is None:
            self.dialog = AuditDialog(self._ask_where, self._parent)
        if self.dialog.isVisible():
            self.dialog.hide()
            return
        self._fill()
        bring_up(self.dialog)

    def write(self, path: str) -> None:
        """Write the card: as PDF, or as HTML where the name ends so."""
        card = self.card
        if card is None:
            return
        if path.lower().endswith((".html", ".htm")):
            write(self._session, lambda: write_card(path, card))
            return
        try:
            written = write_card_pdf(path, card)  # Qt lays text out in its own thread alone
        except UserError as error:
            self._session.failed.emit(error)
        else:
            self._session.written.emit(written.name)

    def _on_masks(self, masks: object) -> None:
        scan = self._session.scan
        if scan is not None:
            self._panel.set_audit(full_audit(scan, self._session.masks))
        self._refresh()

    def _refresh(self, _: object = None) -> None:
        if self.dialog is None or not self.dialog.isVisible():
            return
        if self.card is None:
            self.dialog.hide()
        else:
            self._fill()

    def _fill(self) -> None:
        card = self.card
        if self.dialog is not None and card is not None:
            self.dialog.set_card(card)

    def _ask_where(self) -> None:
        dialog = QFileDialog(self.dialog, "Audit card", "audit.pdf", "PDF (*.pdf);;HTML (*.html)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.write)
        dialog.open()

    def _close(self) -> None:
        if self.dialog is not None:
            self.dialog.close()
            self.dialog = None
