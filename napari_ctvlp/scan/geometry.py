"""From the grid of a file to the grid of the project: permute, flip, and straighten only what is tilted.

Everything here works on affines to LPS mm (DICOM's patient frame). The canonical array has axes that grow to Inferior,
Posterior and Left; ECOSYSTEM facts behind that choice: it is the only order in which all four napari views are right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError

Affine = NDArray[np.float64]
AnyScalar = TypeVar("AnyScalar", bound=np.generic)

RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""RAS mm to LPS mm and back."""

IPL_AXES = (2, 1, 0)
"""World axis (x, y, z of LPS) along which canonical axis I, P, L runs."""

TILT_LIMIT_DEGREES = 1.0
"""Above it a scan is resampled: napari cannot draw oblique slices."""

AIR_HU = -1024


@dataclass(frozen=True)
class Reorientation:
    """How stored axes become canonical ones.

    ``perm[k]`` is the stored axis that becomes canonical axis k; it is reversed if ``flip[k]``.
    """

    perm: tuple[int, int, int]
    flip: tuple[bool, bool, bool]

    def canonical_shape(self, stored: tuple[int, int, int]) -> tuple[int, int, int]:
        """Shape in canonical order of an array stored with shape ``stored``."""
        i, p, left = (stored[axis] for axis in self.perm)
        return (i, p, left)

    def canonical_affine(self, affine: Affine, stored: tuple[int, int, int]) -> Affine:
        """Affine of the canonical array, given the affine and the shape of the stored one."""
        to_stored = np.zeros((4, 4))
        to_stored[3, 3] = 1.0
        for canonical, (axis, flip) in enumerate(zip(self.perm, self.flip, strict=True)):
            to_stored[axis, canonical] = -1.0 if flip else 1.0
            to_stored[axis, 3] = stored[axis] - 1 if flip else 0.0
        return affine @ to_stored

    def stored_view(self, canonical: NDArray[AnyScalar]) -> NDArray[AnyScalar]:
        """View of a canonical array with the axes of the file: what is written to it lands in canonical place."""
        flipped = canonical[tuple(slice(None, None, -1) if f else slice(None) for f in self.flip)]
        return flipped.transpose(np.argsort(self.perm))


def reorientation(affine: Affine) -> Reorientation:
    """Permutation and flips that bring an array with this affine closest to (I, P, L)."""
    from nibabel.orientations import io_orientation

    ornt = io_orientation(RAS_LPS @ affine)
    axis_of_world = {int(world): axis for axis, (world, _) in enumerate(ornt)}
    perm = tuple(axis_of_world[world] for world in IPL_AXES)
    # I, P and L are each the opposite of S, A and R, so an axis that grows along RAS is reversed
    flip = tuple(bool(ornt[axis, 1] > 0) for axis in perm)
    return Reorientation(perm, flip)  # type: ignore[arg-type]


def axcodes(affine: Affine) -> str:
    """Directions in which the axes grow, such as "RAS" (nibabel's convention)."""
    from nibabel.orientations import aff2axcodes

    return "".join(str(code) for code in aff2axcodes(RAS_LPS @ affine))


def voxel_sizes(affine: Affine) -> tuple[float, float, float]:
    """Length of a step along each array axis in mm."""
    a, b, c = (float(v) for v in np.sqrt((affine[:3, :3] ** 2).sum(axis=0)))
    return (a, b, c)


def check_affine(affine: Affine, name: str) -> None:
    """Raise UserError unless the affine describes a grid in space with a voxel size that a scanner could have made."""
    sizes = np.asarray(voxel_sizes(affine)) if np.isfinite(affine).all() else np.zeros(3)
    if sizes.min() <= 0 or abs(np.linalg.det(affine[:3, :3] / sizes)) < 0.05:
        raise UserError(
            f"{name}: the affine in its header describes no grid in space (it is singular or not finite), "
            "so left and right cannot be known; write the file again with a valid sform or qform."
        )
    if sizes.min() < 0.01 or sizes.max() > 100:
        text = " x ".join(f"{v:.4g}" for v in sizes)
        raise UserError(
            f"{name}: a voxel size of {text} mm cannot be right for a CT; correct the affine in the header."
        )


def tilt_degrees(affine: Affine) -> float:
    """Largest angle between an array axis and the patient axis nearest to it."""
    canonical = reorientation(affine).canonical_affine(affine, (1, 1, 1))
    cosines = [
        abs(canonical[world, k]) / size
        for k, (world, size) in enumerate(zip(IPL_AXES, voxel_sizes(canonical), strict=True))
    ]
    return float(np.degrees(np.arccos(np.clip(min(cosines), -1.0, 1.0))))


