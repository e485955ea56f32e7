"""Fine-tuning on labels: of the whole network or of its heads alone, from an encoder to one that the plugin opens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_ctvlp.ask import rank_organs, score_abnormalities
from napari_ctvlp.encoder import load_encoder
from napari_ctvlp.encoder.native import NativeEncoder
from napari_ctvlp.encoder.native_files import read_folder
from napari_ctvlp.encoder.native_model import NativeModel, Provenance
from napari_ctvlp.encoder.vision import VisionConfig
from napari_ctvlp.sample import scan_of
from training.average import averaged
from training.config import ModelConfig, OptimConfig, PretrainConfig, RefineConfig, TextConfig, WorldConfig
from training.data.store import WorldStore
from training.data.text_models import load_text_tower
from training.engine import loop
from training.engine.checkpoint import load_checkpoint
from training.engine.feeding import batch_of
from training.pretrain import pretrain

from .engine.phantoms import config_of, start
from .tiny_text import write_tiny

SHAPE = ModelConfig(widths=(8, 16), blocks=(1, 1), heads=2, hidden=32, dim=32, spacing=6.0)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    """A small encoder with random weights and a small text model."""
    folder = tmp_path_factory.mktemp("encoder")
    tower = load_text_tower(TextConfig(str(write_tiny(folder / "text"))))
    torch.manual_seed(0)
    model = NativeModel(VisionConfig(**vars(SHAPE)), tower.width)
    made = NativeEncoder(model, tower, Provenance("small", "none", "nothing", "small", ("liver",), ()), device="cpu")
    made.save_pretrained(folder / "small")
    return folder / "small"


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    """A few synthetic scans."""
    folder = tmp_path_factory.mktemp("scans")
    WorldStore(folder / "train", "train", 8, bodies=2, spacing=6.0, abnormal=3.0).prepare(workers=1)
    WorldStore(folder / "validation", "validation", 4, bodies=1, spacing=6.0, abnormal=3.0).prepare(workers=1)
    return folder


@pytest.fixture
def config_in(scans, encoder, tmp_path):
    """A run that begins with the encoder."""

    def make(**changes) -> PretrainConfig:
        config = PretrainConfig(
            run=tmp_path / "run",
            method="finetune",
            start_from=str(encoder),
            world=WorldConfig(train_scans=8, validation_scans=4, bodies=2, abnormal=3.0, folder=scans),
            optim=OptimConfig(steps=0, batch=2, warmup=1),
            refine=RefineConfig(steps=4, scans=4),
            text=TextConfig(str(encoder / "text")),
            at_least=1,
            device="cpu",
        )
        return replace(config, **changes)

    return make


def test_the_loss_of_labels_falls(tmp_path):
    run = start(config_of("finetune", tmp_path, steps=40, warmup=1, ema=0.5, learning_rate=3e-3))
    run.learner.train()
    losses = []
    for _ in range(40):
        term = loop.advance(run, batch_of(run, run.step)).terms["labels"]
        losses.append(float(term.value.detach()))
    assert np.mean(losses[-8:]) < 0.8 * np.mean(losses[:8]) and np.mean(losses[-8:]) < term.chance


def test_heads_alone_are_trained_without_a_step_and_the_plugin_opens_what_comes_of_it(config_in, encoder, scans):
    """As told on the command line by ``--optim.steps 0``; the network below the heads stays as it was."""
    config = config_in()
    pretrain(config)
    before = read_folder(encoder).model.state_dict()
    after = torch.load(config.run / "final.pt", weights_only=True)["average"]
    changed = {key for key, value in before.items() if not torch.equal(value, after[key])}
    assert changed and all(key.startswith(("vision.head", "text_projection", "log_scale")) for key in changed)
    assert load_checkpoint(config.run)["step"] == 0
    pretrain(replace(config, resume=True))
    again = torch.load(config.run / "final.pt", weights_only=True)["average"]
    assert all(torch.equal(value, again[key]) for key, value in after.items())

    found = load_encoder(config.run / "encoder", device="cpu")
    assert found.card.abnormalities and "fine-tuning" in found.card.summary
    scan = WorldStore(scans / "validation", "validation", 4, bodies=1, spacing=6.0, abnormal=3.0).load(0)
    organs = {label: record.organ for label, record in scan.organs.items()}
    embedding = found.encode_scan(*scan_of(np.asarray(scan.hu), np.asarray(scan.labels), 6.0, "scan", organs))
    assert any(score.probability is not None for score in score_abnormalities(embedding))
    assert rank_organs(embedding, "where bile is stored").organs


def test_the_whole_network_is_fine_tuned_and_averages_with_what_it_began_with(config_in, encoder):
    config = config_in(optim=OptimConfig(steps=2, batch=2, warmup=1))
    pretrain(config)
    old, new = read_folder(encoder), read_folder(config.run / "encoder")
    first = "vision.stages.0.0.weight"
    one, other = old.model.state_dict()[first], new.model.state_dict()[first]
    assert not torch.equal(one, other)
    middle = averaged([old, new], (1.0, 1.0)).model.state_dict()[first]
    torch.testing.assert_close(middle, (one + other) / 2)
