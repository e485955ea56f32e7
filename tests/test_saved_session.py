"""A session saved and restored: the same scan, masks and answer, or a sentence that says what is different."""

from __future__ import annotations

import dataclasses
import gzip
import json
import shutil

import numpy as np
import pytest

from napari_ctvlp import sample
from napari_ctvlp.errors import UserError
from napari_ctvlp.folders import cache_folder
from napari_ctvlp.opening import open_paths, open_sample, open_scan
from napari_ctvlp.saved_session import SAMPLE, SavedView, capture, read_session, restore, save, write_session
from napari_ctvlp.saved_view import SavedLook, SavedSide, view_from_json
from napari_ctvlp.scan.drawn import edited_masks, renamed
from napari_ctvlp.scan.types import OrganMasks
from napari_ctvlp.session import Rooms, Session
from tests.scan.makers import body, write_scan, write_series

VIEW = SavedView(
    (1.0, 2.5, -3.0),
    (1, 0, 2),
    3,
    3.25,
    (0.0, 4.0, 5.0),
    (-160.0, 240.0),
    0.4,
    angles=(0.0, 30.0, 90.0),
    side_views=True,
    body=False,
    map=True,
    organs=False,
    automatic_window=False,
    looks=(SavedLook("liver", (0.5, 0.25, 1.0), 0.75, visible=False),),
    solo=("spleen", "liver"),
    sides=(SavedSide("coronal", 120.5, (3.0, -4.0)),),
)


@pytest.fixture
def rooms(word_encoder):
    made = Rooms()
    made.load_encoder = lambda name: word_encoder
    return made


@pytest.fixture
def files(tmp_path):
    labels = np.zeros((12, 14, 16), np.uint8)
    labels[6:9, 5:9, 4:12] = 5
    labels[2:4, 2:5, 2:5] = 1
    return write_scan(tmp_path / "ct.nii.gz", body()), write_scan(tmp_path / "seg.nii.gz", labels)


@pytest.fixture
def session(rooms, files):
    made = Session(rooms=rooms)
    open_paths(made, files)
    made.ask("spleen")
    made.ask("liver")
    made.set_use_names(False)
    return made


def again(rooms, saved, folder=None):
    """A new session, restored; what failed on the way, and how often ``then`` was called."""
    session, failures, done = Session(rooms=rooms), [], []
    session.failed.connect(failures.append)
    restore(session, saved, lambda: done.append(True), folder)
    return session, [str(f) for f in failures], len(done)


def test_everything_comes_back(session, rooms, tmp_path):
    write_session(tmp_path / "s.ctvlp.json", capture(session, VIEW))
    saved = read_session(tmp_path / "s.ctvlp.json")
    restored, failures, done = again(rooms, saved)
    assert not failures and done == 1
    np.testing.assert_array_equal(restored.scan.hu, session.scan.hu)
    np.testing.assert_array_equal(restored.masks.labels, session.masks.labels)
    assert restored.ranking == session.ranking and restored.scores == session.scores
    assert restored.history == ["spleen", "liver"] and restored.use_names is False
    assert saved.view == VIEW and saved.encoder_revision == "test"
    assert capture(restored, VIEW) == saved


def painted(session):
    """A new lesion in the masks, as `Painting` would set it."""
    labels = session.masks.labels.copy()
    labels[6:8, 6:8, 5:7] = 200
    session.set_masks(edited_masks(session.scan, session.masks, labels, {200: "my lesion"}))
    return session.masks


