"""BERT text towers of published encoders: the stock model of transformers, filled from their own checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_ctvlp.errors import UserError

from .checkpoint import count, shape_of

HEAD = 64
"""Width of one attention head, of every BERT that is published here."""


def bert_for(state: Mapping[str, Tensor], beginning: str, place: str) -> nn.Module:
    """A BERT without pooler, as large as the tensors under ``beginning`` say; not filled yet.

    Raises
    ------
    UserError
        When the tensors that say it are missing.
    """
    from transformers import BertConfig, BertModel

    words, width = shape_of(state, f"{beginning}embeddings.word_embeddings.weight", 2, place)
    positions, _ = shape_of(state, f"{beginning}embeddings.position_embeddings.weight", 2, place)
    inner, _ = shape_of(state, f"{beginning}encoder.layer.0.intermediate.dense.weight", 2, place)
    config = BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=count(state, f"{beginning}encoder.layer."),
        num_attention_heads=max(1, width // HEAD),
        intermediate_size=inner,
        max_position_embeddings=positions,
    )
    return BertModel(config, add_pooling_layer=False)


def tokenizer_for(vocabulary: Path, words: int) -> Any:
    """The lower-casing WordPiece tokenizer of a ``vocab.txt``.

    Raises
    ------
    UserError
        When it cannot be read, lacks BERT's own signs, or has more words than the checkpoint has vectors.
    """
    from transformers import BertTokenizer

    try:
        lines = vocabulary.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The vocabulary '{vocabulary.name}' is missing or unreadable: install it again.") from error
    missing = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"} - set(lines)
    if missing:
        raise UserError(f"'{vocabulary.name}' is no vocabulary of BERT: it lacks {min(missing)}.")
    if len(lines) > words:
        raise UserError(f"'{vocabulary.name}' has {len(lines)} words, the checkpoint vectors for {words}: another one?")
    return BertTokenizer(vocab={line: i for i, line in enumerate(lines)})


def hidden_states(bert: nn.Module, tokenizer: Any, texts: Sequence[str], longest: int) -> tuple[Tensor, Tensor]:
    """(n, tokens, width) last hidden states and the (n, tokens) mask of tokens that are no padding."""
    device = next(bert.parameters()).device
    given = tokenizer(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt").to(device)
    return bert(given["input_ids"], attention_mask=given["attention_mask"]).last_hidden_state, given["attention_mask"]


def batches(texts: Sequence[str], size: int = 64) -> list[Sequence[str]]:
    """Texts in parts of at most ``size``."""
    return [texts[start : start + size] for start in range(0, len(texts), size)]


def pick_device(device: str | None) -> torch.device:
    """The device asked for, else a GPU when there is one."""
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
