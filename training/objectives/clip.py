"""CLIP: the whole volume against the whole report (Radford et al., ICML 2021), the baseline of the three papers.

    S_ij = s <v_i, t_j>,    L = 1/2 CE(S, Y) + 1/2 CE(S^T, Y^T)

The paper's targets are the identity. Ours are Y_ij = 1 where report j equals the report of view i, so that views of one
scan, and scans with the same report, are no negatives of one another. ``Siglip`` judges the same pairs one by one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .base import Features, Needs, Objective, Term, Texts
from .contrast import CHUNK, chunked_contrast, chunked_sigmoid_contrast
from .rows import reports_of, views_of


def whole_term(features: Features, texts: Texts, scale: Tensor) -> Term:
    """Views against reports."""
    views = views_of(features)
    reports, number = reports_of(texts)
    value = chunked_contrast(views.vectors, reports, scale, number[views.scan], number, chunk=CHUNK)
    return Term(value, 0.5 * (math.log(max(len(reports), 1)) + math.log(max(len(views.vectors), 1))))


class Clip(Objective):
    """Whole volume against whole report."""

    name = "clip"
    needs = Needs(organs=False, whole=True)

    def forward(
        self, features: tuple[Features, ...], texts: tuple[Texts, ...], scale: tuple[Tensor, ...], progress: float
    ) -> tuple[Tensor, dict[str, Term]]:
        """One term, "whole"."""
        term = whole_term(features[0], texts[0], scale[0])
        return term.value, {"whole": term}


class Siglip(Objective):
    """The same pairs under the pairwise sigmoid loss (Zhai et al., ICCV 2023), with its learned bias."""

    name = "siglip"
    needs = Needs(organs=False, whole=True)

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(-10.0))

    def forward(
        self, features: tuple[Features, ...], texts: tuple[Texts, ...], scale: tuple[Tensor, ...], progress: float
    ) -> tuple[Tensor, dict[str, Term]]:
        """One term, "whole"; to guess is to say of every pair how many pairs are positive."""
        views = views_of(features[0])
        reports, number = reports_of(texts[0])
        mine = number[views.scan]
        value = chunked_sigmoid_contrast(views.vectors, reports, scale[0], self.bias, mine, number)
        share = float((mine[:, None] == number[None]).float().mean()) if len(mine) else 0.0
        entropy = -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)
        return value, {"whole": Term(value, len(reports) * entropy)}
