"""An encoder with a real sentence model and perfect eyes: an organ looks like its own name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from napari_ctvlp.encoder.text import TextTower, base_text_folder
from tests.conftest import WordEncoder


@cache
def sentence_model() -> TextTower:
    """The text tower that the package ships."""
    return TextTower.from_folder(base_text_folder())


class SentenceEncoder(WordEncoder):
    """`WordEncoder` with sentence vectors in place of hashed words."""

    logit_scale = 20.0

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # one short text after another: more threads only wait for each other
        try:
            return sentence_model()(list(texts), batch=64).numpy()
        finally:
            torch.set_num_threads(threads)

    encode_text_meaning = encode_text
