"""A writer as a folder: written whole or not at all, read without pickle."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_ctvlp.encoder import artifact
from napari_ctvlp.errors import UserError

from .tokens import Tokens
from .writer import Writer, WriterConfig

FORMAT = "report writer 1"
TOKENS = "tokenizer.json"


@dataclass(frozen=True, eq=False)
class Written:
    """What is kept of a writer.

    Attributes
    ----------
    writer : Writer
    tokens : Tokens
    encoder : str
        Name of the encoder whose vectors it reads.
    revision : str
        Of that encoder: the vectors of another one mean something else.
    made : dict
        How it was trained and what it reaches.
    """

    writer: Writer
    tokens: Tokens
    encoder: str
    revision: str
    made: dict[str, Any]


def write_writer(folder: Path, parts: Written) -> None:
    """Write a writer; the folder is replaced when it exists."""

    def build(target: Path) -> None:
        config = {
            "format": FORMAT,
            "writer": asdict(parts.writer.config),
            "dim": parts.writer.dim,
            "encoder": parts.encoder,
            "revision": parts.revision,
            "made": parts.made,
        }
        (target / artifact.CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        artifact.write_weights(target, parts.writer.state_dict())
        parts.tokens.save(target / TOKENS)
        (target / artifact.CARD).write_text(_card(parts), encoding="utf-8")

    artifact.replace_folder(folder, build)


def read_writer(folder: Path) -> Written:
    """Read a writer.

    Raises
    ------
    UserError
        When the folder is none or is damaged.
    """
    artifact.check_folder(folder)
    config = artifact.read_json(folder / artifact.CONFIG)
    if config.get("format") != FORMAT:
        raise UserError(f"'{folder.name}' holds no report writer: give the folder that training.generate wrote.")
    tokens = Tokens.read(folder / TOKENS)
    try:
        writer = Writer(WriterConfig(**config["writer"]), int(config["dim"]), len(tokens))
        told = str(config["encoder"]), str(config["revision"]), dict(config["made"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"'{artifact.CONFIG}' of the writer in '{folder.name}' is damaged ({error}).") from error
    artifact.read_weights(folder, writer)
    return Written(writer.eval(), tokens, *told)


def _card(parts: Written) -> str:
    lines = [
        "# A report writer",
        "",
        f"Writes from what the encoder {parts.encoder} (revision `{parts.revision}`) sees of every organ.",
        "Research use, not for diagnosis: it states what is not there, and leaves out what is.",
        "",
    ]
    return "\n".join(lines + [f"- {key}: {value}" for key, value in parts.made.items()]) + "\n"
