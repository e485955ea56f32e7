"""The decoder: sizes, backbones, what it begins with and what stays as it is."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from napari_ctvlp.encoder.native_files import read_folder
from napari_ctvlp.encoder.registry import SHIPPED
from napari_ctvlp.encoder.vision import VisionTower
from training.segmentation.fit import Optim, fit_segmenter
from training.segmentation.network import Segmenter, new_segmenter
from training.segmentation.targets import OrganTarget, scans_that_show

from .conftest import SMALL, SMALL_VIT


@pytest.mark.parametrize("vision", [SMALL, SMALL_VIT], ids=["cnn", "vit"])
@pytest.mark.parametrize("size", [(16, 24, 32), (17, 19, 9)], ids=["even", "odd"])
def test_every_voxel_has_a_logit_of_each_class(vision, size):
    network = Segmenter(vision, 5)
    image = torch.randn(2, 3, *size)
    logits = network(image)
    assert logits.shape == (2, 5, *size)
    logits.sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_a_new_network_calls_nearly_all_background():
    chances = Segmenter(SMALL, 13)(torch.randn(1, 3, 16, 16, 16)).softmax(1).mean((0, 2, 3, 4))
    assert chances[0] > 0.9


def test_the_shipped_encoder_really_arrives():
    """The maps of the fitted backbone are those that the plugin's encoder has."""
    tower = read_folder(SHIPPED / "starter").model.vision
    vision = dataclasses.replace(tower.config, evidence=())
    network = new_segmenter(vision, 3, 0, tower.state_dict())
    image = torch.randn(1, 3, 24, 20, 28)
    with torch.no_grad():
        for own, theirs in zip(network.maps(image), tower.features(image), strict=True):
            assert torch.equal(own, theirs[:, : own.shape[1]])  # the finest also holds the image as it is seen


def test_with_and_without_an_encoder_the_decoder_begins_alike():
    tower = VisionTower(SMALL)
    given, scratch = new_segmenter(SMALL, 3, 7, tower.state_dict()), new_segmenter(SMALL, 3, 7, None)
    assert torch.equal(given.head.weight, scratch.head.weight)
    assert torch.equal(given.refine[0][0].weight, scratch.refine[0][0].weight)
    assert not torch.equal(given.stages[0][0].weight, scratch.stages[0][0].weight)
    assert torch.equal(given.stages[0][0].weight, tower.stages[0][0].weight)


def test_weights_of_another_shape_are_refused():
    other = VisionTower(dataclasses.replace(SMALL, blocks=(1, 2, 1)))
    with pytest.raises(ValueError, match="not the weights"):
        new_segmenter(SMALL, 3, 0, other.state_dict())


@pytest.mark.parametrize("frozen", [True, False])
def test_what_is_frozen_stays_and_the_rest_moves(frozen, phantom, tmp_path):
    tower, target = VisionTower(SMALL), OrganTarget(("kidney_left", "kidney_right"))
    network = new_segmenter(SMALL, 3, 0, tower.state_dict())
    if frozen:
        network.freeze()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    shown = scans_that_show(target, phantom)
    fit_segmenter(network, phantom, target, shown, Optim(steps=2, batch=1, crop=16), tmp_path)
    moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    backbone = {name for name in before if name.startswith(("stages.", "norms."))}
    assert moved >= before.keys() - backbone and (moved.isdisjoint(backbone) if frozen else moved & backbone)
