"""The text tower: any encoder of transformers, pooled to one vector a text; a projection is the model's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_ctvlp.errors import UserError

from .text_files import Pooling, check_files, read_longest, read_pooling, write_files

MAX_TOKENS = 128
"""Longer texts are cut there where a model does not say itself where."""
ALIKE = {"cxr-bert": "bert"}
"""Model types that come with code of their own, which is never run, and are one that transformers knows with another
head: CXR-BERT (Boecking et al., ECCV 2022) is a BERT."""


class TextTower(nn.Module):
    """Sentences to unit vectors by meaning: the masked mean of the last hidden states (Reimers and Gurevych, 2019), or
    the first of them.

    Parameters
    ----------
    model : nn.Module
        Encoder of transformers. It is kept in evaluation mode, without dropout, in training too.
    tokenizer : Any
        Its tokenizer.
    pooling : {"mean", "cls"}
        Tokens to one vector.
    max_tokens : int
        Longer texts are cut there.
    """

    def __init__(
        self, model: nn.Module, tokenizer: Any, pooling: Pooling = "mean", max_tokens: int = MAX_TOKENS
    ) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.max_tokens = max_tokens

    @classmethod
    def from_folder(cls, folder: Path, pooling: Pooling | None = None, max_tokens: int | None = None) -> TextTower:
        """Load a transformers model and tokenizer from a folder, offline, safetensors only, weights raised to float32.

        Parameters
        ----------
        folder : Path
            In transformers layout; what it says in that of sentence-transformers is followed.
        pooling, max_tokens : optional
            In place of what the folder says; never more tokens than the model has positions.

        Raises
        ------
        UserError
            If the folder does not hold a model with its tokenizer, or needs code of its own.
        """
        from transformers import AutoModel, AutoModelForTextEncoding, AutoTokenizer
        from transformers.utils import logging

        check_files(folder)
        bar_was_on, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
        logging.disable_progress_bar()
        logging.set_verbosity_error()
        try:
            config, kind = _config(folder)
            offline: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
            tokenizer = AutoTokenizer.from_pretrained(folder, tokenizer_type=kind, **offline)
            family = AutoModelForTextEncoding if config.is_encoder_decoder else AutoModel
            model, loading = family.from_pretrained(
                folder, config=config, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **offline
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError) as error:
            raise UserError(f"The text model in '{folder.name}' cannot be read ({type(error).__name__}).") from error
        finally:
            logging.set_verbosity(verbosity)
            if bar_was_on:
                logging.enable_progress_bar()
        missing = {name.split(".")[0] for name in loading["missing_keys"]}
        if missing == {"pooler"}:
            model.pooler = None  # of no use here, and would have random weights
        elif missing:
            raise UserError(f"The weights of the text model in '{folder.name}' lack '{min(loading['missing_keys'])}'.")
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        tokenizer.padding_side = "right"  # the first token is the text's first
        longest = max_tokens or read_longest(folder) or MAX_TOKENS
        return cls(model, tokenizer, pooling or read_pooling(folder), min(longest, _positions(model, tokenizer)))

    def save(self, folder: Path) -> None:
        """Write the model in float16 with its tokenizer and settings; ``from_folder`` reads it back."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in self.model.state_dict().items()}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        self.model.config.save_pretrained(folder)  # type: ignore[union-attr, operator]
        self.tokenizer.save_pretrained(folder)
        write_files(folder, self.pooling, self.max_tokens, self.width)

    @property
    def width(self) -> int:
        """Length of a sentence vector."""
        return int(self.model.config.hidden_size)  # type: ignore[union-attr, arg-type]

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: a resumed run would have to replay dropout."""
        return super().train(False)

    def embed(self, texts: Sequence[str]) -> Tensor:
        """(n, width) float32 unit vectors of texts that are encoded together; with a graph where one is asked for."""
        device = next(self.model.parameters()).device
        part = [t if t.strip() else "-" for t in texts]
        tokens = self.tokenizer(part, padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt")
        tokens = {k: v.to(device) for k, v in tokens.items()}
        hidden = self.model(**tokens).last_hidden_state.float()
        if self.pooling == "cls":
            return F.normalize(hidden[:, 0], dim=-1)
        mask = tokens["attention_mask"][..., None].to(hidden.dtype)
        return F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)

    @torch.no_grad()
    def forward(self, texts: Sequence[str], batch: int = 128) -> Tensor:
        """(n, width) float32 unit vectors, without graph; texts longer than ``max_tokens`` tokens are cut."""
        if not texts:
            return torch.zeros(0, self.width)
        return torch.cat([self.embed(texts[start : start + batch]) for start in range(0, len(texts), batch)])


def _config(folder: Path) -> tuple[Any, str | None]:
    """The model's configuration, and the type that it is read as where it names one with code of its own."""
    from transformers import AutoConfig, PretrainedConfig

    said, _ = PretrainedConfig.get_config_dict(folder, local_files_only=True)
    kind = ALIKE.get(str(said.get("model_type")))
    if kind is None:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False), None
    rest = {k: v for k, v in said.items() if k not in ("model_type", "auto_map", "architectures")}
    return AutoConfig.for_model(kind, **rest), kind


def _positions(model: Any, tokenizer: Any) -> int:
    """Most tokens that a model takes."""
    most = int(getattr(model.config, "max_position_embeddings", None) or tokenizer.model_max_length)
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    if padding is not None:
        most -= padding + 1  # RoBERTa counts positions from behind the padding's
    return min(most, int(tokenizer.model_max_length))


def base_text_folder() -> Path:
    """Folder of the sentence model that the package ships (all-MiniLM-L6-v2): where a training starts from."""
    return Path(__file__).parent / "weights" / "starter" / "text"
