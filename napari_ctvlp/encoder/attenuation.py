"""How the attenuation of every place differs from that of the organ it is in.

A cyst is darker than its liver, whatever contrast and scanner make of the liver's HU; that is how focal lesions are
read ("hypo-" and "hyperattenuating"). The mask says what the organ is, so the difference can be given outright. A place
is a finest token as far as the organ's mask goes: without the mask the fat beside a liver would be its darkest lesion.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from .pooling import one_thread
from .segments import Segments
from .tokens import OrganIndex, parents

PER_CHANNEL = 9
"""Of every channel: mean, smallest, largest of the mask's voxels, and of those away from its rim; the mean of the
latter in units of the organ's spread; mean and that once more of the place twice as large."""
SCALE = 4.0
"""Differences of 50 HU in a window of 400 become 1."""
LEAST_SPREAD = 0.02
"""Of the -1..1 of a window: 4 HU of 400. Less is what no scanner's noise gives."""


def features(channels: int) -> int:
    """Numbers of every place, for so many channels."""
    return channels * PER_CHANNEL + 2 + 2 * channels


def _inner(labels: Tensor) -> Tensor:
    """(B, I, P, L) bool: voxels whose six neighbours are of the same organ; beyond the scan it goes on."""
    inner = labels > 0
    for axis in (1, 2, 3):
        size = labels.shape[axis] - 1
        same = labels.narrow(axis, 0, size) == labels.narrow(axis, 1, size)
        inner.narrow(axis, 0, size).logical_and_(same)
        inner.narrow(axis, 1, size).logical_and_(same)
    return inner


def _blocks(volume: Tensor, stride: int) -> Tensor:
    """(B, I, P, L) to (tokens of the batch, stride**3), zeros beyond the far ends."""
    grid = [-(-n // stride) for n in volume.shape[1:]]
    missing = [side for n in reversed(volume.shape[1:]) for side in (0, -n % stride)]
    whole = F.pad(volume, missing) if any(missing) else volume
    cut = whole.reshape(len(volume), grid[0], stride, grid[1], stride, grid[2], stride)
    return cut.permute(0, 1, 3, 5, 2, 4, 6).reshape(len(volume) * grid[0] * grid[1] * grid[2], stride**3)


def relative_attenuation(image: Tensor, labels: Tensor, index: OrganIndex, stride: int) -> Tensor:
    """Attenuation of the places of each organ, relative to that organ.

    Parameters
    ----------
    image : (B, C, I, P, L) float32
        Windowed to -1..1.
    labels : (B, I, P, L) uint8
        Organs on the same grid.
    index : OrganIndex
        Of these labels; its first level has tokens of ``stride`` voxels.
    stride : int
        Voxels along each side of a place.

    Returns
    -------
    Tensor
        (pairs of the first level, ``features(C)``) float32; what a place has no voxels of is 0, as the organ's mean is.
    """
    # a hundred operations of a millisecond: threads that wait for each other took three to seven times as long
    with one_thread() if image.device.type == "cpu" else nullcontext():
        return _relative_attenuation(image, labels, index, stride)


def _relative_attenuation(image: Tensor, labels: Tensor, index: OrganIndex, stride: int) -> Tensor:
    token, segment = index.levels[0].token, index.levels[0].segment
    organs = len(index.label)
    own = (
        _blocks(labels, stride).index_select(0, token) == index.label.to(labels.dtype).index_select(0, segment)[:, None]
    )
    deep = _blocks(_inner(labels), stride).index_select(0, token) & own
    count = deep.sum(1).float()
    segments = Segments.of(segment, organs)
    within = segments.summed(count)
    # an organ that is all rim is its own measure
    core = torch.where((within > 0).index_select(0, segment)[:, None], deep, own)
    core_count = core.sum(1).float()
    total = segments.summed(core_count).clamp_min(1)
    fine = [-(-n // stride) for n in labels.shape[1:]]
    coarse = [-(-n // 2) for n in fine]
    tokens = len(labels) * coarse[0] * coarse[1] * coarse[2]
    _, around = torch.unique(segment * tokens + parents(token, fine, coarse, 2), return_inverse=True)
    larger = int(around.max()) + 1 if len(around) else 0
    larger_count = count.new_zeros(larger).index_add_(0, around, count)
    columns, organ = [own.float().mean(1), deep.float().mean(1)], []
    for channel in range(image.shape[1]):
        values = _blocks(image[:, channel], stride).index_select(0, token)
        cores = values * core
        mean = segments.summed(cores.sum(1)) / total
        square = segments.summed((cores * values).sum(1)) / total
        spread = (square - mean.square()).clamp_min(0).sqrt().clamp_min(LEAST_SPREAD)
        values = values - mean.index_select(0, segment)[:, None]
        wide = spread.index_select(0, segment)
        for mask in (own, deep):
            there = mask.any(1)
            columns += [
                SCALE * (values * mask).sum(1) / mask.sum(1).clamp_min(1),
                SCALE * torch.where(there, torch.where(mask, values, torch.inf).amin(1), 0.0),
                SCALE * torch.where(there, torch.where(mask, values, -torch.inf).amax(1), 0.0),
            ]
        sums = (values * deep).sum(1)
        near = (sums.new_zeros(larger).index_add_(0, around, sums) / larger_count.clamp_min(1)).index_select(0, around)
        columns += [
            (sums / count.clamp_min(1) / wide).clamp(-6, 6) / 2,
            SCALE * near,
            (near / wide).clamp(-6, 6) / 2,
        ]
        organ += [mean.index_select(0, segment), wide.log() / 2 + 1]
    return torch.stack([*columns, *organ], 1)


def extremes(seen: Tensor, segment: Tensor, organs: int) -> Tensor:
    """(organs, 2 * f) largest and smallest of every number over the places of each organ."""
    segments = Segments.of(segment, organs)
    return torch.cat([segments.largest(seen), segments.smallest(seen)], 1)


def extremes_around(seen: Tensor, place: Tensor, start: Tensor) -> Tensor:
    """As `extremes`, of groups of places that share places: ``place`` lists them group by group, from ``start`` on."""
    most, least = (F.embedding_bag(place, sign * seen, start, mode="max") * sign for sign in (1, -1))
    return torch.cat([most, least], 1)
