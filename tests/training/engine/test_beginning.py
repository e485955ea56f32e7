"""A run that begins with an encoder's weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_ctvlp.encoder.native import NativeEncoder
from napari_ctvlp.encoder.native_model import NativeModel, Provenance
from napari_ctvlp.encoder.vision import VisionConfig
from napari_ctvlp.errors import UserError
from training.config import ModelConfig, TextConfig
from training.data.text_models import load_text_tower
from training.engine.beginning import at_shape_of_start, begin_from

from ..tiny_text import write_tiny
from .phantoms import config_of, start


@pytest.fixture
def encoder(tmp_path):
    """A small encoder in a folder, of the shape of the phantoms' runs."""

    def made(**shape):
        tower = load_text_tower(TextConfig(str(write_tiny(tmp_path / "text"))))
        config = replace(VisionConfig(**vars(config_of("ours", tmp_path).model)), **shape)
        model = NativeModel(config, tower.width)
        about = Provenance("small", "BSD-3-Clause", "nothing", "small", ("liver",), ())
        NativeEncoder(model, tower, about, device="cpu").save_pretrained(tmp_path / "small")
        return tmp_path / "small"

    return made


def test_networks_begin_with_an_encoders_weights(encoder, tmp_path):
    run = start(config_of("ours", tmp_path / "run"))
    folder = encoder()
    written = NativeEncoder.from_pretrained(folder, device="cpu").model.state_dict()
    begin_from(run.learner, str(folder))
    network = run.learner.parts[0]
    assert all(torch.equal(value, written[key]) for key, value in network.model.state_dict().items())
    assert network.whole_head is not None
    whole, organs = network.whole_head[1].weight, network.model.vision.head[1].weight
    assert torch.equal(whole, organs) and whole is not organs


def test_an_encoder_of_another_shape_is_refused(encoder, tmp_path):
    run = start(config_of("ours", tmp_path / "run"))
    with pytest.raises(UserError, match=r"another shape .*same --model settings"):
        begin_from(run.learner, str(encoder(hidden=48)))


def test_a_run_takes_the_shape_of_the_encoder_unless_another_is_asked_for(encoder, tmp_path):
    folder = encoder(evidence=("kidney_stone",))
    config = replace(config_of("finetune", tmp_path / "run"), start_from=str(folder))
    assert at_shape_of_start(config) == config
    found = at_shape_of_start(replace(config, model=ModelConfig()))
    assert found.model == replace(config.model, evidence=("kidney_stone",))
    begin_from(start(found).learner, str(folder))
    assert at_shape_of_start(replace(config, start_from=None, model=ModelConfig())).model == ModelConfig()


def test_an_encoder_that_there_is_not(tmp_path):
    run = start(config_of("ours", tmp_path / "run"))
    with pytest.raises(UserError, match="There is no encoder 'nowhere'"):
        begin_from(run.learner, "nowhere")
