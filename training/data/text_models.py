"""Which text model a run is told to use: the shipped one, a folder, or a hub id that the local cache holds.

Nothing is fetched unless the user says so, and then neither pickles nor code.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from napari_ctvlp.encoder.text import TextTower, base_text_folder
from napari_ctvlp.errors import UserError
from training.config import TextConfig

FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
PICKLED = ("pytorch_model*.bin",)
"""Fetched by the conversion alone."""
OTHERS = ("onnx/*", "openvino/*")
_ID = re.compile(r"(?P<id>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[\w./-]+))?")


def find_text_model(name: str | None, *, download: bool = False, pickles: bool = False) -> Path:
    """Folder of a text model.

    Parameters
    ----------
    name : str, optional
        A folder, or a hub id with an optional ``@revision``; the shipped model by default.
    download : bool
        Fetch from the hub what the local cache lacks.
    pickles : bool
        Fetch pickled weights as well.

    Raises
    ------
    UserError
        When there is no such folder and the cache, or with ``download`` the hub, has no such model.
    """
    if name is None:
        return base_text_folder()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    found = _ID.fullmatch(name)
    if found is None:
        raise UserError(f"There is no text model at '{name}': pass the folder of one, or a hub id.")
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                found["id"],
                revision=found["revision"],
                local_files_only=not download,
                allow_patterns=[*FILES, *(PICKLED if pickles else ())],
                ignore_patterns=list(OTHERS),
            )
        )
    except (OSError, ValueError) as error:
        if download:
            raise UserError(f"The text model '{name}' could not be fetched ({type(error).__name__}).") from error
        raise UserError(
            f"'{name}' is no folder, and the local cache of the hub holds no such text model: "
            "add --text-download to fetch it from huggingface.co."
        ) from None


def pinned(config: TextConfig) -> TextConfig:
    """The same text model by the revision that was found, so that a run's configuration names one and no later one."""
    folder = find_text_model(config.model, download=config.download)
    if config.model is None or folder.parent.name != "snapshots":
        return config
    return replace(config, model=f"{config.model.split('@')[0]}@{folder.name}")


def load_text_tower(config: TextConfig) -> TextTower:
    """The text tower that a run begins with."""
    folder = find_text_model(config.model, download=config.download)
    return TextTower.from_folder(folder, config.pooling, config.max_tokens)
