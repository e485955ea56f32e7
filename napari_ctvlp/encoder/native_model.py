"""The trained part of the project's own encoder, and what made it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .vision import VisionConfig, VisionTower


class NativeModel(nn.Module):
    """The trained part: vision tower, text projection, temperature. The sentence encoder is beside it."""

    def __init__(self, config: VisionConfig, text_width: int) -> None:
        super().__init__()
        self.vision = VisionTower(config)
        self.text_projection = nn.Linear(text_width, config.dim)
        self.log_scale = nn.Parameter(torch.tensor(2.5))

    def project_text(self, sentences: Tensor) -> Tensor:
        """(n, text_width) sentence vectors to (n, dim) unit vectors in the space of the organs."""
        return F.normalize(self.text_projection(sentences), dim=-1)


@dataclass(frozen=True)
class Provenance:
    """What made an encoder: goes into its card."""

    name: str
    licence: str
    trained_on: str
    summary: str
    organs: tuple[str, ...] = ()
    abnormalities: tuple[str, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def validated(self) -> dict[str, float]:
        """AUC of each abnormality on validation scans, as training wrote it (the AUC, then its interval)."""
        found = (self.training.get("validation") or {}).get("auc") or {}
        return {key: float(auc[0] if isinstance(auc, list | tuple) else auc) for key, auc in found.items()}
