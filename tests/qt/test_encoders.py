"""Encoders in the window: what the picker tells, the user's yes, second opinions, the region."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from qtpy.QtCore import Qt

from napari_ctvlp._qt import encoders as room
from napari_ctvlp._qt.dock import Dock
from napari_ctvlp._qt.encoders import Encoders
from napari_ctvlp._qt.findings_model import DISAGREE_MARK, PROBABILITY
from napari_ctvlp._qt.overlay import Overlay
from napari_ctvlp._qt.runner import ThreadRunner
from napari_ctvlp._qt.undo import Undo
from napari_ctvlp.ask.types import AbnormalityScore
from napari_ctvlp.encoder.contract import Calibration
from napari_ctvlp.encoder.download import DownloadCancelled
from napari_ctvlp.encoder.registry import PLACE, EncoderEntry, RemoteFile
from napari_ctvlp.errors import UserError
from napari_ctvlp.session import Session, run_now
from tests.conftest import WordEncoder

from .conftest import WordRooms, words


class Rooms(WordRooms):
    """An encoder by each name, of which "other" sees cysts where the first sees none."""

    def load_encoder(self, name):
        encoder = WordEncoder()
        encoder.name = name
        object.__setattr__(encoder.card, "name", name)
        return encoder

    def score_abnormalities(self, embedding):
        high = 0.9 if embedding.encoder.card.name == "other" else 0.2
        return [
            AbnormalityScore(o, "cyst", high if o == "liver" else 0.2, 0.1, 0.95, "scored") for o in embedding.organs
        ]


@pytest.fixture
def entries(monkeypatch, tmp_path):
    """Known encoders: two that are here, one to download, one to bring."""
    monkeypatch.setenv(PLACE, str(tmp_path))
    (tmp_path / "here").mkdir()
    common = {"trained_on": "many scans", "summary": "An encoder.", "load": lambda folder, device: None}
    known = {
        e.name: e
        for e in (
            EncoderEntry("starter", "BSD-3-Clause (vision); Apache-2.0 (text)", region="body", **common),
            EncoderEntry("other", "MIT", region="chest", memory="about 4 GB", folder=tmp_path / "here", **common),
            EncoderEntry(
                "far", "CC BY-NC-SA 4.0", region="abdomen", terms="far: for non-commercial use.",
                files=(RemoteFile("org/far", "w.bin", "w.bin", 120.0),), **common,
            ),
            EncoderEntry("own", "unstated", region="chest", supplied=("w.pt",), how="ask them", take=take, **common),
        )
    }  # fmt: skip
    from napari_ctvlp.encoder import install, region

    for module in (room, install, region):
        monkeypatch.setattr(module, "list_entries", lambda: known)
    return known


def take(checkpoint: Path, folder: Path, unpickle: bool) -> None:
    if "bad" in checkpoint.name:
        raise UserError(f"'{checkpoint.name}' holds objects beside its tensors.")
    (folder / "w.pt").write_bytes(b"-")


@pytest.fixture
def made(qtbot, entries, word_encoder):
    """A dock with everything behind it; work runs at once."""
    session = Session(rooms=Rooms(word_encoder))
    dock = Dock(words, Overlay().looks)
    qtbot.addWidget(dock)
    dock.resize(400, 900)
    session.scores_changed.connect(dock.findings.set_scores)
    dock.encoder.encoder_chosen.connect(session.use_encoder)
    session.encoder_changed.connect(lambda e: dock.encoder.set_card(e.card))
    encoders = Encoders(dock, session, run_now, Undo())
    dock.show()
    qtbot.waitExposed(dock)
    yield dock, session, encoders
    encoders.close()


def items(dock) -> list[str]:
    return [dock.encoder.box.itemText(i) for i in range(dock.encoder.box.count())]


def choose(dock, name: str) -> None:
    index = dock.encoder.box.findData(name)
    dock.encoder.box.setCurrentIndex(index)
    dock.encoder.box.activated.emit(index)


def compare_action(dock, name: str):
    return next(a for a in dock.encoder.menu.actions() if a.text().startswith(name))


def test_the_picker_tells_region_licence_size_and_place(made, tmp_path):
    dock, _, _ = made
    assert items(dock) == [
        "starter · any region", "other · chest", "far · abdomen · not installed", "own · chest · not installed",
    ]  # fmt: skip
    assert dock.encoder.badge.text() == "BSD-3-Clause" and dock.encoder.badge.isVisible()
    tip = dock.encoder.box.itemData(2, Qt.ItemDataRole.ToolTipRole)
    for word in ("CC BY-NC-SA 4.0", "many scans", "abdomen", "120 MB", "not installed", str(tmp_path / "far")):
        assert word in tip
    assert "about 4 GB" in dock.encoder.box.itemData(1, Qt.ItemDataRole.ToolTipRole)


def test_one_that_is_installed_answers_at_once(made, phantom):
    dock, session, _ = made
    session.set_scan(*phantom)
    choose(dock, "other")
    assert session.encoder.card.name == "other" and session.embedding is not None


def test_a_chest_model_on_an_abdomen_says_so(made, phantom):
    dock, session, _ = made
    session.set_scan(*phantom)
    assert not dock.encoder.note.isVisible()
    choose(dock, "other")
    assert dock.encoder.note.isVisible() and "chest" in dock.encoder.note.text()
    choose(dock, "starter")
    assert not dock.encoder.note.isVisible()


def test_a_chest_model_that_is_asked_too_says_so(made, phantom):
    dock, session, _ = made
    session.set_scan(*phantom)
    compare_action(dock, "other").trigger()
    assert dock.encoder.note.isVisible() and dock.encoder.note.text().count("other was trained on CT of the chest") == 1
    compare_action(dock, "other").trigger()
    assert not dock.encoder.note.isVisible()


def test_nothing_is_downloaded_before_the_yes(made, monkeypatch, tmp_path):
    dock, session, _ = made
    asked = []

    def fetch(what, *, agreed, progress, cancelled):
        asked.append((what.entry.name, agreed))
        progress(0.5)
        assert dock.encoder.offer.bar.value() == 500 and dock.encoder.offer.cancel.isVisible()
        (tmp_path / "far").mkdir()
        (tmp_path / "far" / "w.bin").write_bytes(b"-")

    monkeypatch.setattr(room, "fetch", fetch)
    choose(dock, "far")
    row = dock.encoder.offer
    assert asked == [] and row.isVisible() and "non-commercial" in row.text.text() and "120 MB" in row.text.text()
    assert session.encoder_name == "starter" and dock.encoder.box.currentData() == "starter"
    row.dismiss.click()
    assert not row.isVisible() and asked == []
    choose(dock, "far")
    row.agree.click()
    assert asked == [("far", True)] and not row.isVisible()
    assert session.encoder_name == "far" and "far · abdomen" in items(dock)


def test_a_download_that_fails_says_why_and_can_be_tried_again(made, monkeypatch):
    dock, session, _ = made

    def fetch(*args, **kwargs):
        raise UserError("The disk is too full for 'w.bin'.")

    monkeypatch.setattr(room, "fetch", fetch)
    choose(dock, "far")
    dock.encoder.offer.agree.click()
    told = dock.encoder.offer.text.text()
    assert "too full" in told and "non-commercial" in told and dock.encoder.offer.agree.isVisible()
    assert session.encoder_name == "starter"


def test_a_download_can_be_stopped(qtbot, entries, word_encoder, monkeypatch):
    runner, session, dock = ThreadRunner(1), Session(rooms=Rooms(word_encoder)), Dock(words, Overlay().looks)
    qtbot.addWidget(dock)
    encoders = Encoders(dock, session, runner, Undo())
    dock.show()
    ended = []

    def fetch(what, *, agreed, progress, cancelled):
        progress(0.25)
        qtbot_wait(cancelled)
        ended.append(True)
        raise DownloadCancelled

    def qtbot_wait(cancelled):
        import time

        for _ in range(500):
            if cancelled():
                return
            time.sleep(0.01)

    monkeypatch.setattr(room, "fetch", fetch)
    encoders.propose("far")
    dock.encoder.offer.agree.click()
    qtbot.waitUntil(lambda: dock.encoder.offer.bar.value() == 250)
    dock.encoder.offer.cancel.click()
    qtbot.waitUntil(lambda: bool(ended))
    told = dock.encoder.offer.text.text()
    assert "goes on from there" in told and "non-commercial" in told and session.encoder_name == "starter"
    encoders.close()
    runner.close()


def test_a_checkpoint_that_only_the_user_has(made, tmp_path):
    dock, session, encoders = made
    choose(dock, "own")
    row = dock.encoder.offer
    assert "ask them" in row.text.text() and row.file.isVisible() and not row.agree.isVisible()
    (tmp_path / "bad.pth").write_bytes(b"-")
    encoders.take_file(str(tmp_path / "bad.pth"))
    assert "objects beside its tensors" in row.text.text() and "ask them" in row.text.text()
    assert row.file.isVisible() and not row.agree.isVisible()  # another file can be chosen at once
    (tmp_path / "mine.pth").write_bytes(b"-")
    encoders.take_file(str(tmp_path / "mine.pth"))
    assert session.encoder_name == "own" and not row.isVisible()


def test_terms_stand_over_every_button_that_agrees_to_them(made, entries, tmp_path):
    """Also where only the file of the user is missing, and after a wrong one."""
    dock, _, encoders = made
    words = RemoteFile("org/words", "v.txt", "v.txt", 0.2)
    entries["own"] = replace(entries["own"], terms="own: not for sale.", files=(words,))
    (tmp_path / "bad.pth").write_bytes(b"-")
    row = dock.encoder.offer
    choose(dock, "own")
    encoders.take_file(str(tmp_path / "bad.pth"))
    assert "not for sale" in row.text.text() and row.agree.isVisible() and row.file.isVisible()
    (tmp_path / "own" / "v.txt").write_bytes(b"-")
    choose(dock, "own")
    assert "not for sale" in row.text.text() and row.file.isVisible() and not row.agree.isVisible()


def test_a_check_that_is_stopped_does_not_talk_of_a_download(qtbot, entries, word_encoder, tmp_path, monkeypatch):
    runner, session, dock = ThreadRunner(1), Session(rooms=Rooms(word_encoder)), Dock(words, Overlay().looks)
    qtbot.addWidget(dock)
    encoders = Encoders(dock, session, runner, Undo())
    dock.show()
    go_on, ended = threading.Event(), []

    def supply(name, path, *, cancelled):
        go_on.wait(20)
        ended.append(cancelled())

    monkeypatch.setattr(room, "supply", supply)
    encoders.propose("own")
    encoders.take_file(str(tmp_path / "mine.pth"))
    dock.encoder.offer.cancel.click()
    assert dock.encoder.offer.text.text().startswith("Stopped; mine.pth was not taken over.")
    assert dock.encoder.offer.file.isVisible()
    go_on.set()
    qtbot.waitUntil(lambda: ended == [True])
    encoders.close()
    runner.close()


def column(dock, number) -> list[str]:
    model = dock.findings.table.model()
    return [model.index(row, number).data() for row in range(model.rowCount())]


def test_scores_of_two_encoders_stand_side_by_side_and_disagreement_is_marked(made, phantom):
    dock, session, _ = made
    session.set_scan(*phantom)
    assert dock.findings.table.model().columnCount() == 3 and not dock.findings.disagreeing.isVisible()
    compare_action(dock, "other").trigger()
    model = dock.findings.table.model()
    assert model.columnCount() == 4 and not dock.encoder.offer.isVisible()
    titles = [model.headerData(i, Qt.Orientation.Horizontal) for i in range(4)]
    assert titles == ["Organ", "Finding", "starter *", "other *"]
    assert sorted(column(dock, PROBABILITY + 1)) == ["0.20", "0.20", "0.20", "0.90"]
    assert [f for f in column(dock, 1) if DISAGREE_MARK in f] == [f"cyst {DISAGREE_MARK}"]
    liver = column(dock, 0).index("liver")
    assert model.index(liver, 0).data(Qt.ItemDataRole.BackgroundRole) is not None
    assert "not calibrated" in model.headerData(3, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
    tip = model.index(liver, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert "other *: 0.90" in tip and "disagree by 0.70" in tip
    dock.findings.disagreeing.setChecked(True)
    assert column(dock, 0) == ["liver"]
    compare_action(dock, "other").trigger()
    assert model.columnCount() == 3 and len(column(dock, 0)) == 4 and not dock.findings.disagreeing.isVisible()


def test_one_alone_that_is_not_calibrated_is_marked(made, phantom, monkeypatch):
    dock, session, _ = made
    session.set_scan(*phantom)
    model, horizontal = dock.findings.table.model(), Qt.Orientation.Horizontal
    assert [model.headerData(i, horizontal) for i in range(3)] == ["Organ", "Finding", "Probability *"]
    assert "not calibrated" in model.headerData(2, horizontal, Qt.ItemDataRole.ToolTipRole)
    assert "not calibrated" in model.index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert model.headerData(0, horizontal, Qt.ItemDataRole.ToolTipRole) is None
    monkeypatch.setattr(WordEncoder, "calibration", Calibration((2.0, 0.0)))
    session.use_encoder("starter")
    assert model.headerData(2, horizontal) == "Probability"
    assert "not calibrated" not in model.index(0, 0).data(Qt.ItemDataRole.ToolTipRole)


def test_the_second_becomes_the_first_when_it_is_chosen(made, phantom):
    dock, session, encoders = made
    session.set_scan(*phantom)
    compare_action(dock, "other").trigger()
    choose(dock, "other")
    assert encoders.others.names == () and dock.findings.table.model().columnCount() == 3
    assert [a.text().split()[0] for a in dock.encoder.menu.actions()] == ["starter"]


def test_no_text_is_cut(made, phantom, qtbot):
    dock, session, _ = made
    session.set_scan(*phantom)
    dock.encoder.fold.click()
    choose(dock, "far")
    compare_action(dock, "other").trigger()
    qtbot.wait(30)
    for label in (dock.encoder.origin, dock.encoder.note, dock.encoder.offer.text):
        assert label.height() >= label.heightForWidth(label.width())


def test_a_label_becomes_lower_again(qtbot):
    from napari_ctvlp._qt.wrapped_label import WrappedLabel

    label = WrappedLabel()
    qtbot.addWidget(label)
    label.show()
    label.resize(80, 50)
    label.setText("many words that take several lines where there is little room for them")
    tall = label.minimumHeight()
    label.resize(900, 50)
    assert label.minimumHeight() < tall / 2


def test_no_choice_is_cut_at_the_width_of_the_dock(made):
    dock, _, _ = made
    box = dock.encoder.box
    room = box.width() - box.height()  # the arrow takes about a square
    for place in range(box.count()):
        assert box.fontMetrics().horizontalAdvance(box.itemText(place)) <= room, box.itemText(place)
