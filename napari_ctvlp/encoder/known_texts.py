"""Sentence vectors that an encoder carries with it, so that its standing prompts cost nothing when it is opened."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_ctvlp.errors import UserError

from .pooling import one_thread

FEW = 4
"""So few texts are encoded by one thread: several wait for each other at every layer, on a busy machine 20 times as
long (measured)."""
RECENT = 16
"""Texts whose vectors are kept as they come: a question that is answered is then looked for in its organs."""
TEXTS, VECTORS = "prompts.json", "prompts.safetensors"


class KnownTexts:
    """Texts with their sentence vectors; anything else is encoded.

    Parameters
    ----------
    encode : callable
        Texts to (n, width) unit vectors.
    texts : sequence of str
        Texts whose vectors are known.
    vectors : (len(texts), width) Tensor, optional
        Their vectors; computed when not given.
    """

    def __init__(
        self, encode: Callable[[Sequence[str]], Tensor], texts: Sequence[str] = (), vectors: Tensor | None = None
    ) -> None:
        self._encode = encode
        self.texts = tuple(dict.fromkeys(texts))
        self._row = {text: i for i, text in enumerate(self.texts)}
        self._few = lru_cache(RECENT)(self._encode_few)
        self.vectors = vectors if vectors is not None else encode(self.texts).cpu()

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """(n, width) unit vectors on the CPU, in the order of ``texts``."""
        new = list(dict.fromkeys(t for t in texts if t not in self._row))
        if len(new) == len(texts):
            return self._anew(new)
        place = {text: len(self.texts) + i for i, text in enumerate(new)}
        table = torch.cat([self.vectors, self._anew(new)]) if new else self.vectors
        return table[[self._row.get(t, place.get(t, 0)) for t in texts]]

    def _anew(self, texts: list[str]) -> Tensor:
        """Encode texts that are not carried along, unless the same ones were encoded a moment ago."""
        if len(texts) > FEW:
            return self._encode(texts).cpu()
        return self._few(tuple(texts)).clone()

    def _encode_few(self, texts: tuple[str, ...]) -> Tensor:
        with one_thread():
            return self._encode(texts).cpu()

    def save(self, folder: Path) -> None:
        """Write the texts and their vectors, in float32 so that a known text answers as it would anew."""
        (folder / TEXTS).write_text(json.dumps(self.texts, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
        save_file({"vectors": self.vectors.float().contiguous()}, folder / VECTORS)

    @classmethod
    def load(cls, folder: Path, encode: Callable[[Sequence[str]], Tensor], width: int) -> KnownTexts:
        """Read what :meth:`save` wrote; an encoder without such files knows no text.

        Raises
        ------
        UserError
            When the files are damaged or do not belong together.
        """
        if not (folder / TEXTS).is_file():
            return cls(encode, (), torch.zeros(0, width))
        try:
            texts = json.loads((folder / TEXTS).read_text(encoding="utf-8"))
            vectors = load_file(folder / VECTORS)["vectors"].float()
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise UserError(f"The prompts of the encoder in '{folder.name}' are damaged: copy it again.") from error
        whole = isinstance(texts, list) and all(isinstance(t, str) for t in texts) and len(set(texts)) == len(texts)
        if not whole or vectors.shape != (len(texts), width) or not torch.isfinite(vectors).all():
            raise UserError(f"The prompts of the encoder in '{folder.name}' do not fit their vectors: copy it again.")
        return cls(encode, texts, vectors)