def test_painted_masks_are_kept_beside_and_come_back_as_they_were(session, rooms, tmp_path):
    path = tmp_path / "one.ctvlp.json"
    masks = painted(session)
    save(path, session, VIEW)
    (kept,) = tmp_path.glob("*.masks.nii.gz")
    saved = read_session(path)
    assert saved.drawn == kept.name and not saved.masks
    restored, failures, done = again(rooms, saved, tmp_path)
    assert not failures and done == 1
    np.testing.assert_array_equal(restored.masks.labels, masks.labels)
    assert restored.masks.names == masks.names and restored.masks.names[200] == "my lesion"
    assert (restored.masks.scheme, restored.masks.notes) == (masks.scheme, masks.notes)
    assert restored.masks.statistics == masks.statistics
    assert restored.ranking == session.ranking and restored.scores == session.scores
    save(tmp_path / "two.ctvlp.json", restored, VIEW)  # not from that file: they are kept for each session
    assert len(list(tmp_path.glob("*.masks.nii.gz"))) == 2


def test_masks_read_from_a_file_are_not_kept_again_unless_named_by_hand(session, rooms, tmp_path):
    save(tmp_path / "s.ctvlp.json", session)
    assert not list(tmp_path.glob("*.masks.nii.gz"))
    session.set_masks(renamed(session.masks, {5: "pancreas"}))
    save(tmp_path / "s.ctvlp.json", session)
    restored, failures, _ = again(rooms, read_session(tmp_path / "s.ctvlp.json"), tmp_path)
    assert not failures and restored.masks.names == session.masks.names and "pancreas" in restored.masks.statistics


def test_the_sample_is_kept_only_when_painted(rooms, tmp_path):
    session = Session(rooms=rooms)
    open_sample(session)
    save(tmp_path / "s.ctvlp.json", session)
    assert not list(tmp_path.glob("*.masks.nii.gz"))
    masks = painted(session)
    save(tmp_path / "s.ctvlp.json", session)
    restored, failures, _ = again(rooms, read_session(tmp_path / "s.ctvlp.json"), tmp_path)
    assert not failures and (restored.masks.labels == masks.labels).all()


def test_saving_again_keeps_one_file_of_masks_and_never_that_of_a_copy(session, tmp_path):
    path = tmp_path / "s.ctvlp.json"
    painted(session)
    save(path, session)
    first = read_session(path).drawn
    session.set_masks(renamed(session.masks, {200: "another lesion"}))
    save(path, session)
    second = read_session(path).drawn
    assert [p.name for p in tmp_path.glob("*.masks.nii.gz")] == [second] != [first]
    (tmp_path / "copy.ctvlp.json").write_text(path.read_text())
    session.set_masks(renamed(session.masks, {200: "a third one"}))
    save(path, session)
    assert (tmp_path / second).is_file() and (tmp_path / read_session(path).drawn).is_file()


def test_kept_masks_that_are_gone_or_lie_elsewhere_are_told(session, rooms, tmp_path):
    painted(session)
    save(tmp_path / "s.ctvlp.json", session)
    saved = read_session(tmp_path / "s.ctvlp.json")
    (tmp_path / saved.drawn).rename(tmp_path / "x.masks.nii.gz")
    (tmp_path / "inner").mkdir()
    for name, folder in ((saved.drawn, tmp_path), ("../x.masks.nii.gz", tmp_path / "inner")):
        restored, failures, done = again(rooms, dataclasses.replace(saved, drawn=name), folder)
        assert restored.scan is not None and restored.masks is None and not done
        assert "not beside it any more" in failures[0]


def test_kept_masks_tell_nothing_of_the_patient(rooms, tmp_path):
    write_series(tmp_path / "study", body())
    session = Session(rooms=rooms)
    open_scan(session, tmp_path / "study")
    labels = np.zeros(session.scan.hu.shape, np.uint8)
    labels[6:9, 5:9, 4:12] = 5
    session.set_masks(edited_masks(session.scan, OrganMasks(labels, {}, "drawn"), labels, {5: "liver"}))
    save(tmp_path / "s.ctvlp.json", session)
    (kept,) = tmp_path.glob("*.masks.nii.gz")
    told = gzip.decompress(kept.read_bytes()) + (tmp_path / "s.ctvlp.json").read_bytes()
    assert b"liver" in told
    for private in (b"Mustermann", b"PID4711", b"19700101", b"20200101"):
        assert private not in told and private.decode() not in kept.name
    restored, failures, _ = again(rooms, read_session(tmp_path / "s.ctvlp.json"), tmp_path)
    assert not failures and (restored.masks.labels == labels).all()


