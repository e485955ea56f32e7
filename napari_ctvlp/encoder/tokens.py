"""Which tokens of a network's feature maps lie under which organ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LABELS = 256


@dataclass(frozen=True)
class OrganTokens:
    """Which tokens of one feature map lie under which organ, as flat pairs.

    The pairs are sorted by segment, and no pair is there twice.

    Attributes
    ----------
    token : (pairs,) int64
        Index into the tokens of the whole batch.
    segment : (pairs,) int64
        Index of the organ in the list of organs of the whole batch.
    log_count : (pairs,) float32
        Logarithm of the number of label voxels of that organ in that token.
    """

    token: Tensor
    segment: Tensor
    log_count: Tensor


@dataclass(frozen=True)
class OrganIndex:
    """The organs of a batch: rows of every pooled result.

    ``sample`` and ``label`` are (organs,) int64, sorted by sample, then label; ``geometry`` is (organs, 5) float32 with
    log volume, extent along I, P, L and whether the organ touches the edge of the scan. ``attenuation`` is (pairs, f)
    float32, of the pairs of the first level, see ``attenuation.py``.
    """

    sample: Tensor
    label: Tensor
    geometry: Tensor
    levels: tuple[OrganTokens, ...]
    attenuation: Tensor | None = None

    def only(self, rows: Tensor) -> OrganIndex:
        """These organs alone; ``rows`` is (n,) int64, rising."""
        place = self.label.new_full((len(self.label),), -1)
        place[rows] = torch.arange(len(rows), device=rows.device)
        levels, seen = [], self.attenuation
        for depth, level in enumerate(self.levels):
            segment = place[level.segment]
            mine = segment >= 0
            levels.append(OrganTokens(level.token[mine], segment[mine], level.log_count[mine]))
            if depth == 0 and seen is not None:
                seen = seen[mine]
        return OrganIndex(self.sample[rows], self.label[rows], self.geometry[rows], tuple(levels), seen)

    def pairs(self, sample: Tensor, label: Tensor, token: Tensor) -> Tensor:
        """(n,) pairs of the first level; -1 where an organ is not in a token.

        Parameters
        ----------
        sample, label, token : (n,) int64
            Scan of the batch, organ in it, and token of the whole batch.
        """
        row = label.new_full(((int(self.sample.max()) + 1 if len(self.sample) else 1) * LABELS,), -1)
        row[self.sample * LABELS + self.label] = torch.arange(len(self.label), device=row.device)
        place = sample * LABELS + label
        organ = torch.where(place < len(row), row[place.clamp_max(len(row) - 1)], -1)
        level = self.levels[0]
        if not len(level.token):
            return torch.full_like(organ, -1)
        tokens = max(int(level.token.max()), int(token.max()) if len(token) else 0) + 1
        keys, wanted = level.segment * tokens + level.token, organ * tokens + token
        found = torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)
        return torch.where((organ >= 0) & (keys[found] == wanted), found, -1)


def _merge(keys: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Sorted distinct keys with the sum of their counts."""
    ordered, order = keys.sort()
    unique, place = torch.unique_consecutive(ordered, return_inverse=True)
    return unique, counts.new_zeros(len(unique)).index_add_(0, place, counts[order])


