"""Files that are complete or not there, for bytes and for libraries that write themselves."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from napari_ctvlp.errors import UserError


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write beside the target, then put in its place; `napari_ctvlp.files.write_whole` does so with text.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    build_file(path, lambda temporary: temporary.write_bytes(data))


def check_places(*paths: str | Path | None) -> None:
    """Refuse, before the work starts, places that could not be written to when it is done; None is passed over.

    Raises
    ------
    UserError
        As `build_file` would.
    """
    for path in (Path(one) for one in paths if one is not None):
        try:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise UserError(f"{path.name} cannot be written: {error.strerror or 'unknown reason'}.") from error


def build_file(path: str | Path, build: Callable[[Path], object]) -> None:
    """Let a library write: ``build`` gets the path of a temporary file of the same
    suffix, which takes the place of ``path`` once it is whole.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        # the full suffix: nibabel and SimpleITK choose the format and the compression by it
        suffix = "".join(path.suffixes[-2:]) if path.name.lower().endswith(".nii.gz") else path.suffix
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=suffix, dir=path.parent)
        temporary = Path(name)
        os.close(handle)
        build(temporary)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner can read
        temporary.replace(path)
        temporary = None
    except OSError as error:
        raise UserError(f"{path.name} cannot be written: {error.strerror or 'unknown reason'}.") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
