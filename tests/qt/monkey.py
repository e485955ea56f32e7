"""Random actions of a user on the real window, and what must hold after each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_ctvlp._qt.layer_lookup import masks_of, scan_of

from .windows import add_layers

QUESTIONS = (
    "liver",
    "left kidney",
    "stone in the left kidney",
    "right kidney",
    "enlarged spleen",
    "banana",
    "lung nodule",
    "no cyst in the liver",
    "the organ that makes bile",
)
KEYS = [*"QHKGGUUU", *(f"Shift+{n}" for n in range(7))]
MOST_SCANS = 3
NONE = Qt.KeyboardModifier.NoModifier


def send(canvas, kind, place, button=Qt.MouseButton.LeftButton, held=None, modifier=NONE):
    point = QPoint(int(place[0] * canvas.width()), int(place[1] * canvas.height()))
    whole = QPointF(canvas.mapToGlobal(point))
    held = button if held is None else held
    QApplication.sendEvent(canvas, QMouseEvent(kind, QPointF(point), whole, button, held, modifier))


class Monkey:
    """Does one random thing at a time; the same seed does the same things."""

    def __init__(self, viewer, widget, phantom, seed):
        self.viewer, self.widget, self.phantom = viewer, widget, phantom
        self.rng = np.random.default_rng(seed)
        self.done: list[str] = []
        self._opened = 0
        self._actions: list[tuple[float, Callable[[], None]]] = [
            (14, self.ask),
            (6, self.type_a_question),
            (2, self.escape_from_the_line),
            (4, self.take_question_back),
            (14, self.press_a_key),
            (14, self.scroll),
            (8, self.click),
            (5, self.move_with_shift),
            (3, self.double_click),
            (5, self.drag_right),
            (10, self.paint),
            (4, self.take_stroke_back),
            (5, self.open_scan),
            (4, self.remove_a_layer),
            (5, self.choose_a_layer),
            (3, self.reorder_layers),
            (3, self.rename_a_layer),
            (4, self.hide_a_layer),
            (3, self.add_a_foreign_layer),
            (4, self.use_foreign_labels),
            (3, self.transpose),
            (10, self.use_the_organ_list),
            (5, self.use_the_findings),
            (2, self.toggle_names),
            (2, self.cancel),
            (1, self.change_theme),
            (1, self.load_encoder_anew),
        ]

    def act(self):
        weights = np.array([weight for weight, _ in self._actions])
        action = self._actions[self.rng.choice(len(weights), p=weights / weights.sum())][1]
        self.done.append(action.__name__)
        action()

    def everything(self, times):
        """Does every kind of thing in turn, so often; what is done before goes on meanwhile."""
        for _ in range(times):
            for _weight, action in self._actions:
                self.done.append(action.__name__)
                yield action()

    def pick(self, things):
        things = list(things)
        return things[self.rng.integers(len(things))] if things else None

    def chance(self, share):
        return self.rng.random() < share

    # -- asking ------------------------------------------------------------------------------------------------

    def ask(self):
        line = self.widget.dock.query
        line.setFocus()
        line.setText(self.pick(QUESTIONS))
        QTest.keyClick(line, Qt.Key.Key_Return)

    def type_a_question(self):
        """Most of one, without an end; what was typed rests for a moment or not."""
        line, text = self.widget.dock.query, self.pick(QUESTIONS)
        line.setFocus()
        line.selectAll()
        for letter in text[: int(self.rng.integers(len(text) + 1))]:
            QTest.keyClick(line, letter)
        if self.chance(0.5):
            line._timer.stop()
            line._on_settled()

    def escape_from_the_line(self):
        QTest.keyClick(self.widget.dock.query, Qt.Key.Key_Escape)

    def take_question_back(self):
        line = self.widget.dock.query
        line.selectAll()
        QTest.keyClick(line, Qt.Key.Key_Backspace)
        if self.chance(0.5):
            QTest.keyClick(line, Qt.Key.Key_Return)

    def press_a_key(self):
        key = self.pick(KEYS)
        shift = key.startswith("Shift+")
        code = getattr(Qt.Key, f"Key_{key[-1]}")
        self.canvas().setFocus()
        QTest.keyClick(self.widget.window(), code, Qt.KeyboardModifier.ShiftModifier if shift else NONE)

    def toggle_names(self):
        self.widget.dock.use_names.click()

    def cancel(self):
        self.widget.dock.progress.cancel_requested.emit()

    def load_encoder_anew(self):
        self.widget.dock.encoder.encoder_chosen.emit("starter")

    # -- looking -----------------------------------------------------------------------------------------------

    def canvas(self):
        main = self.viewer.window._qt_viewer.canvas.native
        every = [main, *(view.view.canvas.native for view in self.widget.views.views)]
        # nobody can click what is hidden, as the main one is while another is maximised: OpenGL does not survive it
        return self.pick([canvas for canvas in every if canvas.isVisible()])

    def place(self):
        return tuple(self.rng.uniform(0.05, 0.95, 2))

    def scroll(self):
        dims = self.viewer.dims
        axis = self.pick(dims.not_displayed)
        if axis is not None:
            dims.set_current_step(axis, int(self.rng.integers(max(1, int(dims.nsteps[axis])))))

    def click(self):
        canvas, place = self.canvas(), self.place()
        send(canvas, QEvent.Type.MouseButtonPress, place)
        send(canvas, QEvent.Type.MouseButtonRelease, place, held=Qt.MouseButton.NoButton)

    def move_with_shift(self):
        canvas, none = self.canvas(), Qt.MouseButton.NoButton
        for _ in range(3):
            send(canvas, QEvent.Type.MouseMove, self.place(), none, none, Qt.KeyboardModifier.ShiftModifier)

    def double_click(self):
        send(self.canvas(), QEvent.Type.MouseButtonDblClick, self.place())

    def drag_right(self):
        canvas, right = self.canvas(), Qt.MouseButton.RightButton
        send(canvas, QEvent.Type.MouseButtonPress, self.place(), right)
        for _ in range(3):
            send(canvas, QEvent.Type.MouseMove, self.place(), Qt.MouseButton.NoButton, right)
        send(canvas, QEvent.Type.MouseButtonRelease, self.place(), right, Qt.MouseButton.NoButton)

    def transpose(self):
        if self.chance(0.5):
            self.viewer.dims.transpose()
        else:
            self.viewer.dims.roll()

    def change_theme(self):
        self.viewer.theme = "light" if self.viewer.theme == "dark" else "dark"

    # -- layers ------------------------------------------------------------------------------------------------

    def open_scan(self):
        if sum(scan_of(layer) is not None for layer in self.viewer.layers) >= MOST_SCANS:
            self.remove_a_layer()
            return
        scan, masks = self.phantom
        self._opened += 1
        scan = dataclasses.replace(scan, name=f"scan {self._opened}", hu=scan.hu + np.int16(self.rng.integers(-5, 5)))
        masks = dataclasses.replace(masks, labels=masks.labels.copy())
        if self.chance(0.3):
            add_layers(self.viewer, scan)
            self.widget.session.set_masks(masks)
        else:
            add_layers(self.viewer, scan, masks)

    def layer(self, kind=(Image, Labels)):
        return self.pick(layer for layer in self.viewer.layers if isinstance(layer, kind))

    def remove_a_layer(self):
        layer = self.layer()
        if layer is not None:
            self.viewer.layers.remove(layer)

    def choose_a_layer(self):
        self.viewer.layers.selection.active = self.layer()

    def reorder_layers(self):
        count = len(self.viewer.layers)
        if count > 1:
            self.viewer.layers.move(int(self.rng.integers(count)), int(self.rng.integers(count)))

    def rename_a_layer(self):
        layer = self.layer()
        if layer is not None:
            layer.name = self.pick(["liver", "a", "similarity", "scan organs"])

    def hide_a_layer(self):
        layer = self.layer()
        if layer is not None:
            layer.visible = not layer.visible

    def add_a_foreign_layer(self):
        if len(self.viewer.layers) > 9:
            return
        scan, masks = self.phantom
        place = {"scale": scan.spacing, "translate": scan.napari_translate}
        kind = self.rng.integers(5)
        if kind == 0:
            self.viewer.add_points(np.zeros((2, 3)), **place)
        elif kind == 1:
            self.viewer.add_image(np.zeros((8, 9, 10), np.float32), name="theirs")
        elif kind == 2:
            self.viewer.add_labels(masks.labels.astype(np.int32), name="their labels", **place)
        elif kind == 3:
            self.viewer.add_labels(np.zeros(scan.hu.shape, np.uint8), name="empty", **place)
        else:
            self.viewer.add_labels(
                masks.labels[::2, ::2, ::2].copy(), name="coarse", scale=np.asarray(scan.spacing) * 2
            )

    def use_foreign_labels(self):
        button = self.widget.dock.scan.use_layer
        if not button.isHidden():
            button.click()

    def paint(self):
        layer = self.widget.layers.masks_layer if self.chance(0.8) else self.layer(Labels)
        if layer is None or layer.multiscale or not layer.visible:
            return
        layer.mode = str(self.pick(["paint", "erase", "fill", "pan_zoom"]))
        where = tuple(int(self.rng.integers(n)) for n in layer.data.shape)
        value = int(self.pick([0, 1, 2, 3, 5, 52, 200]))
        layer.brush_size = int(self.rng.integers(1, 12))
        if layer.mode == "fill":
            layer.fill(where, value)
        else:
            layer.paint(where, value)

    def take_stroke_back(self):
        layer = self.layer(Labels)
        if layer is not None:
            layer.undo() if self.chance(0.7) else layer.redo()

    # -- tables ------------------------------------------------------------------------------------------------

    def use_the_organ_list(self):
        panel = self.widget.dock.organs
        self.widget.dock.tables.setCurrentWidget(panel)
        listed = panel.listed
        kind = self.rng.integers(7)
        if kind == 0:
            panel.group.setCurrentIndex(int(self.rng.integers(max(1, panel.group.count()))))
        elif kind == 1:
            panel.filter.setText(self.pick(["", "kid", "l", "zzz"]))
        elif kind == 2:
            panel.solo_requested.emit(listed[:1] if self.chance(0.5) else ())
        elif kind == 3:
            panel.visible_requested.emit(listed[:2], self.chance(0.5))
        elif kind == 4:
            panel.opacity.setValue(int(self.rng.integers(101)))
        elif kind == 5 and listed:
            panel.table.selectRow(int(self.rng.integers(len(listed))))
        elif listed:
            panel.table.clicked.emit(panel.table.model().index(int(self.rng.integers(len(listed))), 0))

    def use_the_findings(self):
        panel = self.widget.dock.findings
        self.widget.dock.tables.setCurrentWidget(panel)
        rows = panel.table.model().rowCount()
        if self.chance(0.3):
            panel.filter.setText(self.pick(["", "stone", "liver", "zzz"]))
        elif self.chance(0.3):
            panel.hide_na.click()
        elif rows:
            panel.table.clicked.emit(panel.table.model().index(int(self.rng.integers(rows)), 0))


def check(viewer, widget):
    """What must hold at any moment: what is shown is about what is open now."""
    session, dock = widget.session, widget.dock
    scans = [scan_of(layer) for layer in viewer.layers if scan_of(layer) is not None]
    assert session.scan is None or any(scan is session.scan for scan in scans)
    assert (session.scan is None) == (not scans)
    shown = [masks_of(layer) for layer in viewer.layers if masks_of(layer) is not None]
    assert session.masks is None or any(masks is session.masks for masks in shown)
    organs = set() if session.masks is None else set(session.masks.names.values())
    if session.embedding is not None:
        assert not session.is_editing
        assert set(session.embedding.organs) == organs
    ranking = session.ranking
    if ranking is None:
        assert dock.ranking.model().rowCount() == 0
        assert session.located is None
    else:
        assert session.embedding is not None and not session.is_editing
        assert {match.organ for match in ranking.organs} <= organs
    if session.embedding is None:
        assert not session.scores
    if not session.scores:
        assert dock.findings._model.rowCount() == 0
    assert {score.organ for score in session.scores if score.probability is not None} <= organs | {"lung", "body"}
    assert [stat.organ for stat in dock.organs.model._rows] == (
        [] if session.masks is None else list(session.masks.statistics)
    )
