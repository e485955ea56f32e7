"""Crops that a GPU finishes: the same crops, jittered alike."""

from __future__ import annotations

import numpy as np
import torch

from napari_ctvlp.encoder.preprocess import windowed
from training.data.batch import GRID, crop_size, training_batch
from training.data.jitter import Jitter, finished

from .engine.phantoms import Phantoms

WINDOWS = ((-160.0, 240.0), (-1000.0, -200.0))


def test_a_late_batch_holds_crops_as_they_were_cut():
    late = training_batch(Phantoms(), 0, 3, 4, WINDOWS, late=True)
    assert late.image.dtype == torch.int16 and late.image.shape == late.labels.shape and len(late.jitters) == 4
    assert all(n % GRID == 0 for n in late.image.shape[2:])
    done = late.on(torch.device("cpu"))
    assert done.image.shape == (4, 2, *late.labels.shape[1:])
    assert not done.jitters and done.on(torch.device("cpu")) is done
    assert float(done.image.abs().max()) <= 1 and torch.equal(done.labels, late.labels)
    again = training_batch(Phantoms(), 0, 3, 4, WINDOWS, late=True).on(torch.device("cpu"))
    assert torch.equal(done.image, again.image)
    for n, jitter in enumerate(late.jitters):
        plain = windowed(late.image[n].float(), WINDOWS)
        # more than 12 HU of shift, 3 percent and 6 standard deviations of 15 HU nobody draws
        assert jitter.blur or float((done.image[n, 0] - plain[0]).abs().max()) <= 2 / 400 * (12 + 0.03 * 1100 + 6 * 15)
        assert 0.97 <= jitter.scale <= 1.03 and abs(jitter.shift) <= 12 and 0 <= jitter.noise <= 15


def test_a_process_without_scans_has_an_empty_batch():
    late = training_batch(Phantoms(), 0, 3, 1, WINDOWS, late=True, rank=0, processes=2)
    done = late.on(torch.device("cpu"))
    assert late.image.shape[0] == 0 and done.image.shape == (0, 2, *late.labels.shape[1:])
    assert done.image.dtype == torch.float32


def test_what_is_known_of_a_crop_is_the_same_early_and_late(monkeypatch):
    monkeypatch.setattr("training.data.batch.GRID", 1)
    early, late = (training_batch(Phantoms(), 0, 5, 4, WINDOWS, late=late) for late in (False, True))
    assert early.scans == late.scans and early.organs == late.organs and torch.equal(early.labels, late.labels)


def test_jitter_is_scale_shift_noise_and_blur():
    crops = torch.from_numpy(np.random.default_rng(0).integers(-200, 200, (2, 6, 7, 8)).astype(np.int16))
    nothing = Jitter(1.0, 0.0, 0.0, 0.0)
    assert torch.equal(finished(crops, (nothing, nothing), WINDOWS), windowed(crops.float(), WINDOWS))
    hu = torch.zeros(64, 64, 64)
    noise = torch.randn(hu.shape, generator=torch.Generator().manual_seed(0))
    found = Jitter(1.02, 5.0, 10.0, 0.0).applied(hu + 100, noise)
    assert abs(float(found.mean()) - 107) < 0.1 and abs(float(found.std()) - 10) < 0.1
    blurred = Jitter(1.0, 0.0, 10.0, 0.5).applied(hu, noise)
    # half of it, and half of a mean of 27
    assert abs(float(blurred.std()) - 10 * (0.25 + 0.5 / 27 + 0.25 / 27) ** 0.5) < 0.2
    one, other = (finished(crops[:1], (Jitter(1.0, 0.0, 9.0, 0.0, seed),), WINDOWS) for seed in (1, 2))
    assert not torch.equal(one, other)


def test_sizes_are_rounded_for_a_gpu():
    sizes = {crop_size(np.random.default_rng(n), 3.0, grid=8)[1:] for n in range(300)}
    assert len(sizes) <= 20 and all(a % 8 == 0 and b % 8 == 0 for a, b in sizes)
