"""A GPU's memory that does not suffice is told in one sentence, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_ctvlp.errors import UserError
from training.engine import loop
from training.engine.checkpoint import load_checkpoint
from training.engine.dry_run import dry_run
from training.engine.feeding import batch_of
from training.engine.memory import advice
from training.engine.network import Network

from .phantoms import config_of, start


def refuse(*_, **__):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_a_step_that_does_not_fit_ends_in_one_sentence_and_the_checkpoint_is_whole(tmp_path, monkeypatch):
    run = start(config_of("ctglip", tmp_path, micro=2, steps=4))
    real, calls = Network.forward, []

    def forward(*given):
        calls.append(1)
        return real(*given) if len(calls) <= 8 else refuse()

    monkeypatch.setattr(Network, "forward", forward)
    with pytest.raises(UserError) as caught:
        loop.train(run, lambda _: {})
    said = str(caught.value)
    for words in ("step 3:", "--optim.checkpointing", "--optim.micro to 1", "--optim.batch (now 3)", "--model.widths"):
        assert words in said
    assert "--resume" in said and "\n" not in said and said.count(". ") == 0
    assert load_checkpoint(tmp_path)["step"] == 2
    monkeypatch.setattr(Network, "forward", real)
    again = start(replace(run.config, resume=True, optim=replace(run.config.optim, micro=1)))
    loop.train(again, lambda _: {})
    assert again.done


def test_an_optimiser_and_a_dry_run_that_do_not_fit_are_told_too(monkeypatch, tmp_path):
    run = start(config_of("ctglip", tmp_path))
    monkeypatch.setattr(run.optimizer, "step", refuse)
    with pytest.raises(UserError, match="does not hold step 1") as caught:
        loop.advance(run, batch_of(run, 0))
    assert "--resume" not in str(caught.value)  # there is no checkpoint yet
    monkeypatch.setattr(Network, "forward", refuse)
    with pytest.raises(UserError, match="does not hold"):
        dry_run(run)


def test_no_advice_is_given_that_was_taken():
    config = config_of("ctglip", batch=8, micro=1, checkpointing=True)
    said = advice(replace(config, model=replace(config.model, backbone="vit")))
    assert said == "choose a smaller model (--model.vit.width)"
    assert "lower --optim.micro to 4" in advice(config_of("ctglip", batch=8))


def test_several_processes_are_told_of_sharding(monkeypatch):
    monkeypatch.setattr("training.engine.memory.processes", lambda: 2)
    assert "switch on --optim.shard" in advice(config_of("ours"))
    assert "--optim.shard" not in advice(config_of("ours", shard=True))
