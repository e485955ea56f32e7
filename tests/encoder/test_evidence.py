"""Evidence: places are judged as by a fully convolutional network, and organs get the most of it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from napari_ctvlp.encoder import evidence as module
from napari_ctvlp.encoder.evidence import OrganEvidence
from napari_ctvlp.encoder.pooling import OrganTokens, index_organs
from napari_ctvlp.encoder.vision import VisionConfig, VisionTower

from .test_pooling import random_labels

SIZE = (9, 8, 10)
GRIDS = [(5, 4, 5), (3, 2, 3), (2, 1, 2)]
WIDTHS = (3, 4, 5)


def maps(seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(2, width, *grid, generator=generator).to(memory_format=torch.channels_last_3d).requires_grad_()
        for width, grid in zip(WIDTHS, GRIDS, strict=True)
    ]


def judge(kinds: int = 2) -> OrganEvidence:
    torch.manual_seed(1)
    return OrganEvidence(WIDTHS, (2, 4, 8), kinds)


def dense(network: OrganEvidence, features: list[torch.Tensor]) -> torch.Tensor:
    """(B, kinds, i, p, l) by convolutions, repetition and addition."""
    total: torch.Tensor | float = 0.0
    for depth, each in enumerate(features):
        layer = network.judges[depth]
        judged = module.GAIN * F.conv3d(each, layer.weight[:, :, None, None, None], layer.bias)
        for along, size in zip((2, 3, 4), GRIDS[0], strict=True):
            judged = judged.repeat_interleave(2**depth, along).narrow(along, 0, size)
        total = total + judged
    assert isinstance(total, torch.Tensor)
    return total


@pytest.fixture(params=["at once", "organ by organ"])
def way(request, monkeypatch) -> str:
    monkeypatch.setattr(module, "WORTH_A_STEP", 0 if request.param == "organ by organ" else float("inf"))
    return request.param


def test_places_are_judged_as_by_a_fully_convolutional_network():
    network, features = judge(), maps()
    expected = dense(network, features).permute(0, 2, 3, 4, 1).reshape(-1, 2)
    token = torch.arange(len(expected))
    assert torch.allclose(network.at(features, token), expected, atol=1e-6)


def test_an_organ_gets_the_largest_judgement_and_the_share(way):
    network, features = judge(), maps()
    tokens = index_organs(random_labels(SIZE), GRIDS, [2, 4, 8], 3.0).levels[0]
    organs = int(tokens.segment.max()) + 1
    found = network(features, tokens, organs)
    judged = dense(network, features).permute(0, 2, 3, 4, 1).reshape(-1, 2)
    for organ in range(organs):
        mine = tokens.segment == organ
        own, count = judged[tokens.token[mine]], tokens.log_count[mine].exp()
        assert torch.allclose(found[organ, :2], own.amax(0), atol=1e-6)
        assert torch.allclose(found[organ, 2:], (own.sigmoid() * count[:, None]).sum(0) / count.sum(), atol=1e-6)


def test_the_gradient_is_that_of_the_largest_judgement(way):
    network, features = judge(), maps()
    tokens = index_organs(random_labels(SIZE), GRIDS, [2, 4, 8], 3.0).levels[0]
    organs = int(tokens.segment.max()) + 1
    weight = torch.randn(organs, 2, generator=torch.Generator().manual_seed(3))
    judged = dense(network, features).permute(0, 2, 3, 4, 1).reshape(-1, 2)
    by_hand = torch.stack([judged[tokens.token[tokens.segment == o]].amax(0) for o in range(organs)])
    wanted = torch.autograd.grad((by_hand * weight).sum(), [*features, *network.parameters()])
    found = network(features, tokens, organs)[:, :2]
    got = torch.autograd.grad((found * weight).sum(), [*features, *network.parameters()])
    for one, other in zip(got, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_an_organ_without_tokens_spoils_nothing(way):
    network, features = judge(), maps()
    tokens = OrganTokens(torch.tensor([0, 3, 7]), torch.tensor([0, 0, 2]), torch.zeros(3))
    found = network(features, tokens, 3)
    assert torch.isfinite(found).all() and (found[1, 2:] == 0).all()


@pytest.mark.parametrize("backbone", ["cnn", "vit"])
def test_a_tower_with_evidence_tells_what_it_judged(backbone):
    torch.manual_seed(0)
    config = VisionConfig(
        widths=(8, 16), blocks=(1, 1), heads=2, hidden=16, dim=8, backbone=backbone, evidence=("cyst", "stone", "mass")
    )
    tower = VisionTower(config).eval()
    image, labels = torch.rand(1, 3, 16, 16, 16) * 2 - 1, torch.zeros(1, 16, 16, 16, dtype=torch.uint8)
    labels[0, 2:9, 2:9, 2:9], labels[0, 10:, 10:, 10:] = 5, 7
    with torch.no_grad():
        features = tower.features(image)
        index = tower.index(labels, image)
        pooled = tower.pooled(features, index)
        assert torch.equal(tower.judged(pooled), tower.evidence(features, index.levels[0], 2)[:, :3])
        assert tower.pool(features, index).shape == (2, 8)


def test_what_is_seen_is_the_mean_and_the_extremes_of_the_voxels():
    image = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).view(1, 2, 3, 4, 5)
    seen = module.as_seen(image, 2)
    assert seen.shape == (1, 6, 2, 2, 3)
    block = image[0, 1, :2, 2:, 2:4]
    assert seen[0, [1, 3, 5], 0, 1, 1].tolist() == [float(block.mean()), float(block.max()), float(block.min())]
    last = image[0, 0, 2, 2:, 4]  # the far ends count once more
    assert seen[0, [0, 2, 4], 1, 1, 2].tolist() == [float(last.mean()), float(last.max()), float(last.min())]
