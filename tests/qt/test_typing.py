"""Asking with the keyboard alone, in the real window: answers while one types, and keys that are the window's again."""

from __future__ import annotations

import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QToolButton

from napari_ctvlp._qt.answer_label import NOT_YET

from .windows import add_layers

pytestmark = pytest.mark.usefixtures("qapp")
NONE = Qt.KeyboardModifier.NoModifier


class Hands:
    """Presses keys as the window system does: they go where the focus is, which nobody sets for them."""

    def __init__(self, viewer, widget, qtbot):
        self.viewer, self.widget, self.qtbot = viewer, widget, qtbot
        self.window.activateWindow()
        qtbot.waitUntil(self.window.isActiveWindow)

    def press(self, key, modifier=NONE):
        QTest.keyClick(self.window.windowHandle(), key, modifier)

    def type(self, text, rest=True):
        for letter in text:
            QTest.keyClick(self.window.windowHandle(), letter)
        if rest:
            self.qtbot.waitUntil(lambda: self.widget.session.query == self.line.text().strip())
            self.no_suggestions()

    def no_suggestions(self):
        """The list of suggestions closed, as by a first Escape."""
        if self.line.completer().popup().isVisible():
            self.press(Qt.Key.Key_Escape)
        assert not self.line.completer().popup().isVisible()

    @property
    def window(self):
        return self.viewer.window._qt_window

    @property
    def line(self):
        return self.widget.dock.query

    @property
    def place(self):
        return tuple(self.viewer.dims.current_step)


