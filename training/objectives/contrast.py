"""The one contrast that every objective reduces to: cross-entropy against soft targets, both ways.

For sets too large for a full matrix of logits there are versions with the memory of one chunk of rows: they are given
what each row and column is (its *key*) and how two keys make a target, and compute every chunk anew in the backward
pass. Values and gradients are those of the full matrix.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Match = Callable[[Tensor, Tensor], Tensor]
"""Keys of some rows and of all columns to their (rows, columns) targets."""

CHUNK = 512
"""Rows of logits that are held at once."""


def soft_cross_entropy(logits: Tensor, targets: Tensor, row_weight: Tensor | None = None) -> Tensor:
    """(Weighted) mean over rows of the cross-entropy between softmax(logits) and row-normalised targets.

    Parameters
    ----------
    logits : (n, m) Tensor
        Minus infinity marks a column that is no candidate for a row.
    targets : (n, m) Tensor
        Non-negative weights; rows that sum to zero have no positive and are left out.
    row_weight : (n,) Tensor, optional
        How much each row counts; all the same by default.

    Returns
    -------
    Tensor
        Scalar; zero when no row has a positive.
    """
    weight = targets.sum(1)
    rows = weight > 0
    if not bool(rows.any()):
        return logits[targets > 0].sum()  # of nothing: zero, still part of the graph
    log_probability = F.log_softmax(logits[rows].float(), dim=1)
    log_probability = log_probability.masked_fill(targets[rows] == 0, 0.0)
    losses = -(log_probability * (targets[rows] / weight[rows, None])).sum(1)
    if row_weight is None:
        return losses.mean()
    return (losses * row_weight[rows]).sum() / row_weight[rows].sum()


def symmetric_contrast(logits: Tensor, targets: Tensor) -> Tensor:
    """Half image-to-text plus half text-to-image soft cross-entropy (Radford et al., 2021, with soft targets)."""
    return 0.5 * (soft_cross_entropy(logits, targets) + soft_cross_entropy(logits.T, targets.T))


def chance_level(candidates: Tensor, targets: Tensor, row_weight: Tensor | None = None) -> float:
    """What :func:`soft_cross_entropy` gives when every candidate of a row is equally likely: the (weighted) mean log of
    their number.

    ``candidates`` is an (n, m) boolean mask; rows without a positive are left out.
    """
    rows = targets.sum(1) > 0
    if not bool(rows.any()):
        return 0.0
    guess = torch.log(candidates[rows].sum(1).float())
    if row_weight is None:
        return float(guess.mean())
    return float((guess * row_weight[rows]).sum() / row_weight[rows].sum())


def same(row_key: Tensor, column_key: Tensor) -> Tensor:
    """Match of equal numbers."""
    return (row_key[:, None] == column_key[None]).float()


def holds(states: Tensor, number: Tensor) -> Tensor:
    """Match of rows with (rows, classes) states and columns that each state one class."""
    return states[:, number].float()


def reversed_match(match: Match) -> Match:
    """The same targets seen from the columns."""
    return lambda column_key, row_key: match(row_key, column_key).T


def _chunk_sums(rows: Tensor, columns: Tensor, scale: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    weight = targets.sum(1)
    log_probability = F.log_softmax((scale * rows @ columns.T).float(), dim=1)
    losses = -(log_probability * targets).sum(1) / weight.clamp_min(torch.finfo(targets.dtype).tiny)
    return losses.sum(), (weight > 0).sum()


def contrast_sums(
    rows: Tensor,
    columns: Tensor,
    scale: Tensor,
    row_key: Tensor,
    column_key: Tensor,
    match: Match = same,
    chunk: int = CHUNK,
) -> tuple[Tensor, Tensor]:
    """Sum of the cross-entropies of some rows against all columns, and how many of these rows have a positive.

    A process that scores its own rows only turns this into its part of the loss by ``gather.mean_over_processes``.

    Parameters
    ----------
    rows, columns : (n, d), (m, d) Tensor
        Vectors; the logits are ``scale * rows @ columns.T``.
    scale : Tensor
        Inverse temperature.
    row_key, column_key : (n, ...), (m, ...) Tensor
        What ``match`` is given; rows are cut into chunks along the first axis.
    match : callable
        Keys to non-negative targets, as in :func:`soft_cross_entropy`.
    chunk : int
        Rows of logits held at once; memory is about six times ``chunk * m`` floats.
    """
    total, count = (rows.sum() + columns.sum()) * 0 * scale, row_key.new_zeros((), dtype=torch.int64)

    def piece(r: Tensor, c: Tensor, s: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        return _chunk_sums(r, c, s, match(key, column_key))

    for start in range(0, len(rows), chunk):
        here = slice(start, start + chunk)
        inputs = (rows[here], columns, scale, row_key[here])
        part, found = piece(*inputs) if len(rows) <= chunk else checkpoint(piece, *inputs, use_reentrant=False)
        total, count = total + part, count + found
    return total, count


def chunked_soft_cross_entropy(
    rows: Tensor,
    columns: Tensor,
    scale: Tensor,
    row_key: Tensor,
    column_key: Tensor,
    match: Match = same,
    chunk: int = CHUNK,
) -> Tensor:
    """:func:`soft_cross_entropy` of ``scale * rows @ columns.T`` with the memory of one chunk of rows.

    The parameters are those of :func:`contrast_sums`.
    """
    total, count = contrast_sums(rows, columns, scale, row_key, column_key, match, chunk)
    return total / count.clamp_min(1)


def chunked_contrast(
    rows: Tensor,
    columns: Tensor,
    scale: Tensor,
    row_key: Tensor,
    column_key: Tensor,
    match: Match = same,
    chunk: int = CHUNK,
) -> Tensor:
    """:func:`symmetric_contrast` of ``scale * rows @ columns.T`` with the memory of one chunk."""
    there = chunked_soft_cross_entropy(rows, columns, scale, row_key, column_key, match, chunk)
    back = chunked_soft_cross_entropy(columns, rows, scale, column_key, row_key, reversed_match(match), chunk)
    return 0.5 * (there + back)


def sigmoid_contrast(logits: Tensor, positive: Tensor) -> Tensor:
    """Every pair judged on its own: -1/n sum_ij log sigmoid(z_ij logit_ij), z = 1 for positives, else -1 (SigLIP; Zhai
    et al., ICCV 2023, eq. 1; n is the number of rows)."""
    sign = positive.to(logits.dtype) * 2 - 1
    return -F.logsigmoid(sign * logits.float()).sum() / max(len(logits), 1)


def chunked_sigmoid_contrast(
    rows: Tensor,
    columns: Tensor,
    scale: Tensor,
    bias: Tensor,
    row_key: Tensor,
    column_key: Tensor,
    match: Match = same,
    chunk: int = CHUNK,
) -> Tensor:
    """:func:`sigmoid_contrast` of ``scale * rows @ columns.T + bias`` with the memory of one chunk of rows; a target
    above zero is a positive."""
    total = (rows.sum() + columns.sum()) * 0 * scale + bias * 0

    def piece(r: Tensor, c: Tensor, s: Tensor, b: Tensor, key: Tensor) -> Tensor:
        return sigmoid_contrast(s * r @ c.T + b, match(key, column_key) > 0) * len(r)

    for start in range(0, len(rows), chunk):
        here = slice(start, start + chunk)
        inputs = (rows[here], columns, scale, bias, row_key[here])
        total = total + (piece(*inputs) if len(rows) <= chunk else checkpoint(piece, *inputs, use_reentrant=False))
    return total / max(len(rows), 1)
