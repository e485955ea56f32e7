"""Two processes with gloo do what one does, and go on to the same bits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from napari_ctvlp.errors import UserError
from tests.training.gloo import joined
from training.data.seeding import scans_of_step
from training.engine import loop
from training.engine.feeding import batch_of
from training.engine.refine import features_of_run

from .phantoms import Phantoms, config_of, low_crops, start, state_of

METHODS = ("ctglip", "t3d", "ours")
STEPS = 2


def train(method: str, micro: int | None) -> tuple[list[float], torch.Tensor]:
    """Losses and weights after two steps of three scans."""
    # a gradient that is zero but for rounding would be blown up to a full step by Adam
    run = start(config_of(method, micro=micro, learning_rate=1e-4))
    for group in run.optimizer.param_groups:
        group["eps"] = 1e-4
    run.learner.train()
    losses = [float(loop.advance(run, batch_of(run, run.step)).loss) for _ in range(STEPS)]
    return losses, state_of(run)


def worker(rank: int, folder: str) -> None:
    low_crops()
    with joined(rank, Path(folder) / "store"):
        found = {method: train(method, 1 if method == "ours" else None) for method in METHODS}
        torch.save(found, f"{folder}/{rank}.pt")


def sharing(rank: int, folder: str) -> None:
    """Features for the last stage, of three scans by two processes."""
    with joined(rank, Path(folder) / "sharing"):
        config = config_of("ours", Path(folder) / "run")
        run = start(replace(config, refine=replace(config.refine, limit=3)))
        torch.save(features_of_run(run), f"{folder}/features{rank}.pt")


@pytest.mark.slow
def test_processes_share_the_scans_of_the_last_stage(tmp_path):
    torch.multiprocessing.spawn(sharing, args=(str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"features{rank}.pt", weights_only=False) for rank in range(2))
    config = config_of("ours", tmp_path / "alone")
    alone = features_of_run(start(replace(config, refine=replace(config.refine, limit=3))))
    assert second == [[]] and len(first[0]) == 3
    for one, other in zip(first[0], alone[0], strict=True):
        assert one.records == other.records
        assert torch.allclose(one.organs, other.organs, atol=1e-2) and torch.allclose(one.whole, other.whole, atol=1e-2)


def resuming(rank: int, folder: str) -> None:
    """One run in one go, and one in a piece a step; the second in fresh objects each time."""
    low_crops()
    with joined(rank, Path(folder) / "resume"):
        whole = start(config_of("ours-bank", Path(folder) / "whole"))
        loop.train(whole, lambda _: {})
        config = replace(config_of("ours-bank", Path(folder) / "parts"), minutes=0.0)
        run = start(config)
        loop.train(run, lambda _: {})
        while not run.done:
            dist.barrier()
            run = start(replace(config, resume=True))
            loop.train(run, lambda _: {})
        torch.save((state_of(whole), state_of(run)), f"{folder}/resumed{rank}.pt")


def broken(rank: int, folder: str, scan: int) -> None:
    """A run of which one scan is broken, and one of which all are."""
    low_crops()
    with joined(rank, Path(folder) / "broken"):
        run = start(config_of("ours-bank", Path(folder) / "one"), Phantoms(broken=[scan]))
        loop.train(run, lambda _: {})
        told = ""
        hopeless = start(config_of("ours-bank", Path(folder) / "all"), Phantoms(broken=range(4)))
        try:
            loop.train(hopeless, lambda _: {})
        except UserError as error:
            told = str(error)
        torch.save((state_of(run), run.skipped, told), f"{folder}/broken{rank}.pt")


@pytest.mark.slow
def test_what_is_broken_in_one_process_is_left_out_by_both_and_named(tmp_path):
    """The second process has the broken scan; the first alone writes the log."""
    scan = scans_of_step(0, 0, 4, 3)[2]
    for name in ("one", "all"):
        (tmp_path / name).mkdir()
    torch.multiprocessing.spawn(broken, args=(str(tmp_path), scan), nprocs=2)
    (first, skipped, told), (second, also, again) = (torch.load(tmp_path / f"broken{rank}.pt") for rank in range(2))
    steps = [n for n in range(4) if scan in scans_of_step(0, n, 4, 3)]
    assert torch.equal(first, second) and torch.isfinite(first).all()
    assert skipped == also == len(steps) < 4
    lines = [json.loads(line) for line in (tmp_path / "one" / "log.jsonl").read_text().splitlines()]
    assert [line for line in lines if "skipped" in line] == [
        {"step": step + 1, "skipped": f"scan {scan}"} for step in steps
    ]
    assert told == again and "2 steps in a row" in told
    assert all(f"scan {n}" in told for n in scans_of_step(0, 1, 4, 3))


@pytest.mark.slow
def test_two_processes_do_what_one_does(tmp_path):
    torch.multiprocessing.spawn(worker, args=(str(tmp_path),), nprocs=2)
    both = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for method in METHODS:
        losses, weights = train(method, None)
        for found in both:
            assert found[method][0] == pytest.approx(losses, abs=1e-5)
            torch.testing.assert_close(found[method][1], weights, atol=1e-5, rtol=1e-5)
        assert torch.equal(both[0][method][1], both[1][method][1])


@pytest.mark.slow
def test_two_processes_go_on_to_the_same_bits(tmp_path):
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    torch.multiprocessing.spawn(resuming, args=(str(tmp_path),), nprocs=2)
    (whole, parts), (other, _) = (torch.load(tmp_path / f"resumed{rank}.pt") for rank in range(2))
    assert torch.equal(whole, parts) and torch.equal(whole, other)
