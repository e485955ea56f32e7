"""A run that is killed at any moment goes on to the bits of one that was not."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from training.engine.checkpoint import BEFORE, LAST, has_checkpoint, load_checkpoint

from .killed import MOMENTS, Death, config, go, run_in

KILLED = -signal.SIGKILL


def weights(folder: Path, rank: int = 0) -> torch.Tensor:
    return torch.load(folder / f"weights{rank}.pt")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> torch.Tensor:
    """Weights and averaged weights of the run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    assert run_in([(go, (config(folder), None))]) == [0]
    return weights(folder)


def slow_but(*quick: str) -> list[Any]:
    """All moments; those not named in the slow suite alone."""
    return [m if m in quick else pytest.param(m, marks=pytest.mark.slow) for m in MOMENTS]


@pytest.mark.parametrize("moment", [None, *slow_but("one before kept")])
def test_a_run_killed_at_any_moment_goes_on_to_the_same_bits(tmp_path, whole, moment):
    """In the middle of its second or third step, or within the writing of the checkpoint after it."""
    for step in (3,) if moment is not None else (2, 3):
        folder = tmp_path / str(step)
        folder.mkdir()
        assert run_in([(go, (config(folder), Death(step, moment)))]) == [KILLED]
        there = {p.name for p in folder.iterdir()} & {LAST, BEFORE}
        assert (there == {BEFORE}) == (moment == "one before kept")
        assert has_checkpoint(folder)
        kept = load_checkpoint(folder)["step"]
        assert kept == (3 if moment == "in place" else step - 1)
        assert run_in([(go, (replace(config(folder), resume=True), None))]) == [0]
        assert torch.equal(weights(folder), whole)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["half written", "synchronised"])
def test_a_kill_within_the_first_checkpoint_leaves_a_run_to_begin_anew(tmp_path, whole, moment):
    assert run_in([(go, (config(tmp_path), Death(1, moment)))]) == [KILLED]
    assert not has_checkpoint(tmp_path)
    assert run_in([(go, (config(tmp_path), None))]) == [0]
    assert torch.equal(weights(tmp_path), whole)


@pytest.mark.slow
def test_a_run_killed_again_and_again_goes_on_to_the_same_bits(tmp_path, whole):
    for death in (Death(1), Death(2, "one before kept"), Death(2), Death(3, "half written"), Death(5, "written")):
        settings = replace(config(tmp_path), resume=has_checkpoint(tmp_path))
        assert run_in([(go, (settings, death))]) == [KILLED]
    assert run_in([(go, (replace(config(tmp_path), resume=True), None))]) == [0]
    assert torch.equal(weights(tmp_path), whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dying", "moment"),
    [((0,), None), ((1,), None), ((0, 1), None), *(((0,), m) for m in ("half written", "one before kept", "in place"))],
)
def test_two_processes_killed_go_on_to_the_same_bits(tmp_path, dying, moment):
    """The one that is left ends too, and does not wait for ever; the first alone writes checkpoints."""

    def both(folder: Path, meeting: str, death: Death | None, resume: bool) -> list[int | None]:
        settings = replace(config(folder), resume=resume)
        return run_in([(go, (settings, death if rank in dying else None, rank, 2, meeting)) for rank in (0, 1)])

    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    assert both(tmp_path / "whole", "once", None, False) == [0, 0]
    codes = both(tmp_path / "parts", "first", Death(3, moment), False)
    assert all(codes[rank] == KILLED for rank in dying) and None not in codes and 0 not in codes
    assert both(tmp_path / "parts", "second", None, True) == [0, 0]
    for rank in (0, 1):
        assert torch.equal(weights(tmp_path / "whole"), weights(tmp_path / "parts", rank))


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet asked for counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_a_run_with_workers_killed_goes_on_to_the_same_bits_and_they_end(tmp_path, whole):
    assert run_in([(go, (config(tmp_path, 2), Death(3)))]) == [KILLED]
    workers = [int(p.name.removeprefix("worker")) for p in tmp_path.glob("worker*")]
    assert len(workers) == 2  # and none of them the process that trains
    deadline = time.monotonic() + 60
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(map(alive, workers))
    assert run_in([(go, (replace(config(tmp_path, 2), resume=True), None))]) == [0]
    assert torch.equal(weights(tmp_path), whole)
