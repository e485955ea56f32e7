"""Files that are complete or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from napari_ctvlp.errors import UserError


def write_whole(path: Path, text: str) -> None:
    """Write UTF-8 beside the target, then put it in its place, so that no reader ever sees half a file.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)  # mkstemp makes files that only their owner can read
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise UserError(f"{path.name} cannot be written: {error.strerror or 'unknown reason'}.") from error
