"""Scan and masks to organ embeddings, text to an embedding in the same space."""

from __future__ import annotations

from pathlib import Path

from napari_ctvlp.errors import UserError

from .contract import (
    Calibration,
    Cells,
    Dense,
    EncoderCard,
    EncodingCancelled,
    OrganStatus,
    ScanEmbedding,
    ScanEncoder,
)
from .registry import EncoderEntry, entry_at, list_entries

__all__ = [
    "Calibration",
    "Cells",
    "Dense",
    "EncoderCard",
    "EncoderEntry",
    "EncodingCancelled",
    "OrganStatus",
    "ScanEmbedding",
    "ScanEncoder",
    "list_encoders",
    "list_entries",
    "load_encoder",
]


def list_encoders() -> list[str]:
    """Names of the encoders that can be loaded now: the shipped one first, then whatever is installed."""
    return [name for name, entry in list_entries().items() if not entry.missing()]


def load_encoder(name_or_path: str | Path = "starter", *, device: str | None = None) -> ScanEncoder:
    """Load an encoder by its name or by its folder.

    Parameters
    ----------
    name_or_path : str or Path
        A name that :func:`~napari_ctvlp.encoder.registry.list_entries` knows, or a folder that ``save_pretrained``,
        training or ``napari-ctvlp install`` wrote.
    device : str, optional
        Such as "cpu" or "cuda"; a GPU when there is one.

    Raises
    ------
    UserError
        When there is no such encoder, something of it is missing, or it is damaged or unsafe to open.
    """
    entries = list_entries()
    entry = entries.get(str(name_or_path)) or entry_at(Path(name_or_path))
    if entry is None and Path(name_or_path).name == str(name_or_path) and not Path(name_or_path).exists():
        known = ", ".join(entries)
        raise UserError(f"There is no encoder '{name_or_path}': known are {known}; or pass the folder of one.")
    if entry is None:
        from .native import NativeEncoder

        return NativeEncoder.from_pretrained(Path(name_or_path), device=device)
    missing = entry.missing()
    if missing:
        raise UserError(f"The encoder {entry.name} cannot be used yet. {'; '.join(missing)}")
    return entry.load(entry.place, device)
