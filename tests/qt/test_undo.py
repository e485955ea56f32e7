"""What one key takes back."""

from __future__ import annotations

from napari_ctvlp._qt.undo import DEPTH, Series, Undo


def test_steps_are_taken_back_newest_first():
    undo, done = Undo(), []
    undo.push("one", lambda: done.append(1))
    undo.push("two", lambda: done.append(2))
    assert undo.next == "two"
    undo.undo()
    undo.undo()
    undo.undo()  # nothing left
    assert done == [2, 1]
    assert undo.next == ""


def test_a_series_is_one_step_back_to_its_beginning():
    undo, done = Undo(), []
    for value in range(3):
        undo.push("drag", lambda value=value: done.append(value), series="drag 1")
    undo.push("drag", lambda: done.append("second"), series="drag 2")
    undo.undo()
    undo.undo()
    assert done == ["second", 0]


def test_a_series_is_called_as_the_last_of_it_and_can_be_withdrawn():
    undo, done = Undo(), []
    undo.push("other", lambda: done.append("other"))
    undo.push("asking a", lambda: done.append("before a"), series="typing")
    undo.push("asking ab", lambda: done.append("a"), series="typing")
    assert undo.next == "asking ab"
    undo.withdraw("typing")
    undo.withdraw("typing")  # what comes before is none of it
    assert undo.next == "other" and done == []


def test_taking_back_is_no_step_itself():
    undo, told = Undo(), []
    undo.push("one", lambda: undo.push("again", lambda: None))
    undo.changed.connect(told.append)
    undo.undo()
    assert undo.next == ""
    assert told == [""]


def test_old_steps_are_forgotten():
    undo, done = Undo(), []
    for value in range(2 * DEPTH):
        undo.push("step", lambda value=value: done.append(value))
    while undo.next:
        undo.undo()
    assert len(done) == DEPTH
    assert done[-1] == DEPTH


def test_what_happens_while_paused_is_no_step():
    undo = Undo()
    with undo.paused():
        undo.push("how it begins", lambda: None)
    assert undo.next == ""
    undo.push("one", lambda: None)
    assert undo.next == "one"


def test_a_pause_ends_a_series(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("napari_ctvlp._qt.undo.time.monotonic", lambda: now[0])
    series, names = Series("moving"), []
    for after in (0.0, 0.5, 0.5, 60.0):
        now[0] += after
        names.append(series.next())
    series.end()
    names.append(series.next())
    assert names[0] == names[1] == names[2] and len(set(names)) == 3
