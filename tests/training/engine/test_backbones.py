"""Every method on every backbone; a ViT's run resumes to the same bits; activations computed again; compiled blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from napari_ctvlp.encoder.vit import VitConfig
from training.config import PretrainConfig
from training.engine import loop
from training.engine.checkpoint import load_checkpoint
from training.engine.feeding import batch_of
from training.objectives.registry import METHODS

from .phantoms import config_of, start, state_of

VIT = {"backbone": "vit", "vit": VitConfig(patch=8, width=16, depth=2, heads=2)}
MEAN = {"pooling": "mean"}


def config_with(model: dict, method: str, folder: Path | None = None, **optim) -> PretrainConfig:
    config = config_of(method, folder, **optim)
    return replace(config, model=replace(config.model, **model))


@pytest.mark.parametrize(
    ("model", "method"),
    [
        *(pytest.param(VIT, method, id=f"vit-{method}") for method in METHODS),
        *(pytest.param(MEAN, method, id=f"mean-{method}") for method in ("ctglip", "fvlm-coteach", "t3d")),
        pytest.param({**VIT, **MEAN}, "ours", id="vit-mean-ours"),
    ],
)
def test_every_method_trains_every_model(model, method):
    run = start(config_with(model, method))
    run.learner.train()
    before = state_of(run)
    for _ in range(2):
        result = loop.advance(run, batch_of(run, run.step))
        assert torch.isfinite(result.loss) and result.terms and result.rows > 0
    for network in run.learner.networks:
        for parameter in network.model.vision.stages.parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all()
        assert next(network.model.vision.stages.parameters()).grad.norm() > 0
    assert run.skipped == 0 and (state_of(run) - before).abs().max() > 0


@pytest.mark.parametrize("method", ["ours-bank", "t3d"])
@pytest.mark.parametrize("model", [VIT, MEAN], ids=["vit", "mean"])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path, method, model):
    states = []
    for name, minutes in (("whole", None), ("parts", 0.0)):
        (tmp_path / name).mkdir()
        config = replace(config_with(model, method, tmp_path / name, half=True), minutes=minutes)
        run = start(config)
        loop.train(run, lambda _: {})
        while not run.done:
            run = start(replace(config, resume=True))
            loop.train(run, lambda _: {})
        states.append(state_of(run))
    assert torch.equal(*states)


@pytest.mark.slow
def test_a_vit_is_the_same_from_run_to_run_on_several_threads():
    torch.set_num_threads(2)
    states = []
    for _ in range(2):
        run = start(config_with(VIT, "ctglip", half=True))
        run.learner.train()
        for _ in range(2):
            loop.advance(run, batch_of(run, run.step))
        states.append(state_of(run))
    assert torch.equal(*states)


@pytest.mark.parametrize("model", [{}, VIT], ids=["cnn", "vit"])
@pytest.mark.parametrize("micro", [None, 2])
def test_activations_computed_again_give_the_gradient_of_a_step(model, micro):
    found = []
    for checkpointing in (False, True):
        run = start(config_with(model, "ours", micro=micro, checkpointing=checkpointing, half=True))
        run.learner.train()
        result = loop.gradient_step(run, batch_of(run, 0))
        found.append([result.loss, *(p.grad for p in run.learner.parameters() if p.grad is not None)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("model", [{}, VIT], ids=["cnn", "vit"])
def test_a_compiled_network_trains_and_its_checkpoint_is_that_of_any_other(tmp_path, model):
    try:
        torch.compile(lambda x: x + 1)(torch.ones(2))
    except torch._dynamo.exc.BackendCompilerFailed as error:
        pytest.skip(f"no compiler works here: {str(error).splitlines()[0]}")
    found = []
    for compiled in (False, True):
        folder = tmp_path / str(compiled)
        folder.mkdir()
        config = config_with(model, "ctglip", folder, steps=2, compile=compiled)
        loop.train(start(config), lambda _: {})
        # read by a network that is not compiled
        found.append(start(replace(config_with(model, "ctglip", folder, steps=2), resume=True)))
    names = [list(load_checkpoint(tmp_path / name)["model"]) for name in ("False", "True")]
    assert names[0] == names[1]
    torch.testing.assert_close(state_of(found[0]), state_of(found[1]), rtol=1e-3, atol=1e-4)
