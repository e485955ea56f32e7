"""Contrast per anatomy: each organ kind is a block of its own, all blocks computed at once as one padded batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .base import Organs, Term, Texts
from .contrast import chance_level, soft_cross_entropy
from .rows import abnormal, known, padded_groups


@dataclass(frozen=True)
class Blocks:
    """Organs with a report text, by organ kind; K blocks of up to m rows.

    Attributes
    ----------
    index : (K, m) int64
        Row of the organs.
    valid : (K, m) bool
        Which entries are rows.
    text : (K, m) int64
        Report text of each row.
    abnormal : (K, m) bool
        Rows with an abnormality; false where not valid.
    kind : (K,) int64
        Organ kind of each block.
    """

    index: Tensor
    valid: Tensor
    text: Tensor
    abnormal: Tensor
    kind: Tensor

    @property
    def pairs(self) -> Tensor:
        """(K, m, m) bool: both entries are rows."""
        return self.valid[:, :, None] & self.valid[:, None, :]

    @property
    def row_weight(self) -> Tensor:
        """(K, m) weights under which a mean over rows is the mean over blocks of the mean over their rows."""
        return self.valid / self.valid.sum(1, keepdim=True).clamp_min(1)


def blocks_of(organs: Organs, texts: Texts, *, at_least: int = 2, need_abnormal: bool = True) -> Blocks:
    """Blocks of the organs that are mentioned and known.

    Only organ kinds with ``at_least`` such rows and, if asked for, at least one abnormal among them make a block.
    """
    takes_part = ((organs.text >= 0) & known(organs)).nonzero()[:, 0]
    index, valid = padded_groups(organs.organ[takes_part], len(texts.names))
    index = takes_part[index] if len(takes_part) else index
    ill = abnormal(organs, texts)[index] & valid
    kind = (valid.sum(1) >= at_least) & (ill.any(1) | (not need_abnormal))
    kind = kind.nonzero()[:, 0]
    width = int(valid[kind].sum(1).max()) if len(kind) else 0
    index, valid, ill = index[kind, :width], valid[kind, :width], ill[kind, :width]
    return Blocks(index, valid, organs.text[index], ill, kind)


def hard_targets(blocks: Blocks, *, normals: bool) -> Tensor:
    """(K, m, m) targets: a row's own text, equal texts and, if asked for, every normal text for a normal row."""
    targets = blocks.text[:, :, None] == blocks.text[:, None, :]
    if normals:
        normal = blocks.valid & ~blocks.abnormal
        targets = targets | (normal[:, :, None] & normal[:, None, :])
    return (targets & blocks.pairs).float()


def mixed(hard: Tensor, soft: Tensor, alpha: float) -> Tensor:
    """(1 - alpha) of the normalised hard targets and alpha of the soft ones, in rows that have soft ones."""
    hard = hard / hard.sum(2, keepdim=True).clamp_min(torch.finfo(hard.dtype).tiny)
    has = soft.sum(2, keepdim=True) > 0
    return torch.where(has, (1 - alpha) * hard + alpha * soft, hard)


def one_way(logits: Tensor, targets: Tensor, row_weight: Tensor) -> Term:
    """Contrast of padded rows (K, m, c) in one direction; minus infinity marks what is no candidate."""
    flat, wanted, weight = logits.flatten(0, 1), targets.flatten(0, 1), row_weight.flatten()
    value = soft_cross_entropy(flat, wanted, weight)
    return Term(value, chance_level(flat > -torch.inf, wanted, weight))


def block_contrast(logits: Tensor, image_targets: Tensor, text_targets: Tensor, blocks: Blocks) -> Term:
    """Half image-to-text, half text-to-image contrast within every block, the mean over blocks.

    Parameters
    ----------
    logits : (K, m, m)
        Images in rows, the text of each in columns.
    image_targets, text_targets : (K, m, m)
        Row i has the targets of image i over the texts, or of text i over the images.
    blocks : Blocks
        Which entries are rows.
    """
    missing = ~blocks.pairs
    there = one_way(logits.masked_fill(missing, -torch.inf), image_targets, blocks.row_weight)
    back = one_way(logits.mT.masked_fill(missing, -torch.inf), text_targets, blocks.row_weight)
    return Term(0.5 * (there.value + back.value), 0.5 * (there.chance + back.chance))
