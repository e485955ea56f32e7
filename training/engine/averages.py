"""Averaged weights, which are validated and exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .processes import own_part

if TYPE_CHECKING:
    from .loop import Run


@torch.no_grad()
def follow_average(run: Run) -> None:
    """Move the averaged weights, and what else is averaged, towards those that are trained."""
    decay = min(run.config.optim.ema, run.step / (run.step + 10))
    model, objective, text = run.learner.model, run.learner.objective, run.learner.text
    averaged = (*run.average.parameters(), *run.average.buffers(), *run.heads.parameters())
    for mean, value in zip(averaged, (*model.parameters(), *model.buffers(), *objective.parameters()), strict=True):
        own_part(mean).lerp_(own_part(value), 1 - decay)
    if run.average_text is not None and text is not None:
        for mean, value in zip(run.average_text.parameters(), text.parameters(), strict=True):
            if value.requires_grad:
                own_part(mean).lerp_(own_part(value), 1 - decay)
