"""Fine-tuning on labels through the words: the function by which the plugin scores, trained as a classifier.

CT-CLIP is fine-tuned for classification by training its own zero-shot score on labels ("VocabFine"; Hamamci et al.,
arXiv 2403.17834), and CT-GLIP and T3D are fine-tuned on labels as well (Lin et al., arXiv 2404.15272; Liu et al.,
arXiv 2312.01529). Here an organ of kind k with the unit vector v has, for each abnormality b of its kind, the logit

    m_b = s (<v, t_kb> - <v, t_k,normal>)

with a sentence t_kb of the dictionary, drawn anew for every step, a sentence t_k,normal that calls the organ normal,
and the learned inverse temperature s. Over the organs and abnormalities of which it is told whether they hold,

    L = 1/2 mean_{b holds} log(1 + e^-m_b) + 1/2 mean_{b does not} log(1 + e^m_b),

the balanced logistic loss of ``supervised.py``, whose free heads w_b are replaced by differences of texts. So what is
learned can be asked in words, an encoder is written, and abnormalities without labels keep the words that they had.

Labels of whole studies may leave open which of several organs has b: of these the one with the largest m_b is taught.

A run begins with ``--start-from ENCODER``: all of the network is trained in ``--optim.steps``, and heads, text
projection and temperature alone where these are 0 and the last stage has steps.
"""

from __future__ import annotations

from torch import Tensor

from .base import Features, Needs, Objective, Term, Texts
from .rows import labels_term, margins, organs_of


class Finetune(Objective):
    """The zero-shot score of every organ's abnormalities, as a classifier."""

    name = "finetune"
    needs = Needs(told=True)

    def forward(
        self, features: tuple[Features, ...], texts: tuple[Texts, ...], scale: tuple[Tensor, ...], progress: float
    ) -> tuple[Tensor, dict[str, Term]]:
        """One term, "labels"."""
        organs = organs_of(features[0])
        margin, own = margins(organs.vectors, organs.organ, texts[0], scale[0])
        term = labels_term(margin, own, organs, texts[0])
        return term.value, {"labels": term}
