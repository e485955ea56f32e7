"""What the heads are given keeps mean 0 and spread 1 while the network below them learns.

The pooled features of a network drift as it is trained: within a hundred steps some had a spread 380 times the one that
their standardisation was fitted to, others were outside its bounds in every organ (measured), and the heads were blind
to them. So figures are fitted on the first scans and then follow the rows that training sees. A step is computed with
figures that stand before it and moves them after it: nothing is normalised over a batch, and a step's gradient does not
depend on how it is cut into parts.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn

from napari_ctvlp.encoder.vision import Standardise
from training.objectives.gather import processes

SHARE = 0.05
"""How far the figures move to those of a step."""
LEAST = 1e-3
"""Spread that is taken for none."""


def standardise_of(head: nn.Sequential) -> Standardise:
    """The first part of a head."""
    first = head[0]
    assert isinstance(first, Standardise)
    return first


def tallied(head: nn.Sequential, rows: Tensor) -> Tensor:
    """(1 + 2 f,) number of rows, sums of what they are off the head's mean, and sums of its squares."""
    off = rows.detach() - standardise_of(head).mean
    return torch.cat([off.new_tensor([len(off)]), off.sum(0), off.square().sum(0)])


@torch.no_grad()
def follow(heads: Mapping[str, nn.Sequential], tallies: dict[str, Tensor], share: float) -> None:
    """Move the figures of some heads by a share to those of a step's rows of all processes; empties the tallies."""
    if not share:
        tallies.clear()
        return
    for name, head in heads.items():
        figures = standardise_of(head)
        tally = tallies.pop(name, None)
        if tally is None:
            tally = figures.mean.new_zeros(1 + 2 * len(figures.mean))
        if processes() > 1:
            dist.all_reduce(tally)
        if tally[0] < 2:
            continue
        off, squares = (tally[1:] / tally[0]).split(len(figures.mean))
        figures.mean.add_(share * off)
        figures.spread.lerp_((squares - off.square()).clamp_min(0).sqrt().clamp_min(LEAST), share)


@torch.no_grad()
def restandardise(head: nn.Sequential, rows: Tensor) -> None:
    """Fit a head's figures to these rows; its first layer follows, so that the head's answers stay."""
    figures, first = standardise_of(head), head[1]
    assert isinstance(first, nn.Linear)
    mean, spread = figures.mean.clone(), figures.spread.clone()
    figures.fit(rows)
    first.bias.add_(first.weight @ ((figures.mean - mean) / spread))
    first.weight.mul_(figures.spread / spread)
