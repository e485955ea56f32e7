"""Which encoder answers, and which others are asked beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QMenu, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from napari_ctvlp._qt.fold import Fold
from napari_ctvlp._qt.offer_row import OfferRow
from napari_ctvlp._qt.wrapped_label import WrappedLabel
from napari_ctvlp.encoder.contract import EncoderCard


@dataclass(frozen=True)
class EncoderChoice:
    """What the picker shows of an encoder before it is loaded; ``size`` and ``place`` are texts."""

    name: str
    licence: str
    trained_on: str
    region: str
    size: str
    place: str
    installed: bool

    @property
    def html(self) -> str:
        """A tooltip."""
        rows = {
            "licence": self.licence,
            "trained on": self.trained_on,
            "region": self.region,
            "size": self.size,
            "on disk": self.place if self.installed else f"not installed; would lie in {self.place}",
        }
        return f"<p><b>{escape(self.name)}</b></p>{_table(rows)}"


def _table(rows: dict[str, str]) -> str:
    lines = "".join(f"<tr><td><b>{escape(k)}</b>&nbsp;</td><td>{escape(v)}</td></tr>" for k, v in rows.items())
    return f"<table>{lines}</table>"


def card_html(card: EncoderCard) -> str:
    """An encoder card as a short rich text for a tooltip."""
    lines = {
        "revision": card.revision,
        "trained on": card.trained_on,
        "licence": card.licence,
        "knows": f"{len(card.organs)} organs, {len(card.abnormalities)} abnormalities",
        "sees": f"{card.spacing_mm:g} mm voxels, {card.dim} numbers an organ",
    }
    return f"<p><b>{escape(card.name)}</b>: {escape(card.summary)}</p>{_table(lines)}"


class EncoderPicker(QWidget):
    """A choice of encoders with the licence of each; the one that is loaded says what it was trained on.

    ``badge``, the licence in short, is placed by whoever has room for it.

    Signals
    -------
    encoder_chosen(str)
        Name of the encoder picked by the user, one that is installed.
    install_requested(str)
        Name of one that is not.
    compare_toggled(str, bool)
        Name of an encoder to ask beside the chosen one, or not to ask any more.
    """

    encoder_chosen = Signal(str)
    install_requested = Signal(str)
    compare_toggled = Signal(str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choices: dict[str, EncoderChoice] = {}
        self._chosen = ""
        self.fold = Fold("Encoder", "What it was trained on")
        self.box = QComboBox()
        self.box.setAccessibleName("Encoder")
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.badge = QLabel()
        self.badge.setStyleSheet("border: 1px solid palette(mid); border-radius: 3px; padding: 0px 3px")
        self.badge.setAccessibleName("Licence")
        self.badge.hide()
        self.beside = QToolButton()
        self.beside.setText("compare ▾")
        self.beside.setStyleSheet("QToolButton::menu-indicator { image: none }")  # the sign is in the text
        self.beside.setToolTip("Ask other encoders too: their scores stand beside, and where they disagree is marked")
        self.beside.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self.beside)
        self.beside.setMenu(self.menu)
        self.beside.hide()
        self.origin = WrappedLabel()
        self.origin.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.note = WrappedLabel()
        self.note.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.note.setAccessibleName("Region")
        self.note.hide()
        self.offer = OfferRow()
        top = QHBoxLayout()
        top.addWidget(self.fold)
        top.addWidget(self.box, 1)  # beside the licence its text was cut
        top.addWidget(self.beside)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(top)
        for widget in (self.origin, self.note, self.offer):
            layout.addWidget(widget)
        self.fold.toggled.connect(self.origin.setVisible)
        self.origin.hide()
        self.box.activated.connect(self._on_activated)

    def set_encoders(self, names: Sequence[str], chosen: str) -> None:
        """Offer these; ``chosen`` may be a path that is not among them."""
        self._chosen = chosen
        self.box.clear()
        for name in names if chosen in names else [*names, chosen]:
            self.box.addItem(Path(name).name, name)  # a folder shows its own name, and is told whole
        self.box.setCurrentIndex(self.box.findData(chosen))

    def set_choices(self, choices: Sequence[EncoderChoice], chosen: str, beside: Sequence[str] = ()) -> None:
        """Offer these, installed or not, with what is known of each; ``beside`` are those asked too."""
        self._choices = {choice.name: choice for choice in choices}
        self.set_encoders([choice.name for choice in choices], chosen)
        for index in range(self.box.count()):
            choice = self._choices.get(self.box.itemData(index))
            if choice is not None:
                text = f"{choice.name} · {choice.region}" + ("" if choice.installed else " · not installed")
                self.box.setItemText(index, text)
                self.box.setItemData(index, choice.html, Qt.ItemDataRole.ToolTipRole)
        self.menu.clear()
        for choice in choices:
            if choice.installed and choice.name != chosen:
                action = QAction(f"{choice.name} · {choice.region} · {_short(choice.licence)}", self.menu)
                action.setCheckable(True)
                action.setChecked(choice.name in beside)
                action.toggled.connect(lambda on, name=choice.name: self.compare_toggled.emit(name, on))
                self.menu.addAction(action)
        self.beside.setVisible(not self.menu.isEmpty())
        self._show_badge(self._choices[chosen].licence if chosen in self._choices else "")

    def choose(self, name: str) -> None:
        """Show this one as the chosen one, of which nobody is told."""
        self._chosen = name
        if self.box.findData(name) < 0:  # a path was offered only while it was chosen
            self.box.addItem(Path(name).name, name)
        self.box.setCurrentIndex(self.box.findData(name))

    def set_card(self, card: EncoderCard | None) -> None:
        """Tell what the loaded encoder is."""
        self.origin.setText("" if card is None else f"trained on {card.trained_on}")
        self.setToolTip("" if card is None else card_html(card))
        if card is not None:
            self._show_badge(card.licence)

    def set_note(self, text: str) -> None:
        """Say something about the encoder and the open scan; "" says nothing."""
        self.note.setText(f"⚠ {text}" if text else "")
        self.note.setVisible(bool(text))

    def _show_badge(self, licence: str) -> None:
        self.badge.setText(_short(licence))
        self.badge.setToolTip(f"Licence: {licence}")
        self.badge.setVisible(bool(licence))

    def _on_activated(self, index: int) -> None:
        name = self.box.itemData(index)
        choice = self._choices.get(name)
        if choice is None or choice.installed:
            self._chosen = name
            self.offer.close_offer()
            self.encoder_chosen.emit(name)
        else:
            self.box.setCurrentIndex(self.box.findData(self._chosen))  # it goes on answering until the other is here
            self.install_requested.emit(name)


def _short(licence: str) -> str:
    """A licence as a badge: the first of several, without its explanation."""
    short = licence.split(";")[0].split("(")[0].strip()
    return f"licence {short}" if short == "unstated" else short
