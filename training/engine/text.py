"""A text tower that is trained with the networks: the texts of a step with their gradient, each distinct one once.

A frozen tower's vectors are computed once a run (``training.data.texts``). Those of a trained one change every step, so
a step embeds its own texts, all in one call whatever the number of organs. One tower serves both networks of a method
that trains two: they would start from the same pretrained weights, and what makes two networks differ, which is what
such a method lives on, is in their vision towers and projections; a second tower would double the cost of the texts.

The tower stays in evaluation mode, without dropout: a step draws no random numbers, so recomputation gives the same
values, and a resumed run the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from napari_ctvlp.encoder.text import TextTower
from napari_ctvlp.errors import UserError
from training.config import OptimConfig, PretrainConfig, TextConfig

from .processes import most

TOGETHER = 128
"""Most texts that go through the tower at once."""


def layers_of(tower: TextTower) -> nn.ModuleList:
    """The tower's layers, first to last: the one list of as many modules as its configuration counts layers."""
    count = int(tower.model.config.num_hidden_layers)  # type: ignore[union-attr, arg-type]
    found = [m for m in tower.model.modules() if isinstance(m, nn.ModuleList) and len(m) == count]
    if not found:
        raise UserError("The layers of this text model cannot be told apart: train it with --text-train all or frozen.")
    return found[0]


def trained_tower(tower: TextTower, config: TextConfig) -> TextTower | None:
    """The tower with what is to be trained of it asking for gradients; None where it stays frozen.

    Raises
    ------
    UserError
        When more layers are to be trained than there are, or none.
    """
    if config.train == "frozen":
        return None
    if config.train == "all":
        tower.model.requires_grad_(True)
        pooler = getattr(tower.model, "pooler", None)
        if isinstance(pooler, nn.Module):
            pooler.requires_grad_(False)  # it has no part in the vectors
        return tower
    layers = layers_of(tower)
    if not 1 <= config.train <= len(layers):
        raise UserError(f"The text model has {len(layers)} layers: --text-train takes 1 to {len(layers)} of them.")
    for layer in list(layers)[-config.train :]:
        layer.requires_grad_(True)
    return tower


class StepBank:
    """Texts to sentence vectors by the tower as it is now, with their gradient.

    Parameters
    ----------
    tower : TextTower
        Under training.
    micro : int, optional
        Texts that are kept for the backward pass at once: every so many are computed again when their gradient is due
        (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016), which changes no value. By default all are
        kept.
    half : bool
        Compute in bfloat16 on a GPU.
    """

    def __init__(self, tower: TextTower, micro: int | None = None, half: bool = True) -> None:
        self.tower, self.micro, self.half = tower, micro, half

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """(n, width) sentence vectors; a text that is asked for twice is computed once."""
        device = next(self.tower.parameters()).device
        distinct = sorted(set(texts), key=lambda t: (len(t), t))  # like lengths together: little padding
        size = min(self.micro or TOGETHER, TOGETHER)
        starts = range(0, len(distinct), size)
        calls = most(len(starts), [self.tower])  # a tower in shares is asked equally often by every process
        with torch.autocast(device.type, torch.bfloat16, enabled=self.half and device.type == "cuda"):
            parts = [self._embed(distinct[start : start + size]) for start in starts]
            parts += [self._embed(["-"])[:0] for _ in range(calls - len(starts))]
        row = {text: i for i, text in enumerate(distinct)}
        # index_select: its backward adds in a fixed order on a CPU, as indexing by a list does not
        vectors = torch.cat(parts) if parts else torch.zeros(0, self.tower.width, device=device)
        return vectors.index_select(0, torch.tensor([row[t] for t in texts], dtype=torch.int64, device=device))

    def _embed(self, texts: list[str]) -> Tensor:
        if self.micro is None or not torch.is_grad_enabled():
            return self.tower.embed(texts)
        # not stopped early: a tower in shares would be left with its weights gathered
        vectors: Tensor = checkpoint(
            self.tower.embed, texts, use_reentrant=False, preserve_rng_state=False, early_stop=False
        )
        return vectors


def optimizer_groups(learner: nn.Module, text: TextTower | None, config: PretrainConfig) -> list[dict[str, Any]]:
    """Parameters by weight decay; those of the text tower apart, with a ``factor`` on the learning rate."""

    def split(parameters: Sequence[nn.Parameter], optim: OptimConfig, **more: float) -> list[dict[str, Any]]:
        decayed, plain = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]
        return [
            {"params": decayed, "weight_decay": optim.weight_decay, **more},
            {"params": plain, "weight_decay": 0.0, **more},
        ]

    told = [] if text is None else list(text.parameters())
    own = {id(p) for p in told}
    groups = split([p for p in learner.parameters() if id(p) not in own], config.optim)
    if text is not None:
        groups += split([p for p in told if p.requires_grad], config.optim, factor=config.text.learning_rate)
    return groups
