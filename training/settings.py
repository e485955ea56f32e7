"""From the command line, a preset or a file to a configuration, and back into ``config.json``."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import tyro

from napari_ctvlp.errors import UserError

from .checks import check_settings, fits, spoken_type
from .config import LoaderConfig, ModelConfig, OptimConfig, PretrainConfig, RefineConfig, WorldConfig
from .objectives.registry import METHODS

LARGE = ModelConfig(widths=(32, 96, 192, 320), blocks=(1, 2, 3, 3), heads=5, hidden=1024, dim=384)
PRESETS = {
    "smoke": PretrainConfig(
        run=Path("runs/smoke"),
        name="smoke",
        world=WorldConfig(train_scans=24, validation_scans=8, bodies=4),
        model=ModelConfig(widths=(8, 24, 48), blocks=(1, 1, 1), heads=3, hidden=96, dim=64, spacing=6.0),
        optim=OptimConfig(steps=30, horizon=None, batch=4, warmup=5, ema=0.9),
        refine=RefineConfig(steps=30, scans=12),
        validate_every=1000,
        checkpoint_every=10,
    ),
    "starter": PretrainConfig(
        method="ours",
        world=WorldConfig(train_scans=2000, validation_scans=100, bodies=250, abnormal=2.0, rarest=0.1, seed=5),
        optim=OptimConfig(steps=900, horizon=1600, lesions=5.0),
        refine=RefineConfig(steps=2000, limit=1800),
        validate_every=700,
        checkpoint_every=100,
    ),
    "starter-gpu": PretrainConfig(
        method="ours",
        start_from="starter",
        world=WorldConfig(
            train_scans=4000,
            validation_scans=100,
            bodies=500,
            first_body=327,
            abnormal=2.0,
            rarest=0.1,
            seed=9,
            first=128,
            each=2.0,
        ),
        optim=OptimConfig(steps=1281, horizon=1281, batch=24, warmup=100, ema=0.996, lesions=5.0),
        loader=LoaderConfig(workers=6, ahead=4),
        refine=RefineConfig(steps=1455, limit=2600),
        validate_every=700,
        checkpoint_every=200,
    ),
    "one-24gb-gpu": PretrainConfig(
        run=Path("runs/one-24gb-gpu"),
        name="one-24gb-gpu",
        world=WorldConfig(train_scans=10_000, validation_scans=300, bodies=1000, first=512, each=1.0),
        model=LARGE,
        optim=OptimConfig(steps=10_000, horizon=None, batch=48, micro=12, learning_rate=1e-3, warmup=500, ema=0.999),
        refine=RefineConfig(steps=0),
        validate_every=1000,
        checkpoint_every=250,
    ),
    "eight-gpus": PretrainConfig(
        run=Path("runs/eight-gpus"),
        name="eight-gpus",
        world=WorldConfig(train_scans=40_000, validation_scans=500, bodies=1000, first=2048, each=2.0),
        model=replace(LARGE, widths=(48, 128, 256, 512), blocks=(2, 3, 4, 4), dim=512),
        optim=OptimConfig(steps=20_000, horizon=None, batch=384, micro=16, learning_rate=1e-3, warmup=1000, ema=0.9995),
        refine=RefineConfig(steps=0),
        validate_every=1000,
        checkpoint_every=250,
    ),
}
"""``starter-gpu`` goes on with the shipped encoder for nine minutes on one GPU and 16 cores, as was measured. Of the
two after it forty steps were measured, on an H200 and from scans in a folder: 0.31 s and 10 GB for ``one-24gb-gpu``,
0.39 s and 23 GB for an eighth of ``eight-gpus``' batch. Their scans, 7 MB each, are made meanwhile and kept: a core
takes two seconds for one, so steps that make theirs anew (``world.stream``) wait for them twenty times as long."""

T = TypeVar("T")


def from_json(kind: type[T], value: object, within: str = "") -> T:
    """A configuration from its JSON object; what is missing keeps its default. ``within`` begins its settings' names.

    Raises
    ------
    UserError
        For a setting that there is not, or that is of another type.
    """
    if not isinstance(value, dict):
        raise UserError(f"{within.rstrip('.') or 'the file'} is no JSON object of settings")
    hints = get_type_hints(kind)
    unknown = value.keys() - {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown:
        raise UserError(f"it has settings that this version does not know: {', '.join(sorted(unknown))}")
    found: dict[str, Any] = {}
    for name, entry in value.items():
        hint = hints[name]
        if dataclasses.is_dataclass(hint):
            entry = from_json(hint, entry, f"{within}{name}.")  # type: ignore[arg-type]
        elif not fits(entry, hint):
            raise UserError(f"{within}{name} is {json.dumps(entry)} and has to be {spoken_type(hint)}")
        elif isinstance(entry, list):
            entry = tuple(entry)
        elif isinstance(entry, str) and hint in (Path, Path | None):
            entry = Path(entry)
        found[name] = entry
    return kind(**found)


def read_config(path: Path) -> PretrainConfig:
    """The configuration that a run wrote, without what belonged to one call of it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if (
            isinstance(value, dict) and "text_model" in value
        ):  # where it was before there was a group of settings for texts
            value["text"] = {"model": value.pop("text_model"), **value.get("text", {})}
        config = from_json(PretrainConfig, value)
    except OSError as error:
        raise UserError(f"'{path}' is no configuration of a run that can be read ({error.strerror}).") from error
    except ValueError as error:  # no JSON, or not of settings
        raise UserError(f"'{path}' is no configuration of a run: {str(error).rstrip('.')}.") from error
    return as_written(config)


