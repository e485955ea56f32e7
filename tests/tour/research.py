"""Steps of the tour for what a researcher does beyond asking: teach, compare with a prior, audit."""

from __future__ import annotations

from qtpy.QtCore import Qt

from .driver import SHIFT, Driver


def teach(driver: Driver) -> None:
    """Two organs with, two without: a new row, one key back."""
    widget = driver.widget
    dock, panel = widget.dock, widget.teacher.panel
    driver.ask("")
    dock.tables.setCurrentWidget(dock.findings)
    dock.findings.table.selectRow(0)
    driver.picture("is_it_there")
    dock.tables.setCurrentWidget(panel)
    panel.name.setEditText("calcified spots")
    for organ, key in (
        ("kidney_left", Qt.Key.Key_Y),
        ("gallbladder", Qt.Key.Key_Y),
        ("kidney_right", Qt.Key.Key_N),
        ("spleen", Qt.Key.Key_N),
    ):
        widget.navigator.jump(organ)
        driver.key(key, SHIFT)
    driver.idle()
    assert widget.session.taught[-1].ready
    driver.picture("taught")
    dock.tables.setCurrentWidget(dock.findings)
    dock.findings.filter.setText("taught")
    driver.wait()
    assert dock.findings.table.model().rowCount() == 4
    driver.picture("taught_findings")
    dock.findings.filter.clear()
    driver.key(Qt.Key.Key_U)
    assert not widget.session.taught[-1].ready
    driver.idle()
