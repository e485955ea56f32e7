"""Which of several DICOM series, or of several files, to open."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_ctvlp._qt.wrapped_label import WrappedLabel


class SeriesChooser(QWidget):
    """A line in the dock, not a dialog: the series, or the files, of a folder and a button to open one.

    Signals
    -------
    series_chosen(int)
        Place of what was picked in the list given to `offer`.
    """

    series_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.label = WrappedLabel()
        self.box = QComboBox()
        self.box.setAccessibleName("DICOM series")
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.open = QPushButton("Open")
        row = QHBoxLayout()
        row.addWidget(self.box, 1)
        row.addWidget(self.open)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label)
        layout.addLayout(row)
        self.open.clicked.connect(self._on_open)
        self.hide()

    def offer(self, folder: str, descriptions: Sequence[str], what: str = "series", others: Sequence[str] = ()) -> None:
        """Ask which of these series (or ``what`` else they are) of ``folder`` to open, or which of ``others``."""
        self.label.setText(f"{folder} holds {len(descriptions)} {what}. Which one?")
        self.box.setAccessibleName("DICOM series" if what == "series" else what)
        self.box.clear()
        self.box.addItems([*descriptions, *others])
        for place, text in enumerate(descriptions):
            self.box.setItemData(place, text, 3)  # 3 is Qt's ToolTipRole: long descriptions are shown in full there
        self.show()

    def _on_open(self) -> None:
        self.hide()
        self.series_chosen.emit(self.box.currentIndex())
