"""Texts that an encoder has embedded, kept in its folder, so that its standing prompts cost their time only once."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from napari_ctvlp.encoder.contract import FloatArray

logger = logging.getLogger(__name__)

FILE = "texts.safetensors"
WORTH_KEEPING = 32
"""Texts that come together from which they are written down: prompts do, questions come one by one."""


class RememberedTexts:
    """Encodes each text once.

    Parameters
    ----------
    encode : callable
        Texts to (n, dim) unit vectors.
    dim : int
        Length of a vector.
    revision : str
        Of the encoder and its vocabulary; what another one wrote is not used.
    folder : Path, optional
        Where texts are kept; only in memory without. A folder that cannot be written is no error.
    """

    def __init__(
        self, encode: Callable[[Sequence[str]], FloatArray], dim: int, revision: str, folder: Path | None
    ) -> None:
        self._encode, self._dim, self._revision, self._folder = encode, dim, revision, folder
        self._rows: dict[str, FloatArray] = self._read()
        self._lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """(n, dim) float32 in the order of ``texts``."""
        if not texts:
            return np.zeros((0, self._dim), np.float32)
        with self._lock:
            new = sorted({t for t in texts if t not in self._rows}, key=lambda t: (len(t), t))  # little padding
            if new:
                self._rows |= dict(zip(new, np.asarray(self._encode(new), np.float32), strict=True))
            if len(new) >= WORTH_KEEPING:
                self._write()
            return np.stack([self._rows[t] for t in texts])

    def _read(self) -> dict[str, FloatArray]:
        path = None if self._folder is None else self._folder / FILE
        if path is None or not path.is_file():
            return {}
        try:
            with safe_open(path, "np") as stored:
                said = stored.metadata() or {}
                vectors = stored.get_tensor("vectors")
            texts = json.loads(said["texts"])
            if said["revision"] != self._revision or vectors.shape != (len(texts), self._dim):
                return {}
            return dict(zip(texts, vectors.astype(np.float32), strict=True))
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("The texts kept in '%s' are not used (%s).", path, type(error).__name__)
            return {}

    def _write(self) -> None:
        if self._folder is None:
            return
        temporary = self._folder / f".{FILE}.{os.getpid()}"
        told = {"revision": self._revision, "texts": json.dumps(list(self._rows))}
        try:
            save_file({"vectors": np.stack(list(self._rows.values()))}, temporary, metadata=told)
            with temporary.open("rb+") as handle:
                os.fsync(handle.fileno())
            temporary.replace(self._folder / FILE)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            logger.info("Texts cannot be kept in '%s' (%s).", self._folder, error.strerror)
