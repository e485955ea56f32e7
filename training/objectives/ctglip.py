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
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .contrast import chance_level, soft_cross_entropy, symmetric_contrast


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


@dataclass(frozen=True)
class Term:
    """One part of the loss beside the value that guessing would give."""

    value: Tensor
    chance: float


def ctglip(
    rows: OrganRows, texts: Texts, scale: Tensor, *, within: float = 1.0, abnormal_weight: float = 1.0
) -> tuple[Tensor, dict[str, Term]]:
    """The CT-GLIP objective of one batch.

    Parameters
    ----------
    rows : OrganRows
        Organ embeddings with their kinds and states.
    texts : Texts
        Name sentences and report sentences (batch and dictionary).
    scale : Tensor
        Inverse temperature.
    within : float
        Weight of the contrast within the row's own organ.
    abnormal_weight : float
        How much an abnormal organ counts in it against a normal one; most organs are normal.

    Returns
    -------
    total : Tensor
        Scalar loss.
    terms : dict
        "organ", "abnormality" and "within", each with its chance level.
    """
    name_logits = scale * rows.vectors @ texts.names.T
    name_targets = torch.nn.functional.one_hot(rows.organ, len(texts.names)).to(name_logits.dtype)
    organ = Term(
        symmetric_contrast(name_logits, name_targets),
        chance_level(torch.ones_like(name_targets, dtype=torch.bool), name_targets),
    )

    logits = scale * rows.vectors @ texts.reports.T
    targets = rows.states[:, texts.report_class].to(logits.dtype)
    everything = torch.ones_like(targets, dtype=torch.bool)
    abnormality = Term(symmetric_contrast(logits, targets), chance_level(everything, targets))

    own = texts.class_organ[texts.report_class][None] == rows.organ[:, None]
    own_targets = targets * own
    # a row whose candidates are all positives has nothing to learn here
    useful = (own & (targets == 0)).any(1)
    abnormal = (rows.states & ~texts.class_normal[None]).any(1)
    weight = torch.where(abnormal, abnormal_weight, 1.0)
    value = soft_cross_entropy(logits.masked_fill(~own, -torch.inf)[useful], own_targets[useful], weight[useful])
    own_term = Term(value, chance_level(own[useful], own_targets[useful]))

    total = organ.value + abnormality.value + within * own_term.value
    return total, {"organ": organ, "abnormality": abnormality, "within": own_term}