def test_masks_made_by_the_button_are_kept_beside_because_the_cache_is_not_theirs_to_stay(session, rooms, tmp_path):
    in_cache = cache_folder("masks") / "0123-total.nii.gz"
    in_cache.parent.mkdir(parents=True)
    in_cache.write_bytes((tmp_path / "seg.nii.gz").read_bytes())
    masks = dataclasses.replace(session.masks, scheme="TotalSegmentator, made here", source=str(in_cache))
    session.set_masks(masks)
    save(tmp_path / "s.ctvlp.json", session)
    shutil.rmtree(cache_folder("masks"))
    restored, failures, done = again(rooms, read_session(tmp_path / "s.ctvlp.json"), tmp_path)
    assert not failures and done == 1
    np.testing.assert_array_equal(restored.masks.labels, masks.labels)
    assert restored.masks.scheme == "TotalSegmentator, made here"


@pytest.mark.parametrize("place", [".", "sessions"])
def test_a_moved_folder_is_found_with_its_session(session, rooms, files, tmp_path, place):
    (tmp_path / "a" / place).mkdir(parents=True)
    for file in files:
        file.rename(tmp_path / "a" / file.name)
    open_paths(session, [tmp_path / "a" / file.name for file in files])
    save(tmp_path / "a" / place / "s.ctvlp.json", session)
    (tmp_path / "a").rename(tmp_path / "b")
    path = tmp_path / "b" / place / "s.ctvlp.json"
    restored, failures, done = again(rooms, read_session(path), path.parent)
    assert not failures and done == 1 and restored.ranking == session.ranking
    assert restored.scan.source == str((tmp_path / "b/ct.nii.gz").resolve())


@pytest.mark.parametrize("loaded_before", [True, False])
def test_another_version_of_the_encoder_is_told(session, rooms, loaded_before):
    saved = dataclasses.replace(capture(session), encoder_revision="before")
    restored, failures = Session(rooms=rooms), []
    restored.failed.connect(lambda error: failures.append(str(error)))
    if loaded_before:
        restored.load_encoder()
    restore(restored, saved)
    assert len(failures) == 1 and "another version of this encoder answers now" in failures[0]
    restored.use_encoder("starter")
    assert len(failures) == 1, "once is enough"


def test_views_of_older_files_are_read(session, tmp_path):
    write_session(tmp_path / "s.json", capture(session, VIEW))
    data = json.loads((tmp_path / "s.json").read_text())
    new = ("angles", "side_views", "body", "map", "organs", "automatic_window", "looks", "solo", "sides")
    data["view"] = {name: value for name, value in data["view"].items() if name not in new}
    (tmp_path / "s.json").write_text(json.dumps(data))
    view = read_session(tmp_path / "s.json").view
    assert view.point == VIEW.point and view.side_views is None and view.looks == ()
    assert view_from_json({}) == SavedView()


@pytest.mark.parametrize("span", [0.0, -3.0, float("nan"), float("inf")])
def test_a_side_view_of_no_size_is_refused(span):
    with pytest.raises(ValueError, match="no place"):
        view_from_json({"sides": [{"name": "coronal", "span": span, "centre": [1.0, 2.0]}]})


def test_no_voxel_and_no_patient_in_the_file(rooms, tmp_path):
    write_series(tmp_path / "study", body())
    session = Session(rooms=rooms)
    open_scan(session, tmp_path / "study")
    write_session(tmp_path / "s.json", capture(session))
    text = (tmp_path / "s.json").read_text()
    for private in ("Mustermann", "PID4711", "19700101", "20200101", "1.2.3"):
        assert private not in text
    assert len(text) < 2000


