"""What if: a scan with a part made neutral, masks grown or shrunk. The scan and the masks given stay as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.scan.geometry import slabs
from napari_ctvlp.scan.statistics import organ_statistics
from napari_ctvlp.scan.types import OrganMasks, Scan

LIMIT = 3.0
"""Robust standard deviations from an organ's median, beyond which a voxel stands out."""
Index = tuple[int, int, int]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Part:
    """Voxels of a scan: those of ``box`` where ``inside`` is true."""

    box: Box
    inside: NDArray[np.bool_]

    @property
    def start(self) -> Index:
        """First voxel of the box (I, P, L)."""
        return (self.box[0].start, self.box[1].start, self.box[2].start)


def ball(masks: OrganMasks, spacing: Sequence[float], organ: str, centre: Index, radius: float, rim: float) -> Part:
    """The part of an organ around one of its voxels.

    Parameters
    ----------
    masks : OrganMasks
    spacing : sequence of float
        Voxel size in mm along I, P, L.
    organ : str
    centre : tuple of int
        Voxel (I, P, L).
    radius : float
        In mm.
    rim : float
        Background up to so many mm away from the organ belongs to it: encoders grow masks by about a voxel of theirs,
        because masks stop short of what lies at an organ's rim.
    """
    from scipy.ndimage import distance_transform_edt

    label = masks.statistics[organ].label
    box = _around([(c, c + 1) for c in centre], masks.labels.shape, spacing, radius + rim)
    labels = masks.labels[box]
    near = distance_transform_edt(labels != label, sampling=spacing) <= rim
    distance = np.zeros(labels.shape, np.float32)
    for axis, (part, middle, size) in enumerate(zip(box, centre, spacing, strict=True)):
        along = ((np.arange(part.start, part.stop) - middle) * size) ** 2
        distance += along.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    return Part(box, (distance <= radius**2) & near & ((labels == label) | (labels == 0)))


def with_what_stands_out(scan: Scan, masks: OrganMasks, organ: str, part: Part, reach: float, rim: float) -> Part:
    """A part with all that differs from the organ as its middle does, where it goes on beyond the part.

    A stone that is longer than the part would leave its ends behind, and the blur of its edge: one voxel of 470 HU is a
    stone as well.

    Parameters
    ----------
    scan, masks, organ
        The part's.
    part : Part
        Such as a `ball`.
    reach : float
        How far beyond the part's box, in mm.
    rim : float
        Background up to so many mm away from the organ belongs to it, and what stands out is taken with as much around.
    """
    from scipy.ndimage import distance_transform_edt
    from scipy.ndimage import label as components

    number = masks.statistics[organ].label
    own = scan.hu[_slices(masks.statistics[organ].box)][masks.labels[_slices(masks.statistics[organ].box)] == number]
    middle, spread = _middle(own)
    box = _around([(s.start, s.stop) for s in part.box], masks.labels.shape, scan.spacing, reach)
    labels, differs = masks.labels[box], scan.hu[box].astype(np.float32) - middle
    start = np.zeros(labels.shape, bool)
    start[tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(part.box, box, strict=True))] = part.inside
    core = differs[start & (labels == number)]
    if not len(core):
        return part
    towards = np.sign(core[np.abs(core).argmax()])
    near = distance_transform_edt(labels != number, sampling=scan.spacing) <= rim
    allowed = near & ((labels == number) | (labels == 0))
    apart = allowed & (towards * differs > LIMIT * spread)
    marked, _ = components(start | apart)
    found = apart & np.isin(marked, np.unique(marked[start]))
    if not found.any():
        return part
    beside = distance_transform_edt(~found, sampling=scan.spacing) <= rim
    return Part(box, start | (beside & allowed))


def whole(masks: OrganMasks, spacing: Sequence[float], organ: str, rim: float) -> Part:
    """All of an organ; ``rim`` as for `ball`."""
    from scipy.ndimage import distance_transform_edt

    statistics = masks.statistics[organ]
    box = _around(statistics.box, masks.labels.shape, spacing, rim)
    inside = np.zeros([s.stop - s.start for s in box], bool)
    for part, inner in _slabs(box, masks.labels.shape[0], rim / spacing[0]):
        labels = masks.labels[part]
        near = distance_transform_edt(labels != statistics.label, sampling=spacing) <= rim
        kept = (near & ((labels == statistics.label) | (labels == 0)))[inner]
        first = part[0].start + inner.start - box[0].start
        inside[first : first + len(kept)] = kept
    return Part(box, inside)


