"""Files that are complete or not there."""

from __future__ import annotations

from pathlib import Path

from napari_ctvlp.atomic import write_bytes


def write_whole(path: Path, text: str) -> None:
    """Write UTF-8 beside the target, then put it in its place, so that no reader ever sees half a file.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    write_bytes(path, text.encode("utf-8"))
