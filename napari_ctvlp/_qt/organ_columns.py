"""The columns of the organ table: their order and widths."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHeaderView, QTableView

from napari_ctvlp._qt.organ_model import CUT, HEADERS, HU, ORGAN, TITLE, VOLUME, OrganModel

ORGAN_DIGITS = 17
"""Width of the organs' column, in digits, while questions are pinned."""


def arrange(table: QTableView, model: OrganModel) -> None:
    """Pinned questions beside the organs' names, which then keep a width of their own: what follows may scroll."""
    header, pinned = table.horizontalHeader(), range(len(HEADERS), model.columnCount())
    for place, column in enumerate((ORGAN, *pinned, VOLUME, HU, CUT)):
        header.moveSection(header.visualIndex(column), place)
    modes = QHeaderView.ResizeMode
    wanted = dict.fromkeys((VOLUME, HU, CUT), modes.ResizeToContents)
    wanted |= dict.fromkeys((ORGAN, *pinned), modes.Interactive if pinned else modes.Stretch)
    for column, mode in wanted.items():
        if header.sectionResizeMode(column) != mode:  # setting it measures all cells of all columns
            header.setSectionResizeMode(column, mode)
    digit = table.fontMetrics().horizontalAdvance("0")
    for column, digits in ((ORGAN, ORGAN_DIGITS), *((column, TITLE + 1) for column in pinned)) if pinned else ():
        header.resizeSection(column, digit * digits)
    policy = Qt.ScrollBarPolicy.ScrollBarAsNeeded if pinned else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
    table.setHorizontalScrollBarPolicy(policy)
