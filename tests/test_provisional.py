"""Questions of somebody who is still typing: answered in their turn, and otherwise as if nothing had been asked."""

from __future__ import annotations

import pytest

from napari_ctvlp.session import Session
from napari_ctvlp.work import Task

from .test_session import Queue, ToyRooms, collect


@pytest.fixture
def rooms(word_encoder, phantom):
    return ToyRooms(word_encoder, *phantom)


@pytest.fixture
def session(rooms, phantom):
    session = Session(rooms=rooms)
    session.set_scan(*phantom)
    return session


def slow(session):
    """Work is done when the test says so from here on."""
    session._bench._runner = queue = Queue()
    return queue


def test_it_is_answered_without_history_and_without_news(session):
    news = []
    session.ranking_changed.connect(lambda _ranking: news.append(session.is_news))
    session.ask("spleen", provisional=True)
    assert session.ranking.best.organ == "spleen"
    assert (session.query, session.asked, session.history) == ("spleen", "", [])
    assert news == [False]


def test_asking_what_is_answered_costs_nothing_and_is_news(session, rooms):
    session.ask("spleen", provisional=True)
    answer, told = session.ranking, []
    session.ranking_changed.connect(lambda ranking: told.append((ranking, session.is_news)))
    session.ask("spleen")
    assert rooms.asked == [("spleen", True)]
    assert told == [(answer, True)] and session.history == ["spleen"] and session.asked == "spleen"


def test_asking_what_is_under_way_waits_for_it(session, rooms):
    queue = slow(session)
    session.ask("spleen", provisional=True)
    session.ask("spleen")
    news = []
    session.ranking_changed.connect(lambda _ranking: news.append(session.is_news))
    queue.run_all()
    assert rooms.asked == [("spleen", True)] and news == [True]


def test_one_is_computed_at_a_time_and_then_the_newest(session, rooms):
    queue = slow(session)
    rankings = collect(session.ranking_changed)
    for text in ("s", "sp", "spl", "spleen"):
        session.ask(text, provisional=True)
    assert len(queue.jobs) == 1 and session.busy_with(Task.QUERY)
    queue.run()
    assert rankings == [] and len(queue.jobs) == 1
    queue.run_all()
    assert [text for text, _ in rooms.asked] == ["s", "spleen"]
    assert [ranking.text for ranking in rankings] == ["spleen"]
    assert not session.busy_with(Task.QUERY)


def test_what_was_asked_does_not_wait_for_what_was_typed(session):
    queue = slow(session)
    for text in ("l", "li"):
        session.ask(text, provisional=True)
    session.ask("liver")
    queue.run(-1)
    assert session.ranking.best.organ == "liver"
    queue.run_all()
    assert session.ranking.text == "liver" and not queue.jobs


def test_what_was_dropped_before_it_began_is_not_computed(session, rooms):
    queue = slow(session)
    session.ask("l", provisional=True)
    session.ask("")
    queue.run_all()
    assert rooms.asked == [] and session.ranking is None


@pytest.mark.parametrize("provisional", [True, False])
def test_a_failure_is_told_of_what_was_asked_alone(session, rooms, provisional):
    failed = collect(session.failed)
    rooms.rank_organs = lambda *_: 1 / 0
    session.ask("?", provisional=provisional)
    assert len(failed) == (not provisional) and session.ranking is None
    session.ask("?")
    assert len(failed) == 2 - provisional


def test_it_is_located_on_request_or_once_it_is_asked(session, rooms, monkeypatch):
    located = []
    rooms.locate = lambda embedding, masks, ranking, scan: located.append(ranking.text)
    object.__setattr__(session.embedding, "dense", object())
    session.ask("spleen", provisional=True)
    assert located == []
    session.locate()
    session.ask("liver", provisional=True)
    session.ask("liver")
    assert located == ["spleen", "liver"]


def test_an_empty_one_hides_the_answer_and_what_was_asked_can_come_back(session):
    session.ask("liver")
    session.ask("", provisional=True)
    assert session.ranking is None and session.asked == "liver"
    session.ask(session.asked, news=False)
    assert session.ranking.best.organ == "liver" and session.history == ["liver"]


def test_without_a_scan_or_while_it_is_encoded_it_waits(rooms, phantom):
    session = Session(rooms=rooms)
    session.ask("spl", provisional=True)
    queue = slow(session)
    session.set_scan(*phantom)
    session.ask("spleen", provisional=True)
    news = []
    session.ranking_changed.connect(lambda ranking: news.append((ranking, session.is_news)))
    queue.run_all()
    assert session.ranking.text == "spleen" and news[-1] == (session.ranking, False)
    assert session.history == []


def test_it_starts_no_encoding_that_was_cancelled(rooms, phantom):
    session = Session(rooms=rooms)
    queue = slow(session)
    session.load_encoder()
    queue.run()
    session.set_scan(*phantom)
    session.cancel()
    session.ask("liver", provisional=True)
    assert not session.busy_with(Task.ENCODING)
    session.ask("liver")
    assert session.busy_with(Task.ENCODING)
