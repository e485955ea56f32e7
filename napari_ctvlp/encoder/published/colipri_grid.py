"""Where COLIPRI's cubes and cells lie in a scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_ctvlp.anatomy.organs import GROUPS
from napari_ctvlp.encoder.contract import (
    Cells,
    FloatArray,
)
from napari_ctvlp.scan.types import OrganMasks, Scan

from .colipri_network import PATCH
from .sampling import sample_nearest

SPACING = 2.0


SEEN: tuple[str, ...] = (
    *GROUPS["lung"], *GROUPS["heart"], *GROUPS["great vessels"], "trachea", "esophagus", "thyroid_gland", "sternum",
    "costal_cartilages", *GROUPS["rib"], *GROUPS["thoracic spine"], *GROUPS["shoulder"], "spinal_cord",
    "atrial_appendage_left", "liver", "spleen", "stomach", "adrenal_gland_left", "adrenal_gland_right", "gallbladder",
    "kidney_left", "kidney_right", "pancreas",
)  # fmt: skip
"""Organs that reports of chest CT speak of, those of the upper abdomen among them."""


@dataclass(frozen=True, eq=False)
class ColipriGrid:
    """The grid of 16 mm behind a scan's organs, in the space of the text.

    Attributes
    ----------
    vectors : (d, I, P, L) float32
        Unit length, one a cell.
    affine : (4, 4) float64
        Cell index (i, p, l) to voxel index of the scan.
    organs : mapping of str to (n,) int64
        Flat indices of the cells that each organ reaches into.
    total : (d, R, A, S) Tensor
        The grid as the network gave it, over all cubes.
    cubes : list of three lists of int
        First voxels of the cubes along R, A, S.
    shape : tuple of int
        Of the scan.
    """

    vectors: FloatArray
    affine: NDArray[np.float64]
    organs: Mapping[str, NDArray[np.int64]]
    total: Tensor
    cubes: list[list[int]]
    shape: tuple[int, ...]

    def cells(self, organ: str) -> Cells:
        """The cells that an organ reaches into; none where it is not in the masks."""
        flat = self.organs.get(organ, np.zeros(0, np.int64))
        index = np.stack(np.unravel_index(flat, self.vectors.shape[1:]), 1).reshape(-1, 3)
        places = index @ self.affine[:3, :3].T + self.affine[:3, 3]
        return Cells(places, self.vectors.reshape(len(self.vectors), -1)[:, flat].T, np.diag(self.affine)[:3].copy())


def places_along(scan: Scan, axis: int) -> tuple[NDArray[np.float64], int]:
    """Index along a canonical axis of each resampled voxel, counted against it (to R, A, S); and how many there are.

    Both grids share their middle; the resampled one is no longer than the scan (torchio's ``Resample``).
    """
    size, spacing = scan.hu.shape[axis], scan.spacing[axis]
    count = max(1, int(np.floor(size * spacing / SPACING + 1e-9)))
    return (size - 1) / 2 - (np.arange(count) - (count - 1) / 2) * SPACING / spacing, count


def known_organs(masks: OrganMasks) -> dict[int, str]:
    """Label to name of the organs that COLIPRI is asked for."""
    return {label: name for label, name in masks.names.items() if name in SEEN}


def span_of(scan: Scan, masks: OrganMasks, axis: int) -> tuple[int, tuple[int, int] | None]:
    """How many resampled voxels a canonical axis has, and which of them the known organs take."""
    at, count = places_along(scan, axis)
    boxes = [masks.statistics[name].box[axis] for name in known_organs(masks).values() if name in masks.statistics]
    if not boxes:
        return count, None
    within = np.flatnonzero((at > min(low for low, _ in boxes) - 1) & (at < max(high for _, high in boxes)))
    return count, (int(within[0]), int(within[-1]) + 1) if len(within) else None


def cube_starts(count: int, span: tuple[int, int] | None, size: int) -> list[int]:
    """First voxels of the cubes along one axis.

    The middle one, which the package takes, where it holds what is known; else one that does; else several side by
    side, the last of them moved back so that none reaches further than needed.
    """
    middle = -int(np.ceil((size - count) / 2)) if size > count else int(np.ceil((count - size) / 2))
    if span is None or (middle <= span[0] and span[1] <= middle + size):
        return [middle]
    if span[1] - span[0] <= size:
        return [min(max(middle, span[1] - size), span[0])]
    length = -(-(span[1] - span[0]) // PATCH) * PATCH
    return [*range(span[0], span[0] + length - size, size), span[0] + length - size]


def labels_on_grid(scan: Scan, masks: OrganMasks, first: Sequence[int], shape: Sequence[int]) -> NDArray[np.uint8]:
    """(R, A, S) labels on the resampled grid; 0 beyond the scan."""
    out = np.zeros(shape, np.uint8)
    inside, places = [], []
    for axis, begin, size in zip((2, 1, 0), first, shape, strict=True):
        at, count = places_along(scan, axis)
        low, high = max(begin, 0), min(begin + size, count)
        inside.append(slice(low - begin, max(low, high) - begin))
        places.append(at[low:high])
    if all(len(at) for at in places):
        out[tuple(inside)] = sample_nearest(masks.labels, places[::-1]).transpose(2, 1, 0)
    return out


def dense_grid(
    scan: Scan, grid: Tensor, cubes: list[list[int]], reached: Mapping[str, NDArray[np.int64]]
) -> ColipriGrid:
    """The grid turned to I, P, L."""
    turned = torch.nn.functional.normalize(grid, dim=0).permute(0, 3, 2, 1).flip(1, 2, 3)
    affine = np.eye(4)
    for axis, (begin, *_), cells in zip((2, 1, 0), cubes, grid.shape[1:], strict=True):
        at, _ = places_along(scan, axis)
        last = begin + PATCH * (cells - 1) + (PATCH - 1) / 2  # of the cell that comes first once turned
        affine[axis, axis] = PATCH * SPACING / scan.spacing[axis]
        affine[axis, 3] = at[0] - last * SPACING / scan.spacing[axis]
    return ColipriGrid(turned.contiguous().numpy(), affine, reached, grid, cubes, scan.hu.shape)
