"""Organs as meshes: in their place, of their size, closed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_ctvlp.scan.masks import organ_statistics
from napari_ctvlp.scan.surfaces import MOST_VOXELS, organ_meshes
from napari_ctvlp.scan.types import OrganMasks


def ball(phantom, radius_mm, spacing):
    """The phantom with one ball-shaped organ in its middle."""
    scan, _ = phantom
    shape = tuple(int(2.6 * radius_mm / s) for s in spacing)
    grid = np.indices(shape).transpose(1, 2, 3, 0)
    middle = (np.array(shape) - 1) / 2
    labels = (np.linalg.norm((grid - middle) * spacing, axis=-1) <= radius_mm).astype(np.uint8)
    scan = dataclasses.replace(scan, hu=np.zeros(shape, np.int16), spacing=spacing)
    names = {1: "spleen"}
    return scan, OrganMasks(labels, names, "ball", statistics=organ_statistics(scan, labels, names))


def volume(mesh):
    """Enclosed volume in ml by the divergence theorem; positive when faces wind outwards."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(float) for k in range(3))
    return abs(float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum())) / 6000


@pytest.mark.parametrize("spacing", [(3.0, 3.0, 3.0), (1.0, 0.8, 0.8), (5.0, 1.0, 1.0)])
def test_ball_has_its_place_and_volume(phantom, spacing):
    scan, masks = ball(phantom, 30, spacing)
    (mesh,) = organ_meshes(scan, masks)
    centre = np.asarray(scan.napari_translate) + (np.array(masks.labels.shape) - 1) / 2 * spacing
    assert np.allclose(mesh.vertices.mean(0), centre, atol=1.5)
    assert volume(mesh) == pytest.approx(masks.statistics["spleen"].volume_ml, rel=0.12)
    radius = np.linalg.norm(mesh.vertices - mesh.vertices.mean(0), axis=1)
    assert radius.max() < 30 + 1.5 * max(3, *spacing)


def test_meshes_are_closed(phantom):
    scan, masks = ball(phantom, 30, (3.0, 3.0, 3.0))
    (mesh,) = organ_meshes(scan, masks)
    edges = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, count = np.unique(edges, axis=0, return_counts=True)
    assert (count == 2).all()


def test_large_organs_are_reduced(phantom):
    scan, masks = ball(phantom, 120, (1.5, 1.5, 1.5))
    (mesh,) = organ_meshes(scan, masks)
    assert len(mesh.vertices) < MOST_VOXELS / 3


def test_thin_organs_do_not_vanish(phantom):
    scan, _ = phantom
    labels = np.zeros(scan.hu.shape, np.uint8)
    labels[5:30, 30, 30:33] = 7
    masks = OrganMasks(labels, {7: "rib_left_4"}, "thin", statistics=organ_statistics(scan, labels, {7: "rib_left_4"}))
    (mesh,) = organ_meshes(scan, masks)
    assert np.ptp(mesh.vertices[:, 0]) > 60  # its 25 slices of 3 mm


def test_every_organ_has_its_label_and_cancelling_stops(phantom):
    scan, masks = phantom
    assert [mesh.label for mesh in organ_meshes(scan, masks)] == [1, 2, 3, 5]
    assert organ_meshes(scan, masks, cancelled=lambda: True) == []
