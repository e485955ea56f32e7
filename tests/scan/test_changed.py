"""What if: parts made neutral, masks grown and shrunk."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctvlp.scan.changed import ball, erased, resized, whole, with_what_stands_out


def places(part, shape):
    """A part as a mask of the whole scan."""
    full = np.zeros(shape, bool)
    full[part.box] = part.inside
    return full


@pytest.fixture
def stone(phantom):
    """The phantom with a stone at the rim of the left kidney, half inside of the mask."""
    scan, masks = phantom
    scan.hu[24:26, 39:41, 60:64] = 900  # the mask ends at 62
    return scan, masks


def test_a_ball_lies_in_the_organ_and_its_rim_alone(stone):
    scan, masks = stone
    inside = places(ball(masks, scan.spacing, "kidney_left", (25, 40, 60), 9.0, 4.0), scan.hu.shape)
    points = np.argwhere(inside)
    assert (np.linalg.norm((points - (25, 40, 60)) * scan.spacing, axis=1) <= 9.0).all()
    assert inside[25, 40, 63] and not inside[25, 40, 64]  # 4 mm are two voxels
    assert inside[(masks.labels == 3)].sum() > 100
    # the spleen is not of this organ, however near
    assert not (inside & (masks.labels == 1)).any()


def test_what_is_erased_is_as_its_surroundings_and_nothing_else_changes(stone):
    scan, masks = stone
    before = scan.hu.copy()
    part = ball(masks, scan.spacing, "kidney_left", (25, 40, 60), 9.0, 4.0)
    after = erased(scan, masks, "kidney_left", [part])
    assert (scan.hu == before).all()
    where = places(part, scan.hu.shape)
    assert (after.hu[~where] == before[~where]).all()
    assert (after.hu[where & (masks.labels == 3)] == 30).all()
    assert (after.hu[where & (masks.labels == 0)] == 20).all()
    assert after.hu.max() < 100 and after.affine is scan.affine


def test_a_whole_organ_made_even(stone):
    scan, masks = stone
    part = whole(masks, scan.spacing, "kidney_left", 4.0)
    after = erased(scan, masks, "kidney_left", [part])
    assert (after.hu[masks.labels == 3] == 30).all()
    # what lies at its rim goes too: encoders see it as of the organ
    where = places(part, scan.hu.shape)
    assert after.hu.max() < 100 and (where & (masks.labels == 0)).any() and not (where & (masks.labels == 1)).any()
    assert (after.hu[~where] == scan.hu[~where]).all()
    small = whole(masks, scan.spacing, "kidney_left", 0.0)
    assert (places(small, scan.hu.shape) == (masks.labels == 3)).all()


def test_noise_goes_on_where_something_was_erased(phantom):
    scan, masks = phantom
    noise = np.random.default_rng(1).normal(0, 10, scan.hu.shape)
    scan.hu[:] = scan.hu + noise.astype(np.int16)
    scan.hu[24:26, 39:41, 55:58] = 900
    after = erased(scan, masks, "kidney_left", [ball(masks, scan.spacing, "kidney_left", (25, 40, 56), 9.0, 4.0)])
    changed = (after.hu != scan.hu) & (masks.labels == 3)
    assert 6 < after.hu[changed].std() < 14 and after.hu[changed].max() < 100
    again = erased(scan, masks, "kidney_left", [ball(masks, scan.spacing, "kidney_left", (25, 40, 56), 9.0, 4.0)])
    assert (again.hu == after.hu).all()


def test_a_stone_longer_than_the_ball_goes_as_a_whole_with_its_blur(phantom):
    scan, masks = phantom
    rng = np.random.default_rng(1)
    scan.hu[:] = scan.hu + rng.normal(0, 5, scan.hu.shape).astype(np.int16)
    scan.hu[25, 40, 52:61] = 700  # 18 mm long
    scan.hu[26, 40, 52:61] = 42  # its blur, which does not stand out
    scan.hu[25, 46, 53] = 700  # another one, apart
    part = ball(masks, scan.spacing, "kidney_left", (25, 40, 53), 5.0, 2.0)
    more = with_what_stands_out(scan, masks, "kidney_left", part, 18.0, 4.0)
    where = places(more, scan.hu.shape)
    assert (places(part, scan.hu.shape) <= where).all() and where[25, 40, 52:61].all() and where[26, 40, 52:61].all()
    assert not where[25, 46, 53] and where.sum() < 500
    after = erased(scan, masks, "kidney_left", [more])
    assert after.hu[25, 40, 52:61].max() < 60


def test_where_nothing_stands_out_a_ball_stays_as_it_is(phantom):
    scan, masks = phantom
    rng = np.random.default_rng(1)
    scan.hu[:] = scan.hu + rng.uniform(-5, 5, scan.hu.shape).astype(np.int16)
    part = ball(masks, scan.spacing, "kidney_left", (25, 40, 56), 5.0, 4.0)
    more = with_what_stands_out(scan, masks, "kidney_left", part, 18.0, 4.0)
    assert (places(more, scan.hu.shape) == places(part, scan.hu.shape)).all()


def test_masks_grow_by_millimetres_into_the_background_alone(phantom):
    scan, masks = phantom
    masks.labels[20:30, 35:45, 63:66] = 1  # the spleen comes near the left kidney (voxels of 2 mm)
    grown = resized(scan, masks, ["kidney_left"], 3.0)
    new = (grown.labels == 3) & (masks.labels != 3)
    box = np.zeros_like(new)
    box[19:31, 34:46, 51:63] = True  # 3 mm: one voxel along every axis (3, 2 and 2 mm)
    assert new.any() and (masks.labels[new] == 0).all() and not (new & ~box).any()
    assert new[19, 40, 55] and new[25, 34, 55] and not new[19, 34, 55]  # round: the corner is farther than 3 mm
    assert (grown.labels[masks.labels != 0] == masks.labels[masks.labels != 0]).all()
    old, now = masks.statistics["kidney_left"], grown.statistics["kidney_left"]
    assert now.voxels == old.voxels + new.sum() and grown.statistics["liver"] is masks.statistics["liver"]


def test_masks_shrink_at_every_face(phantom):
    scan, masks = phantom
    small = resized(scan, masks, ["kidney_left", "liver"], -3.0)
    left = np.argwhere(small.labels == 3)
    assert (left.min(0) == (21, 36, 53)).all() and (left.max(0) == (28, 43, 60)).all()
    assert small.statistics["kidney_left"].voxels == 8 * 8 * 8
    assert (small.labels == 1).sum() == (masks.labels == 1).sum()


def test_slabs_are_as_one(phantom, monkeypatch):
    scan, masks = phantom
    wanted = {mm: resized(scan, masks, ["liver"], mm).labels for mm in (5.0, -5.0)}
    monkeypatch.setattr("napari_ctvlp.scan.changed.slabs", lambda count, _each: ((i, i + 1) for i in range(count)))
    for mm, labels in wanted.items():
        assert (resized(scan, masks, ["liver"], mm).labels == labels).all()


def test_an_organ_of_which_nothing_is_left_is_gone(phantom):
    scan, masks = phantom
    gone = resized(scan, masks, ["kidney_left"], -30.0)
    assert 3 not in gone.names and "kidney_left" not in gone.statistics and not (gone.labels == 3).any()
    assert set(gone.names.values()) == {"liver", "spleen", "kidney_right"}


def test_growing_to_the_edge_is_not_being_cut(phantom):
    scan, masks = phantom
    grown = resized(scan, masks, ["kidney_left"], 60.0)
    assert (grown.labels[0] == 3).any() and not grown.statistics["kidney_left"].touches_edge
