"""Where the plugin keeps files of its own: what can be made again in the cache, what a person edited in the config."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

APP = "napari-ctvlp"
CACHE_VARIABLE, CONFIG_VARIABLE = "CTVLP_CACHE_DIR", "CTVLP_CONFIG_DIR"
"""Environment variables that put the folders elsewhere: another disk, a container, a test."""


def cache_folder(kind: str) -> Path:
    """Folder for one kind of cached files ("embeddings", "masks"); may not exist yet."""
    import platformdirs

    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir(APP, appauthor=False)) / kind


def config_folder() -> Path:
    """Folder for files that the user edits; may not exist yet."""
    import platformdirs

    return Path(os.environ.get(CONFIG_VARIABLE) or platformdirs.user_config_dir(APP, appauthor=False))


def prune_folder(folder: Path, suffix: str, limit: int) -> None:
    """Remove what was used longest ago until the rest takes at most ``limit`` bytes.

    Another process may be doing the same: what is gone already is no error.
    """
    found = []
    for path in folder.glob(f"*{suffix}"):
        with suppress(OSError):
            stat = path.stat()
            found.append((stat.st_mtime_ns, stat.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= limit:
            break
        with suppress(OSError):
            path.unlink()
            total -= size
