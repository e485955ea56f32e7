"""fVLM with co-teaching: two models, each correcting the other's targets (Shui et al., ICLR 2025, arXiv 2501.14548).

The paper describes it and its released code does not contain it; the formula is a reconstruction. Models A and B see
the same organs. Among the abnormal organs of an anatomy, what B thinks matches becomes part of A's targets, and the
other way round, without gradient to the teacher:

    P_ij = softmax_j( S^B_ij ),  i, j abnormal
    Y^A  = (1 - a) Y~ + a P,     rows i abnormal, with another abnormal organ

with Y~ as in ``fvlm``, alpha = 0.5 from the paper, and a = alpha * min(1, progress / ramp), as a model that has seen
nothing has nothing to teach (the released configuration holds an unused alpha of 0.5 and ramp-up over 2 of 20 epochs).
Text to image, P is the softmax over S^B transposed. The loss is the sum of both models'.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Features, Needs, Objective, Term, Texts
from .blocks import Blocks, block_contrast, blocks_of, hard_targets, mixed
from .fvlm import anatomy_logits
from .rows import organs_of


def taught(logits: Tensor, blocks: Blocks) -> Tensor:
    """(K, m, m) P of a teacher's logits: among abnormal organs, zero in rows that have no other one; no gradient."""
    ill = blocks.abnormal
    allowed = ill[:, :, None] & ill[:, None, :] & (ill.sum(1) > 1)[:, None, None]
    return logits.detach().float().masked_fill(~allowed, -torch.inf).softmax(2).masked_fill(~allowed, 0.0)


class FvlmCoteach(Objective):
    """Contrast per anatomy, two models.

    Parameters
    ----------
    alpha : float
        Share of the other model's targets once it may teach in full.
    ramp : float
        Progress at which that is so.
    """

    name = "fvlm-coteach"
    needs = Needs(models=2)

    def __init__(self, *, alpha: float = 0.5, ramp: float = 0.1) -> None:
        super().__init__()
        self.alpha, self.ramp = alpha, ramp

    def forward(
        self, features: tuple[Features, ...], texts: tuple[Texts, ...], scale: tuple[Tensor, ...], progress: float
    ) -> tuple[Tensor, dict[str, Term]]:
        """Terms "anatomy" and "anatomy, second model"."""
        organs = [organs_of(each) for each in features]
        if len(organs) != 2 or not (
            torch.equal(organs[0].organ, organs[1].organ) and torch.equal(organs[0].text, organs[1].text)
        ):
            raise ValueError("co-teaching needs two models that see the same organs in the same order")
        blocks = blocks_of(organs[0], texts[0])
        hard = hard_targets(blocks, normals=True)
        alpha = self.alpha * (min(1.0, progress / self.ramp) if self.ramp else 1.0)
        logits = [anatomy_logits(o, t, blocks, s) for o, t, s in zip(organs, texts, scale, strict=True)]
        first, second = (
            block_contrast(
                mine,
                mixed(hard, taught(teacher, blocks), alpha),
                mixed(hard, taught(teacher.mT, blocks), alpha),
                blocks,
            )
            for mine, teacher in (logits, logits[::-1])
        )
        return first.value + second.value, {"anatomy": first, "anatomy, second model": second}
