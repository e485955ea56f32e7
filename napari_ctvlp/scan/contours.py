"""From the planar contours of one structure to the slices they fill, with what lies between them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SAME_PLANE = 0.1
"""Distance, in slices, within which contours lie in one plane."""
USUAL = 1.5
"""How many times the usual distance of its planes two planes of a structure may be apart and still be joined."""
PAST_MM = 15.0
"""Distance of planes beyond which nothing is guessed between them."""

Mask = NDArray[np.bool_]


def filled(
    contours: Sequence[NDArray[np.float64]], shape: tuple[int, ...], spacing: tuple[float, float, float]
) -> tuple[dict[int, Mask], int, int]:
    """Slices of one structure.

    A slice takes the plane of contours that lies in it (the nearest of several). A slice between two planes is
    interpolated when these are as far apart as the planes of this structure usually are: people draw every second or
    third slice. The signed distances to the two outlines are interpolated linearly (Raya and Udupa 1990, "Shape-based
    interpolation of multidimensional objects", IEEE TMI 9), as 3D Slicer does for its segmentations.

    Parameters
    ----------
    contours : sequence of (n, 3) float64
        Points as index (I, P, L), each contour in one plane across I.
    shape : (I, P, L)
    spacing : (I, P, L) in mm

    Returns
    -------
    slices : dict of int to (P, L) bool
    interpolated, empty : int
        How many slices were interpolated, and how many between the first and the last plane were left empty.
    """
    planes = _planes(contours, shape[1:])
    slices: dict[int, Mask] = {}
    for plane in range(shape[0]):
        near = min(planes, key=lambda place: abs(place - plane), default=np.inf)
        if abs(near - plane) <= 0.5:
            slices[plane] = planes[near]
    places = sorted(planes)
    steps = np.diff(places)
    limit = min(USUAL * float(np.median(steps)), PAST_MM / spacing[0]) if len(steps) else 0.0
    interpolated = empty = 0
    for below, above in pairwise(places):
        for plane in range(max(0, int(np.ceil(below))), min(shape[0], int(np.floor(above)) + 1)):
            if plane in slices:
                continue
            if above - below > limit:
                empty += 1
                continue
            weight = (plane - below) / (above - below)
            slices[plane] = between(planes[below], planes[above], weight, spacing[1:])
            interpolated += 1
    return slices, interpolated, empty


def between(a: Mask, b: Mask, weight: float, spacing: tuple[float, ...]) -> Mask:
    """The outline at ``weight`` (0..1) of the way from ``a`` to ``b``."""
    from scipy.ndimage import distance_transform_edt

    result = np.zeros(a.shape, bool)
    either = np.argwhere(a | b)
    if not a.any() or not b.any():
        return result
    low, high = np.maximum(either.min(axis=0) - 1, 0), either.max(axis=0) + 2
    box = tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))

    def signed(mask: Mask) -> NDArray[np.float64]:
        inside = distance_transform_edt(mask, sampling=spacing)
        outside = distance_transform_edt(~mask, sampling=spacing)
        return np.asarray(inside - outside, np.float64)

    result[box] = (1 - weight) * signed(a[box]) + weight * signed(b[box]) > 0
    return result


def _planes(contours: Sequence[NDArray[np.float64]], shape: tuple[int, ...]) -> dict[float, Mask]:
    """What the contours of each plane enclose, by the place of the plane along I."""
    planes: dict[float, Mask] = {}
    here = -np.inf
    for points in sorted(contours, key=lambda points: float(points[:, 0].mean())):
        place = float(points[:, 0].mean())
        if place - here > SAME_PLANE:
            here = place
            planes[here] = np.zeros(shape, bool)
        _fill(planes[here], points[:, 1:])
    return planes


def _fill(plane: Mask, points: NDArray[np.float64]) -> None:
    """Turn over the pixels whose centre lies within the polygon: a second contour within the first makes a hole."""
    from skimage.draw import polygon

    rows, columns = polygon(points[:, 0], points[:, 1], plane.shape)
    plane[rows, columns] ^= True
