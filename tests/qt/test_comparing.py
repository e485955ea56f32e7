"""Encoders asked beside the chosen one: ticks that are taken back, and what is not scored yet."""

from __future__ import annotations

from dataclasses import replace

from napari_ctvlp._qt.findings_model import PROBABILITY
from napari_ctvlp.errors import UserError

from .test_encoders import column, compare_action, entries, made  # noqa: F401  (fixtures)


def ticked(dock) -> list[str]:
    return [action.text().split()[0] for action in dock.encoder.menu.actions() if action.isChecked()]


def test_a_tick_of_the_comparison_is_taken_back_with_one_key(made, entries, phantom):  # noqa: F811
    dock, session, encoders = made
    undo = encoders._undo
    entries["far"] = replace(entries["other"], name="far")
    encoders.refresh()
    session.set_scan(*phantom)
    for name in ("far", "other"):
        compare_action(dock, name).trigger()
    assert undo.next == "comparing with other" and encoders.others.names == ("far", "other")
    compare_action(dock, "far").trigger()
    assert undo.next == "no longer comparing with far" and encoders.others.names == ("other",)
    undo.undo()
    assert [opinion.encoder for opinion in encoders.others.opinions] == ["far", "other"], "in the order as before"
    assert sorted(ticked(dock)) == ["far", "other"]
    for _ in range(2):
        undo.undo()
    assert not ticked(dock) and not encoders.others.names and not undo.next
    assert not dock.encoder.note.isVisible()


def test_an_encoder_that_could_not_be_asked_leaves_no_step(made, phantom, monkeypatch):  # noqa: F811
    dock, session, encoders = made
    session.set_scan(*phantom)

    def fail(name):
        raise UserError("It is damaged.")

    monkeypatch.setattr(session.rooms, "load_encoder", fail)
    compare_action(dock, "other").trigger()
    assert not ticked(dock) and not encoders._undo.next


def test_what_is_still_being_scored_is_not_called_unknown(made, phantom):  # noqa: F811
    dock, session, encoders = made
    session.set_scan(*phantom)
    compare_action(dock, "other").trigger()
    waiting = []

    def later(work, *, progress, done, failed):
        waiting.append((work, progress, done))

    session._bench._runner = later
    session.use_encoder("starter")
    for _ in ("encoder", "embedding"):
        work, progress, done = waiting.pop()
        done(work(progress))
    assert session.embedding is not None and encoders.others.opinions
    encoders.others.changed.emit(encoders.others.opinions)  # as when one more is ready
    assert dock.findings._model.rowCount() == 0
    work, progress, done = waiting.pop()
    done(work(progress))
    assert dock.findings._model.rowCount() and "unknown" not in str(column(dock, PROBABILITY))