@pytest.fixture
def hands(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    widget.undo.clear()
    return Hands(viewer, widget, qtbot)


@pytest.fixture
def notifications():
    seen = []
    notification_manager.notification_ready.connect(seen.append)
    yield seen
    notification_manager.notification_ready.disconnect(seen.append)


def alpha(widget, label):
    """How strongly an organ is drawn."""
    widget.overlay.flush()
    return float(widget.layers.masks_layer.colormap.color_dict[label][3])


def test_the_answer_comes_as_one_types_and_nothing_else_does(hands, phantom, notifications):
    widget, spleen = hands.widget, phantom[1].statistics["spleen"]
    place, window, faint = hands.place, widget.window_level.value, alpha(widget, spleen.label)
    hands.type("spleen")
    assert widget.session.ranking.best.organ == "spleen"
    assert widget.dock.ranking.model().index(0, 0).data() == "spleen"
    assert alpha(widget, spleen.label) > faint
    assert hands.place == place and widget.window_level.value == window
    assert widget.session.history == [] and notifications == []
    assert hands.line.hasFocus()
    hands.press(Qt.Key.Key_Return)
    assert hands.place == spleen.centroid_index != place
    assert widget.session.history == ["spleen"]


def test_half_a_word_is_met_calmly_and_a_whole_one_is_told_why(hands, word_rooms, notifications):
    hands.type("ban")
    assert hands.widget.dock.answer.text() == NOT_YET
    hands.type("ana")
    hands.press(Qt.Key.Key_Return)
    assert hands.widget.dock.answer.text() == "Nothing here matches."
    hands.press("/")
    word_rooms.rank_organs = lambda *_: 1 / 0
    hands.type("??")
    assert notifications == [] and hands.widget.session.ranking is None
    hands.press(Qt.Key.Key_Return)
    assert len(notifications) == 1


def test_all_that_was_typed_is_one_step_back_to_where_one_was(hands, phantom):
    undo = hands.widget.undo
    hands.type("spleen")
    hands.press(Qt.Key.Key_Return)
    before = hands.place
    hands.press("/")
    for text in ("l", "iv", "er"):
        hands.type(text)
    hands.press(Qt.Key.Key_Return)
    assert undo.next == "asking “liver”" and hands.place != before
    hands.press("u")
    assert hands.line.text() == hands.widget.session.query == "spleen" and hands.place == before
    assert undo.next == "asking “spleen”"
    hands.press("u")
    assert hands.widget.session.ranking is None and undo.next == ""


def test_after_enter_keys_are_the_windows_and_arrows_choose(hands, phantom, qtbot):
    widget, masks = hands.widget, phantom[1]
    hands.type("kidney left")
    hands.press(Qt.Key.Key_Return)
    hands.press("k")
    assert widget.similarity.wanted and hands.line.text() == "kidney left"
    hands.press("k")
    hands.press(Qt.Key.Key_Down)
    second = widget.session.ranking.organs[1].organ
    assert hands.place == masks.statistics["kidney_left"].centroid_index
    hands.press(Qt.Key.Key_Return)
    assert hands.place == masks.statistics[second].centroid_index


@pytest.mark.parametrize("key", ["/", "Ctrl+F"])
def test_a_key_comes_back_to_the_line_and_typing_replaces_what_is_there(hands, key):
    hands.type("liver")
    hands.press(Qt.Key.Key_Return)
    assert not hands.line.hasFocus()
    if key == "/":
        hands.press("/")
    else:
        hands.press(Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert hands.line.hasFocus() and hands.line.text() == "liver"
    hands.type("spleen")
    assert hands.line.text() == "spleen"
    assert key in hands.line.toolTip()


def test_escape_closes_suggestions_then_puts_back_what_was_asked_then_leaves(hands, qtbot):
    hands.type("spleen")
    hands.press(Qt.Key.Key_Return)
    place = hands.place
    hands.press("/")
    QTest.keyClick(hands.window.windowHandle(), "l")
    qtbot.waitUntil(hands.line.completer().popup().isVisible)
    qtbot.waitUntil(lambda: hands.widget.session.query == "l")
    hands.press(Qt.Key.Key_Escape)
    assert not hands.line.completer().popup().isVisible() and hands.line.text() == "l"
    hands.press(Qt.Key.Key_Escape)
    assert hands.line.text() == "spleen" and hands.line.hasFocus()
    assert hands.widget.session.ranking.best.organ == "spleen"
    assert hands.widget.undo.next == "asking “spleen”" and hands.place == place
    hands.press(Qt.Key.Key_Escape)
    assert not hands.line.hasFocus()
    assert hands.line.text() == "spleen" and hands.widget.session.ranking.best.organ == "spleen"
    assert hands.widget.session.history == ["spleen"]


@pytest.mark.parametrize("way", ["cross", "keys"])
def test_an_answer_is_cleared_by_emptying_the_line_and_comes_back_with_one_step(hands, way, qtbot):
    hands.type("spleen")
    hands.press(Qt.Key.Key_Return)
    if way == "cross":
        qtbot.mouseClick(hands.line.findChild(QToolButton), Qt.MouseButton.LeftButton)
    else:
        hands.press("/")
        hands.press(Qt.Key.Key_Backspace)
    assert hands.widget.session.ranking is None
    if way == "keys":
        hands.press(Qt.Key.Key_Return)
        assert hands.widget.session.asked == ""
        hands.press("u")
    else:
        qtbot.mouseClick(hands.widget.dock.view.undo_button, Qt.MouseButton.LeftButton)
    assert hands.line.text() == "spleen" and hands.widget.session.ranking.best.organ == "spleen"


def test_another_place_in_the_window_keeps_what_is_answered_and_locates_it(hands, qtbot, monkeypatch):
    located = []
    monkeypatch.setattr(hands.widget.session, "map_answer", lambda: located.append(hands.widget.session.query))
    hands.type("spleen")
    located.clear()
    qtbot.mouseClick(hands.widget.dock.findings.filter, Qt.MouseButton.LeftButton)
    assert not hands.line.hasFocus() and hands.widget.session.ranking.best.organ == "spleen"
    assert located == ["spleen"] and hands.line.text() == "spleen"


def test_a_line_left_empty_is_cleared_for_good(hands, qtbot):
    hands.type("spleen")
    hands.press(Qt.Key.Key_Return)
    hands.press("/")
    hands.press(Qt.Key.Key_Backspace)
    qtbot.mouseClick(hands.widget.dock.findings.filter, Qt.MouseButton.LeftButton)
    assert hands.widget.session.asked == "" and not hands.widget.session.is_provisional
    assert hands.widget.undo.next == "clearing the question"


def test_typing_back_to_what_was_asked_is_no_step(hands):
    hands.type("spleen")
    hands.press(Qt.Key.Key_Return)
    hands.press("/")
    hands.press(Qt.Key.Key_End)
    hands.type("s")
    hands.press(Qt.Key.Key_Backspace)
    hands.qtbot.waitUntil(lambda: hands.widget.session.query == "spleen")
    assert not hands.widget.session.is_provisional and hands.widget.undo.next == "asking “spleen”"


def test_a_suggestion_that_is_chosen_is_answered(hands, qtbot):
    QTest.keyClick(hands.window.windowHandle(), "s")
    QTest.keyClick(hands.window.windowHandle(), "p")
    popup = hands.line.completer().popup()
    qtbot.waitUntil(popup.isVisible)
    while hands.line.text() != "spleen":
        hands.press(Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: hands.widget.session.query == "spleen")
    assert hands.widget.session.history == []
    hands.press(Qt.Key.Key_Return)
    assert hands.widget.session.history == ["spleen"] and not popup.isVisible()
    hands.press("k")
    assert hands.widget.similarity.wanted and hands.line.text() == "spleen"


def test_typing_without_a_scan_does_no_harm(window, qtbot, notifications):
    viewer, widget = window
    hands = Hands(viewer, widget, qtbot)
    hands.type("liver")
    hands.press(Qt.Key.Key_Return)
    assert notifications == [] and widget.session.history == ["liver"]
    assert QApplication.focusWidget() is widget.dock.ranking
