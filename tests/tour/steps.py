"""What the tour does, a function a step; each ends with a picture and says what must be true."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialogButtonBox

from napari_ctvlp._qt.organ_model import VOLUME
from napari_ctvlp._qt.organ_names import NAME, OrganNames
from napari_ctvlp.anatomy.windows import LUNG

from .driver import SHIFT, Driver


def open_scan(driver: Driver) -> None:
    """The scan and its organs, encoded, in three views."""
    driver.wait_for(lambda: driver.widget.session.embedding is not None)
    driver.idle()
    assert driver.widget.views.shown


def windows(driver: Driver) -> None:
    """Presets by key, right drag, back by one key."""
    window = driver.widget.window_level
    own = window.value
    driver.key(Qt.Key.Key_2, SHIFT)
    assert window.value == (LUNG.width, LUNG.level)
    driver.key(Qt.Key.Key_4, SHIFT)
    driver.picture("bone_window")
    driver.mouse(driver.canvas(), (0.4, 0.5), (0.45, 0.55), (0.5, 0.6), (0.5, 0.65), button=Qt.MouseButton.RightButton)
    assert window.value != own
    for _ in range(3):
        driver.key(Qt.Key.Key_U)
    assert window.value == own


def linked(driver: Driver) -> None:
    """Scroll, click in one view, move with Shift in another, maximise and back."""
    dims = driver.viewer.dims
    for _ in range(20):
        dims.set_current_step(0, dims.current_step[0] + 1)
        driver.wait(25)
    before = tuple(dims.point)
    driver.mouse(driver.canvas("coronal"), (0.62, 0.45))
    assert tuple(dims.point) != before
    path = [(0.4 + 0.02 * k, 0.4 + 0.01 * k) for k in range(10)]
    driver.mouse(driver.canvas("sagittal"), *path, modifier=SHIFT, press=False)
    driver.picture("linked_views")
    driver.mouse(driver.canvas("coronal"), (0.1, 0.1), double=True)
    assert driver.widget.views.maximised == "coronal"
    driver.picture("coronal_maximised")
    driver.mouse(driver.canvas("coronal"), (0.1, 0.1), double=True)
    assert driver.widget.views.maximised is None


def ask_and_locate(driver: Driver) -> None:
    """A finding: glow, window, sentence; then where it lies, and its peak."""
    driver.ask("stone in the left kidney")
    ranking = driver.widget.session.ranking
    assert ranking is not None and ranking.best is not None and ranking.best.organ == "kidney_left"
    driver.picture("asked")
    driver.key(Qt.Key.Key_K)
    driver.key(Qt.Key.Key_G)
    driver.idle()
    driver.picture("map_and_peak")
    for _ in range(4):  # off, on, off, on
        driver.key(Qt.Key.Key_K)
    driver.ask("liver")
    driver.picture("map_of_an_organ")
    driver.key(Qt.Key.Key_K)
    driver.ask("banana")
    driver.picture("nothing_matches")
    driver.ask("lung nodule")
    driver.picture("another_window")


def evidence(driver: Driver) -> None:
    """Why the left kidney's stone got its score: regions, what if, sentences; a region is gone to, and left again."""
    driver.ask("stone in the left kidney")
    driver.key(Qt.Key.Key_W)
    reasons = driver.widget.reasons
    assert reasons.dialog is not None
    dialog = reasons.dialog
    driver.wait_for(lambda: dialog.changes.model().rowCount() > 0)
    driver.picture_of(dialog, "why_at_once")
    driver.wait_for(lambda: dialog.doing.text() == "All tried.")
    driver.idle()
    before = tuple(driver.viewer.dims.point)
    dialog.region_chosen.emit(0)
    driver.idle()
    driver.picture_of(dialog, "why_all_tried")
    driver.picture("regions_outlined")
    driver.front()
    driver.key(Qt.Key.Key_U)
    assert np.allclose(driver.viewer.dims.point, before)
    dialog.close()
    assert not reasons.outlined


def prompt_lab(driver: Driver) -> None:
    """Another sentence for stones: scores move as it is typed; saved, and taken back with one key."""
    driver.ask("stone in the left kidney")
    driver.key(Qt.Key.Key_R)
    lab = driver.widget.lab
    assert lab.dialog is not None
    dialog = lab.dialog
    driver.idle()
    assert dialog.scores.model().rowCount() > 0
    saved = dialog.prompts
    dialog.positive.moveCursor(dialog.positive.textCursor().MoveOperation.End)
    dialog.positive.insertPlainText("\n")
    driver.dialog_key(dialog, dialog.positive, "Bright dot in the {organ}.")
    driver.wait(400)
    driver.idle()
    driver.picture_of(dialog, "prompt_lab")
    driver.dialog_key(dialog, dialog.positive, " No stone.")
    driver.wait(400)
    driver.idle()
    driver.picture_of(dialog, "prompt_lab_refuses_negation")
    dialog.positive.undo()
    dialog.set_prompts((*saved[0], "Bright dot in the {organ}."), saved[1], undoable=True)
    dialog.edited.emit()
    driver.idle()
    dialog.save.click()
    driver.idle()
    assert not dialog.save.isEnabled()
    driver.front()
    driver.key(Qt.Key.Key_U)
    driver.idle()
    assert dialog.prompts == saved
    dialog.close()


