"""Where the plugin keeps files of its own: what can be made again in the cache, what a person edited in the config."""

from __future__ import annotations

import os
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
