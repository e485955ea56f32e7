"""CT-GLIP: organ-text and abnormality-text contrast with an abnormality dictionary (Lin et al., arXiv 2404.15272).

The paper's code is not public; its two losses are InfoNCE terms over organ embeddings ``v`` pooled under the organ
masks:

- organ-text: ``v`` against a sentence that names the organ. Rows of the same organ kind are positives of one text.
- abnormality-text: ``v`` against its own diagnostic sentence; negatives are the other texts of the batch and those
  of the dictionary.

Targets here are by meaning and not by index: a text with the same organ and state as the row's own is a positive,
wherever it comes from, so that no text is pushed away from what it describes. A third term repeats the second within
the texts of the row's own organ, where telling normal from abnormal is all that is left to learn; the paper does not
have it, and ``within=0`` turns it off.

Organs of which nothing is known (not mentioned, or cut) take part in the organ-text term alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .base import Features, Needs, Objective, Term
from .base import Texts as StepTexts
from .contrast import chance_level, soft_cross_entropy, symmetric_contrast
from .rows import known, organs_of, text_states

__all__ = ["CtGlip", "OrganRows", "Term", "Texts"]


@dataclass(frozen=True)
class OrganRows:
    """The organs of a batch.

    Attributes
    ----------
    vectors : (n, d) Tensor
        Unit length.
    organ : (n,) int64
        Organ kind.
    states : (n, classes) bool
        Which classes (organ kind and state: normal, or one abnormality) hold for the row; a row without any is unknown
        and takes part in the organ-text term alone.
    """

    vectors: Tensor
    organ: Tensor
    states: Tensor


@dataclass(frozen=True)
class Texts:
    """The texts of a step, embedded.

    Attributes
    ----------
    names : (organs, d) Tensor
        One sentence an organ kind, in the order of organ numbers.
    reports : (m, d) Tensor
        Sentences of the batch and of the dictionary.
    report_class : (m,) int64
        Class of each sentence.
    class_organ : (classes,) int64
        Organ kind of each class.
    class_normal : (classes,) bool
        Which classes say that the organ is normal.
    """

    names: Tensor
    reports: Tensor
    report_class: Tensor
    class_organ: Tensor
    class_normal: Tensor


def organ_term(rows: OrganRows, texts: Texts, scale: Tensor) -> Term:
    """Organs against the sentences that name them."""
    logits = scale * rows.vectors @ texts.names.T
    targets = torch.nn.functional.one_hot(rows.organ, len(texts.names)).to(logits.dtype)
    return Term(symmetric_contrast(logits, targets), chance_level(torch.ones_like(targets, dtype=torch.bool), targets))


def abnormality_term(rows: OrganRows, texts: Texts, scale: Tensor) -> Term:
    """Organs against every text of the batch and the dictionary."""
    logits = scale * rows.vectors @ texts.reports.T
    targets = rows.states[:, texts.report_class].to(logits.dtype)
    everything = torch.ones_like(targets, dtype=torch.bool)
    return Term(symmetric_contrast(logits, targets), chance_level(everything, targets))


def within_term(
    rows: OrganRows, texts: Texts, scale: Tensor, *, abnormal_weight: float = 1.0, mirror: Tensor | None = None
) -> Term:
    """Organs against the texts of their own organ, and, given ``mirror``, of the organ on the other side: (organs,)
    organ kind, -1 where there is none."""
    logits = scale * rows.vectors @ texts.reports.T
    about = texts.class_organ[texts.report_class][None]
    own = about == rows.organ[:, None]
    targets = rows.states[:, texts.report_class].to(logits.dtype) * own
    if mirror is not None:
        own = own | (about == mirror[rows.organ][:, None])
    # a row whose candidates are all positives has nothing to learn here
    useful = (own & (targets == 0)).any(1)
    abnormal = (rows.states & ~texts.class_normal[None]).any(1)
    weight = torch.where(abnormal, abnormal_weight, 1.0)
    value = soft_cross_entropy(logits.masked_fill(~own, -torch.inf)[useful], targets[useful], weight[useful])
    return Term(value, chance_level(own[useful], targets[useful]))


def known_rows(features: Features) -> OrganRows:
    """The organs of which something is known."""
    organs = organs_of(features)
    told = known(organs)
    return OrganRows(organs.vectors[told], organs.organ[told], organs.states[told])


def candidates(features: Features, texts: StepTexts) -> Texts:
    """The dictionary and the sentences of the batch that state one thing of one organ."""
    said = text_states(organs_of(features), texts)
    single = said.sum(1) == 1
    return Texts(
        texts.names,
        torch.cat([texts.dictionary, texts.organs[single]]),
        torch.cat([texts.dictionary_class, said[single].int().argmax(1)]),
        texts.class_organ,
        texts.class_normal,
    )


class CtGlip(Objective):
    """Organ-text and abnormality-text alignment with a dictionary.

    Parameters
    ----------
    within : float
        Weight of the contrast within the row's own organ; 0 is the paper's pair of losses.
    abnormal_weight : float
        How much an abnormal organ counts in it against a normal one; most organs are normal.
    """

    name = "ctglip"
    needs = Needs()

    def __init__(self, *, within: float = 1.0, abnormal_weight: float = 1.0) -> None:
        super().__init__()
        self.within, self.abnormal_weight = within, abnormal_weight

    def forward(
        self, features: tuple[Features, ...], texts: tuple[StepTexts, ...], scale: tuple[Tensor, ...], progress: float
    ) -> tuple[Tensor, dict[str, Term]]:
        """Terms "organ", "abnormality" and "within"."""
        organs = organs_of(features[0])
        reports, rows = candidates(features[0], texts[0]), known_rows(features[0])
        terms = {
            "organ": organ_term(OrganRows(organs.vectors, organs.organ, organs.states), reports, scale[0]),
            "abnormality": abnormality_term(rows, reports, scale[0]),
            "within": within_term(rows, reports, scale[0], abnormal_weight=self.abnormal_weight),
        }
        return terms["organ"].value + terms["abnormality"].value + self.within * terms["within"].value, terms
