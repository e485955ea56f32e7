"""Evidence: places are judged as by a fully convolutional network, and organs get the most of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from napari_ctvlp.encoder import evidence as module
from napari_ctvlp.encoder.attenuation import extremes
from napari_ctvlp.encoder.attenuation import features as attenuations
from napari_ctvlp.encoder.dense import NativeDense
from napari_ctvlp.encoder.evidence import OrganEvidence
from napari_ctvlp.encoder.preprocess import NetworkInput
from napari_ctvlp.encoder.tokens import OrganIndex, OrganTokens, index_organs
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
    return OrganEvidence(WIDTHS, (2, 4, 8), kinds, windows=1, hidden=6)


def index_of(seen: bool = True) -> OrganIndex:
    index = index_organs(random_labels(SIZE), GRIDS, [2, 4, 8], 3.0)
    pairs, generator = len(index.levels[0].token), torch.Generator().manual_seed(7)
    return replace(index, attenuation=torch.randn(pairs, attenuations(1), generator=generator) if seen else None)


def by_hand(network: OrganEvidence, features: list[torch.Tensor], index: OrganIndex) -> torch.Tensor:
    """(pairs, kinds) by convolutions, repetition and addition."""
    total: torch.Tensor | float = 0.0
    for depth, each in enumerate(features):
        layer = network.looks[depth]
        said = F.conv3d(each, layer.weight[:, :, None, None, None], layer.bias)
        for along, size in zip((2, 3, 4), GRIDS[0], strict=True):
            said = said.repeat_interleave(2**depth, along).narrow(along, 0, size)
        total = total + said
    assert isinstance(total, torch.Tensor)
    hidden = total.permute(0, 2, 3, 4, 1).reshape(-1, total.shape[1])[index.levels[0].token]
    if index.attenuation is not None:
        hidden = hidden + index.attenuation @ network.relative.weight.T
    return module.GAIN * (F.gelu(hidden) @ network.judge.weight.T + network.judge.bias)


@pytest.fixture(params=["at once", "organ by organ"])
def way(request, monkeypatch) -> str:
    monkeypatch.setattr(module, "WORTH_A_STEP", 0 if request.param == "organ by organ" else float("inf"))
    return request.param


@pytest.mark.parametrize("seen", [True, False])
def test_places_are_judged_as_by_a_fully_convolutional_network(seen):
    network, features, index = judge(), maps(), index_of(seen)
    expected = by_hand(network, features, index)
    assert torch.allclose(network.at(features, index, torch.arange(len(expected))), expected, atol=1e-5)


@pytest.mark.parametrize("seen", [True, False])
def test_an_organ_gets_the_largest_judgement_and_the_share(way, seen):
    network, features, index = judge(), maps(), index_of(seen)
    tokens, organs = index.levels[0], len(index.label)
    found = network(features, index, organs)
    judged = by_hand(network, features, index)
    for organ in range(organs):
        mine = tokens.segment == organ
        own, count = judged[mine], tokens.log_count[mine].exp()
        assert torch.allclose(found[organ, :2], own.amax(0), atol=1e-5)
        assert torch.allclose(found[organ, 2:], (own.sigmoid() * count[:, None]).sum(0) / count.sum(), atol=1e-5)


def test_the_gradient_is_that_of_the_largest_judgement(way):
    network, features, index = judge(), maps(), index_of()
    segment, organs = index.levels[0].segment, len(index.label)
    weight = torch.randn(organs, 2, generator=torch.Generator().manual_seed(3))
    judged = by_hand(network, features, index)
    most = torch.stack([judged[segment == o].amax(0) for o in range(organs)])
    wanted = torch.autograd.grad((most * weight).sum(), [*features, *network.parameters()])
    found = network(features, index, organs)[:, :2]
    got = torch.autograd.grad((found * weight).sum(), [*features, *network.parameters()])
    for one, other in zip(got, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_an_organ_without_tokens_spoils_nothing(way):
    network, features = judge(), maps()
    tokens = OrganTokens(torch.tensor([0, 3, 7]), torch.tensor([0, 0, 2]), torch.zeros(3))
    label = torch.arange(3)
    found = network(features, OrganIndex(torch.zeros_like(label), label, torch.zeros(3, 5), (tokens,)), 3)
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
        assert torch.equal(tower.judged(pooled), tower.evidence(features, index, 2)[:, :3])
        assert tower.pool(features, index).shape == (2, 8)
        alone = tower.pool(features, index.only(torch.tensor([1])))
        assert torch.allclose(alone, tower.pool(features, index)[1:], atol=1e-5)


def test_what_is_seen_is_the_mean_and_the_extremes_of_the_voxels():
    image = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).view(1, 2, 3, 4, 5)
    seen = module.as_seen(image, 2)
    assert seen.shape == (1, 6, 2, 2, 3)
    block = image[0, 1, :2, 2:, 2:4]
    assert seen[0, [1, 3, 5], 0, 1, 1].tolist() == [float(block.mean()), float(block.max()), float(block.min())]
    last = image[0, 0, 2, 2:, 4]  # the far ends count once more
    assert seen[0, [0, 2, 4], 1, 1, 2].tolist() == [float(last.mean()), float(last.max()), float(last.min())]


def test_every_place_of_an_organ_carries_its_judgement():
    """In the order of its places, and the largest is what the organ is given."""
    torch.manual_seed(0)
    tower = VisionTower(
        VisionConfig(widths=(8, 16), blocks=(1, 1), heads=2, hidden=16, dim=8, evidence=("cyst", "stone"))
    ).eval()
    image, labels = torch.rand(1, 3, 16, 16, 16) * 2 - 1, torch.zeros(1, 16, 16, 16, dtype=torch.uint8)
    labels[0, 2:9, 2:9, 2:9], labels[0, 10:, 10:, 10:] = 5, 7
    with torch.no_grad():
        maps, index = tower.features(image), tower.index(labels, image)
        found = tower.evidence(maps, index, 2)[:, :2]
    dense = NativeDense(tower, maps, index, NetworkInput(image, labels), {"liver": 5, "stomach": 7}, (16, 16, 16))
    for row, organ in enumerate(("liver", "stomach")):
        for kind, abnormality in enumerate(("cyst", "stone")):
            judged = dense.judged(organ, abnormality)
            assert len(judged.places) == len(judged.values)
            assert judged.values.max() == pytest.approx(float(found[row, kind]), abs=1e-5)
        label = torch.tensor([5, 7])[row]
        inside = (labels[0] == label).nonzero().float().numpy()
        assert all(abs(inside - place).max(1).min() <= 1 for place in judged.places)
    assert dense.judged("liver", "mass") is None and not len(dense.judged("spleen", "cyst").values)


def test_places_that_groups_share_are_judged_once_and_pooled_as_each_group_alone(monkeypatch):
    torch.manual_seed(0)
    tower = VisionTower(
        VisionConfig(widths=(8, 16), blocks=(1, 1), heads=2, hidden=16, dim=8, evidence=("cyst", "stone"))
    ).eval()
    image, labels = torch.rand(1, 3, 16, 16, 16) * 2 - 1, torch.zeros(1, 16, 16, 16, dtype=torch.uint8)
    labels[0, 2:12, 2:12, 2:12] = 5
    with torch.no_grad():
        maps, index = tower.features(image), tower.index(labels, image)
        groups = [torch.tensor([0, 1, 2, 9]), torch.tensor([2]), torch.tensor([1, 2, 3, 40, 41])]
        place = torch.cat(groups)
        size = torch.tensor([len(group) for group in groups])
        finest, seen = index.levels[0], index.attenuation
        said = tower.evidence.at(maps, index, torch.arange(len(finest.token)))
        count = finest.log_count.exp()[place]
        found = module.around(said, seen, place, size.cumsum(0) - size, count)
        for row, group in enumerate(groups):
            own = OrganTokens(finest.token[group], torch.zeros_like(group), finest.log_count[group])
            alone = OrganIndex(index.sample, index.label, index.geometry, (own, index.levels[1]), seen[group])
            wanted = torch.cat([tower.evidence(maps, alone, 1), extremes(seen[group], own.segment, 1)], 1)
            assert torch.allclose(found[row], wanted[0], atol=1e-6)
    judged = []
    monkeypatch.setattr(
        tower.evidence, "_of", lambda *given, real=tower.evidence._of: judged.append(given) or real(*given)
    )
    dense = NativeDense(tower, maps, index, NetworkInput(image, labels), {"liver": 5}, (16, 16, 16))
    assert len(dense.cells("liver").places) == len(finest.token)
    dense.judged("liver", "cyst")
    assert sum(len(pairs) for _, _, pairs in judged) == len(finest.token)
