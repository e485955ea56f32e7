"""Organ pooling: the segment softmax equals a by-hand computation, organ by organ, and small organs survive."""

from __future__ import annotations

import pytest
import torch

from napari_ctvlp.encoder import pooling
from napari_ctvlp.encoder.pooling import (
    BINS,
    OrganAttention,
    OrganMean,
    organ_densities,
    segment_softmax,
)
from napari_ctvlp.encoder.tokens import OrganTokens, index_organs
from napari_ctvlp.encoder.vision import VisionConfig, VisionTower


def random_labels(size=(9, 8, 10), batch=2, organs=4, seed=0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, organs + 1, (batch, *size), generator=generator, dtype=torch.uint8)
    labels[0][labels[0] == 2] = 0  # an organ that only the second scan has
    return labels


def blocky_labels(size) -> torch.Tensor:
    """Most tokens lie in one organ or in none, as in a body."""
    labels = random_labels(size)
    for along in (1, 2, 3):
        labels = labels.repeat_interleave(4, along)
    return labels[:, 2 : size[0] + 2, : size[1], : size[2]].contiguous()


@pytest.fixture(params=["at once", "organ by organ"])
def way(request, monkeypatch) -> str:
    """Take one of the two ways of pooling whatever the size of the organs."""
    monkeypatch.setattr(pooling, "WORTH_A_STEP", 0 if request.param == "organ by organ" else float("inf"))
    return request.param


def tiny_tokens() -> OrganTokens:
    """Four organs over seven tokens: three tokens, none, a single one shared with the first, two with equal counts."""
    token, segment = torch.tensor([0, 2, 5, 2, 1, 6]), torch.tensor([0, 0, 0, 2, 3, 3])
    return OrganTokens(token, segment, torch.tensor([1.0, 8.0, 3.0, 1.0, 2.0, 2.0]).log())


