"""Batches made ahead: the same bits by any number of workers, clear sentences, nothing left behind."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from napari_ctvlp.errors import UserError
from training.config import LoaderConfig
from training.data.batch import Batch
from training.data.loader import Feed, batches, workers_of
from training.data.stream import WorldStream
from training.engine import loop

from .phantoms import Phantoms, config_of, start, state_of

CPU = torch.device("cpu")
WINDOWS = ((-160.0, 240.0), (-1000.0, -200.0), (100.0, 1500.0))
WAYS = {
    "in line": LoaderConfig(0),
    "threads": LoaderConfig(2, ahead=2, threads=True),
    "processes": LoaderConfig(2, ahead=2),
    "one process": LoaderConfig(1, ahead=3),
}


class Damaged(Phantoms):
    """A store whose second scan cannot be read."""

    def load(self, index: int):
        if index == 1:
            raise UserError("Scan 1 is damaged.")
        return super().load(index)


class Deadly(Phantoms):
    """A scan that takes its reader along, as a lack of memory would."""

    def load(self, index: int):
        if index == 1 and threading.current_thread() is threading.main_thread():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().load(index)


def feed_of(store: Phantoms | WorldStream, **changes) -> Feed:
    return Feed(store, 0, 2, WINDOWS, **({"views": 2, "reports": True} | changes))


def same(one: Batch, other: Batch) -> bool:
    fields = ("organs", "scans", "positions", "reports")
    return (
        torch.equal(one.image, other.image)
        and torch.equal(one.labels, other.labels)
        and all(getattr(one, f) == getattr(other, f) for f in fields)
    )


def workers_now() -> set[int]:
    """Children of this process that make batches; the tracker of shared memory stays by design."""
    mine = set()
    for folder in Path("/proc").iterdir():
        try:
            stat = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            command = (folder / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue
        if folder.name.isdigit() and int(stat[1]) == os.getpid() and b"spawn_main" in command and stat[0] != "Z":
            mine.add(int(folder.name))
    return mine


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """No process and no thread outlives the block that began it."""
    before = workers_now(), set(threading.enumerate())
    yield
    assert workers_now() <= before[0]
    left = {t.name for t in set(threading.enumerate()) - before[1]}
    assert not {name for name in left if name.startswith("batches")}


@pytest.mark.parametrize("way", [*list(WAYS)[:3], pytest.param("one process", marks=pytest.mark.slow)])
def test_no_way_to_make_batches_changes_a_bit(way, nothing_left):
    """Nor the generator that a step might draw from; two processes of a step get their own parts."""
    torch.manual_seed(7)
    state = torch.get_rng_state()
    for part in (feed_of(Phantoms()), feed_of(Phantoms(), rank=1, processes=2)):
        steps = range(3, 3 + (7 if part.rank == 0 else 2))
        if part.rank and way != "threads":
            continue
        with batches(part, steps, WAYS[way], CPU) as made:
            found = list(made)
        assert len(found) == len(steps)
        assert all(same(batch, part[step]) for batch, step in zip(found, steps, strict=True))
    assert found[0].reports and torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("way", ["in line", "threads", "processes"])
def test_what_cannot_be_read_is_told_in_its_own_words(way, nothing_left):
    with pytest.raises(UserError) as told, batches(feed_of(Damaged()), range(8), WAYS[way], CPU) as made:
        list(made)
    assert str(told.value) == "Scan 1 is damaged."


def test_a_killed_worker_ends_the_run_with_a_sentence(nothing_left):
    with (
        pytest.raises(UserError, match="ended from outside") as told,
        batches(feed_of(Deadly()), range(8), WAYS["one process"], CPU) as made,
    ):
        list(made)
    assert "--loader.workers" in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("way", ["threads", "processes"])
def test_a_block_that_fails_leaves_no_worker(way, nothing_left, capfd):
    seen = []
    with pytest.raises(ZeroDivisionError), batches(feed_of(Phantoms()), range(50), WAYS[way], CPU) as made:
        next(made)
        seen.append(workers_now() if way == "processes" else [t for t in threading.enumerate() if "batches" in t.name])
        raise ZeroDivisionError
    assert len(seen[0]) == 2
    assert "terminate" not in capfd.readouterr().err  # nor a word of theirs


@pytest.mark.slow
def test_a_run_by_workers_stopped_and_resumed_reaches_the_bits_of_one_without(tmp_path, nothing_left):
    """Stopped by its minutes, so that the batches made ahead are thrown away."""
    alone = start(config_of("t3d", tmp_path / "alone"))
    (tmp_path / "alone").mkdir()
    loop.train(alone, lambda _: {})
    (tmp_path / "parts").mkdir()
    for n, way in enumerate(("processes", "threads", "one process", "in line")):
        config = replace(config_of("t3d", tmp_path / "parts"), minutes=0.0, loader=WAYS[way], resume=n > 0)
        run = start(config)
        loop.train(run, lambda _: {})
        assert run.step == n + 1
    assert run.done and torch.equal(state_of(alone), state_of(run))


@pytest.fixture
def quick_world(monkeypatch) -> Callable[[], WorldStream]:
    """A stream whose scans are phantoms, and a list of which were begun ahead."""

    def made(stream: WorldStream, index: int):
        stream._reports[index] = Phantoms().report(index % 4)
        return Phantoms().load(index % 4)

    monkeypatch.setattr(WorldStream, "make", made)
    return lambda: WorldStream("train", 12, spacing=6.0)


@pytest.mark.parametrize("way", ["in line", "threads"])
def test_a_stream_is_told_what_comes_next(way, quick_world, monkeypatch, nothing_left):
    told: list[list[int]] = []
    expect = WorldStream.expect

    def listening(stream: WorldStream, indices):
        told.append(list(indices))
        expect(stream, told[-1])

    monkeypatch.setattr(WorldStream, "expect", listening)
    plain = [feed_of(quick_world())[step] for step in range(4)]
    with batches(feed_of(quick_world()), range(4), WAYS[way], CPU) as made:
        found = list(made)
    assert all(same(one, other) for one, other in zip(found, plain, strict=True))
    assert told == [batch.scans for batch in plain[1:]]


def test_a_stream_goes_to_another_process_as_its_recipe(quick_world):
    stream = quick_world()
    stream.load(3)
    again = pickle.loads(pickle.dumps(stream))
    assert not again._scans and (again.count, again.spacing) == (12, 6.0)
    assert (again.load(3).labels == stream.load(3).labels).all()


def test_a_cpu_needs_its_cores_for_the_steps_and_a_gpu_does_not(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)), raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert workers_of(LoaderConfig(), CPU) == 0
    assert workers_of(LoaderConfig(), torch.device("cuda")) == 5
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    assert workers_of(LoaderConfig(), torch.device("cuda")) == 8
    assert workers_of(LoaderConfig(3), CPU) == 3
    with pytest.raises(UserError, match="at least"):
        workers_of(LoaderConfig(-1), CPU)
