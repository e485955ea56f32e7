"""Scans that are made while a run trains: who is ahead waits, and a run is a function of its seed."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from napari_ctvlp.errors import UserError
from training.checks import check_settings
from training.config import ModelConfig, OptimConfig, PretrainConfig, RefineConfig, TextConfig, WorldConfig
from training.data.growth import Growth, growing
from training.data.store import WorldStore
from training.data.text_models import load_text_tower
from training.engine.checkpoint import newest_step
from training.export import read_finished
from training.pretrain import pretrain

from .tiny_text import write_tiny


def test_a_step_draws_from_the_scans_that_there_are_by_then():
    growth = Growth(tuple(range(100, 140)), 8, 0.5)
    assert [growth.at(step) for step in (0, 1, 2, 10, 64, 1000)] == [8, 8, 9, 13, 40, 40]
    for step in (0, 10, 200):
        picks = growth.scans_of_step(3, step, 6)
        assert picks == growth.scans_of_step(3, step, 6) != growth.scans_of_step(4, step, 6)
        assert len(set(picks)) == 6 and set(picks) <= set(growth.order[: growth.at(step)])
    seen = {scan for step in range(60, 160) for scan in growth.scans_of_step(0, step, 6)}
    assert seen == set(growth.order)
    assert len(Growth((4, 5), 1, 0.0).scans_of_step(0, 0, 3)) == 3  # fewer scans than a step takes


def test_scans_of_one_body_are_made_together(tmp_path):
    store = WorldStore(tmp_path, "train", 20, 0, 4, 6.0)
    assert [n % 4 for n in store.order] == sorted(n % 4 for n in range(20))
    assert [len(part) for part in store.missing(first=11)] == [8, 3] and sum(map(len, store.missing())) == 20


def test_who_is_ahead_waits_for_a_scan(tmp_path):
    store = WorldStore(tmp_path, "train", 2, 0, 1, 8.0, growing=True)
    found, wait = [], threading.Thread(target=lambda: found.append(store.load(1)), daemon=True)
    wait.start()
    with growing(store, 1):
        wait.join(120)
    assert found and found[0].organs and found[0].hu.shape == found[0].labels.shape
    assert not store.missing()


def test_a_scan_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    store = WorldStore(tmp_path, "train", 4, 0, 1, 8.0, growing=True)

    class Broken:
        def __init__(self, *_, **__): ...

        def __enter__(self):
            return self

        def __exit__(self, *_): ...

        def shutdown(self, **_): ...

        def submit(self, *_):
            from concurrent.futures import Future

            future: Future[int] = Future()
            future.set_exception(OSError("no space left"))
            return future

    monkeypatch.setattr("training.data.growth.ProcessPoolExecutor", Broken)
    with growing(store, 1), pytest.raises(UserError, match=r"could not be made .*no space left.*--resume"):
        store.load(0)
    monkeypatch.undo()
    with growing(replace(store, count=0), 1):
        assert not store.failed.exists()  # another try begins without the old reason


def test_settings_that_do_not_go_together():
    for world in (WorldConfig(first=4, twins=True), WorldConfig(first=4, stream=True)):
        with pytest.raises(UserError, match=r"--world.first"):
            check_settings(PretrainConfig(world=world))
    with pytest.raises(UserError, match=r"--world.first"):
        check_settings(PretrainConfig(data="somewhere", world=WorldConfig(first=4)))
    with pytest.raises(UserError, match=r"--world.each"):
        check_settings(PretrainConfig(world=WorldConfig(first=4, each=-1.0)))


def test_a_run_begins_before_its_scans_are_made_and_resumes_to_the_same_bits(tmp_path):
    text = TextConfig(str(write_tiny(tmp_path / "text")))
    config = PretrainConfig(
        run=tmp_path / "run",
        method="ours",
        text=text,
        world=WorldConfig(train_scans=8, validation_scans=1, bodies=1, first=2, each=1.0, makers=1),
        model=ModelConfig(widths=(8, 16), blocks=(1, 1), heads=2, hidden=32, dim=32, spacing=8.0),
        optim=OptimConfig(steps=4, batch=2, warmup=1, lesions=1.0),
        refine=RefineConfig(steps=2, scans=4, limit=4),
        validate_every=100,
        checkpoint_every=2,
        device="cpu",
    )
    pretrain(config)
    scans = tmp_path / "run" / "scans"
    assert len(list((scans / "train").glob("0*.json"))) >= Growth(tuple(range(8)), 2, 1.0).at(4)
    whole = read_finished(config, load_text_tower(text))
    half = replace(config, run=tmp_path / "half", world=replace(config.world, folder=scans))
    pretrain(replace(half, minutes=0.0))
    assert newest_step(half.run) == 1
    pretrain(replace(half, resume=True))
    other = read_finished(half, load_text_tower(text))
    assert other.step == 4 and all(other.average[key].equal(value) for key, value in whole.average.items())