@pytest.mark.parametrize("make", [random_labels, blocky_labels])
@pytest.mark.parametrize("size", [(9, 8, 10), (5, 5, 5), (16, 1, 3)])
def test_pairs_count_voxels_per_token(size, make):
    labels = make(size)
    half = tuple(-(-n // 2) for n in size)
    quarter = tuple(-(-n // 2) for n in half)
    index = index_organs(labels, [half, quarter], [2, 4], spacing=3.0)
    expected = [(b, int(v)) for b in range(2) for v in labels[b].unique() if v]
    assert list(zip(index.sample.tolist(), index.label.tolist(), strict=True)) == expected
    for grid, stride, tokens in zip([half, quarter], [2, 4], index.levels, strict=True):
        got = {
            (int(s), int(t)): round(float(c.exp()))
            for s, t, c in zip(tokens.segment, tokens.token, tokens.log_count, strict=True)
        }
        by_hand: dict[tuple[int, int], int] = {}
        for b, i, p, q in torch.cartesian_prod(torch.arange(2), *(torch.arange(n) for n in size)).tolist():
            label = int(labels[b, i, p, q])
            if label:
                token = ((b * grid[0] + i // stride) * grid[1] + p // stride) * grid[2] + q // stride
                key = (expected.index((b, label)), token)
                by_hand[key] = by_hand.get(key, 0) + 1
        assert got == by_hand
        assert bool((tokens.segment.diff() >= 0).all())


def test_attention_equals_a_loop_over_organs(way):
    torch.manual_seed(0)
    labels = random_labels((8, 8, 8))
    index = index_organs(labels, [(4, 4, 4)], [2], spacing=3.0)
    features = torch.randn(2, 6, 4, 4, 4)
    attention = OrganAttention(6, heads=3)
    torch.nn.init.normal_(attention.key.bias)
    pooled = attention(features, index.levels[0], len(index.label))
    rows = features.permute(0, 2, 3, 4, 1).reshape(-1, 6)
    for organ in range(len(index.label)):
        mine = index.levels[0].segment == organ
        tokens, counts = index.levels[0].token[mine], index.levels[0].log_count[mine].exp()
        weights = torch.cat([torch.zeros(len(tokens), 1), attention.key(rows[tokens])], 1).exp() * counts[:, None]
        by_hand = torch.cat([(rows[tokens] * w[:, None]).sum(0) / w.sum() for w in weights.T])
        by_hand = torch.cat([by_hand, rows[tokens].amax(0)])
        torch.testing.assert_close(pooled[organ], by_hand)
    mean_of_first = pooled[0, :6]
    voxels = labels[0].repeat_interleave(1, 0) == index.label[0]
    upsampled = features[0].repeat_interleave(2, 1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(mean_of_first, upsampled[:, voxels].mean(1))


@pytest.mark.parametrize("pool", [pooling._pool_at_once, pooling._pool_organ_by_organ])
def test_gradients_are_those_of_finite_differences(pool):
    torch.manual_seed(0)
    tokens = tiny_tokens()
    tokens = OrganTokens(tokens.token, tokens.segment, tokens.log_count.double())
    rows = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    key = torch.nn.Linear(3, 2, dtype=torch.float64)
    # gradcheck moves its inputs in place, so that the layer sees it
    assert torch.autograd.gradcheck(lambda rows, *_: pool(rows, key, tokens, 4), (rows, key.weight, key.bias))


def test_both_ways_give_the_same_gradients(monkeypatch):
    torch.manual_seed(0)
    index = index_organs(blocky_labels((16, 16, 16)), [(8, 8, 8)], [2], spacing=3.0)
    attention, features = OrganAttention(6, heads=3), torch.randn(2, 6, 8, 8, 8).relu()  # many equal largest: 0
    found = []
    for worth in (0, float("inf")):
        monkeypatch.setattr(pooling, "WORTH_A_STEP", worth)
        leaf = features.clone().requires_grad_()
        pooled = attention(leaf, index.levels[0], len(index.label))
        found.append((pooled, *torch.autograd.grad(pooled.sin().sum(), [leaf, *attention.parameters()])))
    torch.testing.assert_close(found[0], found[1])


def test_organs_of_no_token_and_of_one(way):
    torch.manual_seed(0)
    attention, features = OrganAttention(3, heads=2), torch.randn(1, 3, 7, 1, 1, requires_grad=True)
    pooled = attention(features, tiny_tokens(), 4).view(4, 3, 3)
    assert bool((pooled[1] == 0).all())
    torch.testing.assert_close(pooled[2], features[0, :, 2, 0, 0].expand(3, 3))
    (gradient,) = torch.autograd.grad(pooled[1:3].sum(), features)
    torch.testing.assert_close(gradient[0, :, :, 0, 0], torch.tensor([[0.0, 0, 3, 0, 0, 0, 0]]).expand(3, 7))


def test_equal_largest_values_share_the_gradient(way):
    features = torch.tensor([0.0, 4, 1, 0, 0, 1, 4]).view(1, 1, 7, 1, 1).requires_grad_()
    pooled = OrganAttention(1, heads=2)(features, tiny_tokens(), 4).view(4, 3)
    assert pooled[:, 2].tolist() == [1, 0, 1, 4]
    (gradient,) = torch.autograd.grad(pooled[[0, 3], 2].sum(), features)
    assert gradient.flatten().tolist() == [0, 0.5, 0.5, 0, 0, 0.5, 0.5]


def test_backward_is_the_same_from_run_to_run_and_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(pooling, "WORTH_A_STEP", 0)
    torch.manual_seed(0)
    index = index_organs(blocky_labels((32, 32, 32)), [(16, 16, 16)], [2], spacing=3.0)
    attention, features = OrganAttention(64, heads=3), torch.randn(2, 64, 16, 16, 16)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 1, 2):
            torch.set_num_threads(threads)
            leaf = features.clone().requires_grad_()
            pooled = attention(leaf, index.levels[0], len(index.label))
            found.append((pooled, *torch.autograd.grad(pooled.sin().sum(), [leaf, attention.key.weight])))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


def test_no_row_per_pair_is_kept_for_backward(monkeypatch):
    monkeypatch.setattr(pooling, "WORTH_A_STEP", 0)
    index = index_organs(random_labels((16, 16, 16)), [(8, 8, 8)], [2], spacing=3.0)
    features = torch.randn(2, 64, 8, 8, 8).contiguous(memory_format=torch.channels_last_3d).requires_grad_()
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        OrganAttention(64, heads=3)(features, index.levels[0], len(index.label))
    kept.pop(features.untyped_storage().data_ptr())
    assert 0 < sum(kept.values()) < len(index.levels[0].token) * 64 * 4 / 4


def test_bfloat16_features_are_pooled_in_float32(way):
    torch.manual_seed(0)
    index = index_organs(random_labels((8, 8, 8)), [(4, 4, 4)], [2], spacing=3.0)
    attention, features = OrganAttention(6, heads=3), torch.randn(2, 6, 4, 4, 4).bfloat16()
    exact = attention(features.float(), index.levels[0], len(index.label))
    with torch.autocast("cpu", torch.bfloat16):
        under = attention(features, index.levels[0], len(index.label))
    assert under.dtype == torch.float32 and torch.equal(under, exact)


def test_the_mean_alone_is_that_of_the_voxels_under_the_mask():
    torch.manual_seed(0)
    labels = random_labels((8, 8, 8))
    index = index_organs(labels, [(4, 4, 4)], [2], spacing=3.0)
    features = torch.randn(2, 6, 4, 4, 4, requires_grad=True)
    pooled = OrganMean()(features, index.levels[0], len(index.label))
    large = features.detach()
    for along in (2, 3, 4):
        large = large.repeat_interleave(2, along)
    for row, sample, label in zip(pooled, index.sample.tolist(), index.label.tolist(), strict=True):
        torch.testing.assert_close(row, large[sample][:, labels[sample] == label].mean(1))
    pooled.sin().sum().backward()
    attended = OrganAttention(6, heads=3)
    leaf = features.detach().clone().requires_grad_()
    attended(leaf, index.levels[0], len(index.label))[:, :6].sin().sum().backward()
    torch.testing.assert_close(features.grad, leaf.grad)


def test_the_mean_of_organs_of_no_token_and_of_one():
    features = torch.randn(1, 3, 7, 1, 1)
    pooled = OrganMean()(features, tiny_tokens(), 4)
    assert bool((pooled[1] == 0).all()) and pooled.shape == (4, 3)
    torch.testing.assert_close(pooled[2], features[0, :, 2, 0, 0])
    none = torch.zeros(0, dtype=torch.int64)
    assert OrganMean()(features, OrganTokens(none, none, none.float()), 0).shape == (0, 3)


def test_densities_by_hand():
    labels = random_labels((5, 6, 7))
    index = index_organs(labels, [(3, 3, 4)], [2], spacing=3.0)
    image = torch.rand(2, 2, 5, 6, 7) * 2.4 - 1.2  # some of it outside the window
    got = organ_densities(image.clamp(-1, 1), labels, index)
    for row, (sample, label) in enumerate(zip(index.sample.tolist(), index.label.tolist(), strict=True)):
        values = image[sample].clamp(-1, 1)[:, labels[sample] == label]
        counts = torch.stack([torch.histc(v, BINS, -1, 1) for v in values])
        torch.testing.assert_close(got[row, : 2 * BINS], (counts / counts.sum(1, keepdim=True)).flatten())
        torch.testing.assert_close(got[row, 2 * BINS :], (counts.log1p() / 8).flatten())


def test_segment_softmax_sums_to_one_and_survives_large_scores():
    segment = torch.tensor([0, 0, 1, 2, 2, 2])
    weights = segment_softmax(torch.tensor([[1e4], [1e4 - 1], [-1e4], [0.0], [0.0], [0.0]]), segment, 3)
    sums = torch.zeros(3, 1).index_add(0, segment, weights)
    torch.testing.assert_close(sums, torch.ones(3, 1))


def test_one_bright_token_reaches_the_embedding():
    """A lesion of one voxel in a large organ must move an attention head more than it moves the mean."""
    labels = torch.ones(1, 16, 16, 16, dtype=torch.uint8)
    index = index_organs(labels, [(8, 8, 8)], [2], spacing=3.0)
    attention = OrganAttention(4, heads=2)
    with torch.no_grad():
        attention.key.weight.fill_(0)
        attention.key.weight[0, 0] = 8.0
    features = torch.zeros(1, 4, 8, 8, 8)
    features[0, 0, 3, 3, 3] = 1.0
    pooled = attention(features, index.levels[0], 1)[0]
    mean, attended = pooled[0], pooled[4]
    assert mean < 0.01 and attended > 0.8


def test_empty_labels_give_no_organs():
    tower = VisionTower(VisionConfig(widths=(4, 4), blocks=(1, 1), hidden=8, dim=4))
    vectors, index = tower(torch.zeros(1, 3, 9, 10, 11), torch.zeros(1, 9, 10, 11, dtype=torch.uint8))
    assert vectors.shape == (0, 4) and len(index.label) == 0


def test_organ_vectors_do_not_depend_on_other_organs_or_label_numbers():
    torch.manual_seed(0)
    tower = VisionTower(VisionConfig(widths=(8, 8), blocks=(1, 1), hidden=16, dim=8)).eval()
    image = torch.randn(1, 3, 20, 20, 20)
    labels = torch.zeros(1, 20, 20, 20, dtype=torch.uint8)
    labels[:, 3:9, 3:9, 3:9] = 7
    alone, _ = tower(image, labels)
    labels[:, 12:18, 3:9, 3:9] = 3
    both, index = tower(image, labels)
    torch.testing.assert_close(both[index.label == 7], alone)
    renamed = torch.where(labels == 7, 200, labels)
    again, index = tower(image, renamed)
    torch.testing.assert_close(again[index.label == 200], alone)
