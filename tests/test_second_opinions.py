"""Other encoders beside the chosen one: what is asked when, dropped when, told when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ctvlp.encoder.contract import EncodingCancelled
from napari_ctvlp.errors import UserError
from napari_ctvlp.opening import open_sample
from napari_ctvlp.scan.drawn import edited_masks
from napari_ctvlp.second_opinions import SecondOpinions
from napari_ctvlp.session import Session
from tests.conftest import WordEncoder
from tests.test_session import Queue, ToyRooms


class ManyRooms(ToyRooms):
    """Rooms with an encoder by each name; "broken" is none."""

    def load_encoder(self, name):
        self.loaded.append(name)
        if name == "broken":
            raise UserError("The encoder broken cannot be used yet.")
        return WordEncoder()


@pytest.fixture
def session(word_encoder, phantom):
    session = Session(rooms=ManyRooms(word_encoder, *phantom))
    open_sample(session)
    return session


def test_a_second_encoder_looks_at_the_open_scan(session):
    seen = []
    others = SecondOpinions(session)
    others.changed.connect(seen.append)
    others.add("other")
    (opinion,) = others.opinions
    assert seen[-1] == (opinion,) and not opinion.calibrated
    assert set(opinion.scores) == {(organ, "cyst") for organ in session.masks.names.values()}


def test_the_chosen_one_and_one_that_is_there_are_not_asked_twice(session):
    others = SecondOpinions(session)
    for name in ("starter", "a", "a"):
        others.add(name)
    assert others.names == ("a",) and session.rooms.loaded.count("a") == 1


class Counting(WordEncoder):
    """Counts what it does; its own name, so that nothing of the chosen one's is taken for its own."""

    def __init__(self):
        super().__init__()
        self.card = replace(self.card, name="counting")
        self.did = []

    def encode_scan(self, scan, masks, *, progress=None, cancelled=None):
        self.did.append("whole")
        return super().encode_scan(scan, masks, progress=progress)

    def update_scan(self, before, scan, masks, *, progress=None, cancelled=None):
        assert before.encoder is self
        self.did.append("update")
        return super().encode_scan(scan, masks, progress=progress)


def test_a_scan_that_was_seen_before_comes_from_the_cache(session):
    encoders = [Counting(), Counting()]
    for encoder in encoders:  # on two days
        session.rooms.load_encoder = lambda name, encoder=encoder: encoder
        others = SecondOpinions(session)
        others.add("a")
        assert len(others.opinions) == 1
        others.close()
    assert [encoder.did for encoder in encoders] == [["whole"], []]


def test_after_an_edit_of_the_masks_it_does_what_it_must(session, phantom):
    encoder, (scan, masks) = Counting(), phantom
    session.rooms.load_encoder = lambda name: encoder
    others = SecondOpinions(session)
    others.add("a")
    labels = masks.labels.copy()
    labels[labels == 1] = 0
    session.set_masks(edited_masks(scan, masks, labels, {}))
    (opinion,) = others.opinions
    assert encoder.did == ["whole", "update"] and ("spleen", "cyst") not in opinion.scores
    session.set_scan(replace(scan, hu=scan.hu + np.int16(1)))
    session.set_masks(masks)
    assert encoder.did == ["whole", "update", "whole"] and len(others.opinions) == 1  # nothing serves another scan


def test_several_come_one_after_another_in_their_order(session):
    queue = Queue()
    others = SecondOpinions(session, queue)
    others.add("a")
    others.add("b")
    assert len(queue.jobs) == 1  # they are large
    queue.run_all()
    assert len(others.opinions) == 2 and others.names == ("a", "b")


def test_it_waits_for_a_scan_and_looks_at_the_next_one_too(word_encoder, phantom):
    session = Session(rooms=ManyRooms(word_encoder, *phantom))
    others = SecondOpinions(session)
    others.add("a")
    assert others.opinions == ()
    open_sample(session)
    assert len(others.opinions) == 1
    session.set_scan(None)
    assert others.opinions == () and others.names == ("a",)
    open_sample(session)
    assert len(others.opinions) == 1 and session.rooms.loaded.count("a") == 1  # stays loaded


def test_what_arrives_for_another_scan_is_dropped(session):
    queue, seen = Queue(), []
    others = SecondOpinions(session, queue)
    others.changed.connect(seen.append)
    others.add("a")
    session.set_scan(None)
    queue.run_all()
    assert others.opinions == () and seen == []


def test_an_encoder_that_cannot_be_loaded_is_told_and_the_next_goes_on(session):
    failed = []
    queue = Queue()
    others = SecondOpinions(session, queue)
    others.failed.connect(failed.append)
    others.add("broken")
    others.add("a")
    queue.run_all()
    assert isinstance(failed[0], UserError) and others.names == ("a",) and len(others.opinions) == 1


def test_removing_cancels_its_work(session):
    queue = Queue()
    others = SecondOpinions(session, queue)
    others.add("a")
    work = queue.jobs[0][0]
    others.cancel()
    assert others.names == ()

    class Slow(WordEncoder):
        def __init__(self):
            super().__init__()
            self.card = replace(self.card, name="slow")  # what the chosen one made is not its own

        def encode_scan(self, scan, masks, *, progress=None, cancelled=None):
            if cancelled():
                raise EncodingCancelled
            pytest.fail("went on")

    session.rooms.load_encoder = lambda name: Slow()
    with pytest.raises(EncodingCancelled):
        work(lambda _: None)


def test_progress_and_idle_are_told(session):
    seen = []
    others = SecondOpinions(session)
    others.activity_changed.connect(seen.append)
    others.add("a")
    assert seen[0] == ("a", None) and ("a", 1.0) in seen and seen[-1] is None


def test_after_close_nothing_is_told(session):
    queue, seen = Queue(), []
    others = SecondOpinions(session, queue)
    others.changed.connect(seen.append)
    others.add("a")
    others.close()
    queue.run_all()
    session.set_scan(None)
    assert seen == []
