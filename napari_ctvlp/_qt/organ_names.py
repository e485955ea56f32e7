"""Which label is which organ, said by the user."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from qtpy.QtCore import QModelIndex, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QCompleter,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_ctvlp._qt.organ_model import volume_text
from napari_ctvlp.anatomy.schemes import SCHEMES, V2_NAMES
from napari_ctvlp.scan.naming import title
from napari_ctvlp.scan.types import OrganMasks

LABEL, VOLUME, NAME = range(3)


class OrganNames(QDialog):
    """A table of labels whose names can be typed, or taken from a label scheme.

    Parameters
    ----------
    masks : OrganMasks
    display_name : callable
        Organ to words.

    Signals
    -------
    named(object)
        Mapping of label to what the user wrote, when it is to hold.
    """

    named = Signal(object)

    def __init__(self, masks: OrganMasks, display_name: Callable[[str], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Names of the organs")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._display_name = display_name
        self._masks = masks
        self.scheme = QComboBox()
        self.scheme.setAccessibleName("Names by")
        self.scheme.addItem("names as they are", "")
        for key in sorted(SCHEMES, reverse=True):
            self.scheme.addItem(f"numbers of {title(key)}", key)
        self.table = QTableWidget(len(masks.names), 3)
        self.table.setHorizontalHeaderLabels(["label", "volume (ml)", "organ (double-click to change)"])
        self.table.setAccessibleName("Labels and organs")
        self.table.verticalHeader().hide()
        self.table.setItemDelegateForColumn(NAME, _NameDelegate([display_name(name) for name in V2_NAMES], self))
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        self._fill(masks.names)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Apply | QDialogButtonBox.StandardButton.Close)
        self.buttons.button(QDialogButtonBox.StandardButton.Apply).setDefault(True)
        top = QHBoxLayout()
        top.addWidget(QLabel("Name by"))
        top.addWidget(self.scheme, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(self.table)
        layout.addWidget(self.buttons)
        self.resize(420, 480)
        self.scheme.activated.connect(self._on_scheme)
        self.buttons.button(QDialogButtonBox.StandardButton.Apply).clicked.connect(self._on_apply)
        self.buttons.rejected.connect(self.close)

    @property
    def names(self) -> dict[int, str]:
        """What stands in the table, by label."""
        rows = range(self.table.rowCount())
        return {int(self.table.item(row, LABEL).text()): self.table.item(row, NAME).text() for row in rows}

    def _fill(self, names: Mapping[int, str]) -> None:
        for row, (label, name) in enumerate(sorted(self._masks.names.items())):
            stat = self._masks.statistics.get(name)
            texts = (str(label), "" if stat is None else volume_text(stat.volume_ml), self._words(names[label]))
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                if column != NAME:
                    item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
                self.table.setItem(row, column, item)

    def _words(self, name: str) -> str:
        return self._display_name(name) if name in V2_NAMES else name

    def _on_scheme(self) -> None:
        known = SCHEMES.get(self.scheme.currentData(), {})
        self._fill({label: known.get(label, name) for label, name in self._masks.names.items()})

    def _on_apply(self) -> None:
        self.table.setCurrentItem(None)  # what is being typed counts
        self.named.emit(self.names)


class _NameDelegate(QStyledItemDelegate):
    """A line with the organs' names to choose from while typing."""

    def __init__(self, words: Sequence[str], parent: QWidget) -> None:
        super().__init__(parent)
        self._words = sorted(words)

    def createEditor(self, parent: QWidget | None, option: QStyleOptionViewItem, index: QModelIndex) -> QWidget | None:
        """Qt: the editor of a cell."""
        line = QLineEdit(parent)
        completer = QCompleter(self._words, line)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        line.setCompleter(completer)
        return line
