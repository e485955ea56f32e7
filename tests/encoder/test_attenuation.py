"""Attenuation relative to the organ: by hand for every place, blind to what lies outside of the mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ctvlp.encoder.attenuation import (
    LEAST_SPREAD,
    PER_CHANNEL,
    SCALE,
    extremes,
    features,
    relative_attenuation,
)
from napari_ctvlp.encoder.tokens import index_organs

from .test_pooling import blocky_labels

GRIDS = [(5, 4, 5), (3, 2, 3)]
SIZE = (9, 8, 10)


def measured(image: torch.Tensor, labels: torch.Tensor):
    index = index_organs(labels, GRIDS, [2, 4], 3.0)
    return index, relative_attenuation(image, labels, index, 2)


def scene(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    labels = blocky_labels(SIZE)
    return torch.rand(len(labels), 2, *SIZE, generator=generator) * 2 - 1, labels


def rimless(labels: np.ndarray) -> np.ndarray:
    """Voxel by voxel."""
    inner = labels > 0
    for where in np.ndindex(labels.shape):
        for axis in range(3):
            for step in (-1, 1):
                other = list(where)
                other[axis] += step
                if 0 <= other[axis] < labels.shape[axis] and labels[tuple(other)] != labels[where]:
                    inner[where] = False
    return inner


def test_every_place_is_measured_as_by_hand():
    image, labels = scene()
    index, found = measured(image, labels)
    assert found.shape == (len(index.levels[0].token), features(2)) and torch.isfinite(found).all()
    tokens = np.prod(GRIDS[0])
    inner = [rimless(each.numpy()) for each in labels]
    for pair in range(0, len(found), 7):
        token, organ = int(index.levels[0].token[pair]), int(index.levels[0].segment[pair])
        view, label = int(index.sample[organ]), int(index.label[organ])
        place = np.unravel_index(token % tokens, GRIDS[0])
        box = tuple(slice(2 * n, 2 * n + 2) for n in place)
        wide = tuple(slice(4 * (n // 2), 4 * (n // 2) + 4) for n in place)
        mask = labels[view].numpy() == label
        deep = mask & inner[view]
        core = deep if deep.any() else mask
        assert found[pair, 0] == pytest.approx(mask[box].sum() / 8, abs=1e-6)
        assert found[pair, 1] == pytest.approx(deep[box].sum() / 8, abs=1e-6)
        for channel in range(2):
            hu = image[view, channel].numpy()
            mean, spread = hu[core].mean(), max(hu[core].std(), LEAST_SPREAD)
            expected: list[float] = []
            for kind in (mask, deep):
                own = hu[box][kind[box]] - mean
                expected += [f(own) * SCALE for f in (np.mean, np.min, np.max)] if len(own) else [0.0] * 3
            own, near = hu[box][deep[box]] - mean, hu[wide][deep[wide]] - mean
            own, near = (float(each.mean()) if len(each) else 0.0 for each in (own, near))
            expected += [np.clip(own / spread, -6, 6) / 2, SCALE * near, np.clip(near / spread, -6, 6) / 2]
            first = 2 + channel * PER_CHANNEL
            assert found[pair, first : first + PER_CHANNEL].tolist() == pytest.approx(expected, abs=2e-4)


def test_what_lies_outside_of_the_mask_changes_nothing():
    image, labels = scene()
    other = torch.where((labels == 3)[:, None], image, -image)
    (index, found), (_, again) = measured(image, labels), measured(other, labels)
    mine = index.label[index.levels[0].segment] == 3
    assert mine.any() and torch.equal(found[mine], again[mine])


def test_a_dark_place_stands_out_whatever_the_contrast():
    labels = torch.zeros(1, *SIZE, dtype=torch.uint8)
    labels[0, 1:9, 1:8, 1:9] = 5
    lowest = []
    for level in (-0.2, 0.4):
        image = torch.full((1, 1, *SIZE), level)
        image[0, 0, 0] = -1.0  # fat beside it
        image[0, 0, 4:6, 4:6, 4:6] -= 0.15
        index, found = measured(image, labels)
        lowest.append(float(extremes(found, index.levels[0].segment, 1)[0, features(1) + 2 + 3]))
    assert lowest[0] == pytest.approx(lowest[1], abs=1e-4)
    assert lowest[0] < -0.5


def test_extremes_are_those_of_each_organ():
    seen = torch.tensor([[1.0, -2.0], [3.0, 0.0], [-1.0, 5.0]])
    found = extremes(seen, torch.tensor([0, 0, 2]), 3)
    assert found.tolist() == [[3, 0, 1, -2], [0, 0, 0, 0], [-1, 5, -1, 5]]
