"""Samples: the same seed gives the same bits, 100 worlds raise nothing, what is stored equals what is streamed."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from napari_ctvlp.errors import UserError
from training.data.records import organ_records
from training.data.seeding import generator
from training.data.store import BODY_BANK, WorldStore, scan_seed
from training.data.stream import WorldStream
from training.world.deform import REGIONS
from training.world.materials import ID, NAMES
from training.world.report.report import make_report
from training.world.sample import make_sample

COARSE = 6.0


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    state = np.random.get_state()[1].copy()  # noqa: NPY002 (the global generators must stay untouched)
    torch_state = torch.get_rng_state()
    one, two = (make_sample(11, spacing=COARSE, body=2) for _ in range(2))
    assert torch.equal(one.hu, two.hu) and torch.equal(one.labels, two.labels)
    assert [f.as_dict() for f in one.findings] == [f.as_dict() for f in two.findings]
    other = make_sample(12, spacing=COARSE, body=2)
    assert other.hu.shape != one.hu.shape or not torch.equal(other.hu, one.hu)
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(torch_state, torch.get_rng_state())


def test_the_number_of_threads_does_not_matter() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = make_sample(21, spacing=COARSE, body=1)
        torch.set_num_threads(2)
        two = make_sample(21, spacing=COARSE, body=1)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(one.hu, two.hu)


def test_a_hundred_worlds_raise_nothing_and_are_what_they_say() -> None:
    seen: set[str] = set()
    phases: set[str] = set()
    abnormal = organs = 0
    for seed in range(100):
        s = make_sample(seed, spacing=COARSE, body=seed % 6)
        assert s.hu.dtype == torch.int16 and s.labels.dtype == torch.uint8 and s.hu.shape == s.labels.shape
        assert int(s.hu.min()) >= -1024 and int(s.hu.max()) <= 3071
        assert set(s.labels.unique().tolist()) - {0} <= set(NAMES)
        phases.add(s.phase)
        for f in s.findings:
            seen.add(f.abnormality)
            assert f.mask.any() and all(0 <= a < b <= n for (a, b), n in zip(f.box, s.hu.shape, strict=True))
        state = organ_records(s)
        organs += len(state)
        abnormal += sum(bool(r.abnormalities) for r in state.values())
        report = make_report(s, generator(seed, "report"))
        assert report.text.strip()
    assert phases == {"native", "arterial", "portal", "delayed"}
    assert len(seen) >= 40, "too few kinds of abnormality in a hundred scans"
    assert 0.02 < abnormal / organs < 0.4, "healthy organs are the majority, but not all are healthy"


def test_no_abnormality_means_none() -> None:
    for seed in range(4):
        sample = make_sample(seed, spacing=COARSE, body=seed, abnormal=0.0)
        assert sample.findings == ()
        assert all(not r.abnormalities for r in organ_records(sample).values())


@pytest.mark.parametrize("region", sorted(REGIONS))
def test_a_region_shows_its_organs(region: str) -> None:
    expected = {
        "head": "brain",
        "neck": "vertebrae_C5",
        "chest": "heart",
        "abdomen": "kidney_left",
        "abdomen and pelvis": "urinary_bladder",
        "pelvis": "sacrum",
        "trunk": "liver",
        "thighs": "femur_right",
        "whole": "brain",
    }[region]
    sample = make_sample(5, spacing=COARSE, body=1, region=region, abnormal=0.0)
    assert bool((sample.labels == ID[expected]).any())


def test_a_wanted_shape_and_wanted_abnormalities() -> None:
    choices = [("kidney_stone", "kidney_left"), ("liver_cyst", "liver")]
    sample = make_sample(7, spacing=4.0, shape=(96, 96, 96), body=1, region="abdomen and pelvis", choices=choices)
    assert tuple(sample.hu.shape) == (96, 96, 96)
    assert {(f.abnormality, f.organ) for f in sample.findings} <= set(choices) and sample.findings


def test_a_twin_lacks_some_abnormalities_and_is_the_same_in_all_else() -> None:
    one = make_sample(7, spacing=4.0, body=1, abnormal=3.0, rarest=0.1)
    other = make_sample(7, spacing=4.0, body=1, abnormal=3.0, rarest=0.1, twin=True)
    had, has = ({(f.abnormality, f.organ) for f in sample.findings} for sample in (one, other))
    # what had no room beside another may find some where that is left out
    assert len(has - had) <= 1 and 0.2 < len(has & had) / len(had) < 0.8
    assert (one.phase, one.sex, one.age) == (other.phase, other.sex, other.age)
    # what is abnormal in both, in no organ that changes its size, is the same lesion
    kept = {(f.abnormality, f.organ): f for f in one.findings}
    same = [f for f in other.findings if (f.abnormality, f.organ) in had and f.box == kept[f.abnormality, f.organ].box]
    assert len(same) > 0.5 * len(other.findings)
    changed = (one.hu.int() - other.hu.int()).abs() > 30
    gone = torch.zeros_like(changed)
    for finding in one.findings:
        if (finding.abnormality, finding.organ) not in has:
            gone[finding.slices] |= finding.mask
    assert changed[gone].float().mean() > 20 * changed[~gone].float().mean()


def test_left_is_left() -> None:
    for seed in range(6):
        labels = make_sample(seed, spacing=COARSE, body=seed, region="trunk", abnormal=0.0).labels
        for one in ("kidney", "lung_lower_lobe", "hip", "clavicula"):
            left, right = (torch.nonzero(labels == ID[f"{one}_{side}"]).float() for side in ("left", "right"))
            if len(left) and len(right):
                assert left[:, 2].mean() > right[:, 2].mean(), one


def test_the_stored_scan_is_the_streamed_scan(tmp_path) -> None:
    store = WorldStore(tmp_path, "validation", 3, seed=4, bodies=2, spacing=COARSE)
    store.prepare(workers=1)
    stream = WorldStream("validation", 3, seed=4, bodies=2, spacing=COARSE)
    stream.expect([1, 2])
    for index in range(3):
        kept, made = store.load(index), stream.load(index)
        np.testing.assert_array_equal(kept.hu, made.hu)
        np.testing.assert_array_equal(kept.labels, made.labels)
        assert kept.organs == made.organs
        np.testing.assert_array_equal(store.voxels(index), stream.voxels(index))
        seed = scan_seed(4, "validation", index, 2)
        sample = make_sample(seed, spacing=COARSE, body=seed % BODY_BANK)
        found = store.findings(index)
        assert [f["abnormality"] for f in found] == [f.abnormality for f in sample.findings]
        for one, two in zip(found, sample.findings, strict=True):
            np.testing.assert_array_equal(one["mask"], two.mask.numpy())
        assert store.report(index)


def test_stored_twins_come_beside_the_scan_that_they_are_twins_of(tmp_path) -> None:
    recipe = {"seed": 4, "bodies": 2, "spacing": COARSE, "abnormal": 3.0}
    plain, store = WorldStore(tmp_path, "train", 2, **recipe), WorldStore(tmp_path, "train", 4, **recipe, twins=True)
    plain.prepare(workers=1)
    store.prepare(workers=1)  # into the same folder: only the twins are missing
    stream = WorldStream("train", 4, **recipe, twins=True)
    for index in range(4):
        np.testing.assert_array_equal(store.load(index).hu, stream.load(index).hu)
        assert store.records(index) == stream.load(index).organs
        assert {f["abnormality"] for f in store.findings(index)} == {f["abnormality"] for f in stream.findings(index)}
    for number in range(2):
        np.testing.assert_array_equal(store.load(2 * number).hu, plain.load(number).hu)
        assert len(store.findings(2 * number + 1)) < len(store.findings(2 * number))


def test_a_run_that_goes_on_can_begin_with_bodies_that_the_one_before_did_not_meet(tmp_path) -> None:
    store = WorldStore(tmp_path, "train", 2, seed=4, bodies=2, spacing=COARSE, first_body=2)
    store.prepare(workers=1)
    stream = WorldStream("train", 2, seed=4, bodies=2, spacing=COARSE, first_body=2)
    before = {scan_seed(4, "train", k, 2) % BODY_BANK for k in range(8)}
    for index in range(2):
        np.testing.assert_array_equal(store.load(index).hu, stream.load(index).hu)
        seed = scan_seed(4, "train", index, 2, 2)
        assert seed % BODY_BANK not in before
        assert json.loads((tmp_path / f"{index:06d}.json").read_text())["about"]["seed"] == seed
    with pytest.raises(UserError, match="recipe"):
        WorldStore(tmp_path, "train", 2, seed=4, bodies=2, spacing=COARSE).prepare(workers=1)
    with pytest.raises(UserError, match="Bodies 999 to 1000"):
        scan_seed(4, "train", 0, 2, 999)


def test_splits_share_no_body_and_no_seed() -> None:
    seeds = {split: {scan_seed(0, split, k, 50) for k in range(400)} for split in ("train", "validation", "test")}
    bodies = {split: {s % BODY_BANK for s in those} for split, those in seeds.items()}
    for a, b in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not seeds[a] & seeds[b] and not bodies[a] & bodies[b]
