"""Attention pooling of all organs at once: a segment softmax over the tokens that each organ touches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

LABELS = 256
BINS = 8
"""Bins of each HU window: 50 HU in soft tissue, 100 HU in lung, 175 HU in bone with the default windows."""


@dataclass(frozen=True)
class OrganTokens:
    """Which tokens of one feature map lie under which organ, as flat pairs.

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
    log volume, extent along I, P, L and whether the organ touches the edge of the scan.
    """

    sample: Tensor
    label: Tensor
    geometry: Tensor
    levels: tuple[OrganTokens, ...]


def _merge(keys: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Sorted distinct keys with the sum of their counts."""
    ordered, order = keys.sort()
    unique, place = torch.unique_consecutive(ordered, return_inverse=True)
    return unique, counts.new_zeros(len(unique)).index_add_(0, place, counts[order])


def _finest(labels: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens of one sample under each label: (pairs,) label, token and voxel count, sorted by label, then token."""
    size = labels.shape
    rows = [torch.div(torch.arange(n, device=labels.device), stride, rounding_mode="floor") for n in size]
    grid = [-(-n // stride) for n in size]
    token = (rows[0][:, None, None] * grid[1] + rows[1][None, :, None]) * grid[2] + rows[2][None, None]
    tokens = grid[0] * grid[1] * grid[2]
    inside = labels > 0
    keys = labels[inside].long().mul_(tokens).add_(token[inside])
    # numpy's vectorised sort is several times faster than torch's on a CPU
    ordered = torch.from_numpy(np.sort(keys.numpy())) if keys.device.type == "cpu" else keys.sort().values
    pairs, count = torch.unique_consecutive(ordered, return_counts=True)
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
    found = [_finest(one, strides[0]) for one in labels]
    sample = torch.cat([torch.full_like(label, n) for n, (label, _, _) in enumerate(found)])
    keys, segment = torch.unique_consecutive(
        sample * LABELS + torch.cat([label for label, _, _ in found]), return_inverse=True
    )
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


def organ_densities(image: Tensor, labels: Tensor, index: OrganIndex) -> Tensor:
    """How the windowed HU of each organ's voxels are distributed, per channel over ``BINS`` bins.

    The network normalises every voxel's features and with that loses much of the plain intensity (measured: the largest
    HU in a kidney tells a stone better than anything it pooled), so the head is given the densities themselves.

    Parameters
    ----------
    image : (B, C, I, P, L) float32
        Windowed to -1..1; the end bins also hold what the window clips.
    labels : (B, I, P, L) uint8
        Organ labels on the same grid.
    index : OrganIndex
        Organs of these labels.

    Returns
    -------
    Tensor
        (organs, 2 * C * BINS) float32: shares of the voxels, then log1p of their number over 8, which shows a few
        voxels of a stone in a large organ.
    """
    organs, channels = len(index.label), image.shape[1]
    table = labels.new_zeros(len(labels) * LABELS, dtype=torch.int64)
    table[index.sample * LABELS + index.label] = torch.arange(organs, device=labels.device)
    counts = image.new_zeros(channels, organs * BINS)
    for number, one in enumerate(labels):
        inside = one > 0
        row = table[number * LABELS + one[inside].long()] * BINS
        for channel in range(channels):
            place = ((image[number, channel][inside] + 1) * (BINS / 2)).long().clamp_(0, BINS - 1)
            counts[channel] += torch.bincount(row + place, minlength=organs * BINS)
    counts = counts.view(channels, organs, BINS).transpose(0, 1)
    shares = counts / counts.sum(2, keepdim=True).clamp_min(1)
    return torch.cat([shares.flatten(1), counts.log1p().flatten(1) / 8], 1)


def segment_softmax(scores: Tensor, segment: Tensor, segments: int) -> Tensor:
    """Softmax over the rows of each segment: (pairs, heads) scores to weights that sum to one per segment and head."""
    rows = segment[:, None].expand_as(scores)
    peak = (
        scores.detach()
        .new_full((segments, scores.shape[1]), -torch.inf)
        .scatter_reduce(0, rows, scores.detach(), "amax")
    )
    # index_select and not [segment]: the gradient of the latter adds in an order that changes from run to run on a CPU
    weights = (scores - peak.index_select(0, segment)).exp()
    total = weights.new_zeros(segments, scores.shape[1]).index_add(0, segment, weights)
    return weights / total.index_select(0, segment)


class OrganAttention(nn.Module):
    """Pool the tokens under each organ by a few learned queries shared by all organs.

    The queries know no organ: a query of an organ's own would let its identity leak into its embedding, and
    recognition by sight would be a foregone conclusion. The first head has no query and is the plain mean over the
    organ's voxels; the others may look at a single token, so that a small lesion survives. The largest value of every
    channel is added for the same reason: it shows a small lesion from the first step on, which a query has to learn.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.key = nn.Linear(channels, heads - 1)
        nn.init.normal_(self.key.weight, std=0.5 / channels**0.5)
        nn.init.zeros_(self.key.bias)

    def forward(self, features: Tensor, tokens: OrganTokens, organs: int) -> Tensor:
        """(B, C, i, p, l) features to (organs, (heads + 1) * C), computed in float32."""
        rows = features.permute(0, 2, 3, 4, 1).reshape(-1, features.shape[1]).float()
        scores = torch.cat([rows.new_zeros(len(rows), 1), self.key(rows)], 1)
        scores = scores.index_select(0, tokens.token) + tokens.log_count[:, None]
        weights = segment_softmax(scores, tokens.segment, organs)
        picked = rows.index_select(0, tokens.token)
        pooled = [
            picked.new_zeros(organs, picked.shape[1]).index_add(0, tokens.segment, picked * weights[:, head, None])
            for head in range(weights.shape[1])
        ]
        where = tokens.segment[:, None].expand_as(picked)
        largest = picked.new_zeros(organs, picked.shape[1]).scatter_reduce(0, where, picked, "amax", include_self=False)
        return torch.cat([*pooled, largest], 1)
