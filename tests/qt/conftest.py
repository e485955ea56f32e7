"""Answers without weights, and values to show."""

from __future__ import annotations

import functools
import gc
import threading

import numpy as np
import pytest

from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp.ask.types import AbnormalityScore, Finding, OrganMatch, Ranking
from napari_ctvlp.encoder.contract import EncodingCancelled
from napari_ctvlp.rooms import Rooms
from napari_ctvlp.session import Session

from .once import drawing_is_worked_out_once, plugins_are_looked_for_once


@pytest.fixture
def qtbot(qtbot):
    """Waits longer by default: what a busy machine does late is not wrong, and what never comes still fails."""
    qtbot.waitUntil = functools.partial(qtbot.waitUntil, timeout=30_000)
    return qtbot


@pytest.fixture(scope="module")
def modules_are_kept_out_of_collections():
    """Collections look at what tests made and not at half a million objects of torch, transformers and napari.

    They are a quarter of the time of a test with a window: napari asks for a full one whenever a layer or a viewer
    goes. Anew for each file, since files import more; what earlier tests left is collected before.
    """
    gc.collect()
    gc.freeze()
    often = gc.get_threshold()
    gc.set_threshold(20_000, 20, 20)
    yield
    gc.set_threshold(*often)
    gc.unfreeze()


@pytest.fixture
def make_napari_viewer(modules_are_kept_out_of_collections, make_napari_viewer):
    return make_napari_viewer


@pytest.fixture(autouse=True, scope="session")
def what_comes_out_the_same_is_worked_out_once():
    with pytest.MonkeyPatch.context() as patch:
        plugins_are_looked_for_once(patch)
        drawing_is_worked_out_once(patch)
        yield


@pytest.fixture(autouse=True)
def no_preferences_of_the_user(monkeypatch, request):
    """Tests begin as the manifest says, unless they bring settings of their own."""
    if "plugin_settings" not in request.fixturenames:
        monkeypatch.setattr("napari_ctvlp._qt.preferences.preferences", lambda: None)


class WordRooms(Rooms):
    """The real reading rooms with an encoder of words: an organ answers to the words of its name."""

    def __init__(self, encoder) -> None:
        self.encoder = encoder

    def load_encoder(self, name):
        return self.encoder

    def rank_organs(self, embedding, text, use_names, masks=None, taught=(), scan=None):
        scores = np.clip(embedding.vectors @ embedding.encoder.encode_text([text])[0], 0, 1)
        organs = tuple(
            OrganMatch(embedding.organs[i], float(scores[i]), float(scores[i]), float(scores[i]) / 2)
            for i in np.argsort(-scores)
        )
        matched = bool(scores.max() > 0.6)
        return Ranking(text, matched, "" if matched else "Nothing here matches.", organs)

    def score_abnormalities(self, embedding):
        return [AbnormalityScore(organ, "cyst", 0.5, 0.4, 0.6, "scored") for organ in embedding.organs]


class SlowEncoder:
    """Encodes until told to go on; ends early when cancelled, as a real one does between its steps."""

    def __init__(self, encoder) -> None:
        self.inner = encoder
        self.card = encoder.card
        self.encode_text = encoder.encode_text
        self.started = threading.Event()
        self.go_on = threading.Event()
        self.was_cancelled = threading.Event()

    def encode_scan(self, scan, masks, *, progress=None, cancelled=None):
        self.started.set()
        while not self.go_on.wait(0.01):
            if progress is not None:
                progress(0.5)
            if cancelled is not None and cancelled():
                self.was_cancelled.set()
                raise EncodingCancelled
        return self.inner.encode_scan(scan, masks, progress=progress)


@pytest.fixture
def word_rooms(word_encoder):
    return WordRooms(word_encoder)


@pytest.fixture
def window(make_napari_viewer, word_rooms, qtbot):
    """A viewer with the dock; work runs at once."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 850)
    widget = CtvlpWidget(viewer, Session(rooms=word_rooms))
    viewer.window.add_dock_widget(widget, name="CT query", area="right")
    yield viewer, widget
    widget.close_down()
    qtbot.wait(1)  # a turn of the event loop, in which Qt deletes what is to be deleted later


@pytest.fixture
def ranking():
    organs = (
        OrganMatch("kidney_left", 0.91, 0.8, 1.0),
        OrganMatch("kidney_right", 0.4, 0.3, 0.5),
        OrganMatch("spleen", 0.0, 0.0, 0.0),
    )
    finding = Finding("stone", "kidney_left", 0.93, 0.81, 0.97, "present")
    return Ranking("stone in the left kidney", True, "organ: left kidney; finding: stone", organs, finding)


@pytest.fixture
def scores():
    return (
        AbnormalityScore("aorta", "calcification", 0.71, 0.55, 0.83, "scored"),
        AbnormalityScore("lung_lower_lobe_left", "effusion", None, None, None, "N/A: cut by field of view"),
        AbnormalityScore("kidney_left", "stone", 0.93, 0.81, 0.97, "scored"),
        AbnormalityScore("liver", "cyst", 0.08, None, None, "scored"),
    )


def words(name: str) -> str:
    """A display name without the anatomy room."""
    return name.replace("_", " ")