def _finest(labels: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens of some samples under each label: (pairs,) label (``LABELS`` more for every sample), token within its
    sample, and voxel count, sorted by label, then token."""
    grid = [-(-n // stride) for n in labels.shape[1:]]
    tokens = grid[0] * grid[1] * grid[2]
    padded = F.pad(
        labels, [side for n, m in zip(labels.shape[1:], grid, strict=True) for side in (m * stride - n, 0)][::-1]
    )
    voxels = (
        padded.view(len(labels), grid[0], stride, grid[1], stride, grid[2], stride)
        .permute(0, 1, 3, 5, 2, 4, 6)
        .reshape(len(labels) * tokens, -1)
    )
    least, largest = voxels.amin(1), voxels.amax(1)
    # most tokens lie in one organ or none; only where organs meet must voxels be sorted
    inner = ((least == largest) & (least > 0)).nonzero()[:, 0]
    mixed = (least != largest).nonzero()[:, 0]
    small = torch.int32 if LABELS * tokens * len(labels) < 2**31 else torch.int64

    def key(label: Tensor, token: Tensor) -> Tensor:
        """Numbers that sort by sample, then label, then token."""
        if len(labels) == 1:
            return label * tokens + token
        sample = torch.div(token, tokens, rounding_mode="floor")
        return (label + LABELS * sample) * tokens + token - sample * tokens

    keys = key(voxels.index_select(0, mixed).to(small), mixed.to(small)[:, None]).flatten()
    labelled = (voxels.index_select(0, mixed) > 0).flatten() if len(labels) > 1 else keys >= tokens
    keys = keys[labelled]
    # numpy's vectorised sort is several times faster than torch's on a CPU
    ordered = torch.from_numpy(np.sort(keys.numpy())) if keys.device.type == "cpu" else keys.sort().values
    pairs, count = torch.unique_consecutive(ordered, return_counts=True)
    pairs = torch.cat([pairs.long(), key(least[inner].long(), inner)])
    pairs, order = pairs.sort()
    count = torch.cat([count, count.new_full((len(inner),), stride**3)])[order]
    return torch.div(pairs, tokens, rounding_mode="floor"), pairs % tokens, count


def index_organs(
    labels: Tensor, grids: Sequence[tuple[int, int, int]], strides: Sequence[int], spacing: float
) -> OrganIndex:
    """Find the organs of a batch and the tokens under them at every depth.

    Parameters
    ----------
    labels : (B, I, P, L) uint8
        Organ labels on the network's grid; 0 is background.
    grids : sequence of (I, P, L)
        Shape of each feature map, finest first; each halves the one before, rounded up.
    strides : sequence of int
        Voxels per token along each axis, per feature map.
    spacing : float
        Voxel size in mm, for the geometry, which is measured on the finest tokens.
    """
    # a GPU has the memory for all scans at once, and waits at every one of them otherwise
    parts = [labels] if labels.device.type == "cuda" else labels.split(1)
    found = [_finest(part, strides[0]) for part in parts]
    owner = torch.cat([label + n * LABELS for n, (label, _, _) in enumerate(found)])
    keys, segment = torch.unique_consecutive(owner, return_inverse=True)
    token = torch.cat([t for _, t, _ in found])
    count = torch.cat([c for _, _, c in found])
    organs = len(keys)
    voxels = count.new_zeros(organs).index_add_(0, segment, count)

    grid = grids[0]
    place = [torch.div(token, grid[1] * grid[2], rounding_mode="floor")]
    place += [torch.div(token, grid[2], rounding_mode="floor") % grid[1], token % grid[2]]
    extents, edges = [], []
    for along, size in zip(place, grid, strict=True):
        touched = torch.bincount(segment * size + along, minlength=organs * size).view(organs, size) > 0
        first = touched.int().argmax(1)
        last = size - 1 - touched.flip(1).int().argmax(1)
        extents.append((last - first + 1).float() * strides[0] * spacing / 150)
        edges.append((first == 0) | (last == size - 1))
    geometry = torch.stack(
        [(voxels.float() * spacing**3 / 1000).log1p() / 4, *extents, torch.stack(edges).any(0).float()], 1
    )

    levels = []
    for depth, grid in enumerate(grids):
        each = grid[0] * grid[1] * grid[2]
        if depth:
            place = [torch.div(along, 2, rounding_mode="floor") for along in place]
            token = (place[0] * grid[1] + place[1]) * grid[2] + place[2]
            pairs, count = _merge(segment * each + token, count)
            segment, token = torch.div(pairs, each, rounding_mode="floor"), pairs % each
            place = [torch.div(token, grid[1] * grid[2], rounding_mode="floor")]
            place += [torch.div(token, grid[2], rounding_mode="floor") % grid[1], token % grid[2]]
        whole = torch.div(keys, LABELS, rounding_mode="floor")[segment] * each + token
        levels.append(OrganTokens(whole, segment, count.float().log()))
    return OrganIndex(torch.div(keys, LABELS, rounding_mode="floor"), keys % LABELS, geometry, tuple(levels))


def parents(token: Tensor, fine: Sequence[int], coarse: Sequence[int], ratio: int) -> Tensor:
    """Tokens of a coarser map that hold tokens of a finer one.

    Parameters
    ----------
    token : (n,) int64
        Indices into the tokens of the whole batch.
    fine, coarse : (i, p, l)
        Shapes of both maps.
    ratio : int
        Fine tokens along each side of a coarse one.
    """
    along = []
    for size in reversed(fine):
        along.append(torch.div(token % size, ratio, rounding_mode="floor"))
        token = torch.div(token, size, rounding_mode="floor")
    i, p, l = reversed(along)  # noqa: E741
    return ((token * coarse[0] + i) * coarse[1] + p) * coarse[2] + l
