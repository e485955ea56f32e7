"""A memory of recent organs and their texts, per organ kind (Wang et al., Cross-batch memory, CVPR 2020)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .base import Organs, Texts
from .rows import padded_groups


class OrganBank(nn.Module):
    """The last ``size`` organs of every kind, without gradient; part of the checkpoint.

    Parameters
    ----------
    size : int
        Entries of each kind.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.kept: dict[str, Tensor] = {}

    def get_extra_state(self) -> dict[str, Tensor]:
        """What is kept; the shapes are known from the first step on only, so these are no buffers."""
        return self.kept

    def set_extra_state(self, state: Any) -> None:
        """Take over what was kept."""
        self.kept = dict(state)

    def recall(self, kind: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor] | None:
        """Vectors, text vectors (K, size, d), states (K, size, classes) and which entries are filled, of some kinds."""
        if not self.kept:
            return None
        vectors, texts, states, seen = (
            self.kept[name].to(kind.device)[kind] for name in ("vectors", "texts", "states", "seen")
        )
        filled = torch.arange(self.size, device=kind.device)[None] < seen[:, None]
        return vectors, texts, states, filled

    @torch.no_grad()
    def keep(self, organs: Organs, texts: Texts, rows: Tensor) -> None:
        """Add some rows of the organs, over the oldest ones."""
        kinds, size, device = len(texts.names), self.size, organs.vectors.device
        if not self.kept:
            self.kept = {
                "vectors": organs.vectors.new_zeros(kinds, size, organs.vectors.shape[1]),
                "texts": texts.organs.new_zeros(kinds, size, texts.organs.shape[1]),
                "states": organs.states.new_zeros(kinds, size, organs.states.shape[1]),
                "seen": organs.organ.new_zeros(kinds),
            }
        self.kept = {name: value.to(device) for name, value in self.kept.items()}
        index, valid = padded_groups(organs.organ[rows], kinds)
        later = valid.sum(1, keepdim=True) - torch.arange(valid.shape[1], device=device)
        kind, place = (valid & (later <= size)).nonzero(as_tuple=True)  # of a kind with more rows than room, the last
        row = rows[index[kind, place]]
        slot = (self.kept["seen"][kind] + place) % size
        self.kept["vectors"][kind, slot] = organs.vectors[row].detach()
        self.kept["texts"][kind, slot] = texts.organs[organs.text[row]].detach()
        self.kept["states"][kind, slot] = organs.states[row]
        self.kept["seen"] += valid.sum(1)
