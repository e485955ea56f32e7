"""``python -m training.convert_text MODEL --to FOLDER``: pickled weights of a text model as safetensors.

A pickle can run code when it is opened in full; here it is read by torch's restricted reader (``weights_only``), which
takes tensors and nothing else.
"""

from __future__ import annotations

import pickle
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from safetensors.torch import save_file
from torch import Tensor

from napari_ctvlp.encoder.artifact import replace_folder
from napari_ctvlp.encoder.text import TextTower
from napari_ctvlp.errors import UserError
from training.data.text_models import FILES, PICKLED, find_text_model


@dataclass(frozen=True)
class ConvertConfig:
    """Write a text model's weights as safetensors, beside its configuration and tokenizer."""

    model: Annotated[str, tyro.conf.Positional]
    """Its folder, or a hub id."""
    to: Path
    """Folder to write."""
    download: bool = False
    """Fetch a hub id that the local cache lacks."""


def read_pickles(folder: Path) -> dict[str, Tensor]:
    """The tensors of a model's pickled weights; tensors that share memory are each written in full.

    Raises
    ------
    UserError
        When there are none, or they hold more than tensors.
    """
    paths = sorted(path for pattern in PICKLED for path in folder.glob(pattern))
    if not paths:
        raise UserError(f"'{folder.name}' holds no pytorch_model.bin: there is nothing to convert.")
    found: dict[str, Tensor] = {}
    for path in paths:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise UserError(f"'{path.name}' is damaged or holds more than tensors: it is not converted.") from error
        if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
            raise UserError(f"'{path.name}' is no table of tensors: it is not converted.")
        found |= {name: tensor.clone().contiguous() for name, tensor in state.items()}
    return found


def convert(config: ConvertConfig) -> None:
    """Write the folder whole or not at all, once it was seen to load."""
    source = find_text_model(config.model, download=config.download, pickles=True)
    weights = read_pickles(source)

    def build(target: Path) -> None:
        for pattern in FILES[:-1]:
            for path in (*source.glob(pattern), *source.glob(f"1_Pooling/{pattern}")):
                if not path.name.endswith(".index.json"):
                    kept = target / path.relative_to(source)
                    kept.parent.mkdir(exist_ok=True)
                    shutil.copyfile(path, kept)
        save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
        TextTower.from_folder(target)

    replace_folder(config.to, build)
    print(f"Text model written to {config.to}; train with it by: --text-model {config.to}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    try:
        convert(tyro.cli(ConvertConfig, args=arguments, description=__doc__))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
