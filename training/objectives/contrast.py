"""The one contrast that every objective reduces to: cross-entropy against soft targets, both ways."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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


def chance_level(candidates: Tensor, targets: Tensor) -> float:
    """What :func:`soft_cross_entropy` gives when every candidate of a row is equally likely: the mean log of their
    number.

    ``candidates`` is an (n, m) boolean mask; rows without a positive are left out.
    """
    rows = targets.sum(1) > 0
    if not bool(rows.any()):
        return 0.0
    return float(torch.log(candidates[rows].sum(1).float()).mean())
