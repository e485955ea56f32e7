"""What the network sees: resampling keeps places and values, slabs leave no seam, masks grow by one voxel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ctvlp.encoder.preprocess import grown, output_size, resample_hu, resample_labels, windowed


def test_same_spacing_is_untouched():
    hu = np.random.default_rng(0).integers(-1000, 1000, (7, 8, 9)).astype(np.int16)
    assert np.array_equal(resample_hu(hu, (3, 3, 3), 3.0).numpy(), hu)


@given(st.tuples(st.integers(3, 40), st.integers(3, 20), st.integers(3, 20)), st.floats(0.6, 6), st.floats(0.6, 6))
@settings(max_examples=40, deadline=None)
def test_a_constant_stays_constant(shape, through, inplane):
    hu = np.full(shape, -77, np.int16)
    resampled = resample_hu(hu, (through, inplane, inplane), 3.0)
    assert resampled.shape == tuple(
        output_size(n, s, 3.0) for n, s in zip(shape, (through, inplane, inplane), strict=True)
    )
    assert torch.allclose(resampled, torch.full_like(resampled, -77.0), atol=1e-2)


@pytest.mark.parametrize("spacing", [(1.0, 0.75, 0.75), (5.0, 0.8, 0.8), (3.0, 1.5, 1.5)])
def test_a_ramp_stays_at_its_place_in_mm(spacing):
    shape = (48, 40, 44)
    index = np.indices(shape, dtype=float)
    for axis in range(3):
        mm = (index[axis] + 0.5) * spacing[axis]
        resampled = resample_hu((mm * 10).round().astype(np.int16), spacing, 3.0).numpy() / 10
        step = shape[axis] * spacing[axis] / resampled.shape[axis]
        expected = (np.arange(resampled.shape[axis]) + 0.5) * step
        got = resampled.mean(tuple(a for a in range(3) if a != axis))
        np.testing.assert_allclose(got[2:-2], expected[2:-2], atol=0.2)


def test_noise_is_averaged_away_when_shrinking():
    noise = np.random.default_rng(0).normal(0, 100, (60, 60, 60)).astype(np.int16)
    assert resample_hu(noise, (1, 1, 1), 3.0).std() < 20


def test_labels_follow_the_image():
    labels = np.zeros((30, 30, 30), np.uint8)
    labels[10:20, 5:15, 18:28] = 9
    hu = np.where(labels > 0, 1000, 0).astype(np.int16)
    image = resample_hu(hu, (1.5, 1.0, 1.0), 3.0)
    mask = resample_labels(labels, (1.5, 1.0, 1.0), 3.0)
    assert image.shape == mask.shape
    assert image[mask == 9].mean() > 800 > 120 > image[mask == 0].mean()


def test_windows_clip_to_one():
    image = windowed(torch.tensor([-2000.0, -160.0, 40.0, 240.0, 3000.0]).view(5, 1, 1), [(-160, 240)])
    assert image.shape == (1, 5, 1, 1)
    assert image.flatten().tolist() == pytest.approx([-1, -1, 0, 1, 1])


def test_masks_grow_by_one_voxel_into_the_background_only():
    labels = torch.zeros(1, 7, 7, 7, dtype=torch.uint8)
    labels[0, 3, 3, 3], labels[0, 3, 3, 4] = 5, 2
    big = grown(labels)
    assert big[0, 3, 3, 3] == 5 and big[0, 3, 3, 4] == 2
    assert big[0, 2, 2, 2] == 5 and big[0, 3, 3, 5] == 2 and big[0, 3, 3, 6] == 0


@pytest.mark.parametrize("shape", [(2, 9, 8, 7), (1, 1, 5, 4), (0, 3, 3, 3)])
def test_growing_is_a_maximum_over_neighbours(shape):
    rng = np.random.default_rng(0)
    labels = torch.from_numpy((rng.integers(0, 256, shape) * (rng.random(shape) < 0.2)).astype(np.uint8))
    near = torch.nn.functional.max_pool3d(labels[:, None].float(), 3, stride=1, padding=1)[:, 0]
    assert torch.equal(grown(labels), torch.where(labels == 0, near.to(torch.uint8), labels))


def test_cancelling_inside_a_slab_stops_the_work():
    def stop(_: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        resample_hu(np.zeros((64, 8, 8), np.int16), (1, 1, 1), 3.0, tick=stop)
