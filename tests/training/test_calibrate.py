"""Calibrating an encoder: where its synthetic scans lie, and for which weights it was."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from napari_ctvlp.encoder import load_encoder
from napari_ctvlp.encoder.registry import SHIPPED
from napari_ctvlp.folders import cache_folder
from training import calibrate as room
from training.calibrate import CalibrateConfig, calibrate
from training.data import store
from training.evaluation import cases, run


class Enough(Exception):
    """Ends a test where the rest would take minutes."""


def test_its_scans_lie_in_the_cache_of_the_user_unless_told(tmp_path, monkeypatch):
    places = []

    def world(folder, *_):
        places.append(folder)
        raise Enough

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(store, "WorldStore", world)
    for cache in (None, tmp_path / "mine"):
        with pytest.raises(Enough):
            calibrate(CalibrateConfig("starter", cache=cache))
    assert places == [cache_folder("calibration-scans"), tmp_path / "mine"] and list(tmp_path.iterdir()) == []


def test_it_names_the_weights_that_it_was_fitted_for(tmp_path, monkeypatch):
    own = tmp_path / "own"
    shutil.copytree(SHIPPED / "starter", own)

    class Question:
        def pairs(self):
            return [room.PairScores("liver/liver_cyst", *made)]

    made = np.linspace(-2, 2, 40), np.arange(40) % 3 == 0, np.arange(40)

    class World:
        def __init__(self, *_):
            pass

        def prepare(self):
            pass

    monkeypatch.setattr(store, "WorldStore", World)
    monkeypatch.setattr(run, "embed", lambda encoder, store: ())
    monkeypatch.setattr(cases, "questions", lambda encoder, held_out: {"one": Question()})
    found = calibrate(CalibrateConfig(str(own)))
    again = load_encoder(own, device="cpu")
    assert (
        again.calibration == found and f'"revision": "{again.card.revision}"' in (own / "calibration.json").read_text()
    )