def test_the_series_of_a_folder_is_found_again(rooms, tmp_path):
    write_series(tmp_path / "study/a", body(), SeriesInstanceUID="1.2.9", SeriesNumber=1)
    write_series(tmp_path / "study/b", body()[:, :-2], SeriesInstanceUID="1.2.8", SeriesNumber=2)
    session = Session(rooms=rooms)
    open_scan(session, tmp_path / "study", "2")
    saved = capture(session)
    assert saved.series == "2"
    restored, failures, _ = again(rooms, saved)
    assert restored.scan.hu.shape == (12, 12, 16) and not failures


def test_the_sample_comes_back(rooms):
    assert sample.SOURCE == SAMPLE
    session = Session(rooms=rooms)
    open_sample(session)
    session.ask("liver")
    restored, failures, done = again(rooms, capture(session))
    assert restored.ranking == session.ranking and not failures and done == 1


@pytest.mark.parametrize("which", ["scan", "masks"])
def test_a_file_that_has_changed_is_told(session, rooms, files, which):
    saved = capture(session)
    if which == "scan":
        write_scan(files[0], body(seed=1))
    else:
        labels = np.zeros((12, 14, 16), np.uint8)
        labels[6:9, 5:9, 4:12] = 5
        write_scan(files[1], labels)
    restored, failures, done = again(rooms, saved)
    assert len(failures) == 1 and "changed since the session was saved" in failures[0] and done == 1
    assert restored.ranking is not None


def test_a_file_that_is_gone_is_told(session, rooms, files):
    saved = capture(session)
    files[1].unlink()
    restored, failures, done = again(rooms, saved)
    assert restored.scan is not None and restored.masks is None and done == 0
    assert failures == ["seg.nii.gz: there is no such file or folder."]


def test_masks_from_no_file_are_told(session, rooms, phantom):
    session.set_masks(None)
    session.set_masks(type(phantom[1])(np.ones_like(session.scan.hu, np.uint8), {1: "liver"}, "drawn"))
    _, failures, _ = again(rooms, capture(session))
    assert "came from no file" in failures[0]


def test_what_cannot_be_saved_is_told(rooms, phantom):
    with pytest.raises(UserError, match="no open scan"):
        capture(Session(rooms=rooms))
    session = Session(rooms=rooms)
    session.set_scan(phantom[0])
    with pytest.raises(UserError, match="not read from a file"):
        capture(session)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "not JSON"),
        ("[]", "no saved session"),
        ("{}", "no saved session"),
        ('{"format": 99}', "format 99"),
        ('{"format": 1, "scan": 7}', "damaged"),
        ('{"format": 1, "use_names": "yes"}', "damaged"),
        ('{"format": 1, "history": 3}', "damaged"),
        ('{"format": 1, "view": {"point": ["x"]}}', "damaged"),
        ('{"format": 1, "view": {"window": [1]}}', "damaged"),
        ('{"format": 1, "view": {"map": "yes"}}', "damaged"),
        ('{"format": 1, "view": {"looks": [{"organ": "liver"}]}}', "damaged"),
        ('{"format": 1, "view": {"looks": ["liver"]}}', "damaged"),
        ('{"format": 1, "view": [1]}', "damaged"),
    ],
)
def test_a_bad_file_is_told_in_a_sentence(tmp_path, text, words):
    (tmp_path / "s.ctvlp.json").write_text(text)
    with pytest.raises(UserError, match=rf"^s\.ctvlp\.json: .*{words}"):
        read_session(tmp_path / "s.ctvlp.json")


def test_fields_of_later_versions_are_left_out(session, tmp_path):
    write_session(tmp_path / "s.json", saved := capture(session))
    data = json.loads((tmp_path / "s.json").read_text())
    (tmp_path / "s.json").write_text(json.dumps({**data, "something_new": [1, 2]}))
    assert read_session(tmp_path / "s.json") == saved
    with pytest.raises(UserError, match=r"^gone\.json cannot be read"):
        read_session(tmp_path / "gone.json")