def erased(scan: Scan, masks: OrganMasks, organ: str, parts: Sequence[Part]) -> Scan:
    """The scan with parts of an organ made neutral.

    Voxels of the organ take HU drawn from those of the organ that are near its median, voxels beside it from the
    background close by, so that no new edge appears where the organ ends and the noise goes on.
    """
    statistics = masks.statistics[organ]
    box = _slices(statistics.box)
    middle = _near_median(scan.hu[box][masks.labels[box] == statistics.label])
    hu, rng = scan.hu.copy(), np.random.default_rng(0)
    for part in parts:
        labels, values = masks.labels[part.box], hu[part.box]
        background = (labels == 0) & part.inside
        if background.any():
            # of the original, and of all the background around: the part itself may be what is looked for
            around = _near_median(scan.hu[part.box][labels == 0])
            values[background] = rng.choice(around, int(background.sum()))
        own = part.inside & (labels == statistics.label)
        values[own] = rng.choice(middle, int(own.sum()))
    return replace(scan, hu=hu)


def _near_median(values: NDArray[np.int16]) -> NDArray[np.int16]:
    """Those within three robust standard deviations: what is looked for is not drawn."""
    middle, spread = _middle(values)
    return values[np.abs(values - middle) <= LIMIT * spread]


def _middle(values: NDArray[np.int16]) -> tuple[float, float]:
    """Median, and the standard deviation that a normal distribution of the same median deviation has."""
    middle = float(np.median(values))
    return middle, 1.4826 * float(np.median(np.abs(values - middle)))


def resized(scan: Scan, masks: OrganMasks, organs: Sequence[str], millimetres: float) -> OrganMasks:
    """The masks with some organs grown into the background (never into another organ), or shrunk.

    Parameters
    ----------
    scan : Scan
        For the statistics of the changed organs.
    masks : OrganMasks
    organs : sequence of str
    millimetres : float
        By how much; below 0 shrinks. An organ of which nothing is left is not in the result.

    Notes
    -----
    Whether the field of view cuts an organ is said of the mask as it was: growing into the edge cuts nothing off.
    """
    from scipy.ndimage import distance_transform_edt

    labels, spacing = masks.labels.copy(), scan.spacing
    for organ in organs:
        statistics = masks.statistics[organ]
        box = _around(statistics.box, labels.shape, spacing, abs(millimetres))
        for part, inner in _slabs(box, labels.shape[0], abs(millimetres) / spacing[0]):
            mine = masks.labels[part] == statistics.label
            if mine.all() or not mine.any():  # nothing to grow from, nothing to shrink to
                continue
            if millimetres > 0:
                changed = (distance_transform_edt(~mine, sampling=spacing) <= millimetres) & (labels[part] == 0)
            else:
                changed = mine & (distance_transform_edt(mine, sampling=spacing) <= -millimetres)
            target = labels[part][inner]
            target[changed[inner]] = statistics.label if millimetres > 0 else 0
    names = {masks.statistics[organ].label: organ for organ in organs}
    fresh = organ_statistics(scan, labels, names)
    known = dict(masks.statistics)
    for organ in organs:
        if organ in fresh:
            known[organ] = replace(fresh[organ], touches_edge=masks.statistics[organ].touches_edge)
        else:
            del known[organ]
    left = {label: name for label, name in masks.names.items() if name in known or name not in organs}
    return replace(masks, labels=labels, names=left, statistics=known)


def _slices(box: Sequence[tuple[int, int]]) -> Box:
    i, p, left = (slice(a, b) for a, b in box)
    return (i, p, left)


def _around(box: Sequence[tuple[int, int]], shape: Sequence[int], spacing: Sequence[float], millimetres: float) -> Box:
    reach = [int(np.ceil(millimetres / s)) for s in spacing]
    return _slices([(max(0, a - r), min(n, b + r)) for (a, b), r, n in zip(box, reach, shape, strict=True)])


def _slabs(box: Box, size: int, reach: float) -> Iterator[tuple[Box, slice]]:
    """A box in slabs along I, each with enough around it for distances up to ``reach`` voxels; and what of it counts.

    Distances of a whole liver would take a gigabyte.
    """
    margin = int(np.ceil(reach)) + 1
    for start, stop in slabs(box[0].stop - box[0].start, (box[1].stop - box[1].start) * (box[2].stop - box[2].start)):
        first, last = box[0].start + start, box[0].start + stop
        low, high = max(0, first - margin), min(size, last + margin)
        yield (slice(low, high), box[1], box[2]), slice(first - low, last - low)
