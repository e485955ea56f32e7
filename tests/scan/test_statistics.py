"""Organ statistics against the definition, computed the slow way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ctvlp.scan import Scan, StoredGrid, audit_volume, geometry, organ_statistics, read_masks, read_scan

from .makers import body, ipl_affine, write_scan


def scan_of(hu, spacing=(3.0, 1.5, 2.0)):
    affine = ipl_affine(spacing)
    return Scan(hu, spacing, affine, "x", StoredGrid(hu.shape, affine, "IPL"), audit_volume(hu, affine))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(*[st.integers(2, 12)] * 3),
    density=st.floats(0.02, 0.9),
    count=st.integers(1, 5),
)
def test_against_the_definition(seed, shape, density, count):
    rng = np.random.default_rng(seed)
    hu = rng.integers(-1024, 3000, shape).astype(np.int16)
    labels = np.where(rng.random(shape) < density, rng.integers(1, count + 1, shape), 0).astype(np.uint8)
    scan = scan_of(hu)
    names = {n: f"organ {n}" for n in range(1, count + 2)}
    found = organ_statistics(scan, labels, names)
    assert {s.label for s in found.values()} == set(np.unique(labels)) - {0}
    for name, stat in found.items():
        mask = labels == stat.label
        points = np.argwhere(mask)
        assert stat.organ == name == names[stat.label] and stat.voxels == mask.sum()
        assert stat.volume_ml == pytest.approx(mask.sum() * 9.0 / 1000)
        assert stat.mean_hu == pytest.approx(hu[mask].mean(), abs=1e-6)
        assert stat.sd_hu == pytest.approx(hu[mask].std(), abs=1e-3)
        assert stat.box == tuple(zip(points.min(0), points.max(0) + 1, strict=True))
        mean = points.mean(0)
        np.testing.assert_allclose(stat.centroid, (scan.affine @ [*mean, 1])[:3], atol=1e-6)
        distances = ((points - mean) ** 2).sum(1)
        assert mask[stat.centroid_index]
        assert ((np.asarray(stat.centroid_index) - mean) ** 2).sum() == pytest.approx(distances.min())
        edge = (points == 0).any() or (points == np.asarray(shape) - 1).any()
        assert stat.touches_edge == edge


def test_work_in_slabs_changes_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    scan = scan_of(rng.integers(-1000, 1000, (20, 21, 22)).astype(np.int16))
    labels = rng.integers(0, 3, scan.hu.shape).astype(np.uint8)
    whole = organ_statistics(scan, labels, {1: "a", 2: "b"})
    real = geometry.slabs
    monkeypatch.setattr(geometry, "slabs", lambda count, each, voxels=0: real(count, each, 900))
    slabbed = organ_statistics(scan, labels, {1: "a", 2: "b"})
    assert slabbed["a"].voxels == whole["a"].voxels and slabbed["a"].box == whole["a"].box
    assert slabbed["a"].mean_hu == pytest.approx(whole["a"].mean_hu)
    assert slabbed["b"].sd_hu == pytest.approx(whole["b"].sd_hu)


def test_centroid_of_a_ring_lies_on_the_ring():
    p, left = np.mgrid[:40, :40]
    labels = np.zeros((5, 40, 40), np.uint8)
    labels[:, abs(np.hypot(p - 20, left - 20) - 15) < 1] = 1
    stat = organ_statistics(scan_of(np.zeros(labels.shape, np.int16)), labels, {1: "ring"})["ring"]
    assert labels[stat.centroid_index] == 1
    np.testing.assert_allclose(stat.centroid, (scan_of(labels.astype(np.int16)).affine @ [2, 20, 20, 1])[:3], atol=1e-6)


def test_absent_organs_are_left_out():
    labels = np.zeros((4, 4, 4), np.uint8)
    assert organ_statistics(scan_of(labels.astype(np.int16)), labels, {1: "liver"}) == {}
    assert organ_statistics(scan_of(labels.astype(np.int16)), labels, {}) == {}


def test_other_shapes_are_an_error():
    with pytest.raises(ValueError, match="one grid"):
        organ_statistics(scan_of(np.zeros((4, 4, 4), np.int16)), np.zeros((4, 4, 5), np.uint8), {})


def test_a_round_field_of_view_cuts_organs(tmp_path):
    """An organ that ends at the padding is cut, though it does not reach the border of the array."""
    hu = body((10, 40, 40))
    p, left = np.mgrid[:40, :40]
    hu[:, np.hypot(p - 19.5, left - 19.5) > 18] = -2048
    scan = read_scan(write_scan(tmp_path / "ct.nii.gz", hu))
    labels = np.zeros(hu.shape, np.uint8)
    labels[3:6, 10:20, 3:9] = 5  # from the padding inwards
    labels[3:6, 15:22, 15:22] = 1
    masks = read_masks(write_scan(tmp_path / "m.nii.gz", labels), scan, scheme="v2")
    assert masks.statistics["liver"].touches_edge and not masks.statistics["spleen"].touches_edge
