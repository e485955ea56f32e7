"""What the methods ask of organs, views and texts before they compare them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .base import Features, Organs, Term, Texts, Views


def organs_of(features: Features) -> Organs:
    """The organs; an error where the loop left them out."""
    if features.organs is None:
        raise ValueError("this objective needs organs, and the step has none")
    return features.organs


def views_of(features: Features) -> Views:
    """The views; an error where the loop left them out."""
    if features.views is None:
        raise ValueError("this objective needs views, and the step has none")
    return features.views


def reports_of(texts: Texts) -> tuple[Tensor, Tensor]:
    """Whole reports and their numbers; an error where the loop left them out."""
    if texts.whole is None or texts.whole_id is None:
        raise ValueError("this objective needs whole reports, and the step has none")
    return texts.whole, texts.whole_id


def known(organs: Organs) -> Tensor:
    """(n,) rows whose state is known."""
    return organs.states.any(1)


def told_of(organs: Organs) -> Tensor:
    """(n, classes) or (n, 1) bool: of which classes it is known whether they hold for a row."""
    return known(organs)[:, None] if organs.told is None else organs.told


def most_suspicious(logits: Tensor, organs: Organs, texts: Texts) -> Tensor:
    """The row that is taught where one of several has an abnormality: that with the largest logit.

    It is the max of multiple-instance learning (Ilse et al., "Attention-based Deep Multiple Instance Learning", ICML
    2018, compare it with others); the other rows stay unknown.

    Parameters
    ----------
    logits : (n, classes) float
        Of each class about each row.
    organs, texts : Organs, Texts
        Of the step.

    Returns
    -------
    (n, classes) bool
    """
    if organs.one_of is None or texts.class_kind is None or not bool(organs.one_of.any()):
        return torch.zeros_like(logits, dtype=torch.bool)
    kinds = int(texts.class_kind.max()) + 1
    group = organs.scan[:, None] * kinds + texts.class_kind[None]
    given = logits.detach().masked_fill(~organs.one_of, -torch.inf)
    best = given.new_full((int(group.max()) + 1,), -torch.inf).scatter_reduce(
        0, group.flatten(), given.flatten(), "amax"
    )
    return organs.one_of & (given == best[group])


def abnormal(organs: Organs, texts: Texts) -> Tensor:
    """(n,) rows with at least one abnormality."""
    return (organs.states & ~texts.class_normal[None]).any(1)


def margins(vectors: Tensor, organ: Tensor, texts: Texts, scale: Tensor) -> tuple[Tensor, Tensor]:
    """How much closer organs are to each abnormality of their dictionary than to "normal": what a score is made of.

    Parameters
    ----------
    vectors : (n, d) float
        Unit vectors of organs.
    organ : (n,) int64
        Their kinds.
    texts : Texts
        Of the step; of several sentences that call an organ normal the mean similarity counts.
    scale : Tensor
        Inverse temperature.

    Returns
    -------
    margin : (n, m) float
        s (<v, t> - <v, t_normal>) for each sentence t of the dictionary.
    own : (n, m) bool
        Which of them state an abnormality of the row's own organ kind.
    """
    similarity = vectors @ texts.dictionary.T
    mine = texts.class_organ[texts.dictionary_class][None] == organ[:, None]
    normal = mine & texts.class_normal[texts.dictionary_class][None]
    at_normal = (similarity * normal).sum(1, keepdim=True) / normal.sum(1, keepdim=True).clamp_min(1)
    return scale * (similarity - at_normal), mine & ~normal & normal.any(1, keepdim=True)


def balanced_logistic(logits: Tensor, holds: Tensor, asked: Tensor) -> Term:
    """Logistic loss of single statements, true and false ones weighing half each.

    Parameters
    ----------
    logits : (n, m) float
        Of each statement about each row.
    holds, asked : (n, m) bool
        Which statements are true, and which count at all.
    """
    logits = logits.float()
    halves = [F.softplus(-logits[asked & holds]), F.softplus(logits[asked & ~holds])]
    present = [half.mean() for half in halves if len(half)]
    if not present:
        return Term(logits.sum() * 0, 0.0)
    return Term(torch.stack(present).mean(), math.log(2))


def labels_term(logits: Tensor, own: Tensor, organs: Organs, texts: Texts) -> Term:
    """Balanced logistic loss of what is known of single organs; where one of several has an abnormality, of the most
    suspicious one.

    Parameters
    ----------
    logits : (n, classes) float
        Of each class about each row.
    own : (n, classes) bool
        Which classes are abnormalities of the row's organ kind.
    organs, texts : Organs, Texts
        Of the step.
    """
    taught = most_suspicious(logits, organs, texts)
    return balanced_logistic(logits, organs.states | taught, own & (told_of(organs) | taught))


def balanced_by_statement(logits: Tensor, holds: Tensor, asked: Tensor) -> Term:
    """As :func:`balanced_logistic`, each statement by itself: the mean over those that are both true and false of rows.

    Parameters
    ----------
    logits : (n, m) float
        Of each statement about each row.
    holds, asked : (n, m) bool
        Which statements are true, and which count at all.
    """
    logits = logits.float()
    true, false = asked & holds, asked & ~holds
    both = true.any(0) & false.any(0)
    if not both.any():
        return Term(logits.sum() * 0, 0.0)
    missed = (F.softplus(-logits) * true).sum(0) / true.sum(0).clamp_min(1)
    alarms = (F.softplus(logits) * false).sum(0) / false.sum(0).clamp_min(1)
    return Term(0.5 * (missed + alarms)[both].mean(), math.log(2))


def padded_groups(group: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Rows by group, as one padded table.

    Parameters
    ----------
    group : (n,) int64
        Group of each row, below ``count``.
    count : int
        Number of groups.

    Returns
    -------
    index : (count, m) int64
        Rows of each group in their order, zeros behind; m is the size of the largest group.
    valid : (count, m) bool
        Which entries are rows.
    """
    sizes = torch.bincount(group, minlength=count)
    width = int(sizes.max()) if len(group) else 0
    order = group.argsort(stable=True)
    grouped = group[order]
    place = torch.arange(len(group), device=group.device) - (sizes.cumsum(0) - sizes)[grouped]
    index = group.new_zeros(count, width)
    index[grouped, place] = order
    valid = torch.arange(width, device=group.device)[None] < sizes[:, None]
    return index, valid


def text_states(organs: Organs, texts: Texts) -> Tensor:
    """(k, classes) bool: what each organ text says, taken from the organs that it is about."""
    said = torch.zeros(len(texts.organs), organs.states.shape[1], dtype=torch.bool, device=organs.states.device)
    rows = (organs.text >= 0) & known(organs)
    found = organs.states[rows].int()
    where = organs.text[rows, None].expand_as(found)
    return said.int().scatter_reduce(0, where, found, "amax").bool()
