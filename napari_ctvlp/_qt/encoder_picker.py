"""Which encoder answers."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QWidget

from napari_ctvlp._qt.wrapped_label import WrappedLabel
from napari_ctvlp.encoder.contract import EncoderCard


def card_html(card: EncoderCard) -> str:
    """An encoder card as a short rich text for a tooltip."""
    lines = {
        "revision": card.revision,
        "trained on": card.trained_on,
        "licence": card.licence,
        "knows": f"{len(card.organs)} organs, {len(card.abnormalities)} abnormalities",
        "sees": f"{card.spacing_mm:g} mm voxels, {card.dim} numbers an organ",
    }
    rows = "".join(f"<tr><td><b>{escape(k)}</b>&nbsp;</td><td>{escape(v)}</td></tr>" for k, v in lines.items())
    return f"<p><b>{escape(card.name)}</b>: {escape(card.summary)}</p><table>{rows}</table>"


class EncoderPicker(QWidget):
    """A choice of encoders; the one that is loaded says what it was trained on, and its card is the tooltip.

    Signals
    -------
    encoder_chosen(str)
        Name of the encoder picked by the user.
    """

    encoder_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.box = QComboBox()
        self.box.setAccessibleName("Encoder")
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.origin = WrappedLabel()
        self.origin.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel("encoder"))
        layout.addWidget(self.box)
        layout.addWidget(self.origin, 1)
        self.box.activated.connect(self._on_activated)

    def set_encoders(self, names: Sequence[str], chosen: str) -> None:
        """Offer these; ``chosen`` may be a path that is not among them."""
        self.box.clear()
        for name in names if chosen in names else [*names, chosen]:
            self.box.addItem(Path(name).name, name)  # a folder shows its own name, and is told whole
        self.box.setCurrentIndex(self.box.findData(chosen))

    def set_card(self, card: EncoderCard | None) -> None:
        """Tell what the loaded encoder is."""
        self.origin.setText("" if card is None else f"trained on {card.trained_on}")
        self.setToolTip("" if card is None else card_html(card))

    def _on_activated(self, index: int) -> None:
        self.encoder_chosen.emit(self.box.itemData(index))
