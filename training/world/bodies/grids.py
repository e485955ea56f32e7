"""From one axis-aligned grid to another: both begin at the same outer corner, their voxels differ in size."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.scene import Box, label_boxes

Spacing = tuple[float, float, float]


def new_size(shape: tuple[int, ...], old: Spacing, new: float) -> tuple[int, int, int]:
    """Voxels of an isotropic grid over the same extent."""
    a, b, c = (max(1, round(n * s / new)) for n, s in zip(shape, old, strict=True))
    return a, b, c


def whole(size: tuple[int, int, int]) -> Box:
    """The box of a whole grid."""
    a, b, c = (slice(0, n) for n in size)
    return a, b, c


def box_between(box: Box, old: Spacing, new: Spacing, size: tuple[int, ...]) -> Box:
    """The voxels of a new grid that meet a box of an old one."""
    a, b, c = (
        slice(max(0, int(s.start * o / n)), min(k, int(np.ceil(s.stop * o / n)) + 1))
        for s, o, n, k in zip(box, old, new, size, strict=True)
    )
    return a, b, c


def sampled(volume: Tensor, old: Spacing, new: Spacing, box: Box, start: tuple[int, int, int] = (0, 0, 0)) -> Tensor:
    """A float volume at the voxels of a box of a new grid: linear where it gets finer, averaged where coarser.

    ``start`` is the index in the old grid of the volume's first voxel; beyond its ends the volume goes on as there.
    """
    for axis in range(3):
        scale = new[axis] / old[axis]
        parts = max(1, round(scale))
        index = torch.arange(box[axis].start, box[axis].stop, device=volume.device)
        total: Tensor | None = None
        for part in range(parts):
            at = (index + (part + 0.5) / parts) * scale - 0.5 - start[axis]
            values = _interpolated(volume, axis, at)
            total = values if total is None else total.add_(values)
        assert total is not None
        volume = total / parts
    return volume


def nearest(volume: Tensor, old: Spacing, new: Spacing, box: Box, start: tuple[int, int, int] = (0, 0, 0)) -> Tensor:
    """Any volume at the voxels of a box of a new grid; what lies beyond the volume is as at its ends."""
    for axis in range(3):
        index = torch.arange(box[axis].start, box[axis].stop, device=volume.device)
        at = ((index + 0.5) * (new[axis] / old[axis])).floor().long() - start[axis]
        volume = volume.index_select(axis, at.clamp(0, volume.shape[axis] - 1))
    return volume


def _interpolated(volume: Tensor, axis: int, at: Tensor) -> Tensor:
    last = volume.shape[axis] - 1
    at = at.clamp(0, last)
    low = at.floor().long()
    shape = [1, 1, 1]
    shape[axis] = -1
    t = (at - low).view(shape).to(volume.dtype)
    a = volume.index_select(axis, low)
    return a + (volume.index_select(axis, (low + 1).clamp(max=last)) - a) * t


def resampled_labels(labels: Tensor, old: Spacing, new: float) -> Tensor:
    """Labels on an isotropic grid: each organ's mask is interpolated and the strongest wins.

    Between thick slices not the masks but the distances to their borders are interpolated (shape-based interpolation:
    Raya and Udupa, IEEE TMI 1990;9:32): a slanted border comes out slanted, not in stairs.
    """
    size, to = new_size(tuple(labels.shape), old, new), (new, new, new)
    best = torch.zeros(size, device=labels.device)
    out = torch.zeros(size, dtype=torch.uint8, device=labels.device)
    for k, box in enumerate(label_boxes(labels)):
        if box is None:
            continue
        a, b, c = (slice(max(0, s.start - 3), min(n, s.stop + 3)) for s, n in zip(box, labels.shape, strict=True))
        target = box_between((a, b, c), old, to, size)
        depth = _depth(labels[a, b, c] == k + 1, old, new)
        depth = sampled(depth, old, to, target, (a.start, b.start, c.start))
        stronger = depth > best[target]
        out[target][stronger] = k + 1
        best[target] = torch.maximum(best[target], depth)
    return out


def _depth(mask: Tensor, old: Spacing, new: float) -> Tensor:
    """Depth below a mask's border within slices, -1..1 of a slice's thickness; -1 or 1 on a fine grid."""
    thick = max(range(3), key=lambda k: old[k])
    if old[thick] < 1.5 * new:
        return mask.float() * 2 - 1
    far = old[thick]
    out = []
    for side in (~mask, mask):
        squared = torch.where(side, 0.0, far * far)
        for axis in (k for k in range(3) if k != thick):
            source, n = squared.clone(), squared.shape[axis]
            for step in range(1, min(int(far / old[axis]), n - 1, 8) + 1):
                cost, rest = (step * old[axis]) ** 2, n - step
                a, b = squared.narrow(axis, step, rest), squared.narrow(axis, 0, rest)
                torch.minimum(a, source.narrow(axis, 0, rest) + cost, out=a)
                torch.minimum(b, source.narrow(axis, step, rest) + cost, out=b)
        out.append(squared.sqrt_())
    half = min(s for k, s in enumerate(old) if k != thick) / 2  # the border lies between two voxels
    return ((out[0] - half).clamp(min=0) - (out[1] - half).clamp(min=0)).clamp(-far, far) / far
