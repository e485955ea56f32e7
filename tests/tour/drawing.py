"""Steps of the tour for masks drawn by hand, in the second window."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialogButtonBox

from napari_ctvlp._qt.organ_names import NAME, OrganNames

from . import formats
from .driver import Driver
from .files_in import cleared
from .hands import drop, press


def drawn_by_hand(driver: Driver) -> None:
    """A new Labels layer, a few strokes, used as organ masks, and named."""
    second = cleared(driver)
    drop(second, second.widget.dock, formats.pair(driver)[0])
    second.wait_for(lambda: second.widget.session.scan is not None)
    second.idle()
    press(second, second.viewer.window._qt_viewer.layerButtons.newLabelsButton)
    (layer,) = [layer for layer in second.viewer.layers if type(layer).__name__ == "Labels"]
    _stroke(second, layer, 0.42)
    assert layer.data.any()
    panel, session = second.widget.dock.scan, second.widget.session
    second.wait_for(panel.use_layer.isVisible)
    second.picture("drawn_by_hand")
    press(second, panel.use_layer)
    second.wait_for(lambda: session.masks is not None and session.embedding is not None)
    second.idle()
    if not panel.names.isVisible():
        press(second, panel.fold)
    press(second, panel.names)
    dialog = second.widget.findChild(OrganNames)
    assert dialog is not None
    dialog.table.item(0, NAME).setText("liver")
    dialog.buttons.button(QDialogButtonBox.StandardButton.Apply).click()
    second.idle()
    dialog.close()
    assert set(session.masks.names.values()) == {"liver"}
    second.ask("liver")
    second.picture("drawn_masks_answer")


def edited_by_hand(driver: Driver) -> None:
    """A second organ painted into them: what was there keeps its embedding, the new one gets one."""
    second = driver.second
    session, layer = second.widget.session, second.widget.layers.masks_layer
    if layer is None or "Labels" not in layer.name:
        drawn_by_hand(driver)
        layer = second.widget.layers.masks_layer
    first = session.embedding.vectors[session.embedding.organs.index("liver")].copy()
    layer.selected_label = 2
    second.viewer.layers.selection.active = layer
    _stroke(second, layer, 0.6)
    second.wait_for(lambda: not session.is_editing and session.masks is not None and len(session.masks.names) == 2)
    second.wait_for(lambda: session.embedding is not None and len(session.embedding.organs) == 2)
    second.idle()
    kept = session.embedding.vectors[session.embedding.organs.index("liver")]
    assert np.allclose(kept, first, atol=2e-3)  # one of them may come from the cache, which keeps 16 bits
    second.picture("second_organ_drawn")
    second.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    second.wait_for(lambda: not session.is_editing and len(session.masks.names) == 1)
    second.idle()


def _stroke(window: Driver, layer: object, x: float) -> None:
    """Paint on the axial view, with a brush that is wide enough for an organ."""
    layer.brush_size = 14
    layer.mode = "paint"
    window.mouse(window.canvas(), *((x + 0.01 * step, 0.5 + 0.004 * step) for step in range(6)))
    layer.mode = "pan_zoom"
    window.wait(100)
