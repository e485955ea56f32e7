"""Every kind of file that the window can write."""

from __future__ import annotations

import dataclasses
import json

import nibabel as nib
import numpy as np
import pytest

from napari_ctvlp.ask.locate import SimilarityMap
from napari_ctvlp.errors import UserError
from napari_ctvlp.exports import EXPORTS, Results, write
from napari_ctvlp.opening import open_scan
from napari_ctvlp.queries import Queries
from napari_ctvlp.scan import read_scan
from napari_ctvlp.session import Rooms, Session
from napari_ctvlp.work import run_now
from tests.scan.makers import body, write_scan, write_series


class HeldRunner:
    """Runs work at once, or keeps it to be run later."""

    def __init__(self):
        self.holds, self.kept = False, []

    def __call__(self, work, *, progress, done, failed):
        if self.holds:
            self.kept.append(lambda: run_now(work, progress=progress, done=done, failed=failed))
        else:
            run_now(work, progress=progress, done=done, failed=failed)

    def go_on(self):
        self.holds = False
        while self.kept:
            self.kept.pop(0)()


@pytest.fixture
def runner():
    return HeldRunner()


@pytest.fixture
def session(word_encoder, runner, tmp_path):
    write_series(tmp_path / "study", body())
    rooms = Rooms()
    rooms.load_encoder = lambda name: word_encoder
    session = Session(runner, rooms)
    open_scan(session, tmp_path / "study")
    labels = np.zeros(session.scan.hu.shape, np.uint8)
    labels[6:9, 5:9, 4:12] = 5
    from napari_ctvlp.scan.statistics import organ_statistics
    from napari_ctvlp.scan.types import OrganMasks

    names = {5: "liver"}
    session.set_masks(OrganMasks(labels, names, "made", statistics=organ_statistics(session.scan, labels, names)))
    session.ask("liver")
    values = np.full((3, 4, 8), 255, np.uint8)
    values[0, 0, 0] = 1
    session.located = SimilarityMap("liver", "similarity", ("liver",), values, (6, 5, 4), 1, -0.2, 0.6, ())
    return session


def test_a_map_that_nobody_looked_at_is_made_to_be_written(session, tmp_path, monkeypatch):
    """Where places come from the cache an answer is mapped once somebody wants to see it, and here somebody does."""
    export = next(e for e in EXPORTS if e.needs == "map")
    found, session.located = session.located, None
    assert not export.possible(Results.of(session)), "this encoder has no places"
    object.__setattr__(session.embedding, "dense", object())
    assert export.possible(Results.of(session))
    monkeypatch.setattr("napari_ctvlp.rooms.Rooms.locate", lambda self, embedding, masks, ranking, scan: found)
    written = export(tmp_path / "map", Results.of(session))
    assert np.count_nonzero(nib.load(written).dataobj) == 3 * 4 * 8
    monkeypatch.setattr("napari_ctvlp.rooms.Rooms.locate", lambda *_: None)
    with pytest.raises(UserError, match="too small"):
        export(tmp_path / "other", Results.of(session))


@pytest.mark.parametrize("export", EXPORTS, ids=lambda e: e.title)
def test_each_is_written_under_its_ending(session, tmp_path, export):
    assert export.possible(Results.of(session))
    written = []
    session.written.connect(written.append)
    write(session, lambda: export(tmp_path / "out", Results.of(session)))
    assert written == [f"out{export.suffix}"]
    path = tmp_path / written[0]
    if export.suffix == ".json":
        assert json.loads(path.read_text())["queries"][0]["text"] == "liver"
    elif export.suffix == ".nii.gz":
        image = nib.load(path)
        assert image.shape == (16, 14, 12) and np.count_nonzero(image.dataobj) == 3 * 4 * 8
        if export.needs == "map":
            assert np.unique(image.dataobj)[[1, -1]] == pytest.approx([1 / 255, 1], abs=1e-6)
            assert b"1/255 is -0.2, 1 is 0.6" in image.header["descrip"].tobytes()
    elif export.suffix == ".dcm":
        import highdicom

        assert highdicom.seg.segread(path).get_segment_description(1).segment_label == "liver"
    else:
        assert "liver" in path.read_text(encoding="utf-8")
    write(session, lambda: export(path, Results.of(session)))
    assert written[1] == written[0]  # the ending is not given twice


