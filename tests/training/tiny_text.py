"""A text model of one or two small layers with random weights, in the layout of a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from napari_ctvlp.encoder.text import TextTower, base_text_folder

WIDTH = 16


def tiny_tower(pooling: str = "mean", max_tokens: int = 128, **shape: Any) -> TextTower:
    """A small BERT with the tokenizer of the shipped model."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    usual = {"hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    tokenizer = AutoTokenizer.from_pretrained(base_text_folder(), local_files_only=True)
    return TextTower(BertModel(BertConfig(**(usual | shape))), tokenizer, pooling, max_tokens)


def write_tiny(folder: Path, **settings: Any) -> Path:
    """The same on disk."""
    tiny_tower(**settings).save(folder)
    return folder
