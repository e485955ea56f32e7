"""Settings that cannot be, told in a sentence before anything is made from them."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from napari_ctvlp.errors import UserError

from .config import PretrainConfig
from .history import flat

LEAST = {
    "optim.steps": 0,
    "optim.horizon": 1,
    "optim.batch": 1,
    "optim.micro": 1,
    "optim.warmup": 0,
    "optim.alternate": 0,
    "optim.patience": 1,
    "refine.steps": 0,
    "refine.scans": 1,
    "refine.limit": 1,
    "world.train_scans": 1,
    "world.validation_scans": 1,
    "world.bodies": 1,
    "world.first": 1,
    "world.makers": 1,
    "model.heads": 1,
    "model.hidden": 1,
    "model.dim": 1,
    "text.micro": 1,
    "text.max_tokens": 1,
    "threads": 1,
    "validate_every": 1,
    "checkpoint_every": 1,
    "at_least": 1,
}
ABOVE_NOTHING = ("model.spacing", "optim.learning_rate", "refine.learning_rate")


def check_settings(config: PretrainConfig) -> None:
    """Refuse numbers that no run can have.

    Raises
    ------
    UserError
    """
    for said in _wrong(config):
        raise UserError(said)


def _wrong(config: PretrainConfig) -> Iterator[str]:
    values = flat(asdict(config)) | {"threads": config.threads}
    for name, least in LEAST.items():
        if values[name] is not None and values[name] < least:
            yield f"{option(name)} {values[name]} cannot be: give {least} or more."
    for name in ABOVE_NOTHING:
        if not values[name] > 0:
            yield f"{option(name)} {values[name]:g} cannot be: give more than 0."
    if config.world.each < 0:
        yield f"--world.each {config.world.each:g} cannot be: give 0 or more."
    if config.world.first is not None and (config.world.twins or config.world.stream or config.data != "world"):
        yield "--world.first is for scans of the world in a folder, without --world.twins or --world.stream."
    if not 0 <= config.optim.ema < 1:
        yield f"--optim.ema {config.optim.ema:g} cannot be: give 0 or more and less than 1."
    widths, blocks = config.model.widths, config.model.blocks
    if not widths or len(widths) != len(blocks) or min(*widths, *blocks) < 1:
        yield (
            f"--model.widths {' '.join(map(str, widths))} and --model.blocks {' '.join(map(str, blocks))} do not go "
            "together: give as many of the one as of the other, each 1 or more."
        )


def option(name: str) -> str:
    """How a setting is called on the command line."""
    return f"--{name.replace('_', '-')}"


def fits(value: object, hint: Any) -> bool:
    """Whether a value out of a file is of a setting's type."""
    kind, inner = get_origin(hint), get_args(hint)
    if kind in (Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if kind is Literal:
        return value in inner
    if kind is tuple:
        return isinstance(value, list | tuple) and all(fits(each, inner[0]) for each in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is Path:
        return isinstance(value, str)
    return isinstance(value, hint)


def spoken_type(hint: Any) -> str:
    """A setting's type in words."""
    kind, inner = get_origin(hint), get_args(hint)
    if kind in (Union, types.UnionType):
        return " or ".join(spoken_type(each) for each in inner)
    if kind is Literal:
        return " or ".join(map(repr, inner))
    if kind is tuple:
        return f"a list, each {spoken_type(inner[0])}"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
    return "null" if hint is type(None) else words.get(hint, "an object of settings")
