"""The list of organs: what is shown, how, how large, how dense."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import QItemSelectionModel, QModelIndex, QPoint, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QSlider,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_ctvlp._qt.organ_columns import arrange
from napari_ctvlp._qt.organ_looks import OrganLooks
from napari_ctvlp._qt.organ_model import (
    CUT,
    HU,
    LABEL_ROLE,
    ORGAN,
    ORGAN_ROLE,
    VOLUME,
    OrganModel,
    OrganProxy,
    Pin,
)
from napari_ctvlp._qt.row_heights import RowHeights
from napari_ctvlp.scan.types import OrganMasks

ALL_GROUPS = "all groups"


class OrganPanel(QWidget):
    """Table, filter, group, and what can be done to the organs selected or listed.

    Signals
    -------
    organ_chosen(str)
        An organ was clicked, or reached with Enter.
    visible_requested(tuple, bool)
        Labels, and whether they are to be shown.
    solo_requested(tuple)
        Labels to be shown alone; empty for all again that are not hidden.
    all_requested()
        Every organ is to be shown, hidden or not.
    colour_requested(tuple, object)
        Labels and their QColor.
    opacity_requested(tuple, float)
        Labels and their opacity, 0..1.
    export_requested()
        Statistics are wanted as CSV.
    """

    organ_chosen = Signal(str)
    visible_requested = Signal(tuple, bool)
    solo_requested = Signal(tuple)
    all_requested = Signal()
    colour_requested = Signal(tuple, object)
    opacity_requested = Signal(tuple, float)
    export_requested = Signal()

    def __init__(self, display_name: Callable[[str], str], looks: OrganLooks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._looks = looks
        self._ticked = False
        self.model = OrganModel(display_name, looks)
        self._proxy = OrganProxy()
        self._proxy.setSourceModel(self.model)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Filter organs")
        self.filter.setClearButtonEnabled(True)
        self.filter.setAccessibleName("Filter organs")
        self.group = QComboBox()
        self.group.setAccessibleName("Group of organs")
        self.table = QTableView()
        self.table.setModel(self._proxy)
        self.table.setAccessibleName("Organs")
        self.table.setSortingEnabled(True)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.setShowGrid(False)
        self.table.setTabKeyNavigation(False)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.verticalHeader().hide()
        RowHeights(self.table)  # long names break into lines instead of being cut
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(10)
        header.setSectionResizeMode(ORGAN, QHeaderView.ResizeMode.Stretch)
        for column in (VOLUME, HU, CUT):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.table.sortByColumn(ORGAN, Qt.SortOrder.AscendingOrder)
        self.show_button = QPushButton("Show")
        self.hide_button = QPushButton("Hide")
        self.solo_button = QPushButton("Solo")
        self.solo_button.setCheckable(True)
        self.colour_button = QPushButton("Colour...")
        self.export_button = QPushButton("CSV...")
        self.show_button.setToolTip("Show the organs listed")
        self.hide_button.setToolTip("Hide the organs listed (choose a group or filter first)")
        self.solo_button.setToolTip("Show the selected organs alone; again for all")
        self.colour_button.setToolTip("Colour of the selected organs")
        self.export_button.setToolTip("Write volume, HU and position of every organ to a CSV file")
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(100)
        self.opacity.setToolTip("Opacity of the selected organs, of all listed where none is selected")
        self.opacity.setAccessibleName("Opacity")
        self._lay_out()
        self._connect()
        self.set_masks(None)

    # -- what is shown -----------------------------------------------------------------------------------------

    def set_masks(self, masks: OrganMasks | None) -> None:
        """List the organs of these masks; group and selection stay where the new ones have them."""
        before, current = self.group.currentData(), self.table.currentIndex().data(ORGAN_ROLE)
        self.model.set_masks(masks)
        self.group.blockSignals(True)
        self.group.clear()
        self.group.addItem(ALL_GROUPS, "")
        for group in self.model.groups:
            self.group.addItem(group, group)
        kept = before if before in self.model.groups else ""
        self.group.setCurrentIndex(1 + self.model.groups.index(kept) if kept else 0)
        self.group.blockSignals(False)
        self._proxy.set_group(kept)
        if current:
            self.select(current)
        self.setEnabled(masks is not None)

    def set_pins(self, pins: Sequence[Pin]) -> None:
        """Show pinned questions as columns; the selected organ stays."""
        kept = self.table.currentIndex().data(ORGAN_ROLE)
        before = self.model.columnCount()
        self.model.set_pins(pins)
        if self.model.columnCount() == before:
            return
        arrange(self.table, self.model)
        if kept:
            self.select(kept)

    def refresh_looks(self) -> None:
        """Draw checks, swatches and the solo button as they are."""
        self.model.refresh_looks()
        self.solo_button.setChecked(bool(self._looks.solo))

    def select(self, organ: str) -> None:
        """Make an organ the current row without asking anybody to jump there; nothing where it is filtered out."""
        row = self.model.row_of(organ)
        index = QModelIndex() if row is None else self._proxy.mapFromSource(self.model.index(row, ORGAN))
        if not index.isValid():
            self.table.clearSelection()
            return
        flags = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
        self.table.selectionModel().setCurrentIndex(index, flags)
        self.table.scrollTo(index)

    @property
    def selected(self) -> tuple[int, ...]:
        """Labels of the selected organs."""
        rows = self.table.selectionModel().selectedRows(ORGAN)
        return tuple(index.data(LABEL_ROLE) for index in rows)

    @property
    def listed(self) -> tuple[int, ...]:
        """Labels of the organs that pass the filter, in the order of the table."""
        return tuple(self._proxy.index(row, ORGAN).data(LABEL_ROLE) for row in range(self._proxy.rowCount()))

    # -- inside ------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self.filter, 1)
        top.addWidget(self.group)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (
            self.show_button,
            self.hide_button,
            self.solo_button,
            self.colour_button,
            self.export_button,
        ):
            button.setMinimumWidth(button.fontMetrics().horizontalAdvance(button.text()) + 12)
            buttons.addWidget(button)
        look = QHBoxLayout()
        look.addWidget(QLabel("opacity"))
        look.addWidget(self.opacity, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addWidget(self.table, 1)
        layout.addLayout(buttons)
        layout.addLayout(look)

    def _connect(self) -> None:
        self.filter.textChanged.connect(self._proxy.set_filter)
        self.group.currentIndexChanged.connect(self._on_group)
        self.table.pressed.connect(self._on_pressed)
        self.table.clicked.connect(self._on_clicked)
        self.table.activated.connect(self._on_row)
        self.table.customContextMenuRequested.connect(self._on_menu)
        self.table.selectionModel().selectionChanged.connect(self._on_selection)
        self.model.check_requested.connect(self._on_check)
        self.show_button.clicked.connect(lambda: self.visible_requested.emit(self.listed, True))
        self.hide_button.clicked.connect(lambda: self.visible_requested.emit(self.listed, False))
        self.solo_button.clicked.connect(self._on_solo)
        self.colour_button.clicked.connect(self._on_colour)
        self.export_button.clicked.connect(self.export_requested)
        self.opacity.valueChanged.connect(self._on_opacity)

    def _on_group(self, place: int) -> None:
        self._proxy.set_group(self.group.itemData(place) or "")

    def _on_pressed(self, _index: QModelIndex) -> None:
        self._ticked = False

    def _on_clicked(self, index: QModelIndex) -> None:
        """Go to the organ, unless the click was for its check box, which Qt asks first."""
        if not self._ticked:
            self._on_row(index)

    def _on_row(self, index: QModelIndex) -> None:
        self.organ_chosen.emit(index.data(ORGAN_ROLE) or index.siblingAtColumn(ORGAN).data(ORGAN_ROLE))

    def _on_check(self, label: int, visible: bool) -> None:
        self._ticked = True
        self.visible_requested.emit((label,), visible)

    def _on_solo(self, checked: bool) -> None:
        self.solo_requested.emit((self.selected or self.listed) if checked else ())

    def _on_colour(self) -> None:
        labels = self.selected
        look = self._looks.look(labels[0]) if labels else None
        if look is None:
            return
        dialog = QColorDialog(QColor.fromRgbF(*look.colour), self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.colorSelected.connect(lambda colour: self.colour_requested.emit(labels, colour))
        dialog.open()

    def _on_opacity(self, value: int) -> None:
        self.opacity_requested.emit(self.selected or self.listed, value / 100)

    def _on_selection(self, *_: object) -> None:
        labels = self.selected
        self.colour_button.setEnabled(bool(labels))
        look = self._looks.look(labels[0]) if labels else None
        if look is not None:
            self.opacity.blockSignals(True)
            self.opacity.setValue(round(100 * look.opacity))
            self.opacity.blockSignals(False)

    def _on_menu(self, place: QPoint) -> None:
        index = self.table.indexAt(place)
        if index.isValid():
            self.menu_of(index.row()).popup(self.table.viewport().mapToGlobal(place))

    def menu_of(self, row: int) -> QMenu:
        """What can be done to the organ of a row and to its group."""
        index = self._proxy.index(row, ORGAN)
        label, organ = index.data(LABEL_ROLE), index.data(ORGAN_ROLE)
        group, labels = self.model.group(organ)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(f"Show {index.data()} alone", lambda: self.solo_requested.emit((label,)))
        menu.addAction("Show all", self.all_requested.emit)
        menu.addSeparator()
        menu.addAction(f"Show group: {group}", lambda: self.visible_requested.emit(labels, True))
        menu.addAction(f"Hide group: {group}", lambda: self.visible_requested.emit(labels, False))
        menu.addAction(f"Show group alone: {group}", lambda: self.solo_requested.emit(labels))
        return menu
