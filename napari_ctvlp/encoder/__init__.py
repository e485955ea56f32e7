"""Scan and masks to organ embeddings, text to an embedding in the same space."""

from __future__ import annotations

from pathlib import Path

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

__all__ = [
    "Calibration",
    "Cells",
    "Dense",
    "EncoderCard",
    "EncodingCancelled",
    "OrganStatus",
    "ScanEmbedding",
    "ScanEncoder",
    "list_encoders",
    "load_encoder",
]

_SHIPPED = Path(__file__).parent / "weights"


def list_encoders() -> list[str]:
    """Names of the encoders that ship with the package."""
    return sorted(p.name for p in _SHIPPED.iterdir() if (p / "config.json").is_file()) if _SHIPPED.is_dir() else []


def load_encoder(name_or_path: str | Path = "starter", *, device: str | None = None) -> ScanEncoder:
    """Load an encoder by the name of a shipped one or by its folder.

    Parameters
    ----------
    name_or_path : str or Path
        A name from :func:`list_encoders`, or a folder that ``save_pretrained`` or training wrote.
    device : str, optional
        Such as "cpu" or "cuda"; a GPU when there is one.

    Raises
    ------
    UserError
        When there is no such encoder, or it is damaged or unsafe to open.
    """
    from .native import NativeEncoder

    shipped = _SHIPPED / str(name_or_path)
    known = str(name_or_path) in list_encoders()
    return NativeEncoder.from_pretrained(shipped if known else Path(name_or_path), device=device)
