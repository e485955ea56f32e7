"""The session without Qt: what follows from what, what is dropped, what is forgotten."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from napari_ctvlp.ask.types import AbnormalityScore, OrganMatch, Ranking
from napari_ctvlp.encoder.contract import EncodingCancelled
from napari_ctvlp.errors import UserError
from napari_ctvlp.opening import make_masks, open_choice, open_masks, open_paths, open_scan
from napari_ctvlp.rooms import Rooms
from napari_ctvlp.scan.types import OrganMasks
from napari_ctvlp.session import HISTORY_LENGTH, Session
from napari_ctvlp.work import Task


class ToyRooms(Rooms):
    """Answers by similarity of words alone; remembers what it was asked for."""

    def __init__(self, encoder, scan=None, masks=None):
        self.encoder, self.scan, self.masks = encoder, scan, masks
        self.loaded, self.asked = [], []
        self.series = ()

    def list_series(self, folder):
        return self.series

    def read_scan(self, path, series=None):
        if self.scan is None:
            raise UserError("scan.nii: is empty; get it again.")
        return self.scan

    def read_masks(self, path, scan):
        if self.masks is None:
            raise UserError("masks.nii: does not overlap the scan.")
        return self.masks

    def load_sample(self):
        return self.scan, self.masks

    def load_encoder(self, name):
        self.loaded.append(name)
        return self.encoder

    def rank_organs(self, embedding, text, use_names, masks=None, taught=(), scan=None):
        self.asked.append((text, use_names))
        self.given = (masks, taught)
        scores = embedding.vectors @ embedding.encoder.encode_text([text])[0]
        organs = tuple(OrganMatch(embedding.organs[i], float(scores[i]), 0.0, 0.0) for i in np.argsort(-scores))
        return Ranking(text, True, "", organs)

    def score_abnormalities(self, embedding):
        return [AbnormalityScore(organ, "cyst", 0.5, 0.4, 0.6, "scored") for organ in embedding.organs]


class Queue:
    """A runner whose work is done when the test says so, in the order it says."""

    def __init__(self):
        self.jobs = []

    def __call__(self, work, *, progress, done, failed):
        self.jobs.append((work, progress, done, failed))

    def run(self, place=0):
        work, progress, done, failed = self.jobs.pop(place)
        try:
            result = work(progress)
        except Exception as error:
            failed(error)
        else:
            done(result)

    def run_all(self):
        while self.jobs:
            self.run()


@pytest.fixture
def rooms(word_encoder, phantom):
    return ToyRooms(word_encoder, *phantom)


@pytest.fixture
def queue():
    return Queue()


def collect(signal):
    values = []
    signal.connect(values.append)
    return values


def other_masks(masks: OrganMasks) -> OrganMasks:
    return OrganMasks(masks.labels, {5: "liver"}, "other", statistics=masks.statistics)


def test_scan_masks_and_question_give_ranking_and_scores(rooms, phantom):
    session = Session(rooms=rooms)
    session.set_scan(*phantom)
    session.ask("left kidney")
    assert session.ranking.best.organ == "kidney_left"
    assert {score.organ for score in session.scores} == set(phantom[1].names.values())
    assert rooms.loaded == ["starter"]
    assert rooms.given == (phantom[1], ())  # what the masks tell of the scan counts in the answer
    assert session.activity is None


def test_question_before_the_scan_is_answered_once_it_is_encoded(rooms, phantom):
    session = Session(rooms=rooms)
    session.ask("spleen")
    assert session.ranking is None
    session.set_scan(*phantom)
    assert session.ranking.best.organ == "spleen"


def test_newest_question_wins(rooms, phantom, queue):
    session = Session(queue, rooms)
    session.set_scan(*phantom)
    queue.run_all()
    answers = collect(session.ranking_changed)
    session.ask("liver")
    session.ask("spleen")
    queue.run(1)  # the answer to the newer question comes first
    queue.run(0)  # and the older one late
    assert [answer.text for answer in answers] == ["spleen"]
    assert session.ranking.text == "spleen"


def test_encoding_of_another_scan_is_dropped_when_late(rooms, phantom, queue):
    session = Session(queue, rooms)
    scan, masks = phantom
    session.set_scan(scan, masks)
    queue.run()  # encoder
    late = other_masks(masks)
    session.set_masks(late)
    embeddings = collect(session.embedding_changed)
    queue.run(1)  # the newer encoding first
    queue.run(0)
    assert [embedding.organs for embedding in embeddings] == [("liver",)]
    assert session.embedding.organs == ("liver",)


def test_removed_scan_leaves_no_answer(rooms, phantom, queue):
    session = Session(queue, rooms)
    session.set_scan(*phantom)
    queue.run()
    session.ask("liver")
    session.set_scan(None)
    queue.run_all()
    assert session.embedding is None
    assert session.ranking is None
    assert session.scores == ()
    assert session.activity is None


def test_masks_are_told_to_be_gone_where_the_next_scan_has_none(rooms, phantom, queue):
    session = Session(queue, rooms)
    scan, masks = phantom
    session.set_scan(scan, masks)
    told = collect(session.masks_changed)
    session.set_scan(dataclasses.replace(scan))
    assert told == [None]


def test_whoever_listens_hears_of_the_newest_masks_last(rooms, phantom):
    scan, masks = phantom
    others = dataclasses.replace(masks)
    session = Session(rooms=rooms)
    heard = []
    session.masks_changed.connect(lambda told: session.set_masks(others) if told is masks else None)
    session.masks_changed.connect(heard.append)
    session.set_scan(scan, masks)
    assert session.masks is others and heard[-1] is others


def test_work_is_told_to_stop_and_stays_silent(rooms, phantom, queue):
    session = Session(queue, rooms)
    failures = collect(session.failed)
    stops = []

    class Slow:
        card, encode_text = rooms.encoder.card, rooms.encoder.encode_text

        def encode_scan(self, scan, masks, *, progress, cancelled):
            stops.append(cancelled())
            if cancelled():
                raise EncodingCancelled
            raise AssertionError("was not told")

    rooms.encoder = Slow()
    session.set_scan(*phantom)
    queue.run()
    session.cancel()
    assert session.activity is None
    queue.run_all()
    assert stops == [True]
    assert failures == []


def test_cancelled_encoding_starts_again_when_asked(rooms, phantom, queue):
    session = Session(queue, rooms)
    session.set_scan(*phantom)
    queue.run()
    session.cancel()
    session.ask("liver")
    queue.run_all()
    assert session.ranking.best.organ == "liver"


def test_progress_is_told(rooms, phantom, queue):
    session = Session(queue, rooms)
    session.set_scan(*phantom)
    queue.run()
    activities = collect(session.activity_changed)
    queue.run()
    assert activities[0].task is Task.ENCODING
    assert activities[0].fraction == 1.0


def test_masks_that_cannot_be_read_are_told_and_the_scan_stays(rooms, phantom):
    session = Session(rooms=rooms)
    session.set_scan(phantom[0])
    failures = collect(session.failed)
    rooms.masks = None
    open_masks(session, "masks.nii")
    assert [str(error) for error in failures] == ["masks.nii: does not overlap the scan."]
    assert session.scan is phantom[0]


def test_masks_without_a_scan_are_told(rooms):
    session = Session(rooms=rooms)
    failures = collect(session.failed)
    open_masks(session, "folder/masks.nii")
    assert len(failures) == 1
    assert "open the scan first" in str(failures[0])
    assert "folder" not in str(failures[0])


def test_masks_read_for_another_scan_are_dropped(rooms, phantom, queue):
    session = Session(queue, rooms)
    session.set_scan(phantom[0])
    open_masks(session, "masks.nii")
    session.set_scan(None)
    queue.run_all()
    assert session.masks is None


def test_several_series_are_offered(rooms, tmp_path):
    rooms.series = ("first", "second")
    session = Session(rooms=rooms)
    offered = []
    session.series_offered.connect(lambda path, found, then: offered.append((path, found)))
    open_scan(session, tmp_path)
    assert offered == [(tmp_path, ("first", "second"))]
    assert session.scan is None
    opened = []
    open_scan(session, tmp_path, "second", then=lambda: opened.append(session.scan))
    assert opened == [rooms.scan]


def test_history_holds_each_question_once_newest_last(rooms):
    session = Session(rooms=rooms)
    for text in ("liver", "spleen", " liver ", ""):
        session.ask(text)
    assert session.history == ["spleen", "liver"]
    for number in range(2 * HISTORY_LENGTH):
        session.ask(f"rib {number}")
    assert len(session.history) == HISTORY_LENGTH


def test_empty_question_takes_the_answer_back(rooms, phantom):
    session = Session(rooms=rooms)
    session.set_scan(*phantom)
    session.ask("liver")
    session.ask("  ")
    assert session.ranking is None
    assert session.query == ""


def test_names_can_be_left_out_as_evidence(rooms, phantom):
    session = Session(rooms=rooms)
    session.set_scan(*phantom)
    session.ask("liver")
    session.set_use_names(False)
    assert rooms.asked == [("liver", True), ("liver", False)]


def test_other_encoder_answers_anew(rooms, phantom):
    session = Session(rooms=rooms)
    session.set_scan(*phantom)
    session.ask("liver")
    answers = collect(session.ranking_changed)
    session.use_encoder("other")
    assert rooms.loaded == ["starter", "other"]
    assert answers[0] is None
    assert answers[-1].text == "liver"


def test_going_back_to_masks_does_not_encode_again(rooms, phantom):
    session = Session(rooms=rooms)
    scan, masks = phantom
    session.set_scan(scan, masks)
    first = session.embedding
    session.set_masks(other_masks(masks))
    session.set_masks(masks)
    assert session.embedding is first


def test_closed_session_is_silent(rooms, phantom, queue):
    session = Session(queue, rooms)
    session.set_scan(*phantom)
    told = [collect(signal) for signal in (session.encoder_changed, session.activity_changed, session.failed)]
    session.close()
    queue.run_all()
    session.ask("liver")
    assert told == [[], [], []]
    assert queue.jobs == []


def test_session_is_light():
    heavy = "torch qtpy napari transformers nibabel pydicom"
    code = f"import sys, napari_ctvlp.session; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_scan_seen_before_is_not_encoded_again(word_encoder, phantom, monkeypatch):
    for _ in range(2):  # as after closing and opening the window
        session = Session(rooms=ToyRooms(word_encoder, *phantom))
        session.set_scan(*phantom)
        assert session.embedding is not None
        monkeypatch.setattr(word_encoder, "encode_scan", None)


def test_scan_and_masks_given_together_are_opened_in_order(word_encoder, tmp_path):
    from tests.scan.makers import body, write_scan

    labels = np.zeros((12, 14, 16), np.uint8)
    labels[6:9, 5:9, 4:12] = 5
    masks, scan = write_scan(tmp_path / "seg.nii.gz", labels), write_scan(tmp_path / "ct.nii.gz", body())
    rooms = Rooms()
    rooms.load_encoder = lambda name: word_encoder
    session = Session(rooms=rooms)
    open_paths(session, [masks, scan])
    assert session.scan.name == "ct" and session.embedding is not None
    first = session.scan
    organs = session.masks
    open_paths(session, [tmp_path])
    assert session.scan is first and session.masks is organs  # what is open is not opened twice
    write_scan(scan, body() + np.int16(5))
    open_paths(session, [tmp_path])
    assert session.scan is not first and session.masks is not organs
    open_paths(session, [masks])
    assert session.masks.labels.any() and session.scan is not first


def test_of_several_scans_given_together_one_is_chosen(word_encoder, tmp_path):
    from tests.scan.makers import body, write_scan

    rooms = Rooms()
    rooms.load_encoder = lambda name: word_encoder
    session = Session(rooms=rooms)
    failures, offered = collect(session.failed), collect(session.several_found)
    open_paths(session, [write_scan(tmp_path / name, body()) for name in ("a.nii", "b.nii")])
    assert failures == [] and session.scan is None
    (several,) = offered
    assert (several.what, several.names) == ("scans", ["a.nii", "b.nii"])
    open_choice(session, several, 1)
    assert session.scan.name == "b"


@pytest.mark.parametrize(("place", "labels_open"), [(0, [5]), (1, [5, 7]), (None, [])])
def test_of_several_masks_beside_a_scan_one_is_chosen_or_none(word_encoder, tmp_path, place, labels_open):
    from tests.scan.makers import body, write_scan

    labels = np.zeros(body().shape, np.uint8)
    labels[6:9, 5:9, 4:12] = 5
    write_scan(tmp_path / "seg_a.nii", labels)
    labels[1:3, 5:9, 4:12] = 7
    write_scan(tmp_path / "seg_b.nii", labels)
    write_scan(tmp_path / "ct.nii", body())
    rooms = Rooms()
    rooms.load_encoder = lambda name: word_encoder
    session = Session(rooms=rooms)
    offered = collect(session.several_found)
    open_paths(session, [tmp_path])
    (several,) = offered
    open_choice(session, several, place)
    assert session.scan.name == "ct"
    assert ([] if session.masks is None else sorted(session.masks.names)) == labels_open


def test_masks_given_while_others_are_made_stay(rooms, queue, phantom):
    """Segmentation takes minutes; what the user opens in the meantime is not replaced by it."""
    scan, masks = phantom
    rooms.segment = lambda scan, fast, progress, cancelled: other_masks(masks)
    session = Session(queue, rooms)
    session.set_scan(scan)
    queue.run_all()
    make_masks(session)
    session.set_masks(None)  # the layers changed and there are still no masks: nothing to stop
    assert session.activity.task is Task.SEGMENTING
    session.set_masks(masks)
    queue.run_all()
    assert session.masks is masks

    session.set_masks(None)
    make_masks(session)
    queue.run_all()
    assert session.masks.names == {5: "liver"}


def painted(masks: OrganMasks) -> OrganMasks:
    labels = masks.labels.copy()
    labels[8:12, 12:40, 10:35] = 2
    return dataclasses.replace(masks, labels=labels)


def test_while_masks_are_painted_nothing_is_answered(rooms, phantom, queue):
    session = Session(queue, rooms=rooms)
    session.set_scan(*phantom)
    session.ask("liver")
    queue.run_all()
    assert session.ranking is not None and session.scores
    told = collect(session.ranking_changed)
    session.begin_edit()
    assert session.ranking is None and session.embedding is None and session.scores == ()
    session.ask("spleen")
    queue.run_all()
    assert session.ranking is None
    session.set_masks(painted(phantom[1]))
    queue.run_all()
    assert session.ranking is not None and session.ranking.text == "spleen"
    assert [ranking for ranking in told if ranking is not None] == [session.ranking]


def test_an_answer_on_its_way_is_dropped_when_painting_begins(rooms, phantom, queue):
    session = Session(queue, rooms=rooms)
    session.set_scan(*phantom)
    queue.run_all()
    session.ask("liver")
    session.begin_edit()
    queue.run_all()
    assert session.ranking is None
    session.end_edit()
    queue.run_all()
    assert session.ranking is not None, "nothing had changed after all"


def test_other_masks_of_a_scan_are_encoded_from_what_is_known_of_it(rooms, phantom, queue):
    asked = []

    def again(encoder, scan, masks, before, report, cancelled):
        asked.append(before)
        return encoder.encode_scan(scan, masks)

    rooms.encode_again = again
    session = Session(queue, rooms=rooms)
    session.set_scan(*phantom)
    queue.run_all()
    first = session.embedding
    session.begin_edit()
    session.set_masks(painted(phantom[1]))
    # and a stroke before it is encoded
    session.begin_edit()
    session.set_masks(painted(phantom[1]))
    queue.run_all()
    assert asked and all(before is first for before in asked)
    session.set_scan(dataclasses.replace(phantom[0], name="other"), phantom[1])
    queue.run_all()
    assert len(asked) <= 2, "another scan has nothing in common"


def test_a_question_answered_again_is_no_news(rooms, phantom):
    session = Session(rooms=rooms)
    news = []
    session.ranking_changed.connect(lambda ranking: news.append((ranking is not None, session.is_news)))
    session.set_scan(*phantom)
    session.ask("liver")
    assert news[-1] == (True, True)
    session.begin_edit()
    session.set_masks(painted(phantom[1]))
    assert news[-1] == (True, False)
    session.set_scan(dataclasses.replace(phantom[0], name="other"), phantom[1])
    assert news[-1] == (True, True)
    session.ask("liver")
    assert news[-1] == (True, True)


def test_masks_without_organs_are_not_encoded(rooms, phantom):
    session = Session(rooms=rooms)
    session.set_scan(phantom[0], OrganMasks(np.zeros_like(phantom[1].labels), {}, "empty"))
    session.ask("liver")
    assert session.embedding is None and session.ranking is None
