"""Fine-tuning on labels through the words: the function by which the plugin scores, trained as a classifier.

CT-CLIP is fine-tuned for classification by training its own zero-shot score on labels ("VocabFine"; Hamamci et al.,
arXiv 2403.17834), and CT-GLIP and T3D are fine-tuned on labels as well (Lin et al., arXiv 2404.15272; Liu et al.,
arXiv 2312.01529). Here an organ of kind k with the unit vector v has, for each abnormality b of its kind, the logit

    m_b = s (<v, t_kb> - <v, t_k,normal>)

with a sentence t_kb of the dictionary, drawn anew for every step, a sentence t_k,normal that calls the organ normal,
and the learned inverse temperature s. Over the organs and abnormalities of which it is told whether they hold,

    L = 1/2 mean_{b holds} log(1 + e^-m_b) + 1/2 mean_{b does not} log(1 + e^m_b),

the balanced logistic loss of ``supervised.py``, whose free heads w_b are replaced by differences of texts. So what is
learned can be asked in words, and an encoder is written.

Labels say nothing of which organ is which, and a network that learns them alone forgets it; but the masks always do. So
the contrast of organs with the sentences that name them (CT-GLIP's organ-text loss, ``ctglip.py``) is added, as the
terms of pretraining may be kept in fine-tuning (Goyal et al., "Finetune like you pretrain", CVPR 2023). ``names=0``
leaves it out.

Labels of whole studies may leave open which of several organs has b: of these the one with the largest m_b is taught.

A run begins with ``--start-from ENCODER``: all of the network is trained in ``--optim.steps``, and heads, text
projection and temperature alone where these are 0 and the last stage has steps.
"""

from __future__ import annotations

from torch import Tensor

from .base import Features, Needs, Objective, Term, Texts
from .ctglip import OrganRows, candidates, organ_term
from .rows import labels_term, margins, organs_of


class Finetune(Objective):
    """The zero-shot score of every organ's abnormalities, as a classifier.

    Parameters
    ----------
    names : float
        Weight of the contrast of organs with their names.
    """

    name = "finetune"
    needs = Needs(told=True)

    def __init__(self, *, names: float = 1.0) -> None:
        super().__init__()
        self.names = names

    def forward(
        self, features: tuple[Features, ...], texts: tuple[Texts, ...], scale: tuple[Tensor, ...], progress: float
    ) -> tuple[Tensor, dict[str, Term]]:
        """Terms "labels" and "organ"."""
        organs = organs_of(features[0])
        margin, own = margins(organs.vectors, organs.organ, texts[0], scale[0])
        terms = {"labels": labels_term(margin, own, organs, texts[0])}
        total = terms["labels"].value
        if self.names:
            rows = OrganRows(organs.vectors, organs.organ, organs.states)
            terms["organ"] = organ_term(rows, candidates(features[0], texts[0]), scale[0])
            total = total + self.names * terms["organ"].value
        return total, terms
