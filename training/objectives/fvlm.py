"""fVLM: contrast per anatomy with false negatives corrected (Shui et al., ICLR 2025, arXiv 2501.14548).

For anatomy k, over the N organs of this kind whose text is known (the form of the released code):

    S_ij = s <v_i, t_j>
    Y_ij = 1[i = j]  or  (normal_i and normal_j)  or  text_i = text_j,     Y~ = Y / row sum
    L_k  = 1/2 CE(S, Y~) + 1/2 CE(S^T, Y~),     over the k with at least one abnormal organ in the batch

Normal organs of one anatomy are positives of one another. For abnormal ones the paper trains two models
(``fvlm_coteach``). The default here is the correction of the paper's successor RADAR (Science 393, eaec6129, 2026) with
one model and a momentum copy m of the text side, whose texts tell which other texts say the same:

    Q_ij = softmax_j( s <t_i^m, t_j^m> ),  i, j abnormal,  j != i
    Y^   = (1 - alpha) Y~ + alpha Q,       rows i that have such a j

Ours: RADAR's softmax includes the organ itself and all normal ones, which leaves nearly no mass to other abnormal
organs, so Q is normalised without them; only texts at least ``alike`` (cosine) are candidates, as Q would otherwise
have to give alpha to the text of another disease where no text is the same; and the loss is the mean over
anatomies and not their sum, so that its size does not depend on what a batch happens to hold.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Features, Needs, Objective, Organs, Term, Texts
from .blocks import Blocks, block_contrast, blocks_of, hard_targets, mixed
from .rows import organs_of


def anatomy_logits(organs: Organs, texts: Texts, blocks: Blocks, scale: Tensor) -> Tensor:
    """(K, m, m) logits of organs against the text of each, per anatomy."""
    return scale * organs.vectors[blocks.index] @ texts.organs[blocks.text].mT


def text_targets(texts: Texts, blocks: Blocks, scale: Tensor, alike: float) -> Tensor:
    """(K, m, m) Q: which other abnormal texts of the anatomy say what a row's text says; no gradient.

    Rows sum to one, or to zero where no other text comes near.
    """
    if texts.organs_momentum is None:
        raise ValueError("fvlm needs texts of the momentum projection, and the step has none")
    vectors = texts.organs_momentum.detach()[blocks.text].float()
    cosine = vectors @ vectors.mT
    other = ~torch.eye(cosine.shape[1], dtype=torch.bool, device=cosine.device)
    allowed = blocks.abnormal[:, :, None] & blocks.abnormal[:, None, :] & other & (cosine >= alike)
    soft = (scale.detach() * cosine).masked_fill(~allowed, -torch.inf).softmax(2)
    return soft.masked_fill(~allowed, 0.0)


class Fvlm(Objective):
    """Contrast per anatomy, one model.

    Parameters
    ----------
    normals : bool
        Normal organs of one anatomy are positives of one another.
    abnormals : bool
        Correct the false negatives among abnormal ones.
    alpha : float
        Share of the soft targets.
    alike : float
        Cosine from which two texts may say the same.
    """

    name = "fvlm"

    def __init__(self, *, normals: bool = True, abnormals: bool = True, alpha: float = 0.5, alike: float = 0.5) -> None:
        super().__init__()
        self.needs = Needs(momentum=abnormals)
        self.normals, self.abnormals, self.alpha, self.alike = normals, abnormals, alpha, alike

    def forward(
        self, features: tuple[Features, ...], texts: tuple[Texts, ...], scale: tuple[Tensor, ...], progress: float
    ) -> tuple[Tensor, dict[str, Term]]:
        """One term, "anatomy"."""
        organs = organs_of(features[0])
        blocks = blocks_of(organs, texts[0])
        targets = hard_targets(blocks, normals=self.normals)
        if self.abnormals:
            targets = mixed(targets, text_targets(texts[0], blocks, scale[0], self.alike), self.alpha)
        term = block_contrast(anatomy_logits(organs, texts[0], blocks, scale[0]), targets, targets, blocks)
        return term.value, {"anatomy": term}
