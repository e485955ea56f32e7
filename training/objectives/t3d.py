"""T3D: whole volume against report, and text-informed alignment of views (Liu et al., arXiv 2312.01529).

No code is public; the second formula is a reconstruction from the abstract and secondary sources, which also name a
clustering variant that is not here.

    global:   L_G = contrast of views and reports, as in ``clip``
    pooling:  z_m|i = normalised cross-attention, query W_q t_i, keys and values from the tokens of view m
    views:    L_T = -mean_(m', positives) log  exp(s <z_m|i, z_m'|i>) / sum_(n != m) exp(s <z_m|i, z_n|i>)
    L = L_G + weight * L_T

m is a view of scan i, its positives m' are the other views of that scan, and n runs over all other views. Pooled by
its own report, every view would carry the mark of its report and views of one scan would be alike for that reason
alone. Here nothing of the kind can be learned: views n of other scans are pooled with the *same* text t_i, the query is
not added to the result, and no gradient reaches the text. Views of another scan with the same report are no candidates.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from .base import Features, Needs, Objective, Term, Texts, Views
from .clip import whole_term
from .contrast import chance_level, soft_cross_entropy
from .rows import reports_of, views_of


class TextPooling(nn.Module):
    """Pool every view's tokens by every report: cross-attention without a residual from the query.

    Parameters
    ----------
    dim : int
        Width of tokens and texts.
    heads : int
        Attention heads.
    """

    def __init__(self, dim: int, heads: int = 4) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"{dim} channels cannot be shared by {heads} heads")
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(dim, dim, bias=False) for _ in range(3))

    def forward(self, tokens: tuple[Tensor, ...], reports: Tensor) -> Tensor:
        """Tokens of v views and (s, dim) reports to (v, s, dim) unit vectors; the reports get no gradient."""
        padded = pad_sequence(list(tokens), batch_first=True).float()
        lengths = torch.tensor([len(t) for t in tokens], device=padded.device)
        inside = torch.arange(padded.shape[1], device=padded.device)[None] < lengths[:, None]
        views, scans = len(tokens), len(reports)
        query = self.query(reports.detach()).view(1, scans, self.heads, -1).transpose(1, 2).expand(views, -1, -1, -1)
        key, value = (
            layer(padded).view(views, padded.shape[1], self.heads, -1).transpose(1, 2)
            for layer in (self.key, self.value)
        )
        pooled = F.scaled_dot_product_attention(query, key, value, attn_mask=inside[:, None, None])
        return F.normalize(pooled.transpose(1, 2).flatten(2), dim=-1)


def view_term(pooled: Tensor, views: Views, number: Tensor, scale: Tensor) -> Term:
    """Alignment of the views of a scan, all pooled by its own report.

    Parameters
    ----------
    pooled : (v, s, d) Tensor
        Unit vectors of each view under each report.
    views : Views
        The views.
    number : (s,) int64
        Equal reports have equal numbers.
    scale : Tensor
        Inverse temperature.
    """
    scan = views.scan
    rows = torch.arange(len(scan), device=scan.device)
    anchor = pooled[rows, scan]
    logits = scale * torch.einsum("md,nmd->mn", anchor, pooled[:, scan])
    itself = rows[:, None] == rows[None]
    same_scan = scan[:, None] == scan[None]
    candidates = ~itself & (same_scan | (number[scan][:, None] != number[scan][None]))
    targets = (same_scan & ~itself).float()
    value = soft_cross_entropy(logits.masked_fill(~candidates, -torch.inf), targets)
    return Term(value, chance_level(candidates, targets))


class T3d(Objective):
    """Global alignment and text-informed alignment of two or more views.

    Parameters
    ----------
    dim : int
        Width of tokens and texts.
    views : int
        Crops of every scan.
    weight : float
        Of the alignment of views.
    """

    name = "t3d"

    def __init__(self, dim: int, *, views: int = 2, weight: float = 1.0) -> None:
        super().__init__()
        if views < 2:
            raise ValueError("t3d aligns views of one scan and needs at least two")
        self.needs = Needs(views=views, organs=False, whole=True, tokens=True)
        self.pooling = TextPooling(dim)
        self.weight = weight

    def forward(
        self, features: tuple[Features, ...], texts: tuple[Texts, ...], scale: tuple[Tensor, ...], progress: float
    ) -> tuple[Tensor, dict[str, Term]]:
        """Terms "whole" and "views"."""
        whole = whole_term(features[0], texts[0], scale[0])
        views = views_of(features[0])
        reports, number = reports_of(texts[0])
        if len(views.tokens) != len(views.vectors):
            raise ValueError("t3d needs the tokens of every view")
        aligned = view_term(self.pooling(views.tokens, reports), views, number, scale[0])
        return whole.value + self.weight * aligned.value, {"whole": whole, "views": aligned}
