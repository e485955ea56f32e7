"""An answer that is at hand comes before the scan is drawn in the side views."""

from __future__ import annotations

import time

import pytest

from napari_ctvlp._qt import first_answer
from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp._qt.runner import ThreadRunner
from napari_ctvlp.session import Session

from .windows import add_layers


@pytest.fixture
def threaded(make_napari_viewer, word_rooms, qtbot):
    """A viewer with dock and side views, whose answers come from threads."""
    viewer = make_napari_viewer(show=True)
    runner = ThreadRunner()
    widget = CtvlpWidget(viewer, Session(runner, word_rooms))
    widget.on_close(runner.close)
    viewer.window.add_dock_widget(widget, name="CT query", area="right")
    widget.views.set_shown(True)
    qtbot.waitUntil(lambda: widget.session.encoder is not None and widget.session.activity is None)
    yield viewer, widget
    widget.close_down()
    qtbot.wait(1)


def shown_when_answered(widget):
    """How many layers the side views have when the answer comes, and when the scores do."""
    counts = []

    def note(answer):
        if answer is not None:
            counts.append(max(len(view.layers) for view in widget.views.views))

    widget.session.ranking_changed.connect(note)
    widget.session.scores_changed.connect(lambda scores: note(scores or None))
    return counts


def test_the_answer_comes_first(threaded, phantom, monkeypatch, qtbot):
    monkeypatch.setattr(first_answer, "PATIENCE_S", 60.0)
    viewer, widget = threaded
    rooms = widget.session.rooms
    score = rooms.scores
    monkeypatch.setattr(rooms, "scores", lambda *given: (time.sleep(0.5), score(*given))[1])
    widget.ask("liver")
    counts = shown_when_answered(widget)
    add_layers(viewer, *phantom)
    qtbot.waitUntil(lambda: len(counts) == 2)
    assert counts == [0, 0]
    qtbot.waitUntil(lambda: all(len(view.layers) == 2 for view in widget.views.views))


def test_an_answer_that_takes_its_time_is_not_waited_for(threaded, phantom, monkeypatch, qtbot):
    monkeypatch.setattr(first_answer, "PATIENCE_S", 0.0)
    viewer, widget = threaded
    widget.ask("liver")
    monkeypatch.setattr(type(widget.session), "activity", property(lambda self: object()))
    add_layers(viewer, *phantom)
    qtbot.waitUntil(lambda: all(len(view.layers) == 2 for view in widget.views.views))


def test_without_a_question_nothing_is_waited_for(threaded, phantom, monkeypatch, qtbot):
    monkeypatch.setattr(first_answer, "PATIENCE_S", 60.0)
    viewer, widget = threaded
    add_layers(viewer, *phantom)
    assert not widget.views.filling.hold()
    qtbot.waitUntil(lambda: all(len(view.layers) == 2 for view in widget.views.views))