def shear_degrees(affine: Affine) -> float:
    """Largest deviation from a right angle between two array axes (a gantry tilt shows here, a rotation does not)."""
    unit = affine[:3, :3] / np.asarray(voxel_sizes(affine))
    cosines = np.abs((unit.T @ unit)[np.triu_indices(3, 1)])
    return float(np.degrees(np.arcsin(np.clip(cosines.max(), 0.0, 1.0))))


def world_box(affine: Affine, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Box around the voxels of a grid, edges included: ((x, y, z) low, (x, y, z) high) in LPS mm."""
    corners = np.stack(np.meshgrid(*[(-0.5, n - 0.5) for n in shape], indexing="ij"), -1).reshape(-1, 3)
    points = corners @ affine[:3, :3].T + affine[:3, 3]
    return np.stack([points.min(axis=0), points.max(axis=0)])


def same_grid(a: Affine, b: Affine, shape: tuple[int, ...], tolerance: float = 0.1) -> bool:
    """Whether two affines put every voxel at the same place, to ``tolerance`` of the smallest voxel size."""
    ends = np.array([[i, j, k, 1] for i in (0, shape[0] - 1) for j in (0, shape[1] - 1) for k in (0, shape[2] - 1)])
    distance = np.linalg.norm((ends @ (a - b).T)[:, :3], axis=1).max()
    return bool(distance <= tolerance * min(voxel_sizes(a)))


def straight_grid(affine: Affine, shape: tuple[int, int, int], name: str) -> tuple[Affine, tuple[int, int, int]]:
    """Axis-aligned (I, P, L) grid that holds a tilted canonical one.

    The spacing is that of the orthogonal part: in-plane voxel size, and for a sheared stack the distance between the
    planes (diagonal of the QR decomposition with the in-plane axes first).

    Returns
    -------
    affine, shape
        Of the new grid.

    Raises
    ------
    UserError
        If the new grid would be several times larger than the scan (a header that cannot be true).
    """
    r = np.linalg.qr(affine[:3, [2, 1, 0]])[1]
    spacing = np.abs(np.diag(r))[::-1]
    low, high = world_box(affine, shape)
    counts = [max(1, round(float(high[w] - low[w]) / s)) for w, s in zip(IPL_AXES, spacing, strict=True)]
    if np.prod(counts, dtype=np.float64) > 6.0 * np.prod(shape, dtype=np.float64):
        raise UserError(f"{name}: its axes are so far from a right angle that it cannot be laid on a straight grid.")
    straight = np.zeros((4, 4))
    straight[3, 3] = 1.0
    for k, (world, step) in enumerate(zip(IPL_AXES, spacing, strict=True)):
        down = world == 2  # I grows against z
        straight[world, k] = -step if down else step
        straight[world, 3] = high[world] - step / 2 if down else low[world] + step / 2
    return straight, (counts[0], counts[1], counts[2])


def resample(
    data: NDArray[AnyScalar],
    affine: Affine,
    onto: Affine,
    shape: tuple[int, int, int],
    *,
    order: int,
    fill: int,
) -> NDArray[AnyScalar]:
    """Resample an array onto another grid by their affines, slab by slab (order 0 nearest, 1 linear); dtype stays."""
    from scipy.ndimage import affine_transform

    out = np.empty(shape, data.dtype)
    between = np.linalg.inv(affine) @ onto
    diagonal = np.diag(between[:3, :3])
    straight = np.allclose(between[:3, :3], np.diag(diagonal), atol=1e-9) and (diagonal > 0).all()
    matrix = diagonal if straight else between[:3, :3]  # scipy has a faster way for a pure scaling
    for start, stop in slabs(shape[0], shape[1] * shape[2]):
        offset = between[:3, 3] + between[:3, 0] * start
        affine_transform(
            data, matrix, offset, (stop - start, *shape[1:]), out[start:stop], order=order, cval=fill, prefilter=False
        )
    return out


def slabs(count: int, voxels_each: int, voxels: int = 1 << 22) -> Iterator[tuple[int, int]]:
    """Ranges (start, stop) over ``count`` slices such that a range holds about ``voxels`` voxels."""
    step = max(1, voxels // max(1, voxels_each))
    for start in range(0, count, step):
        yield start, min(count, start + step)


def sparse(data: NDArray[AnyScalar], voxels: int = 1_000_000) -> NDArray[AnyScalar]:
    """Every n-th voxel along each axis, such that about ``voxels`` remain; a view."""
    step = max(1, round((data.size / voxels) ** (1 / 3)))
    return data[tuple(slice(None, None, step if n > 4 * step else 1) for n in data.shape)]