@pytest.mark.parametrize("export", EXPORTS, ids=lambda e: e.title)
def test_nothing_to_write_is_told(session, tmp_path, export):
    assert not export.possible(Results())
    with pytest.raises(UserError, match="first"):
        export(tmp_path / "out", Results(session.scan))
    failures = []
    session.failed.connect(failures.append)
    write(session, lambda: export(tmp_path / "no" / "out", Results.of(session)))
    assert len(failures) == 1 and "cannot be written" in str(failures[0])


def export_of(suffix):
    return next(export for export in EXPORTS if export.suffix == suffix)


def written(path, session, queries=None):
    return json.loads(export_of(".json")(path, Results.of(session, queries)).read_text(encoding="utf-8"))


def test_all_that_was_asked_is_written(session, tmp_path):
    queries = Queries(session)
    session.ask("spleen")
    queries.pin("spleen")
    session.ask("banana")
    session.ask("where bile is made")
    told = written(tmp_path / "a.json", session, queries)
    # the open question, what is pinned, the rest with the newest first
    assert [q["text"] for q in told["queries"]] == ["where bile is made", "spleen", "banana", "liver"]
    best = session.rooms.rank_organs(session.embedding, "liver", True).best  # asked before there were queries
    assert told["queries"][3]["organs"][0]["score"] == pytest.approx(best.score, abs=1e-4)
    page = export_of(".html")(tmp_path / "a.html", Results.of(session, queries)).read_text(encoding="utf-8")
    assert "where bile is made" in page and "<h3>spleen</h3>" in page  # one page: not the history
    assert "banana" not in page
    session.ask("")
    told = written(tmp_path / "a.json", session, queries)  # taken back: asked all the same
    assert [q["text"] for q in told["queries"]] == ["spleen", "where bile is made", "banana", "liver"]


def test_what_was_asked_of_other_masks_is_answered_about_these(session, tmp_path):
    queries = Queries(session)
    session.ask("spleen")
    masks = session.masks
    session.set_masks(dataclasses.replace(masks, names={5: "spleen"}, statistics={}))
    assert queries.answer("liver") is None
    told = written(tmp_path / "a.json", session, queries)
    best = [(query["text"], query["organs"][0]["organ"]) for query in told["queries"]]
    assert best == [("spleen", "spleen"), ("liver", "spleen")]


def test_whether_names_counted_is_told(session, tmp_path):
    queries = Queries(session)
    session.ask("hepatic tissue")
    counted = written(tmp_path / "a.json", session, queries)
    session.set_use_names(False)
    by_sight = written(tmp_path / "a.json", session, queries)
    assert counted["provenance"]["use_names"] is True and by_sight["provenance"]["use_names"] is False
    for query in by_sight["queries"]:  # also those asked while names counted
        assert all(organ["score"] == organ["visual"] for organ in query["organs"])
    assert counted["queries"] != by_sight["queries"]
    same = {key: value for key, value in counted["provenance"].items() if key != "use_names"}
    assert by_sight["provenance"] == {**same, "use_names": False}
    assert "do not count" in export_of(".html")(tmp_path / "a.html", Results.of(session)).read_text(encoding="utf-8")


@pytest.mark.parametrize("suffix", [".json", ".html", ".csv"])
def test_nothing_is_written_while_scores_are_being_made(session, runner, tmp_path, suffix):
    export = export_of(suffix)
    runner.holds = True
    session.set_taught(())  # scores again
    assert "being made" in export.lacks(Results.of(session))
    with pytest.raises(UserError, match="needs the scores first"):
        export(tmp_path / "out", Results.of(session))
    assert not list(tmp_path.glob("out*"))
    runner.go_on()
    assert session.scores and export.possible(Results.of(session))


def test_masks_as_dicom_need_a_scan_that_is(session, tmp_path):
    export = export_of(".dcm")
    other = read_scan(write_scan(tmp_path / "ct.nii.gz", body()))
    results = dataclasses.replace(Results.of(session), scan=other)
    assert export.lacks(results) == "the scan was not read from DICOM files"
    assert export.possible(dataclasses.replace(results, scan=dataclasses.replace(other, source=session.scan.source)))
