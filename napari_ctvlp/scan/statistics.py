"""What masks say of organs: volume, mean HU, box, centroid, whether the field of view cuts them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.scan import geometry
from napari_ctvlp.scan.geometry import AIR_HU
from napari_ctvlp.scan.types import OrganStatistics, Scan

Box = tuple[slice, slice, slice]
_SAMPLED = 200_000
"""About so many voxels of an organ's box are looked at for its median."""


@dataclass(frozen=True, eq=False)
class _Edge:
    """Where a scan ends other than at the border of its array.

    ``padding`` is the (P, L) footprint of the padding around a round field of view; ``to_stored`` leads from canonical
    index to the index in the file, for a tilted scan that was laid on a straight grid; each is None where there is no
    such end.
    """

    padding: NDArray[np.bool_] | None
    to_stored: NDArray[np.float64] | None
    stored_shape: tuple[int, int, int]

    def touches_padding(self, footprint: NDArray[np.bool_], box: Box) -> bool:
        """Whether an organ's (P, L) footprint within its box reaches the padding."""
        return self.padding is not None and bool((footprint & self.padding[box[1:]]).any())

    def slants_through(self, mask: NDArray[np.bool_], part: Box) -> bool:
        """Whether voxels of an organ lie on the outermost voxels of the file's own, tilted grid."""
        if self.to_stored is None or not mask.any():
            return False
        points = np.argwhere(mask) + [s.start for s in part]
        stored = points @ self.to_stored[:3, :3].T + self.to_stored[:3, 3]
        return bool(
            (stored.min(axis=0) < 0.5).any() or (stored.max(axis=0) > np.asarray(self.stored_shape) - 1.5).any()
        )


def organ_statistics(scan: Scan, labels: NDArray[np.uint8], names: Mapping[int, str]) -> dict[str, OrganStatistics]:
    """Statistics of every organ of ``names`` that occurs in ``labels``, by organ name.

    Works organ by organ inside its box and in slabs there, so that it needs no copy of the scan.

    Parameters
    ----------
    scan : Scan
    labels : (I, P, L) uint8
        On the grid of the scan.
    names : mapping of int to str
        Label to organ.

    Returns
    -------
    dict of str to OrganStatistics
        Volume in ml, mean and standard deviation (of the population) of HU, centroid in LPS mm and as a voxel.
    """
    from scipy.ndimage import find_objects

    if labels.shape != scan.hu.shape:
        raise ValueError(f"labels {labels.shape} and scan {scan.hu.shape} are not on one grid")
    boxes = find_objects(labels, max_label=max(names, default=0) or 1)
    edge = _Edge(_outside_field(scan), _to_stored(scan), scan.stored.shape)
    found = {}
    for label, name in sorted(names.items()):
        if label <= len(boxes) and boxes[label - 1] is not None:
            found[name] = _one(scan, labels, label, name, boxes[label - 1], edge)
    return found


def cut_short(statistics: Mapping[str, OrganStatistics], organs: Collection[str]) -> dict[str, OrganStatistics]:
    """The same with these organs cut by the end of their masks, which the labels on the scan do not show."""
    return {
        name: replace(stat, touches_edge=True, cut_by_masks=True) if name in organs else stat
        for name, stat in statistics.items()
    }


def _one(scan: Scan, labels: NDArray[np.uint8], label: int, name: str, box: Box, edge: _Edge) -> OrganStatistics:
    shape = tuple(s.stop - s.start for s in box)
    profiles = [np.zeros(n, np.int64) for n in shape]
    footprint = np.zeros(shape[1:], bool)
    total = squares = 0.0
    every, sample = max(1, int(np.prod(shape)) // _SAMPLED), []
    cut = any(s.start == 0 or s.stop == n for s, n in zip(box, labels.shape, strict=True))
    for start, stop in geometry.slabs(shape[0], shape[1] * shape[2], voxels=1 << 20):
        part = (slice(box[0].start + start, box[0].start + stop), *box[1:])
        mask = labels[part] == label
        values = scan.hu[part][mask]
        sample.append(values[::every])
        hu = values.astype(np.float64)
        total += float(hu.sum())
        squares += float(hu @ hu)
        cut = cut or edge.slants_through(mask, part)
        plane = np.count_nonzero(mask, axis=0)
        footprint |= plane > 0
        profiles[0][start:stop] = np.count_nonzero(mask, axis=(1, 2))
        profiles[1] += plane.sum(axis=1)
        profiles[2] += plane.sum(axis=0)
    voxels = int(profiles[0].sum())
    mean = total / voxels
    centre = [s.start + float(p @ np.arange(p.size)) / voxels for s, p in zip(box, profiles, strict=True)]
    index = _nearest_voxel(labels, label, centre)
    x, y, z = (float(v) for v in (scan.affine @ [*centre, 1.0])[:3])
    return OrganStatistics(
        organ=name,
        label=label,
        voxels=voxels,
        volume_ml=voxels * float(np.prod(scan.spacing)) / 1000.0,
        mean_hu=mean,
        sd_hu=float(np.sqrt(max(0.0, squares / voxels - mean * mean))),
        box=((box[0].start, box[0].stop), (box[1].start, box[1].stop), (box[2].start, box[2].stop)),
        centroid=(x, y, z),
        centroid_index=index,
        touches_edge=cut or edge.touches_padding(footprint, box),
        median_hu=float(np.median(np.concatenate(sample))),
    )


def _nearest_voxel(labels: NDArray[np.uint8], label: int, centre: list[float]) -> tuple[int, int, int]:
    """Voxel of the organ nearest to a point, looked for in growing cubes so that a large organ costs little."""
    middle = [round(c) for c in centre]
    reach = 2
    while True:
        low = [max(0, m - reach) for m in middle]
        cube = labels[tuple(slice(a, m + reach + 1) for a, m in zip(low, middle, strict=True))] == label
        if cube.any():
            points = np.argwhere(cube) + low
            distance = ((points - np.asarray(centre)) ** 2).sum(axis=1)
            best = int(distance.argmin())
            # a corner of the cube is farther than its faces: only what lies within the reach is surely the nearest
            if distance[best] <= (reach - 0.5) ** 2 or reach > max(labels.shape):
                i, p, left = (int(v) for v in points[best])
                return (i, p, left)
        reach *= 2


def _to_stored(scan: Scan) -> NDArray[np.float64] | None:
    """Canonical index to stored index of a scan that was resampled, else None."""
    turn = geometry.reorientation(scan.stored.affine)
    if turn.canonical_shape(scan.stored.shape) == scan.hu.shape:
        before = turn.canonical_affine(scan.stored.affine, scan.stored.shape)
        if geometry.same_grid(before, scan.affine, scan.hu.shape):
            return None
    return np.linalg.inv(scan.stored.affine) @ scan.affine


def _outside_field(scan: Scan) -> NDArray[np.bool_] | None:
    """(P, L) pixels at or next to the padding around a round field of view, None where there is no padding.

    The reader notes padding in the audit; without that note -1024 HU is only air.
    """
    if not any("outside the field of view" in item.value for item in scan.audit.items):
        return None
    from scipy.ndimage import binary_dilation

    step = max(1, scan.hu.shape[0] // 32)
    flat = (scan.hu[::step] == AIR_HU).all(axis=0)
    return binary_dilation(flat, iterations=2)
