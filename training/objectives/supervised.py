"""The supervised baseline: heads for every organ's abnormalities on the same organ vectors, and no text.

fVLM and CT-GLIP compare themselves with a classifier that is trained on labels. Here it has the backbone, the pooling
and the vectors of the other methods, and per organ kind one logistic head for each abnormality b of that organ,

    p_b = sigmoid(s <v, w_b> + c_b),    L = 1/2 mean_{b holds} -log p_b + 1/2 mean_{b does not} -log(1 - p_b)

over the organs and abnormalities for which that is known. Presence and absence weigh the same, because most
abnormalities are rare. Of several organs one of which has b, the one with the largest logit is taught. What it learns
cannot be asked in words, and a new abnormality needs new labels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .base import Features, Needs, Objective, Term, Texts
from .rows import labels_term, organs_of


class Supervised(Objective):
    """Logistic heads per organ and abnormality.

    Parameters
    ----------
    dim : int
        Width of the organ vectors.
    classes : int
        Classes of the run (organ kind and state); those that say "normal" have an idle head.
    """

    name = "supervised"
    needs = Needs(told=True)
    asks_in_words = False

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, dim) / dim**0.5)
        self.bias = nn.Parameter(torch.zeros(classes))

    def logits(self, vectors: Tensor, scale: Tensor) -> Tensor:
        """(n, dim) unit vectors to (n, classes) logits."""
        return scale * vectors @ self.weight.T + self.bias

    def forward(
        self, features: tuple[Features, ...], texts: tuple[Texts, ...], scale: tuple[Tensor, ...], progress: float
    ) -> tuple[Tensor, dict[str, Term]]:
        """One term, "heads"."""
        organs = organs_of(features[0])
        own = (texts[0].class_organ[None] == organs.organ[:, None]) & ~texts[0].class_normal[None]
        term = labels_term(self.logits(organs.vectors, scale[0]), own, organs, texts[0])
        return term.value, {"heads": term}
