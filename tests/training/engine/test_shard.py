"""Two processes that each hold a part of the weights do what one does, and go on to the same bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from napari_ctvlp.encoder.cnn import ResidualBlock
from tests.training.gloo import joined
from tests.training.tiny_text import tiny_tower
from training.config import ModelConfig, PretrainConfig, RefineConfig, TextConfig
from training.engine import loop
from training.engine.checkpoint import load_checkpoint
from training.engine.feeding import batch_of
from training.engine.processes import is_share, own_part
from training.engine.refine import refine
from training.engine.shard import in_one_piece

from .phantoms import config_of, low_crops, start, state_of

CASES: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "organs": ("ctglip", {}, None),
    "views, in two passes": ("t3d", {"micro": 1}, None),
    "momentum, checkpointing, text tower in parts": ("fvlm", {"micro": 1, "checkpointing": True}, "all"),
    "two networks": ("fvlm-coteach", {"checkpointing": True}, None),
    "one process has no scan": ("ours", {"batch": 1}, None),
    "nothing in two passes": ("clip", {"batch": 3, "micro": 1}, None),
    "vit": ("clip", {}, None),
}
STEPS = 2
RESUMED = "momentum, checkpointing, text tower in parts"


def begun(config: PretrainConfig) -> loop.Run:
    """A run; of a text tower that is trained, a tiny one."""
    torch.manual_seed(3)
    tower = None if config.text.train == "frozen" else tiny_tower(num_hidden_layers=2)
    run = start(config, tower=tower)
    for group in run.optimizer.param_groups:
        group["eps"] = 1e-4  # a gradient that is zero but for rounding would be blown up to a full step by Adam
    return run


def config_for(case: str, **optim: Any) -> PretrainConfig:
    method, more, text = CASES[case]
    config = config_of(method, learning_rate=1e-4, **(more | optim))
    if case == "vit":
        config = replace(config, model=replace(config.model, backbone="vit", vit=VIT))
    return config if text is None else replace(config, text=TextConfig(train=text, micro=2, learning_rate=1.0))


REFINE = RefineConfig(steps=3, scans=2)
VIT = replace(ModelConfig().vit, patch=8, width=24, heads=2, depth=2)


def trained(case: str, **optim: Any) -> tuple[list[float], Tensor | None]:
    """Losses of two steps, and all weights after them, in the first process."""
    run = begun(config_for(case, **optim))
    run.learner.train()
    losses = [float(loop.advance(run, batch_of(run, run.step)).loss) for _ in range(STEPS)]
    whole = in_one_piece(run)
    text = [] if whole.average_text is None else [p.flatten() for p in whole.average_text.parameters()]
    return losses, torch.cat([state_of(whole), *text]) if whole.shards is None else None


def worker(rank: int, folder: str) -> None:
    low_crops()
    with joined(rank, Path(folder) / "store"):
        torch.save({case: trained(case, shard=True) for case in CASES}, f"{folder}/{rank}.pt")


@pytest.mark.slow
def test_two_processes_with_half_of_the_weights_do_what_one_does(tmp_path):
    torch.multiprocessing.spawn(worker, args=(str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for case in CASES:
        losses, weights = trained(case)
        assert first[case][0] == second[case][0] == pytest.approx(losses, abs=1e-5)
        torch.testing.assert_close(first[case][1], weights, atol=1e-5, rtol=1e-5)


def half(run: loop.Run) -> None:
    """Of every block's weights, averages, gradients and optimiser state this process has its half."""
    run.learner.train()
    loop.advance(run, batch_of(run, 0))
    for model in (run.learner.model, run.average):
        blocks = [m for m in model.vision.modules() if isinstance(m, ResidualBlock)]
        assert len(blocks) == 2
        for parameter in (p for block in blocks for p in block.parameters()):
            assert is_share(parameter) and 2 * own_part(parameter).numel() == parameter.numel()
            assert parameter.grad is None or 2 * own_part(parameter.grad).numel() == parameter.numel()
    weight = dict(run.learner.named_parameters())["networks.0.model.vision.stages.1.3.first.weight"]
    own = [p for p in run.optimizer.state if p.data_ptr() == own_part(weight).data_ptr()]
    assert [tuple(run.optimizer.state[p]["exp_avg"].shape) for p in own] == [(8, 16, 3, 3, 3)]
    layer = run.learner.text.model.encoder.layer[0].output.dense.weight
    assert is_share(layer) and 2 * own_part(layer).numel() == layer.numel()
    assert not is_share(run.learner.model.log_scale)


def last_stage(run: loop.Run) -> Tensor:
    """What the last stage makes of a run."""
    model, _ = refine(replace(run, config=replace(run.config, refine=REFINE)), run.vocabulary)
    return torch.cat([p.flatten() for p in model.parameters()])


def resuming(rank: int, folder: str) -> None:
    low_crops()
    with joined(rank, Path(folder) / "store"):
        half(begun(config_for(RESUMED, shard=True)))
        in_pieces(rank, Path(folder))  # a call of its own: what it leaves in memory ends before the processes part


def in_pieces(rank: int, folder: Path) -> None:
    """One run in one go, and one in a piece a step; then the last stage of it in the first process."""
    config = config_for(RESUMED, shard=True, steps=4)
    looks: list[Tensor] = []
    whole = begun(replace(config, run=folder / "whole", validate_every=2))
    loop.train(whole, lambda run: {"looks": looks.append(state_of(run))})
    for n in range(4):
        dist.barrier()
        run = begun(replace(config, run=folder / "parts", minutes=0.0, resume=n > 0))
        assert run.step == n
        loop.train(run, lambda _: {})
    assert run.done and len(looks) == (rank == 0)
    one, other = in_one_piece(whole), in_one_piece(run)
    if rank == 0:
        torch.save((state_of(one), state_of(other), last_stage(other)), folder / "seen.pt")


@pytest.mark.slow
def test_two_processes_with_half_of_the_weights_go_on_to_the_same_bits_and_so_does_one(tmp_path):
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    torch.multiprocessing.spawn(resuming, args=(str(tmp_path),), nprocs=2)
    whole, parts, refined = torch.load(tmp_path / "seen.pt")
    assert torch.equal(whole, parts)

    config = config_for(RESUMED, shard=True, steps=4)
    alone = begun(config)
    alone.learner.train()
    for _ in range(4):
        loop.advance(alone, batch_of(alone, alone.step))
    torch.testing.assert_close(whole, state_of(alone), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(refined, last_stage(alone), atol=1e-4, rtol=1e-4)

    # the checkpoint before the last, of two processes, is gone on with by one
    state = load_checkpoint(tmp_path / "parts")
    (tmp_path / "parts" / "last.pt").unlink()
    assert load_checkpoint(tmp_path / "parts")["step"] == 3 and state["step"] == 4
    run = begun(replace(config, run=tmp_path / "parts", resume=True))
    assert run.shards is None and run.step == 3
    run.learner.train()
    loop.advance(run, batch_of(run, 3))
    torch.testing.assert_close(state_of(run), whole, atol=1e-5, rtol=1e-5)
    last, now = state["optimizer"], run.optimizer.state_dict()
    assert last["param_groups"] == now["param_groups"] and last["state"].keys() == now["state"].keys()
    for number, values in now["state"].items():
        for name, value in values.items():
            torch.testing.assert_close(last["state"][number][name], value, atol=1e-5, rtol=1e-4)
