"""The tab "Teach": name a finding, show it examples, see what was learnt, save it for others."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_ctvlp._qt.teach_bar import NO_KEY, YES_KEY, TeachBar
from napari_ctvlp._qt.wrapped_label import WrappedLabel
from napari_ctvlp.ask.teach import ENOUGH, TaughtFinding

HEADERS = ("Finding", "With", "Without", "AUC")
HEADER_TIPS = (
    "As you called it",
    "Examples that have it",
    "Examples that have it not",
    "Cross-validated on pairs that the probe has not seen: 0.5 is chance, 1 is perfect",
)
HINT = (
    f"Name a finding, click an organ, say whether it is there ({YES_KEY}, {NO_KEY}). From {ENOUGH} with and {ENOUGH} "
    "without it on, in any scans, it is scored beside the others."
)


class TeachPanel(QWidget):
    """Name, organ, answer; below it what has been taught.

    Signals
    -------
    name_changed(str)
        What the finding is called.
    answered(bool)
        Whether the organ has it.
    save_requested(), open_requested(), forget_requested()
        A button was used; ``chosen`` tells which finding is meant.
    """

    name_changed = Signal(str)
    answered = Signal(bool)
    save_requested = Signal()
    open_requested = Signal()
    forget_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._findings: tuple[TaughtFinding, ...] = ()
        self.name = QComboBox()
        self.name.setEditable(True)
        self.name.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.name.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.name.lineEdit().setPlaceholderText("Name of a finding, such as: bright rim")
        self.name.setToolTip("What you teach. It goes into the files that you share: no names of patients.")
        self.name.setAccessibleName("Name of the finding to teach")
        self.bar = TeachBar()
        self.table = QTableWidget(0, len(HEADERS))
        self.table.setHorizontalHeaderLabels(list(HEADERS))
        for column, tip in enumerate(HEADER_TIPS):
            self.table.horizontalHeaderItem(column).setToolTip(tip)
        self.table.setAccessibleName("Taught findings")
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setShowGrid(False)
        self.table.setTabKeyNavigation(False)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.note = WrappedLabel()
        self.save = QPushButton("Save...")
        self.save.setToolTip(
            "Write the chosen finding (all where none is chosen) to a file to share, with its examples"
        )
        self.open = QPushButton("Open...")
        self.open.setToolTip("Add the findings of such a file")
        self.forget = QPushButton("Forget")
        self.forget.setToolTip("Take the chosen finding away with its examples (U brings it back)")
        buttons = QHBoxLayout()
        for button in (self.save, self.open, self.forget):
            buttons.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.name)
        layout.addWidget(self.bar)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.note)
        layout.addLayout(buttons)
        self.table.setMinimumHeight(self.table.fontMetrics().height() + 30)

        self.name.editTextChanged.connect(self.name_changed)
        self.name.editTextChanged.connect(self._refresh)
        self.bar.answered.connect(self.answered)
        self.save.clicked.connect(self.save_requested)
        self.open.clicked.connect(self.open_requested)
        self.forget.clicked.connect(self.forget_requested)
        self.table.itemSelectionChanged.connect(self._on_chosen)
        self.set_findings((), "")

    @property
    def chosen(self) -> TaughtFinding | None:
        """The finding of the selected row."""
        rows = self.table.selectionModel().selectedRows()
        return self._findings[rows[0].row()] if rows and rows[0].row() < len(self._findings) else None

    def set_name(self, name: str) -> None:
        """Show this name."""
        if name != self.name.currentText():
            self.name.setEditText(name)

    def set_findings(self, findings: Sequence[TaughtFinding], encoder: str) -> None:
        """List what has been taught; what belongs to another encoder than ``encoder`` (its key, in words) says so."""
        chosen, written = self.chosen, self.name.currentText()
        self._findings = tuple(findings)
        self.name.blockSignals(True)
        self.name.clear()
        self.name.addItems([f.name for f in findings])
        self.name.setEditText(written)
        self.name.blockSignals(False)
        self.table.blockSignals(True)
        self.table.clearSelection()
        self.table.setRowCount(len(findings))
        for row, finding in enumerate(findings):
            quality = finding.quality if finding.fitted else None
            auc = "–" if quality is None else f"{quality.auc:.2f}"
            own = not encoder or str(finding.encoder) == encoder
            texts = (finding.name, str(finding.present), str(finding.absent), auc if own else "other encoder")
            tip = finding.note if finding.fitted else "fitted with the next scores"
            tip += "" if own else f"; taught with {finding.encoder}, and not scored by the one in use"
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(tip)
                if column:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(row, column, item)
            if chosen is not None and (finding.name, finding.encoder) == (chosen.name, chosen.encoder):
                self.table.selectRow(row)
        self.table.blockSignals(False)
        self._refresh()

    def _on_chosen(self) -> None:
        if (chosen := self.chosen) is not None:
            self.set_name(chosen.name)
        self._refresh()

    def _refresh(self, _: object = None) -> None:
        there = bool(self._findings)
        self.save.setEnabled(there)
        self.forget.setEnabled(self.chosen is not None)
        written = self.name.currentText().strip().casefold()
        finding = next((f for f in self._findings if f.name.casefold() == written), None)
        if finding is None:
            self.note.setText(HINT)
        else:
            self.note.setText(f"{finding.name}: {finding.note if finding.fitted else 'fitted with the next scores'}")
