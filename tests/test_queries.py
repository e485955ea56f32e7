"""The history with its answers: kept, forgotten when they are of the past, given anew where they are wanted."""

from __future__ import annotations

import pytest

from napari_ctvlp.ask.contrast import contrast
from napari_ctvlp.ask.types import OrganMatch, Ranking
from napari_ctvlp.errors import UserError
from napari_ctvlp.queries import MOST_PINNED, Queries
from napari_ctvlp.saved_session import SavedSession, read_session, write_session
from napari_ctvlp.session import Session

from .test_session import Queue, ToyRooms, other_masks


@pytest.fixture
def rooms(word_encoder, phantom):
    return ToyRooms(word_encoder, *phantom)


@pytest.fixture
def session(rooms, phantom):
    session = Session(rooms=rooms)
    session.set_scan(*phantom)
    return session


def test_answers_stay_with_their_questions(session):
    queries = Queries(session)
    for text in ("liver", "spleen", "liver"):
        session.ask(text)
    assert queries.texts == ("liver", "spleen")
    assert queries.answer("spleen").best.organ == "spleen" and queries.answer("liver").best.organ == "liver"
    assert queries.answer("heart") is None


def test_answers_of_other_masks_are_forgotten_and_pinned_ones_given_anew(session, rooms, phantom):
    queries = Queries(session)
    for text in ("spleen", "liver"):
        session.ask(text)
    queries.pin("spleen")
    session.ask("")
    rooms.asked.clear()
    session.set_masks(other_masks(phantom[1]))
    assert [m.organ for m in queries.answer("spleen").organs] == ["liver"]
    assert queries.answer("liver") is None
    queries.want(["liver"])
    assert queries.answer("liver") is not None
    assert [text for text, _ in rooms.asked] == ["spleen", "liver"]


def test_answers_with_and_without_names_are_apart(session, rooms):
    queries = Queries(session)
    session.ask("liver")
    queries.pin("liver")
    session.ask("")
    session.set_use_names(False)
    queries.refresh()
    assert rooms.asked == [("liver", True), ("liver", False)]
    session.set_use_names(True)
    queries.refresh()
    assert len(rooms.asked) == 2 and queries.answer("liver") is not None


def test_another_dictionary_gives_other_answers(session, rooms):
    queries = Queries(session)
    session.ask("spleen")
    session.ask("liver")
    queries.pin("spleen")
    rooms.asked.clear()
    session.dictionary_changed()
    assert sorted(text for text, _ in rooms.asked) == ["liver", "spleen"]


def test_late_answers_about_another_scan_are_dropped(rooms, phantom):
    queue = Queue()
    session = Session(queue, rooms)
    session.set_scan(*phantom)
    queue.run_all()
    queries = Queries(session)
    queries.pin("liver")
    session.set_masks(other_masks(phantom[1]))
    queue.run()  # the answer about the first masks
    assert queries.answer("liver") is None
    queue.run_all()
    assert len(queries.answer("liver").organs) == 1


def test_pins_are_few_and_forgetting_can_be_taken_back(session):
    queries = Queries(session)
    texts = [f"liver {n}" for n in range(MOST_PINNED + 1)]
    for text in texts:
        session.ask(text)
    for text in texts[:-1]:
        queries.pin(text)
    with pytest.raises(UserError, match="let one go first"):
        queries.pin(texts[-1])
    before = list(session.history), queries.pinned
    queries.forget(texts[1:3])
    assert session.history == [texts[0], *texts[3:]] and queries.pinned == (texts[0], texts[3])
    queries.restore(*before)
    assert (session.history, queries.pinned) == before and queries.answer(texts[1]) is not None


def test_changes_are_told_and_no_more_after_closing(session):
    queries = Queries(session)
    told = []
    queries.changed.connect(lambda: told.append(1))
    session.ask("liver")
    queries.pin("liver")
    assert len(told) == 2
    queries.close()
    session.ask("spleen")
    assert len(told) == 2


def test_pins_are_in_a_saved_session(tmp_path):
    path = tmp_path / "a.ctvlp.json"
    write_session(path, SavedSession(scan="sample", history=("a", "b"), pinned=("b",)))
    assert read_session(path).pinned == ("b",)
    path.write_text(path.read_text().replace('"pinned"', '"of another version"'))
    assert read_session(path).pinned == ()


def test_contrast_is_first_minus_second_the_widest_apart_first():
    one = Ranking("one", True, "", (OrganMatch("liver", 0.9, 0.5, 1), OrganMatch("spleen", 0.3, 0.3, 0)))
    two = Ranking("two", True, "", (OrganMatch("spleen", 0.5, 0.2, 1), OrganMatch("liver", 0.1, 0.1, 0)))
    found = contrast(one, two)
    assert [c.organ for c in found] == ["liver", "spleen"]
    assert [c.difference for c in found] == pytest.approx([0.8, -0.2])
    assert [c.by_sight for c in found] == pytest.approx([0.4, 0.1])
    assert [c.difference for c in contrast(two, one)] == pytest.approx([-0.8, 0.2])
