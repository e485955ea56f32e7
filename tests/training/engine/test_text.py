"""A trained text tower: exact gradients however a step is divided, the same bits after a stop, an average beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from napari_ctvlp.encoder.text import TextTower
from napari_ctvlp.errors import UserError
from tests.training.gloo import joined
from tests.training.tiny_text import tiny_tower, write_tiny
from training.config import PretrainConfig, TextConfig
from training.engine import loop
from training.engine.feeding import batch_of
from training.engine.sentences import projected, step_texts
from training.engine.step import features_of, organ_rows
from training.engine.text import StepBank, layers_of, optimizer_groups, trained_tower

from .phantoms import config_of, low_crops, start, state_of


def config_with(train: str | int, method: str = "ctglip", folder: Path | None = None, **optim) -> PretrainConfig:
    config = config_of(method, folder, **optim)
    return replace(config, text=TextConfig(train=train, learning_rate=1.0))


def text_gradient(run: loop.Run) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in run.learner.text.parameters() if p.requires_grad])


def stepped(config: PretrainConfig, layers: int = 1) -> tuple[loop.Run, loop.StepResult]:
    run = start(config, tower=tiny_tower(num_hidden_layers=layers))
    run.learner.train()
    return run, loop.gradient_step(run, batch_of(run, 0))


def plain_gradient(config: PretrainConfig) -> tuple[float, torch.Tensor]:
    """Loss and gradient of the text tower by autograd alone: every text by itself and as often as it is asked for."""
    run = start(config, tower=tiny_tower())
    learner, tower, batch = run.learner.train(), run.learner.text, batch_of(run, 0)
    calls: list[str] = []

    def one_by_one(texts):
        calls.extend(texts)
        return torch.cat([tower.embed([text]) for text in texts]) if texts else torch.zeros(0, tower.width)

    indices = learner.indices(batch.image, batch.labels)
    encoded = [network(batch.image, indices, False) for network in learner.networks]
    organs = organ_rows(batch, slice(0, None), indices.organs, run.classes.organs, 0) if indices.organs else None
    places = [batch.positions[v // batch.views] for v in organs.views] if organs else []
    needs = learner.needs
    texts, text = step_texts(
        replace(run.vocabulary, bank=one_by_one),
        organs.records if organs else [],
        places,
        config.seed,
        0,
        hard=needs.hard,
        reports=[run.store.report(i) for i in batch.scans] if needs.whole else None,
        slow=run.average_text if needs.momentum else None,
    )
    features = tuple(features_of(needs, each, organs, text, batch, run.classes) for each in encoded)
    slow = run.average.text_projection if needs.momentum else None
    told = tuple(projected(texts, model, slow) for model in learner.models)
    loss, _ = learner.objective(features, told, learner.scale, 0.0)
    loss.backward()
    assert len(calls) > len(set(calls)) or not needs.whole  # something is said twice
    return loss.item(), text_gradient(run)


@pytest.mark.parametrize("method", ["ctglip", "fvlm", "fvlm-coteach", "t3d", "ours"])
def test_the_gradient_is_that_of_plain_autograd_however_the_step_is_divided(method):
    config = config_with("all", method)
    loss, wanted = plain_gradient(config)
    assert wanted.norm() > 0
    for micro, texts in ((None, None), (1, 3), (None, 1000)):
        divided = replace(config, optim=replace(config.optim, micro=micro), text=replace(config.text, micro=texts))
        run, result = stepped(divided)
        assert float(result.loss) == pytest.approx(loss, abs=1e-5)
        assert (text_gradient(run) - wanted).norm() <= 1e-4 * wanted.norm()


def test_gradients_reach_what_is_to_be_trained_and_nothing_else():
    run, _ = stepped(config_with("frozen"))
    assert run.learner.text is None and run.average_text is None
    run, _ = stepped(config_with(1), layers=3)
    reached = {name.split(".layer.")[-1][:1] for name, p in run.learner.text.named_parameters() if p.grad is not None}
    assert reached == {"2"}
    run, _ = stepped(config_with("all"), layers=3)
    missed = [name for name, p in run.learner.text.named_parameters() if p.grad is None]
    assert missed and all("pooler" in name for name in missed)


@pytest.mark.parametrize("train", [0, 3])
def test_layers_that_there_are_not_are_told(train):
    with pytest.raises(UserError, match="1 to 2"):
        trained_tower(tiny_tower(num_hidden_layers=2), TextConfig(train=train))


def test_every_text_of_a_step_is_embedded_once_in_pieces(monkeypatch):
    tower, seen = tiny_tower(), []
    embed = tower.embed
    monkeypatch.setattr(tower, "embed", lambda texts: seen.append(list(texts)) or embed(texts))
    texts = ["the liver", "a stone", "the liver", "the spleen is normal", "a stone"]
    with torch.no_grad():
        found = StepBank(tower, micro=2)(texts)
    assert seen == [["a stone", "the liver"], ["the spleen is normal"]]
    torch.testing.assert_close(found, tower(texts))
    assert StepBank(tower)([]).shape == (0, tower.width)


def test_the_slow_vectors_of_momentum_are_those_of_the_averaged_tower(monkeypatch):
    run = start(config_with("all", "fvlm"), tower=tiny_tower())
    with torch.no_grad():
        for parameter in run.average_text.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    said, told = [], []
    monkeypatch.setattr(run.average_text, "forward", lambda t: said.append(t) or TextTower.forward(run.average_text, t))
    objective = run.learner.objective.forward
    monkeypatch.setattr(
        run.learner.objective, "forward", lambda f, t, *rest: told.append(t[0]) or objective(f, t, *rest)
    )
    loop.gradient_step(run, batch_of(run, 0))
    (texts,), (given,) = said, told
    wanted = F.normalize(run.average.text_projection(TextTower.forward(run.average_text, texts)), dim=-1)
    torch.testing.assert_close(given.organs_momentum, wanted)
    assert not given.organs_momentum.requires_grad and not torch.allclose(given.organs, wanted, atol=1e-3)


def test_the_text_tower_has_its_own_learning_rate_and_average():
    config = config_with("all")
    run = start(replace(config, text=replace(config.text, learning_rate=0.1)), tower=tiny_tower())
    groups = optimizer_groups(run.learner, run.learner.text, run.config)
    assert sum(len(g["params"]) for g in groups) == sum(p.requires_grad for p in run.learner.parameters())
    before = [p.clone() for p in run.learner.text.parameters()]
    run.learner.train()
    loop.advance(run, batch_of(run, 0))
    rates = [group["lr"] for group in run.optimizer.param_groups]
    assert rates == pytest.approx([loop.learning_rate(config, 0) * f for f in (1, 1, 0.1, 0.1)])
    decay = min(config.optim.ema, 1 / 11)
    for mean, value, old in zip(run.average_text.parameters(), run.learner.text.parameters(), before, strict=True):
        torch.testing.assert_close(mean, old.lerp(value, 1 - decay))
        assert value.requires_grad != torch.equal(value, old)


@pytest.mark.parametrize("method", ["fvlm", "fvlm-coteach"])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path, method):
    whole = start(config_with("all", method, tmp_path / "whole"), tower=tiny_tower())
    (tmp_path / "whole").mkdir()
    loop.train(whole, lambda _: {})
    (tmp_path / "parts").mkdir()
    config = replace(config_with("all", method, tmp_path / "parts"), minutes=0.0)
    for n in range(4):
        run = start(replace(config, resume=n > 0), tower=tiny_tower())
        assert run.step == n
        loop.train(run, lambda _: {})
    assert run.done and torch.equal(state_of(whole), state_of(run))
    for one, other in zip(whole.average_text.parameters(), run.average_text.parameters(), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(*(t.model.get_input_embeddings().weight for t in (run.average_text, tiny_tower())))
    with pytest.raises(UserError, match="text tower"):
        start(replace(config, resume=True, text=TextConfig()), tower=tiny_tower())


def shared(rank: int, folder: str) -> None:
    low_crops()
    with joined(rank, Path(folder) / "store"):
        found = {}
        for method in ("ctglip", "fvlm", "ours"):
            run, result = stepped(replace(config_with("all", method), text=TextConfig(train="all", micro=4)))
            found[method] = (float(result.loss), text_gradient(run))
        torch.save(found, f"{folder}/{rank}.pt")


@pytest.mark.slow
def test_two_processes_give_the_gradient_of_one(tmp_path):
    torch.multiprocessing.spawn(shared, args=(str(tmp_path),), nprocs=2)
    both = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for method in both[0]:
        run, result = stepped(config_with("all", method))
        wanted = text_gradient(run)
        for loss, gradient in (found[method] for found in both):
            assert loss == pytest.approx(float(result.loss), abs=1e-5)
            assert (gradient - wanted).norm() <= 1e-4 * wanted.norm()
        assert torch.equal(both[0][method][1], both[1][method][1])


def test_layers_are_found_from_a_folder(tmp_path):
    tower = TextTower.from_folder(write_tiny(tmp_path, num_hidden_layers=2))
    assert len(layers_of(tower)) == 2 and layers_of(tower)[0] is tower.model.encoder.layer[0]
