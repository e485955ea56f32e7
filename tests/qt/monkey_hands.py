"""What a random user does with keys and mouse: asks, looks around."""

from __future__ import annotations

import collections
import os
import time
from pathlib import Path

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QKeySequence, QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

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
NONE = Qt.KeyboardModifier.NoModifier


def send(canvas, kind, place, button=Qt.MouseButton.LeftButton, held=None, modifier=NONE):
    if canvas is None or not canvas.width() or not canvas.height():
        return  # a view has the window to itself and its dock was hidden, or a splitter left it no room
    point = QPoint(int(place[0] * canvas.width()), int(place[1] * canvas.height()))
    whole = QPointF(canvas.mapToGlobal(point))
    held = button if held is None else held
    QApplication.sendEvent(canvas, QMouseEvent(kind, QPointF(point), whole, button, held, modifier))


class Hands:
    """Does one thing at a time to a viewer and its dock; the same seed does the same things.

    ``arrived`` counts, for each key of the window, how often it was pressed and how often something was done on it.
    """

    def __init__(self, viewer, phantom, seed):
        self.viewer, self.phantom = viewer, phantom
        self.widget = None
        self.rng = np.random.default_rng(seed)
        self.pressed, self.arrived = collections.Counter(), collections.Counter()
        self._log = os.environ.get("CTVLP_MONKEY_LOG")

    @property
    def window(self):
        return self.viewer.window._qt_window

    def pick(self, things):
        things = list(things)
        picked = things[self.rng.integers(len(things))] if things else None
        self.note(f"    {picked!r}"[:120])
        return picked

    def note(self, text):
        """Write down what is done before it is done, for whoever has to find out what ended the process."""
        if self._log:
            with Path(self._log).open("a") as log:
                print(f"{time.strftime('%X')} {text}", file=log)

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

    def toggle_names(self):
        self.widget.dock.use_names.click()

    def cancel(self):
        self.widget.dock.progress.cancel_requested.emit()

    def load_encoder_anew(self):
        self.widget.dock.encoder.encoder_chosen.emit("starter")

    # -- keys --------------------------------------------------------------------------------------------------

    def press_a_key(self):
        """Any of those that the window has, wherever the focus is, mostly in a canvas."""
        key = self.pick(wanted.key for wanted in self.widget._keys._wanted)
        canvas = self.canvas()
        self.window.activateWindow()
        if canvas is not None and self.chance(0.8):
            canvas.setFocus()
        self.press(self.window, key)

    def press(self, window, key):
        listened = list(self.widget._keys._made)  # a dialog that the key opens gets keys of its own
        for shortcut in listened:
            shortcut.activated.connect(self._on_shortcut)
        combination = QKeySequence(key)[0]
        self._key, self.pressed[key] = key, self.pressed[key] + 1
        QTest.keyClick(window, combination.key(), combination.keyboardModifiers())
        for shortcut in listened:
            shortcut.activated.disconnect(self._on_shortcut)

    def _on_shortcut(self):
        self.arrived[self._key] += 1

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

    def change_theme(self):
        self.viewer.theme = "light" if self.viewer.theme == "dark" else "dark"
