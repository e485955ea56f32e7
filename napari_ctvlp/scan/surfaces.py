"""Organs as triangle meshes, for a view in 3D."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.scan.types import OrganMasks, OrganStatistics, Scan

FINEST_MM = 3.0
"""Voxels are reduced to about this size first: finer steps of a mask are none of the organ's."""
MOST_VOXELS = 60_000
"""In the box of one organ; larger organs are reduced further, so that each takes some milliseconds to make and draw."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """One organ's surface.

    Attributes
    ----------
    label : int
    vertices : (n, 3) float32
        World mm (I, P, L), as the layers are placed.
    faces : (m, 3) int64
        Vertex indices of each triangle.
    """

    label: int
    vertices: NDArray[np.float32]
    faces: NDArray[np.int64]


def organ_meshes(scan: Scan, masks: OrganMasks, cancelled: Callable[[], bool] = lambda: False) -> list[Mesh]:
    """Surfaces of all organs by marching cubes (Lewiner et al. 2003) on their reduced, slightly blurred masks.

    Parameters
    ----------
    scan : Scan
    masks : OrganMasks
        On the grid of the scan.
    cancelled : callable
        Asked before each organ; what is made so far is given back.
    """
    meshes = []
    for stat in sorted(masks.statistics.values(), key=lambda s: s.label):
        if cancelled():
            break
        mesh = _mesh(scan, masks, stat)
        if mesh is not None:
            meshes.append(mesh)
    return meshes


def _mesh(scan: Scan, masks: OrganMasks, stat: OrganStatistics) -> Mesh | None:
    from scipy.ndimage import gaussian_filter
    from skimage.measure import marching_cubes

    steps = _steps(scan.spacing, stat)
    share = _reduced(masks.labels[tuple(slice(a, b) for a, b in stat.box)] == stat.label, steps)
    blurred = gaussian_filter(share, 0.7)
    # the level that encloses as much as the mask holds: at a half, thin organs would vanish and small ones shrink
    blocks = max(1, round(float(share.sum())))
    level = min(0.5, 0.9 * float(blurred.max()), float(np.partition(blurred, -blocks, axis=None)[-blocks]))
    if level <= 0:
        return None
    vertices, faces, _, _ = marching_cubes(blurred, level)
    spacing = np.asarray(scan.spacing)
    start = np.array([a for a, _ in stat.box])
    # the reduced array has a margin of one, and the middle of a block is not its first voxel
    index = start + (vertices - 1) * steps + (np.asarray(steps) - 1) / 2
    world = np.asarray(scan.napari_translate) + index * spacing
    return Mesh(stat.label, world.astype(np.float32), faces.astype(np.int64))


def _steps(spacing: tuple[float, float, float], stat: OrganStatistics) -> tuple[int, int, int]:
    """Voxels to take together along each axis."""
    size = FINEST_MM
    while True:
        steps = tuple(max(1, round(size / s)) for s in spacing)
        if np.prod([-(-(b - a) // n) + 2 for (a, b), n in zip(stat.box, steps, strict=True)]) <= MOST_VOXELS:
            return (steps[0], steps[1], steps[2])
        size *= 1.25


def _reduced(mask: NDArray[np.bool_], steps: tuple[int, int, int]) -> NDArray[np.float32]:
    """Share of each block that is in the mask, with a margin of one empty block."""
    full = [-(-n // step) * step for n, step in zip(mask.shape, steps, strict=True)]
    padded = np.pad(mask, [(0, m - n) for n, m in zip(mask.shape, full, strict=True)])
    a, b, c = (m // step for m, step in zip(full, steps, strict=True))
    share = padded.reshape(a, steps[0], b, steps[1], c, steps[2]).mean(axis=(1, 3, 5), dtype=np.float32)
    return np.pad(share, 1)
