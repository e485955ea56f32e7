"""The text tower: a sentence encoder loaded through transformers, mean-pooled; a projection is the model's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_ctvlp.errors import UserError

MAX_TOKENS = 128


class TextTower(nn.Module):
    """Sentences to unit vectors by meaning: masked mean of the last hidden states (Reimers and Gurevych, 2019)."""

    def __init__(self, model: nn.Module, tokenizer: Any) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer

    @classmethod
    def from_folder(cls, folder: Path) -> TextTower:
        """Load a transformers model and tokenizer from a folder, offline, safetensors only, weights raised to float32.

        Raises
        ------
        UserError
            If the folder does not hold a model with its tokenizer.
        """
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
            raise UserError(
                f"The text model folder '{folder.name}' lacks config.json or model.safetensors: save it again, "
                "or install the package anew."
            )
        bar_was_on = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, attn_implementation="sdpa"
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise UserError(f"The text model in '{folder.name}' cannot be read ({type(error).__name__}).") from error
        finally:
            if bar_was_on:
                logging.enable_progress_bar()
        return cls(model, tokenizer)

    def save(self, folder: Path) -> None:
        """Write the model in float16 with its tokenizer; ``from_folder`` reads it back."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in self.model.state_dict().items()}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        self.model.config.save_pretrained(folder)  # type: ignore[union-attr, operator]
        self.tokenizer.save_pretrained(folder)

    @property
    def width(self) -> int:
        """Length of a sentence vector."""
        return int(self.model.config.hidden_size)  # type: ignore[union-attr, arg-type]

    @torch.no_grad()
    def forward(self, texts: Sequence[str], batch: int = 128) -> Tensor:
        """(n, width) float32 unit vectors; texts longer than ``MAX_TOKENS`` tokens are cut."""
        if not texts:
            return torch.zeros(0, self.width)
        device = next(self.model.parameters()).device
        rows = []
        for start in range(0, len(texts), batch):
            part = [t if t.strip() else "-" for t in texts[start : start + batch]]
            tokens = self.tokenizer(part, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
            tokens = {k: v.to(device) for k, v in tokens.items()}
            hidden = self.model(**tokens).last_hidden_state
            mask = tokens["attention_mask"][..., None].to(hidden.dtype)
            rows.append(F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1))
        return torch.cat(rows)


def base_text_folder() -> Path:
    """Folder of the sentence model that the package ships (all-MiniLM-L6-v2): where a training starts from."""
    return Path(__file__).parent / "weights" / "starter" / "text"
