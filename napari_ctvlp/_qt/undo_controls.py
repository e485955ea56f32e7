"""Controls whose changes can be taken back: each remembers the value it had before the user changed it."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QSlider, QTableView

from napari_ctvlp._qt.undo import Series, Undo

if TYPE_CHECKING:
    from napari_ctvlp._qt.dock import Dock


class Remembered(QObject):
    """Makes changes of a control steps; lives as long as the control.

    Parameters
    ----------
    control : QObject
    undo : Undo
    what : str
        What is done when the control changes, in words.
    read, write : callable
        Give and take the control's value.
    """

    def __init__(
        self, control: QObject, undo: Undo, what: str, read: Callable[[], Any], write: Callable[[Any], object]
    ) -> None:
        super().__init__(control)
        self._undo, self._what, self._read, self._write = undo, what, read, write
        self._value = read()
        self._series = Series(f"{what} {id(self)}")

    def sync(self, *_: object) -> None:
        """Take the present value for the one before the next change."""
        self._value = self._read()

    def end(self, *_: object) -> None:
        """Let the next change begin another step, where changes follow each other in one."""
        self._series.end()

    def on_change(self, *_: object) -> None:
        """The control has changed: one step."""
        self._push("")

    def on_move(self, *_: object) -> None:
        """The control has changed: one step with the changes shortly before, since the last `end`."""
        self._push(self._series.next())

    def _push(self, series: str) -> None:
        before, self._value = self._value, self._read()
        if self._value != before:
            self._undo.push(self._what, partial(self._write, before), series=series)


def undo_switch(control: QAbstractButton | QAction, undo: Undo, on: str, off: str) -> None:
    """Make it a step when the user switches a check box or a menu entry ``on`` or ``off`` (in words)."""

    def switched(checked: bool) -> None:
        undo.push(on if checked else off, partial(control.setChecked, not checked))

    (control.triggered if isinstance(control, QAction) else control.clicked).connect(switched)


def undo_text(line: QLineEdit, undo: Undo, what: str) -> Remembered:
    """Make what is typed into a line a step."""
    known = Remembered(line, undo, what, line.text, line.setText)
    line.textChanged.connect(known.on_move)
    line.editingFinished.connect(known.end)
    return known


def undo_slider(slider: QSlider, undo: Undo, what: str) -> Remembered:
    """Make a drag of a slider a step, or what keys and wheel do to it without a pause."""
    known = Remembered(slider, undo, what, slider.value, slider.setValue)
    slider.valueChanged.connect(known.on_move)
    slider.sliderPressed.connect(known.end)
    slider.sliderReleased.connect(known.end)
    return known


def undo_choice(box: QComboBox, undo: Undo, what: str) -> Remembered:
    """Make a choice of a list a step; a choice that is there no more is taken back to the first."""
    known = Remembered(box, undo, what, box.currentData, lambda data: box.setCurrentIndex(max(0, box.findData(data))))
    box.currentIndexChanged.connect(known.on_change)
    return known


def undo_sorting(table: QTableView, undo: Undo, what: str) -> Remembered:
    """Make another order of the rows a step."""
    header = table.horizontalHeader()

    def write(order: tuple[int, Qt.SortOrder]) -> None:
        if order[0] < header.count():  # a pinned question may have gone since
            table.sortByColumn(*order)

    known = Remembered(table, undo, what, lambda: (header.sortIndicatorSection(), header.sortIndicatorOrder()), write)
    header.sortIndicatorChanged.connect(known.on_change)
    return known


def undo_switches(dock: Dock, undo: Undo) -> None:
    """Let what is switched beside a question, and filtered and sorted among the findings, be taken back."""
    undo_switch(dock.use_names, undo, "counting names as evidence", "no longer counting names as evidence")
    undo_switch(dock.view.automatic, undo, "windows by the organ asked for", "no windows by the organ asked for")
    findings = dock.findings
    undo_text(findings.filter, undo, "filter of findings")
    undo_switch(findings.hide_na, undo, "hiding N/A", "showing N/A")
    undo_switch(findings.disagreeing, undo, "disagreeing rows alone", "rows that agree, too")
    undo_sorting(findings.table, undo, "order of findings")
