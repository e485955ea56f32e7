"""Judgements of places and of whole organs, in words that need no text.

An addition to any method, for a network that gathers evidence (``napari_ctvlp.encoder.evidence``):

- place: every abnormality at places inside and outside of its lesions, L = mean_b balanced logistic of e_b(place),
  where lesions are known voxel by voxel;
- most: the largest e_b in an organ, which must be positive where the organ has b and negative where it has not. Places
  that look most like b in organs without b are thereby the ones that are corrected. What is known of whole organs is
  enough for it (multiple-instance learning; Ilse et al., "Attention-based Deep Multiple Instance Learning", ICML 2018,
  compares such ways of pooling).
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.data.texts import Classes

from .base import Organs, Term
from .rows import balanced_by_statement, told_of


def kinds_of_classes(classes: Classes, names: tuple[str, ...]) -> Tensor:
    """(classes, kinds) bool: which kind of evidence speaks of a class."""
    return torch.tensor([[state == name for name in names] for _, state in classes.states], dtype=torch.bool)


def place_term(judged: Tensor, holds: Tensor, asked: Tensor) -> Term:
    """Judgements, in logits, of places; all are (n, kinds)."""
    return balanced_by_statement(judged, holds, asked)


def most_term(judged: Tensor, organs: Organs, classes: Classes, kinds: Tensor) -> Term:
    """(n, kinds) largest judgements in organs, against what is known of them."""
    number = {organ: n for n, organ in enumerate(classes.organs)}
    kind_of = torch.tensor([number[organ] for organ, _ in classes.states], device=judged.device)
    mine = (kind_of[None] == organs.organ[:, None]) & told_of(organs)
    said = kinds.to(judged.device).float()
    asked = (mine.float() @ said) > 0
    return balanced_by_statement(judged, (organs.states.float() @ said) > 0, asked)
