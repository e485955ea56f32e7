"""Steps of organs and steps of whole volumes take turns."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from napari_ctvlp.errors import UserError
from tests.training.gloo import joined
from training.data.seeding import is_whole_step
from training.engine import dry_run as dry
from training.engine import loop
from training.engine.feeding import batch_of
from training.engine.shard import in_one_piece
from training.objectives.base import Needs

from .phantoms import config_of, low_crops, start, state_of

ORGAN_TERMS = {"organ", "abnormality", "within", "finding", "report"}


def test_every_third_step_is_of_whole_volumes():
    assert [step for step in range(8) if is_whole_step(step, 3)] == [2, 5]
    assert not any(is_whole_step(step, 0) for step in range(8))
    both = Needs(views=2, whole=True, tokens=True, momentum=True, hard=True)
    assert both.of_kind(True) == Needs(views=2, organs=False, whole=True, tokens=True)
    assert both.of_kind(False) == Needs(views=2, momentum=True, hard=True)


@pytest.mark.parametrize("micro", [None, 1])
def test_a_step_has_the_terms_of_its_kind_and_moves_nothing_else(tmp_path, micro):
    run = start(config_of("ours", tmp_path, alternate=2, micro=micro))
    network = run.learner.train().parts[0]
    sizes = []
    for step in range(4):
        batch, own = batch_of(run, step), run.learner.model.vision.head[1].weight
        heads = own.clone(), network.whole_head[1].weight.clone()
        result = loop.advance(run, batch)
        whole = step % 2 == 1
        assert set(result.terms) == ({"whole"} if whole else ORGAN_TERMS)
        weights = {name: run.learner.objective.weights.get(name, 1.0) for name in result.terms}
        by_hand = sum(weights[name] * term.value for name, term in result.terms.items())
        torch.testing.assert_close(result.loss, by_hand.detach())
        assert (batch.reports is not None and len(batch.reports) == 3) == whole
        moved = [not torch.equal(*pair) for pair in zip(heads, (own, network.whole_head[1].weight), strict=True)]
        assert moved == ([False, True] if whole else [True, False])
        sizes.append(batch.image.shape[2:].numel())
    assert sizes[1] == sizes[3] >= max(sizes)


def test_without_it_every_step_has_all_terms():
    run = start(config_of("ours"))
    run.learner.train()
    for _ in range(2):
        assert set(loop.advance(run, batch_of(run, run.step)).terms) == ORGAN_TERMS | {"whole"}


def test_a_run_that_was_stopped_goes_on_to_the_same_bits_and_its_log_has_both_kinds(tmp_path):
    config = config_of("ours-bank", tmp_path / "whole", alternate=2, steps=10)
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = start(config)
    loop.train(whole, lambda _: {})
    parts = replace(config, run=tmp_path / "parts", minutes=0.0)
    for n in range(10):
        run = start(replace(parts, resume=n > 0))
        assert run.step == n
        loop.train(run, lambda _: {})
    assert run.done and torch.equal(state_of(whole), state_of(run))
    line = json.loads((tmp_path / "whole" / "log.jsonl").read_text().splitlines()[-1])
    assert line["step"] == 10 and line["whole_steps"] == 5
    assert ORGAN_TERMS | {"whole"} <= line.keys()


@pytest.mark.parametrize(("method", "every"), [("clip", 4), ("ctglip", 4), ("ours", 1)])
def test_a_method_of_one_kind_is_refused(method, every):
    with pytest.raises(UserError, match=r"--optim.alternate .* --method ours"):
        start(config_of(method, alternate=every))


def trained(**optim: bool) -> torch.Tensor | None:
    run = start(config_of("ours", alternate=2, learning_rate=1e-4, **optim))
    for group in run.optimizer.param_groups:
        group["eps"] = 1e-4
    run.learner.train()
    for _ in range(3):
        loop.advance(run, batch_of(run, run.step))
    whole = in_one_piece(run)
    return state_of(whole) if whole.shards is None else None


def worker(rank: int, folder: str) -> None:
    low_crops()
    with joined(rank, Path(folder) / "store"):
        torch.save((trained(), trained(shard=True)), f"{folder}/{rank}.pt")


@pytest.mark.slow
def test_two_processes_do_what_one_does(tmp_path):
    """Also of heads that one kind of step gives no gradient: they stay, by the one optimiser as by the other."""
    torch.multiprocessing.spawn(worker, args=(str(tmp_path),), nprocs=2)
    wanted = trained()
    plain, parts = torch.load(tmp_path / "0.pt")
    for found in (plain, parts, torch.load(tmp_path / "1.pt")[0]):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_a_dry_run_measures_both_kinds(capsys, monkeypatch):
    run = start(config_of("ours", alternate=4, steps=100))
    seconds = {0: 1.0, 3: 5.0}

    def measured(run, step, largest=False):
        batch = batch_of(run, step)
        run.step = step
        return dry.Measured(batch, loop.gradient_step(run, batch), 0.0, seconds[step])

    monkeypatch.setattr(dry, "measure", measured)
    monkeypatch.setattr(dry, "at_mean_crop", lambda run, usual, large: usual)
    found = dry.dry_run(run)
    assert found["hours"] == pytest.approx((3 * 1.0 + 5.0) / 4 * 100 / 3600) and run.step == 0
    assert "Every 4th step is of whole volumes" in capsys.readouterr().out
