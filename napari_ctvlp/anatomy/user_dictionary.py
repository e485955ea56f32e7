"""The user's own copy of the abnormality dictionary: edited with any editor, read again as soon as it has changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from napari_ctvlp.anatomy.dictionary import BUILT_IN, Abnormality, load_dictionary
from napari_ctvlp.anatomy.dictionary_edit import with_prompts
from napari_ctvlp.atomic import write_bytes
from napari_ctvlp.errors import UserError
from napari_ctvlp.files import write_whole
from napari_ctvlp.folders import config_folder

FILE = "abnormalities.yaml"

_lock = threading.Lock()
_read: dict[Path, tuple[tuple[int, int], tuple[Abnormality, ...]]] = {}


def user_dictionary_path() -> Path:
    """Where the user's copy lies, or would lie."""
    return config_folder() / FILE


def current_dictionary() -> tuple[Abnormality, ...]:
    """The user's copy where there is one, else the built-in dictionary; looks at the file anew each time.

    Raises
    ------
    UserError
        With file name and line number, when the copy is broken.
    """
    path = user_dictionary_path()
    try:
        stat = path.stat()
    except OSError:
        _read.pop(path, None)
        return load_dictionary()
    state = (stat.st_mtime_ns, stat.st_size)
    with _lock:
        known = _read.get(path)
        if known is None or known[0] != state:
            known = _read[path] = (state, load_dictionary(path))
        return known[1]


def known_dictionary() -> tuple[Abnormality, ...]:
    """What `current_dictionary` gave last; looks at no file, so that a window may ask at any time."""
    known = _read.get(user_dictionary_path())
    return load_dictionary() if known is None else known[1]


def make_user_dictionary() -> Path:
    """Copy the built-in dictionary to the user's config folder unless a copy is there; gives its path.

    Raises
    ------
    UserError
        When the folder cannot be written to.
    """
    path = user_dictionary_path()
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path.name} cannot be written: {error.strerror or 'unknown reason'}.") from error
    write_whole(path, BUILT_IN.read_text(encoding="utf-8"))
    return path


def save_prompts(entry: Abnormality) -> Callable[[], None]:
    """Give an entry of the user's copy other prompts; makes the copy where there is none.

    Everything else in the file stays as it is, comments included.

    Returns
    -------
    callable
        Takes it back: the file is again as it was, or gone where there was none. Does nothing when somebody has changed
        the file since.

    Raises
    ------
    UserError
        When the prompts or the file are not in order, or the folder cannot be written to.
    """
    path = user_dictionary_path()
    before = _text(path) if path.exists() else None
    text = with_prompts(_text(BUILT_IN) if before is None else before, entry, path.name)
    make_user_dictionary()
    write_bytes(path, text.encode("utf-8"))

    def back() -> None:
        if not path.exists() or _text(path) != text:
            return
        if before is None:
            path.unlink()
        else:
            write_bytes(path, before.encode("utf-8"))

    return back


def _text(path: Path) -> str:
    """The file as it is, with its line ends."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"The dictionary {path.name} cannot be read: not a text file.") from error
    except OSError as error:
        raise UserError(f"The dictionary {path.name} cannot be read: {error.strerror or 'unknown reason'}.") from error
