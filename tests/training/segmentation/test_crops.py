"""Targets by hand, and crops that are a function of the step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ctvlp.errors import UserError
from training.segmentation.crops import _starts, step_crops
from training.segmentation.targets import LESIONS, LesionTarget, OrganTarget, scans_that_show, target_named

from .conftest import Phantom

WINDOWS = ((-160.0, 240.0),)


def crops(phantom, target, step, **more):
    shown = scans_that_show(target, phantom)
    given = {"seed": 3, "step": step, "batch": 2, "size": 16} | more
    return step_crops(phantom, target, shown, WINDOWS, **given)


def test_organs_are_numbered_in_the_order_that_they_are_named(phantom):
    target = target_named(("organs",), ("Kidney left", "spleen"), phantom)
    assert target.names == ("kidney_left", "spleen")
    volume = target.volume(phantom, 0)
    assert np.bincount(volume.ravel()).tolist()[1:] == [10 * 8 * 7, 8 * 8 * 10]
    assert volume[10, 18, 23] == 1 and volume[10, 18, 8] == 0  # left is towards the end of the last axis
    assert target.shown(phantom, 1).tolist() == [True, False]


def test_without_classes_all_organs_of_the_scans_are(phantom):
    assert target_named(("organs",), (), phantom).names == ("spleen", "kidney_right", "kidney_left")


def test_lesions_are_what_was_painted(phantom):
    stone = LesionTarget(("kidney_stone",))
    volume = stone.volume(phantom, 0)
    assert volume.sum() == 11 and volume[8, 16, 22] == 0 and volume[9, 18, 23] == 1
    assert not stone.volume(phantom, 1).any() and not stone.shown(phantom, 1).any()
    assert np.array_equal(LesionTarget((LESIONS,)).volume(phantom, 0), volume)  # a large spleen is no lesion
    both = LesionTarget(("splenomegaly", "kidney_stone")).volume(phantom, 0)
    assert np.bincount(both.ravel()).tolist()[1:] == [640, 11]


def test_crops_are_a_function_of_seed_and_step(phantom):
    target = OrganTarget(("kidney_left",))
    one, again, next_step = crops(phantom, target, 5), crops(phantom, target, 5), crops(phantom, target, 6)
    assert one[0].shape == (2, 1, 16, 16, 16) and one[1].shape == (2, 1, 16, 16, 16)
    assert torch.equal(one[0], again[0]) and torch.equal(one[1], again[1])
    assert not torch.equal(one[0], next_step[0])
    assert not torch.equal(one[0], crops(phantom, target, 5, seed=4)[0])


def test_a_crop_shows_image_and_class_of_one_place(phantom):
    """Kidneys are soft tissue and what surrounds them is fat, also where a crop reaches over the scan's end."""
    target = OrganTarget(("kidney_left", "kidney_right"))
    inside, outside = [], []
    for step in range(8):
        image, classes = crops(phantom, target, step, size=28)
        inside.append(image[classes > 0])
        outside.append(image[classes == 0])
    hu = 200 * (torch.cat(inside) + 1) - 160
    assert 30 < hu.median() < 90 and (torch.cat(outside) < 0).float().mean() > 0.8


def test_small_classes_are_met_as_often_as_large_ones(phantom):
    stone = LesionTarget(("kidney_stone",))
    met = [
        bool((classes[k] == 1).any())
        for step in range(20)
        for classes in [crops(phantom, stone, step)[1]]
        for k in (0, 1)
    ]
    assert np.mean(met) > 0.5  # one scan of four shows eleven voxels of it


@settings(deadline=None, max_examples=60)
@given(
    size=st.integers(4, 40), seed=st.integers(0, 2**30), place=st.tuples(*[st.integers(0, n - 1) for n in (30, 9, 21)])
)
def test_a_positive_crop_holds_the_class_and_lies_in_the_scan_if_it_can(size, seed, place):
    volume = np.zeros((30, 9, 21), np.uint8)
    volume[place] = 2
    start = _starts(volume, size, True, np.random.default_rng(seed))
    for s, p, n in zip(start, place, volume.shape, strict=True):
        assert s <= p < s + size
        assert (0 <= s <= n - size) if n >= size else (n - size <= s <= 0)


@pytest.mark.parametrize(
    ("target", "classes", "words"),
    [
        (("organs",), ("livr",), "no organ 'livr': did you mean liver"),
        (("organs",), ("liver", "spleen"), "None of the 4 scans shows liver"),
        (("kidney_ston",), (), "no target 'kidney_ston': did you mean kidney_stone"),
        (("organs", "kidney_stone"), (), "Choose organs"),
        (("liver_cyst",), (), "None of the 4 scans shows liver_cyst"),
    ],
)
def test_what_cannot_be_segmented_is_told(phantom, target, classes, words):
    with pytest.raises(UserError, match=words):
        scans_that_show(target_named(target, classes, phantom), phantom)


def test_lesions_of_scans_that_do_not_know_them_are_told():
    class Masks(Phantom):
        findings = None
        load = None

    with pytest.raises(UserError, match="no lesion voxel by voxel"):
        LesionTarget(("kidney_stone",)).shown(Masks(), 0)