def as_written(config: PretrainConfig) -> PretrainConfig:
    """Without what belongs to one call and not to the run."""
    text = replace(config.text, download=False)
    return replace(config, resume=False, minutes=None, dry_run=False, config=None, text=text)


def write_config(config: PretrainConfig, path: Path) -> None:
    """Write what :func:`read_config` reads."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(as_written(config)), indent=1, default=str) + "\n", encoding="utf-8")
    temporary.replace(path)


def check_method(method: str) -> None:
    """Refuse a method that there is not."""
    if method not in METHODS:
        raise UserError(f"There is no method '{method}': choose {', '.join(METHODS)}.")


def check_labels(config: PretrainConfig) -> None:
    """Refuse labels of one's own where there are none, or for a method that takes what is not labelled as absent.

    Raises
    ------
    UserError
    """
    if config.labels != "own":
        return
    if config.data == "world":
        raise UserError("--labels own are those of a manifest: add --data PREPARED.")
    able = [name for name, method in METHODS.items() if method(64, 1).needs.told]
    if config.method not in able:
        raise UserError(
            f"--labels own says whether an organ has this or that, and --method {config.method} needs to know all that "
            f"it has: take one of {', '.join(able)}."
        )


def base_config(preset: str | None, config: Path | None, resumed: Path | None) -> PretrainConfig:
    """What the command line starts from: the run to go on with, a file, a preset, or the defaults."""
    if preset is not None and config is not None:
        raise UserError("--preset and --config are both settings to start from: give one of them.")
    if preset is not None and preset not in PRESETS:
        raise UserError(f"There is no preset '{preset}': choose {', '.join(PRESETS)}.")
    if config is not None:
        return replace(read_config(config), config=config)
    if resumed is not None and (resumed / "config.json").is_file():
        return replace(read_config(resumed / "config.json"), run=resumed)
    return replace(PRESETS[preset], preset=preset) if preset else PretrainConfig()


def from_command_line(arguments: Sequence[str], description: str | None = None) -> PretrainConfig:
    """Read the command line; what it says overrides what it starts from."""
    words = list(arguments)
    for place, word in enumerate(words[:-1]):
        if word == "--resume" and not words[place + 1].startswith("-") and words[place + 1] not in ("True", "False"):
            words[place : place + 2] = ["--resume", "--run", words[place + 1]]
            break
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset")
    first.add_argument("--config", type=Path)
    first.add_argument("--run", "--out", type=Path)
    first.add_argument("--resume", action="store_true")
    first.add_argument("--data", default="world")
    known, _ = first.parse_known_args(words)
    resumed = (known.run or base_config(known.preset, known.config, None).run) if known.resume else None
    base = base_config(known.preset, known.config, resumed)
    if base == base_config(known.preset, None, None) and known.data != "world":
        # a preset's lesions and its making of scans are those of the world; what the command line says of them is
        # refused as ever
        base = replace(base, optim=replace(base.optim, lesions=0.0), world=replace(base.world, first=None))
    config = tyro.cli(PretrainConfig, args=words, default=base, description=description)
    check_method(config.method)
    check_labels(config)
    check_settings(config)
    return config
