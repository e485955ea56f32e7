"""A dry run measures the largest crops for memory, and tells times of the mean ones as people say them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from training.data.batch import crop_size
from training.data.seeding import generator
from training.engine import dry_run as dry
from training.engine import estimate
from training.engine.estimate import at_mean, mean_voxels, spoken

from .phantoms import config_of, start


def test_memory_is_of_the_largest_crop_and_time_of_the_mean_one(monkeypatch):
    run = start(config_of("ctglip", steps=50))
    measured = {}
    real = dry.measure

    def measure(run, step, *, largest=False):
        found = real(run, step, largest=largest)
        measured[largest] = found = replace(found, step=math.prod(found.batch.labels.shape[1:]) * 1e-6, load=0.0)
        return found

    monkeypatch.setattr(dry, "measure", measure)
    found = dry.dry_run(run)
    sizes = [math.prod(crop_size(generator(0, "batch", n), 6.0)) for n in range(50)]
    assert measured[True].batch.labels.shape[1:] == crop_size(generator(0), 6.0, largest=True)
    assert found["input_bytes"] == measured[True].batch.image.nbytes + measured[True].batch.labels.nbytes
    assert found["hours"] * 3600 == pytest.approx(1e-6 * sum(sizes))
    assert mean_voxels(run.config, 6.0) == pytest.approx(sum(sizes) / 50)


def test_crops_too_much_alike_give_a_share_and_not_a_slope():
    assert at_mean(50, (100, 3.0), (110, 2.2)) == pytest.approx(1.0)
    assert at_mean(150, (100, 1.0), (200, 3.0)) == pytest.approx(2.0)


def test_the_last_stage_is_told_by_its_steps_and_what_it_takes_once(monkeypatch):
    """A call takes 5 s and a step of it 0.1 s: what a call takes once is not multiplied by the steps."""
    run, clock = start(config_of("ours", steps=50)), [0.0]
    run = replace(run, config=replace(run.config, refine=replace(run.config.refine, steps=1000, scans=4)))

    def timed(work):
        before = clock[0]
        work()
        return clock[0] - before

    def refined(run, vocabulary, features):
        assert [len(own) for own in features] == [4]
        assert run.store.report(3) == run.store.report(1)
        clock[0] += 5 + 0.1 * run.config.refine.steps

    monkeypatch.setattr(estimate, "timed", timed)
    monkeypatch.setattr(estimate, "refine", refined)
    assert estimate.rest_of(run, None).last == pytest.approx(5.1 + 0.1 * 1000)


@pytest.mark.parametrize(("seconds", "said"), [(4.2, "4 s"), (240, "4 min"), (7300, "2.0 h")])
def test_short_times_are_not_hours(seconds, said):
    assert spoken(seconds) == said
