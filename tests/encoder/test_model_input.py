"""What an encoder says it is fed is what its network gets, and lies where it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ctvlp.encoder import EncodingCancelled, load_encoder
from napari_ctvlp.encoder.preprocess import network_input


@pytest.fixture(scope="module")
def starter():
    return load_encoder("starter", device="cpu")


def check_places(encoder, scan, value_of_hu, *, tolerance):
    """A ramp along each axis tells at which voxel of the scan a voxel of the input was taken."""
    for axis in range(3):
        index = np.indices(scan.hu.shape)[axis]
        slope = 200 / scan.hu.shape[axis]
        hu = np.ascontiguousarray(np.rint(-50 + slope * index), np.int16)
        given = encoder.model_input(replace(scan, hu=hu))
        low, high = given.limits
        assert given.values.min() >= low and given.values.max() <= high
        at = given.start[axis] + given.step[axis] * np.arange(given.values.shape[axis + 1])
        inside = (at > 2) & (at < scan.hu.shape[axis] - 3)
        assert inside.sum() > 5 and given.step[axis] > 0
        middle = [n // 2 for n in given.values.shape[1:]]
        line = given.values[0][tuple(slice(None) if a == axis else m for a, m in enumerate(middle))]
        np.testing.assert_allclose(line[inside], value_of_hu(-50 + slope * at[inside]), atol=tolerance)


def test_the_starter_shows_what_its_network_gets(starter, phantom):
    scan, masks = phantom
    config = starter.model.vision.config
    given = starter.model_input(scan)
    wanted = network_input(scan.hu, masks.labels, scan.spacing, target=config.spacing, windows=config.windows)
    np.testing.assert_array_equal(given.values, wanted.image[0].numpy())
    assert given.channels == tuple(f"{low:g} to {high:g} HU" for low, high in config.windows)


def test_it_lies_where_it_says(starter, phantom):
    low, high = starter.card.hu_windows[0]
    check_places(starter, phantom[0], lambda hu: np.clip((hu - low) * 2 / (high - low) - 1, -1, 1), tolerance=0.01)


def test_it_can_be_cancelled_and_tells_its_progress(starter, phantom):
    seen = []
    starter.model_input(phantom[0], progress=seen.append)
    assert seen[-1] == 1
    with pytest.raises(EncodingCancelled):
        starter.model_input(phantom[0], cancelled=lambda: True)
