"""A segmenter on disk: ``config.json``, ``model.safetensors`` and ``README.md``; written whole or not at all, and no
pickle is read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from napari_ctvlp.encoder import artifact
from napari_ctvlp.encoder.native_files import vision_config
from napari_ctvlp.errors import UserError

from .judge import Figure, lines
from .network import Segmenter

KIND, FORMAT = "segmenter", 1


@dataclass(frozen=True, eq=False)
class Model:
    """A segmenter that can be used.

    Attributes
    ----------
    network : Segmenter
    names : tuple of str
        Of the classes 1 and on.
    target : tuple of str
        "organs", or the abnormalities.
    made : mapping
        How it was made, for the card.
    """

    network: Segmenter
    names: tuple[str, ...]
    target: tuple[str, ...]
    made: Mapping[str, Any] = field(default_factory=dict)


def write_model(folder: Path, model: Model, found: Sequence[Figure] = (), judged_on: str = "") -> None:
    """Write a segmenter; the folder is replaced when it exists.

    Parameters
    ----------
    folder : Path
    model : Model
    found : sequence of Figure
        Of held-out scans, for the card.
    judged_on : str
        Which scans those were.
    """

    def build(target: Path) -> None:
        config = {
            "kind": KIND,
            "format": FORMAT,
            "target": list(model.target),
            "names": list(model.names),
            "vision": asdict(model.network.vision),
            "widths": list(model.network.widths),
            "made": dict(model.made),
            "judged_on": judged_on,
            "dice": [asdict(figure) for figure in found],
        }
        (target / artifact.CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        artifact.write_weights(target, model.network.state_dict())
        (target / artifact.CARD).write_text(_card(folder.name, model, found, judged_on), encoding="utf-8")

    artifact.replace_folder(folder, build)


def read_model(folder: Path) -> Model:
    """Read a segmenter: its folder, or that of the run that wrote it.

    Raises
    ------
    UserError
        When it is none, or is damaged.
    """
    place = folder / "model" if (folder / "model" / artifact.CONFIG).is_file() else folder
    if not (place / artifact.CONFIG).is_file() or not (place / artifact.WEIGHTS).is_file():
        raise UserError(
            f"There is no segmenter in '{folder}': pass the folder that python -m training.segment fit wrote."
        )
    config = artifact.read_json(place / artifact.CONFIG)
    if config.get("kind") != KIND or config.get("format") != FORMAT:
        raise UserError(f"'{folder.name}' is no segmenter of this version: python -m training.segment fit writes them.")
    try:
        names = tuple(str(name) for name in config["names"])
        target = tuple(str(name) for name in config["target"])
        widths = tuple(int(width) for width in config["widths"])
        network = Segmenter(vision_config(config["vision"]), len(names) + 1, widths)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"'{artifact.CONFIG}' of the segmenter in '{folder.name}' is damaged ({error}).") from error
    artifact.read_weights(place, network)
    return Model(network.eval(), names, target, config.get("made", {}))


def _card(name: str, model: Model, found: Sequence[Figure], judged_on: str) -> str:
    vision = model.network.vision
    windows = ", ".join(f"{low:g}..{high:g}" for low, high in vision.windows)
    told = [
        f"# {name}",
        "",
        f"Segments {', '.join(model.names)}.",
        "",
        f"- Input: {vision.spacing:g} mm isotropic, HU windows {windows}",
        *(f"- {key}: {value}" for key, value in model.made.items()),
        "- Research use, not for diagnosis.",
    ]
    if found:
        told += [
            "",
            f"## Dice on {judged_on}",
            "",
            "Mean over the scans that show a class (95 % bootstrap over patients).",
            "",
        ]
        told += ["```", *lines(found), "```"]
    return "\n".join(told) + "\n"