def queries(driver: Driver) -> None:
    """Two questions side by side; one of them as a column of the organ table."""
    for text in ("stone in the left kidney", "enlarged spleen", "stone in the right kidney"):
        driver.ask(text)
    driver.key(Qt.Key.Key_N, SHIFT)
    driver.key(Qt.Key.Key_N)
    asked = driver.widget.asked
    assert asked.dialog is not None
    dialog = asked.dialog
    texts = list(driver.widget.queries.texts)
    for text in ("stone in the right kidney", "stone in the left kidney"):
        dialog._also_select(texts.index(text))
    driver.idle()
    assert dialog.organs.model().rowCount() > 0
    driver.picture_of(dialog, "two_questions")
    dialog.pin_requested.emit(["enlarged spleen"])
    driver.idle()
    dialog.close()
    dock = driver.widget.dock
    dock.tables.setCurrentWidget(dock.organs)
    driver.picture("pinned_questions")
    driver.front()
    for _ in range(2):
        driver.key(Qt.Key.Key_U)
    assert not driver.widget.queries.pinned
    dock.tables.setCurrentWidget(dock.findings)


def encoder_input(driver: Driver) -> None:
    """What the encoder saw, one window after the other."""
    driver.key(Qt.Key.Key_I)
    driver.wait_for(lambda: bool(driver.widget.input.title))
    driver.idle()
    driver.picture("encoder_input")
    driver.key(Qt.Key.Key_I)
    driver.picture("encoder_input_next_window")
    while driver.widget.input.title:
        driver.key(Qt.Key.Key_I)


def organs(driver: Driver) -> None:
    """The list: sort, filter, group, hide, alone, opacity, and back."""
    dock = driver.widget.dock
    driver.ask("")
    dock.tables.setCurrentWidget(dock.organs)
    dock.organs.table.sortByColumn(VOLUME, Qt.SortOrder.DescendingOrder)
    driver.wait()
    dock.organs.organ_chosen.emit("kidney_right")
    driver.picture("organs_by_volume")
    dock.organs.group.setCurrentText("urinary")
    driver.wait()
    dock.organs.solo_requested.emit(dock.organs.listed)
    driver.picture("a_group_alone")
    dock.organs.opacity.setValue(60)
    driver.wait()
    for _ in range(2):
        driver.key(Qt.Key.Key_U)
    dock.organs.group.setCurrentIndex(0)
    driver.key(Qt.Key.Key_H)
    driver.picture("organs_hidden")
    driver.key(Qt.Key.Key_H)


def painting(driver: Driver) -> None:
    """A stroke into the masks, what follows from it, and napari's undo."""
    session = driver.widget.session
    driver.ask("liver")
    before = session.masks
    layer = driver.widget.layers.masks_layer
    assert before is not None and layer is not None
    place = before.statistics["liver"].centroid_index
    layer.selected_label = next(label for label, name in before.names.items() if name == "spleen")
    layer.brush_size = 12
    layer.mode = "paint"
    driver.viewer.layers.selection.active = layer
    x, y = driver.place_of(layer.data_to_world(place))
    driver.mouse(driver.canvas(), *((x + 0.01 * step, y + 0.004 * step) for step in range(6)))
    assert session.is_editing and session.ranking is None
    driver.picture("painting")
    driver.wait_for(lambda: not session.is_editing)
    driver.idle()
    assert session.masks is not before and session.ranking is not None
    assert session.masks.statistics["spleen"].voxels > before.statistics["spleen"].voxels
    driver.picture("painted_and_answered")
    driver.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    driver.wait_for(lambda: not session.is_editing)
    driver.idle()
    assert session.masks.statistics == before.statistics
    layer.mode = "pan_zoom"


def their_labels(driver: Driver) -> None:
    """Labels of another plugin as organ masks, named by the user, and a picture of all views as a file."""
    session, dock = driver.widget.session, driver.widget.dock
    own, masks = driver.widget.layers.masks_layer, session.masks
    assert own is not None and masks is not None
    theirs = driver.viewer.add_labels(
        (masks.labels % 4).astype(np.int32),
        name="their labels",
        scale=own.scale,
        translate=own.translate,
        units=own.units,
    )
    driver.wait(300)
    driver.picture("their_labels")
    dock.scan.use_layer.click()
    driver.wait_for(lambda: session.masks is not masks)
    driver.idle()
    dock.scan.names.click()
    dialog = driver.widget.findChild(OrganNames)
    assert dialog is not None
    dialog.table.item(0, NAME).setText("my tumour")
    dialog.buttons.button(QDialogButtonBox.StandardButton.Apply).click()
    driver.idle()
    assert "my_tumour" in session.masks.names.values()
    driver.picture("their_labels_named")
    driver.picture_of(dialog, "their_labels_dialog")
    dialog.close()
    driver.viewer.layers.remove(theirs)
    driver.idle()
    assert session.masks is masks


def body(driver: Driver) -> None:
    """The organs in 3D, before and after a question."""
    driver.key(Qt.Key.Key_J)
    view = driver.widget.body.view
    assert view is not None
    driver.wait_for(lambda: bool(view.surfaces))
    driver.wait(500)
    driver.picture("organs_in_3d")


def body_asked(driver: Driver) -> None:
    """What answers is solid."""
    driver.ask("spleen")
    driver.picture("answer_in_3d")
    driver.key(Qt.Key.Key_J)
