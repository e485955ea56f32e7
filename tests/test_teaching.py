"""Teaching on an open session: examples over several scans, scores beside the dictionary's, files, sessions."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from napari_ctvlp.anatomy.user_dictionary import make_user_dictionary
from napari_ctvlp.ask.taught_file import write_taught
from napari_ctvlp.cli import main
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding
from napari_ctvlp.errors import UserError
from napari_ctvlp.exports import EXPORTS, Results
from napari_ctvlp.queries import Queries
from napari_ctvlp.rooms import Rooms
from napari_ctvlp.saved_session import capture, read_session, restore, write_session
from napari_ctvlp.session import Session
from napari_ctvlp.teaching import forget, mark, refusal, take


class BrightRooms(Rooms):
    """An encoder whose first two numbers follow how bright an organ is; the rest says which organ it is."""

    def __init__(self, encoder) -> None:
        self.encoder = encoder
        encoder.encode_scan = self.encode

    def load_encoder(self, name):
        return self.encoder

    def encode_scan(self, encoder, scan, masks, progress, cancelled):
        return self.encode(scan, masks)

    def encode(self, scan, masks, progress=None, cancelled=None):
        names = tuple(masks.names.values())
        vectors = 0.2 * self.encoder.encode_text([n.replace("_", " ") for n in names])
        turn = np.array([masks.statistics[n].mean_hu for n in names]) / 100
        vectors[:, 0] += np.cos(turn)
        vectors[:, 1] += np.sin(turn)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return ScanEmbedding(names, vectors.astype(np.float32), (OrganStatus.COMPLETE,) * len(names), self.encoder)


def with_hu(phantom, **values):
    """The phantom with organs of other attenuation."""
    from napari_ctvlp.scan.masks import organ_statistics

    scan, masks = phantom
    hu = scan.hu.copy()
    for label, name in masks.names.items():
        if name in values:
            hu[masks.labels == label] = values[name]
    changed = dataclasses.replace(scan, hu=hu)
    return changed, dataclasses.replace(masks, statistics=organ_statistics(changed, masks.labels, masks.names))


@pytest.fixture
def rooms(word_encoder):
    return BrightRooms(word_encoder)


@pytest.fixture
def session(rooms):
    return Session(rooms=rooms)


@pytest.fixture
def taught(session, phantom):
    """Bright kidneys taught on two scans, one side each."""
    session.set_scan(*with_hu(phantom, kidney_left=150, kidney_right=30))
    mark(session, "bright kidney", "kidney_left", True)
    mark(session, "bright kidney", "kidney_right", False)
    session.set_scan(*with_hu(phantom, kidney_left=25, kidney_right=140))
    mark(session, "Bright  Kidney", "kidney_left", False)
    mark(session, "bright kidney", "kidney_right", True)
    return session


def said(session):
    return {s.organ: s.probability for s in session.scores if s.abnormality == "taught:bright kidney"}


def test_from_two_and_two_on_it_is_scored_beside_the_dictionary(taught, phantom):
    (finding,) = taught.taught
    assert (finding.present, finding.absent) == (2, 2) and len({e.scan for e in finding.examples}) == 2
    before = {s.abnormality for s in taught.scores}
    assert "taught:bright kidney" in before and len(before) > 50
    taught.set_scan(*with_hu(phantom, kidney_left=145, kidney_right=20))
    found = said(taught)
    assert set(found) == {"kidney_left", "kidney_right"}
    assert found["kidney_left"] > 0.5 > found["kidney_right"]


def test_before_that_there_is_no_score(session, phantom):
    session.set_scan(*phantom)
    mark(session, "bright kidney", "kidney_left", True)
    assert not said(session) and session.taught[0].present == 1


def test_signals_tell_and_the_old_state_can_be_set_back(taught):
    heard = []
    taught.taught_changed.connect(heard.append)
    before = taught.taught
    forget(taught, before[0])
    assert heard[-1] == () and not said(taught)
    taught.set_taught(before)
    assert heard[-1] == before and said(taught)


def test_a_question_that_names_it_is_answered_by_it_and_anew_when_it_changes(taught):
    taught.ask("bright kidney on the right")
    finding = taught.ranking.finding
    assert (finding.abnormality, finding.organ, finding.status) == ("taught:bright kidney", "kidney_right", "present")
    assert "cross-validated AUC" in taught.ranking.message
    taught.ask("liver")
    queries = Queries(taught)
    taught.ask("liver")
    queries.want(["bright kidney on the right"])
    kept = queries.answer("liver")
    before = taught.taught
    forget(taught, before[0])
    assert queries.answer("bright kidney on the right").finding is None
    assert queries.answer("liver") is kept  # other questions are left alone
    taught.set_taught(before)
    assert queries.answer("bright kidney on the right").finding == finding
    queries.close()
    taught.ask("bright kidney on the right")
    forget(taught, before[0])
    assert taught.ranking.finding is None
    taught.set_taught(before)
    assert taught.ranking.finding == finding


def test_what_cannot_be_marked_is_said(session, phantom):
    with pytest.raises(UserError, match="encoded"):
        mark(session, "x", "liver", True)
    session.set_scan(*phantom)
    for name, organ, says in (("", "liver", "name"), ("x", "heart", "not in the masks")):
        with pytest.raises(UserError, match=says):
            mark(session, name, organ, True)
    assert session.taught == ()


def test_a_file_joins_what_is_known_already(taught, rooms, phantom, tmp_path):
    path = write_taught(tmp_path / "kidneys", taught.taught)
    other = Session(rooms=rooms)
    other.set_scan(*with_hu(phantom, kidney_left=150, kidney_right=20))
    mark(other, "bright kidney", "kidney_left", True)
    take(other, path)
    take(other, path)  # twice is once
    (finding,) = other.taught
    assert (finding.present, finding.absent) == (3, 2) and said(other)["kidney_left"] > 0.5


def test_the_session_file_keeps_it(taught, rooms, tmp_path, phantom):
    scan, masks = taught.scan, taught.masks
    taught.set_scan(dataclasses.replace(scan, source="sample"), masks)
    write_session(tmp_path / "s.ctvlp.json", capture(taught))
    text = (tmp_path / "s.ctvlp.json").read_text()
    assert "bright kidney" in text and "Mustermann" not in text
    saved = read_session(tmp_path / "s.ctvlp.json")
    again = Session(rooms=rooms)
    restore(again, saved)
    assert capture(again).taught == saved.taught and said(again)


def test_a_session_file_with_damaged_teaching_is_said(taught, tmp_path):
    taught.set_scan(dataclasses.replace(taught.scan, source="sample"), taught.masks)
    path = tmp_path / "s.ctvlp.json"
    write_session(path, capture(taught))
    data = json.loads(path.read_text())
    data["taught"][0]["examples"][0]["vector"] = "no"
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match="damaged"):
        read_session(path)


def test_exports_hold_it_with_its_cross_validation(taught, tmp_path):
    for export in EXPORTS[:3]:
        export(tmp_path / "out", Results.of(taught))
    told = json.loads((tmp_path / "out.json").read_text())
    (row,) = told["taught"]
    assert row["abnormality"] == "taught:bright kidney" and row["examples_present"] == 2
    assert 0 <= row["cross_validated_auc"] <= 1 and set(row["organs"]) == {"kidney_left", "kidney_right"}
    assert "taught:bright kidney" in (tmp_path / "out.csv").read_text()
    assert "bright kidney (taught)" in (tmp_path / "out.html").read_text()


# -- the command line, with the real encoder -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample_file(tmp_path_factory):
    """A finding taught on the sample; four of its organs stand for four scans."""
    from napari_ctvlp.ask.teach import EncoderKey, TaughtFinding, example_of
    from napari_ctvlp.commands import embedded
    from napari_ctvlp.sample import load_sample

    embedding = embedded("starter", *load_sample())
    pairs = [("kidney_left", True), ("kidney_right", False), ("spleen", True), ("pancreas", False)]
    examples = [example_of(embedding, organ, present, f"{i:016x}") for i, (organ, present) in enumerate(pairs)]
    finding = TaughtFinding("anything", EncoderKey.of(embedding.encoder.card), tuple(examples))
    return write_taught(tmp_path_factory.mktemp("taught") / "anything", [finding])


def test_score_taught_on_the_command_line(sample_file, tmp_path, capsys):
    files = ["--json", str(tmp_path / "a.json"), "--csv", str(tmp_path / "a.csv")]
    main(["score", "--sample", "--taught", str(sample_file), *files])
    told = json.loads((tmp_path / "a.json").read_text())
    rows = {r["organ"]: r for r in told["abnormalities"] if r["abnormality"] == "taught:anything"}
    assert set(rows) == {"kidney_left", "kidney_right", "spleen", "pancreas"}
    assert rows["kidney_left"]["probability"] > rows["kidney_right"]["probability"]
    main(["score", "--sample", "--taught", str(sample_file), "--ask", "anything", *files])
    (asked,) = json.loads((tmp_path / "a.json").read_text())["queries"]
    assert asked["finding"]["abnormality"] == "taught:anything" and "2 with and 2 without" in asked["message"]
    main(["score", "--sample", "--taught", str(sample_file)])
    assert "taught:anything (2 with and 2 without" in capsys.readouterr().out


def test_another_revision_ends_with_one_sentence(sample_file, tmp_path, capsys):
    data = json.loads(sample_file.read_text())
    data["findings"][0]["encoder"]["revision"] = "older"
    other = tmp_path / "older.json"
    other.write_text(json.dumps(data))
    with pytest.raises(SystemExit) as caught:
        main(["score", "--sample", "--taught", str(other)])
    error = capsys.readouterr().err
    assert caught.value.code == 2 and "older.json: anything was taught with starter (revision older" in error
    assert "Traceback" not in error


def test_an_entry_of_the_dictionary_is_taught_only_where_it_looks(session, phantom):
    session.set_scan(*phantom)
    for name in ("Kidney stone", "kidney stone", " KIDNEY STONE "):
        with pytest.raises(UserError, match="Kidney stone is looked for in right kidney, left kidney, so the liver"):
            mark(session, name, "liver", True)
    mark(session, "kidney stone", "kidney_left", True)
    mark(session, "stone of mine", "liver", True)
    assert [f.name for f in session.taught] == ["kidney stone", "stone of mine"]


def test_where_an_entry_looks_is_as_the_users_dictionary_said_when_it_was_read_last(session, phantom):
    path = make_user_dictionary()
    session.set_scan(*phantom)
    text = path.read_text(encoding="utf-8")
    place = text.index("key: kidney_stone")
    path.write_text(text[:place] + text[place:].replace("organs: [", "organs: [liver, ", 1), encoding="utf-8")
    assert refusal(session, "kidney stone", "liver")  # nobody has read it yet, and this reads no file
    session.dictionary_changed()
    assert not refusal(session, "kidney stone", "liver")
    path.unlink()
    session.dictionary_changed()
    assert refusal(session, "kidney stone", "liver")
