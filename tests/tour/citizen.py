"""Steps of the tour for life beside napari and other plugins: layers, menus, keys, windows that close."""

from __future__ import annotations

from napari._qt.dialogs.preferences_dialog import PreferencesDialog
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget, QFileDialog, QLineEdit, QListView, QListWidget, QPushButton

from napari_ctvlp._qt.launch import DOCK_NAME
from napari_ctvlp.anatomy.windows import PRESETS

from .driver import NONE, SHIFT, Driver
from .hands import LEFT, choose_from_bar, found, press


def keys(driver: Driver) -> None:
    """F1 lists all keys; Shift+1 to 6 are the windows; ? closes the list."""
    driver.key(Qt.Key.Key_F1)
    dialog = driver.widget.keys_window.dialog
    assert dialog is not None and dialog.isVisible()
    assert "Take the last step back" in dialog.text.toPlainText()
    driver.picture_of(dialog, "keys")
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    before = driver.widget.window_level.value
    for place, preset in enumerate(PRESETS):
        driver.key(Qt.Key(Qt.Key.Key_1 + place), SHIFT)
        assert driver.widget.window_level.value == (preset.width, preset.level)
    while driver.widget.window_level.value != before:
        driver.key(Qt.Key.Key_U)


def napari_menus(driver: Driver) -> None:
    """Entries of ours in napari's own menus."""
    dock = driver.widget.dock
    choose_from_bar(driver, "Layers", "Measure", "Organ statistics of a CT scan", picture="layers_measure")
    assert dock.tables.currentWidget() is dock.organs
    choose_from_bar(driver, "File", "IO Utilities", "Save the session of a CT scan", picture="io_utilities")
    dialog = found(driver, QFileDialog)
    assert "session" in dialog.windowTitle()
    dialog.reject()
    driver.wait()
    dock.tables.setCurrentWidget(dock.findings)
    shown = driver.widget.views.shown
    for expected in (not shown, shown):
        choose_from_bar(driver, "Layers", "Visualize", "Coronal and sagittal")
        assert driver.widget.views.shown is expected


def preferences(driver: Driver) -> None:
    """How a window begins, in napari's preferences."""
    with driver.watchdog.paused():  # all of it is napari's own
        driver.viewer.window._open_preferences_dialog()
        dialog = found(driver, PreferencesDialog)
        pages = dialog.findChild(QListWidget)
        assert pages is not None
        (row,) = [row for row in range(pages.count()) if pages.item(row).text() == "napari-ctvlp"]
        pages.setCurrentRow(row)
        driver.picture_of(dialog, "preferences")
        dialog.reject()
        driver.wait()


def layers_renamed(driver: Driver) -> None:
    """The names and the order of the layers are the user's."""
    driver.front()
    layers = driver.viewer.layers
    scan, masks = driver.widget.layers.scan_layer, driver.widget.layers.masks_layer
    _rename(driver, scan.name, "my patient")
    assert scan.name == "my patient" and driver.widget.layers.scan_layer is scan
    order = [layer.name for layer in layers]
    layers.move(layers.index(masks), 0)
    driver.wait()
    driver.ask("spleen")
    assert driver.widget.session.ranking.best.organ == "spleen" and driver.widget.layers.masks_layer is masks
    driver.picture("layers_renamed_and_moved")
    layers.move(0, order.index(masks.name) + 1)
    driver.wait()
    assert [layer.name for layer in layers] == order


def _rename(driver: Driver, name: str, new: str) -> None:
    """A double click on a layer's name, as in any list."""
    view = next(v for v in driver.window.findChildren(QListView) if type(v).__name__ == "QtLayerList")
    model = view.model()
    index = next(i for i in (model.index(row, 0) for row in range(model.rowCount())) if i.data() == name)
    view.edit(index)
    driver.wait()
    line = view.findChild(QLineEdit)
    line.selectAll()
    QTest.keyClicks(line, new)
    QTest.keyClick(line, Qt.Key.Key_Return)
    driver.wait()


def transposed(driver: Driver) -> None:
    """Another plane in the main canvas, and turned by napari's buttons: letters and questions follow."""
    buttons = driver.viewer.window._qt_viewer.viewerButtons
    before = tuple(driver.viewer.dims.order)
    press(driver, buttons.rollDimsButton)
    assert tuple(driver.viewer.dims.order) != before
    driver.ask("liver")
    driver.picture("rolled")
    press(driver, buttons.transposeDimsButton)
    driver.ask("left kidney")
    assert driver.widget.session.ranking.best.organ == "kidney_left"
    driver.picture("transposed")
    press(driver, buttons.transposeDimsButton)
    for _ in range(2):
        press(driver, buttons.rollDimsButton)
    assert tuple(driver.viewer.dims.order) == before


def layers_deleted(driver: Driver) -> None:
    """In another window: masks deleted, then the scan, and what is said of it."""
    second = driver.second
    session, panel = second.widget.session, second.widget.dock.scan
    if session.masks is None:
        second.widget.dock.scan.sample.click()
        second.wait_for(lambda: session.embedding is not None)
        second.idle()
    second.ask("liver")
    while session.masks is not None:  # those of before come into use again
        _delete(second, second.widget.layers.masks_layer)
        second.idle()
    assert session.masks is None and session.ranking is None and panel.make_masks.isVisible()
    second.picture("masks_deleted")
    while session.scan is not None:
        _delete(second, second.widget.layers.scan_layer)
        second.idle()
    assert panel.sample.isVisible()
    second.picture("scan_deleted")


def _delete(driver: Driver, layer: object) -> None:
    """Choose a layer and press napari's button with the bin."""
    driver.viewer.layers.selection = {layer}
    driver.wait()
    buttons = driver.viewer.window._qt_viewer.layerButtons
    press(driver, buttons.deleteButton)


def closed_by_x(driver: Driver) -> None:
    """The other window goes while it works; this one goes on."""
    second = driver.second
    second.widget.dock.scan.sample.click()
    second.wait_for(lambda: second.widget.session.scan is not None)
    driver.close_second()  # with a scan that may still be encoding
    driver.ask("spleen")
    assert driver.widget.session.ranking.best.organ == "spleen" and second.widget.session._bench.closed
    driver.picture("after_the_other_window")


def reopened(driver: Driver) -> None:
    """The dock closed by its x gives the keys back; opened again from the menu it finds what is open."""
    dock = next(d for d in driver.window.findChildren(QDockWidget) if d.widget() is driver.widget)
    closing = next(
        b for b in dock.titleBarWidget().findChildren(QPushButton) if b.objectName() == "QTitleBarCloseButton"
    )
    closed = driver.widget
    QTest.mouseClick(closing, LEFT, NONE, QPoint(3, 3))
    driver.wait_for(lambda: closed.session._bench.closed)
    driver.wait(300)
    driver.picture("dock_closed")
    choose_from_bar(driver, "Plugins", "CT query", picture="plugins_menu")
    driver.wait_for(lambda: DOCK_NAME in driver.viewer.window.dock_widgets)
    driver.widget = driver.viewer.window.dock_widgets[DOCK_NAME]
    assert driver.widget is not closed
    driver.wait_for(lambda: driver.widget.session.embedding is not None)
    driver.idle()
    driver.ask("stone in the left kidney")
    assert driver.widget.session.ranking.best.organ == "kidney_left"
    driver.key(Qt.Key.Key_2, SHIFT)
    assert driver.widget.window_level.value[0] == PRESETS[1].width
    driver.key(Qt.Key.Key_U)
    driver.picture("dock_opened_again")
