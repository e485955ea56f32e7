"""Organ pooling: the segment softmax equals a by-hand computation, organ by organ, and small organs survive."""

from __future__ import annotations

import pytest
import torch

from napari_ctvlp.encoder.pooling import BINS, OrganAttention, index_organs, organ_densities, segment_softmax
from napari_ctvlp.encoder.vision import VisionConfig, VisionTower


def random_labels(size=(9, 8, 10), batch=2, organs=4, seed=0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, organs + 1, (batch, *size), generator=generator, dtype=torch.uint8)
    labels[0][labels[0] == 2] = 0  # an organ that only the second scan has
    return labels


@pytest.mark.parametrize("size", [(9, 8, 10), (5, 5, 5), (16, 1, 3)])
def test_pairs_count_voxels_per_token(size):
    labels = random_labels(size)
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


def test_attention_equals_a_loop_over_organs():
    torch.manual_seed(0)
    labels = random_labels((8, 8, 8))
    index = index_organs(labels, [(4, 4, 4)], [2], spacing=3.0)
    features = torch.randn(2, 6, 4, 4, 4)
    attention = OrganAttention(6, heads=3)
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
