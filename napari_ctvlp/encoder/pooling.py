"""Attention pooling of all organs at once: a segment softmax over the tokens that each organ touches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.amp import custom_bwd, custom_fwd
from torch.autograd.function import once_differentiable

from .segments import Segments
from .tokens import LABELS, OrganIndex, OrganTokens

BINS = 8
"""Bins of each HU window: 50 HU in soft tissue, 100 HU in lung, 175 HU in bone with the default windows."""
WORTH_A_STEP = 6000
"""Mean numbers under an organ, tokens times channels, from which a CPU is faster organ by organ (measured)."""


def organ_densities(image: Tensor, labels: Tensor, index: OrganIndex, together: int | None = None) -> Tensor:
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
    together : int, optional
        Scans that are counted at once: by default one on a CPU, and all on a GPU, which would wait at every one.

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
    together = together or (max(1, len(labels)) if image.device.type == "cuda" else 1)
    for start in range(0, len(labels), together):
        some = slice(start, start + together)
        inside = labels[some] > 0
        first = LABELS * torch.arange(start, start + len(inside), device=labels.device).view(-1, 1, 1, 1)
        row = table[(labels[some] + first)[inside]] * BINS
        for channel in range(channels):
            place = ((image[some, channel][inside] + 1) * (BINS / 2)).long().clamp_(0, BINS - 1)
            counts[channel] += torch.bincount(row + place, minlength=organs * BINS)
    counts = counts.view(channels, organs, BINS).transpose(0, 1)
    shares = counts / counts.sum(2, keepdim=True).clamp_min(1)
    return torch.cat([shares.flatten(1), counts.log1p().flatten(1) / 8], 1)


def segment_softmax(scores: Tensor, segment: Tensor, segments: int) -> Tensor:
    """Softmax over the rows of each segment: (pairs, heads) scores to weights that sum to one per segment and head."""
    return softmax_within(scores, Segments.of(segment, segments))


def softmax_within(scores: Tensor, segments: Segments) -> Tensor:
    """The same, of segments whose chunks are known."""
    peak = segments.largest(scores.detach(), -torch.inf)
    # index_select and not [segment]: the gradient of the latter adds in an order that changes from run to run on a CPU
    weights = (scores - peak.index_select(0, segments.segment)).exp()
    return weights / segments.summed(weights).index_select(0, segments.segment)


@contextmanager
def one_thread() -> Iterator[None]:
    """For thousands of tiny operations: threads that wait for each other at each took up to 80 times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _per_organ(sizes: tuple[int, ...], *parts: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut pairs, along the last dimension, into those of each organ."""
    return zip(*(part.split(sizes, -1) for part in parts), strict=True)


class _PoolOrganByOrgan(torch.autograd.Function):
    """Pool on a CPU, in the processor's cache.

    The tokens of one organ fit into the cache, so everything is done with them before the next organ's are fetched, and
    the backward pass fetches them again: all that is kept is one weight per pair and head. Within an organ no token is
    met twice and there is one thread, so that both passes are the same from run to run.
    """

    @staticmethod
    @custom_fwd(device_type="cpu")
    def forward(
        ctx: Any,
        rows: Tensor,
        queries: Tensor,
        bias: Tensor,
        token: Tensor,
        log_count: Tensor,
        sizes: tuple[int, ...],
    ) -> Tensor:
        """(tokens, C) rows, (heads - 1, C) queries and their bias to (organs, heads + 1, C)."""
        asked = torch.cat([queries.new_zeros(1, rows.shape[1]), queries])
        heads = len(asked)
        pooled = rows.new_zeros(len(sizes), heads + 1, rows.shape[1])
        weights = rows.new_empty(heads, len(token))
        with one_thread():
            for organ, (where, mine, count) in enumerate(_per_organ(sizes, token, weights, log_count[None])):
                if len(where):
                    own = rows.index_select(0, where)
                    # without the bias: it is the same for all tokens of an organ and drops out of a softmax
                    mine.copy_(torch.addmm(count, asked, own.T).softmax(1))
                    torch.mm(mine, own, out=pooled[organ, :heads])
                    torch.amax(own, 0, out=pooled[organ, heads])
        ctx.save_for_backward(rows, queries, token, weights, pooled)
        ctx.sizes = sizes
        return pooled

    @staticmethod
    @custom_bwd(device_type="cpu")
    @once_differentiable
    def backward(ctx: Any, wanted: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the rows, the queries and the bias; equal largest values share their gradient."""
        rows, queries, token, weights, pooled = ctx.saved_tensors
        heads = len(weights)
        for_rows, for_queries = torch.zeros_like(rows), torch.zeros_like(queries)
        with one_thread():
            for organ, (where, mine) in enumerate(_per_organ(ctx.sizes, token, weights)):
                if len(where):
                    own, (pull, lift) = rows.index_select(0, where), wanted[organ].split([heads, 1])
                    by_weight = (pull @ own.T).mul_(mine)
                    scores = by_weight.addcmul_(mine, by_weight.sum(1, keepdim=True), value=-1)[1:]
                    for_queries.addmm_(scores, own)
                    change = torch.cat([mine, scores]).T @ torch.cat([pull, queries])
                    largest = own.eq_(pooled[organ, heads])
                    for_rows.index_add_(0, where, change.addcmul_(largest, lift / largest.sum(0)))
        return for_rows, for_queries, queries.new_zeros(len(queries)), None, None, None


def _pool_at_once(rows: Tensor, key: nn.Linear, tokens: OrganTokens, organs: int) -> Tensor:
    """Pool without a step per organ, as a GPU and small organs want it; keeps a row per pair."""
    scores = torch.cat([rows.new_zeros(len(rows), 1), key(rows)], 1)
    scores = scores.index_select(0, tokens.token) + tokens.log_count[:, None]
    segments = Segments.of(tokens.segment, organs)
    weights = softmax_within(scores, segments)
    picked = rows.index_select(0, tokens.token)
    pooled = [segments.summed(picked * weight[:, None]) for weight in weights.unbind(1)]
    return torch.stack([*pooled, segments.largest(picked)], 1)


def _pool_organ_by_organ(rows: Tensor, key: nn.Linear, tokens: OrganTokens, organs: int) -> Tensor:
    """The same, organ by organ."""
    sizes = tuple(torch.bincount(tokens.segment, minlength=organs).tolist())
    return _PoolOrganByOrgan.apply(rows, key.weight, key.bias, tokens.token, tokens.log_count, sizes)


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
        worth = rows.device.type == "cpu" and len(tokens.token) * rows.shape[1] >= WORTH_A_STEP * organs
        pool = _pool_organ_by_organ if worth else _pool_at_once
        with torch.autocast(rows.device.type, enabled=False):
            return pool(rows, self.key, tokens, organs).flatten(1)


class OrganMean(nn.Module):
    """The mean under each organ, weighted by its voxels in every token, and nothing else: CT-GLIP's pooling."""

    def forward(self, features: Tensor, tokens: OrganTokens, organs: int) -> Tensor:
        """(B, C, i, p, l) features to (organs, C), computed in float32."""
        rows = features.permute(0, 2, 3, 4, 1).reshape(-1, features.shape[1]).float()
        weights = segment_softmax(tokens.log_count[:, None], tokens.segment, organs)[:, 0]
        starts = torch.searchsorted(tokens.segment, torch.arange(organs, device=rows.device))
        with torch.autocast(rows.device.type, enabled=False):
            return F.embedding_bag(tokens.token, rows, starts, mode="sum", per_sample_weights=weights)
