"""What a text model's folder says beside its weights, as sentence-transformers does: pooling and longest text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from napari_ctvlp.errors import UserError

Pooling = Literal["mean", "cls"]
"""Tokens to one vector: the mean of all of them, or the first."""
MODULES, SEQUENCE = "modules.json", "sentence_bert_config.json"
POOLING = "1_Pooling"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"'{path.name}' of the text model in '{path.parent.name}' is damaged or unreadable.") from error


def check_files(folder: Path) -> None:
    """Refuse a folder without configuration or safetensors, in words that say what to do.

    Raises
    ------
    UserError
        Always where the weights are pickles only: they can run code when opened.
    """
    if (folder / "config.json").is_file() and list(folder.glob("*.safetensors")):
        return
    pickles = sorted(p.name for p in folder.glob("*") if p.suffix.lower() in PICKLES)
    if pickles:
        raise UserError(
            f"The text model '{folder.name}' has its weights as a pickle alone ('{pickles[0]}'), which can run code "
            "and is not opened: write them as safetensors, as `python -m training.convert_text` does."
        )
    raise UserError(
        f"The text model folder '{folder.name}' lacks config.json or model.safetensors: save it again, "
        "or install the package anew."
    )


def read_pooling(folder: Path) -> Pooling:
    """How the model pools, by its ``1_Pooling/config.json`` or what ``modules.json`` names instead; mean by default.

    Raises
    ------
    UserError
        When it pools in another way.
    """
    place = POOLING
    if (folder / MODULES).is_file():
        modules = _read(folder / MODULES)
        paths = [m.get("path", "") for m in modules if str(m.get("type", "")).endswith("Pooling")]
        place = next((path for path in paths if path), POOLING)
    if not (folder / place / "config.json").is_file():
        return "mean"
    said = _read(folder / place / "config.json")
    modes = [said["pooling_mode"]] if "pooling_mode" in said else []
    modes += [key.removeprefix("pooling_mode_") for key, on in said.items() if key != "pooling_mode" and on is True]
    modes = [m for m in modes if m != "include_prompt"]
    known: dict[str, Pooling] = {"mean": "mean", "mean_tokens": "mean", "cls": "cls", "cls_token": "cls"}
    if len(modes) != 1 or modes[0] not in known:
        raise UserError(
            f"The text model '{folder.name}' pools its tokens by {' and '.join(map(str, modes)) or 'nothing'}: "
            "choose --text.pooling mean or cls."
        )
    return known[modes[0]]


def read_longest(folder: Path) -> int | None:
    """Tokens after which the model's makers cut a text; None where they do not say."""
    if not (folder / SEQUENCE).is_file():
        return None
    stated = _read(folder / SEQUENCE).get("max_seq_length")
    return int(stated) if stated else None


def write_files(folder: Path, pooling: Pooling, longest: int, width: int) -> None:
    """Write what the functions above read; sentence-transformers reads it too."""
    (folder / POOLING).mkdir(exist_ok=True)
    kinds = (("", "Transformer"), (POOLING, "Pooling"), ("2_Normalize", "Normalize"))
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds)
    ]
    modes = {"pooling_mode_cls_token": pooling == "cls", "pooling_mode_mean_tokens": pooling == "mean"}
    for name, value in (
        (MODULES, modules),
        (SEQUENCE, {"max_seq_length": longest, "do_lower_case": False}),
        (f"{POOLING}/config.json", {"word_embedding_dimension": width, **modes}),
    ):
        (folder / name).write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
