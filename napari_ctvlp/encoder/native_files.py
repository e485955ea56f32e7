"""An encoder of this project as a folder: written whole or not at all, read without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from napari_ctvlp.errors import UserError

from . import artifact
from .contract import Calibration, EncoderCard
from .known_texts import KnownTexts
from .native_model import NativeModel, Provenance
from .text import TextTower
from .vision import VisionConfig
from .vit import VitConfig


@dataclass(frozen=True)
class NativeParts:
    """What an encoder is made of."""

    model: NativeModel
    text: TextTower
    provenance: Provenance
    calibration: Calibration
    known: KnownTexts


def write_folder(folder: Path, parts: NativeParts, card: EncoderCard) -> None:
    """Write an encoder; the folder is replaced when it exists."""

    def build(target: Path) -> None:
        config = {
            "format": artifact.FORMAT,
            "vision": asdict(parts.model.vision.config),
            "text_width": parts.model.text_projection.in_features,
            "provenance": asdict(parts.provenance),
        }
        (target / artifact.CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        (target / artifact.CALIBRATION).write_text(
            artifact.calibration_json(parts.calibration, card.revision), encoding="utf-8"
        )
        artifact.write_weights(target, parts.model.state_dict())
        parts.text.save(target / "text")
        if parts.known.texts:
            parts.known.save(target)
        (target / artifact.CARD).write_text(card_text(card, parts.provenance), encoding="utf-8")

    artifact.replace_folder(folder, build)


def read_folder(folder: Path) -> NativeParts:
    """Read an encoder.

    Raises
    ------
    UserError
        When the folder is no encoder of this project or is damaged.
    """
    path = folder
    artifact.check_folder(path)
    config = artifact.read_json(path / artifact.CONFIG)
    if config.get("format") != artifact.FORMAT:
        raise UserError(
            f"The encoder in '{path.name}' has format {config.get('format')!r}; this version reads {artifact.FORMAT}."
        )
    try:
        provenance = Provenance(**config["provenance"])
        provenance = replace(provenance, organs=tuple(provenance.organs), abnormalities=tuple(provenance.abnormalities))
        model = NativeModel(vision_config(config["vision"]), int(config["text_width"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"'{artifact.CONFIG}' of the encoder in '{path.name}' is damaged ({error}).") from error
    artifact.read_weights(path, model)
    calibration = artifact.read_calibration(path, artifact.digest(model.state_dict()))
    text = TextTower.from_folder(path / "text")
    if text.width != model.text_projection.in_features:
        raise UserError(f"The text model of the encoder in '{path.name}' has another width than config.json says.")
    known = KnownTexts.load(path, text, text.width)
    return NativeParts(model, text, provenance, calibration, known)


def vision_config(told: Mapping[str, Any]) -> VisionConfig:
    """The shape of a vision tower as ``config.json`` tells it; what is amiss raises KeyError, TypeError, ValueError or
    UserError."""
    vision = dict(told)
    for key in ("widths", "blocks"):
        vision[key] = tuple(int(v) for v in vision[key])
    vision["windows"] = tuple((float(a), float(b)) for a, b in vision["windows"])
    vision["evidence"] = tuple(str(v) for v in vision.get("evidence", ()))
    if "vit" in vision:
        vision["vit"] = VitConfig(**{**vision["vit"], "pooled": tuple(vision["vit"]["pooled"])})
    return VisionConfig(**vision)


def card_text(card: EncoderCard, provenance: Provenance) -> str:
    """The model card as Markdown."""
    made = provenance.training
    windows = ", ".join(f"{low:g}..{high:g}" for low, high in card.hu_windows)
    lines = [
        f"# {card.name}",
        "",
        card.summary,
        "",
        f"- Revision: `{card.revision}`",
        f"- Licence: {card.licence}",
        f"- Trained on: {card.trained_on}",
        f"- Input: {card.spacing_mm:g} mm isotropic, HU windows {windows}",
        f"- Organs ({len(card.organs)}): {', '.join(card.organs)}",
        f"- Abnormalities ({len(card.abnormalities)} organ pairs): "
        + ", ".join(sorted({key.split("/")[1] for key in card.abnormalities})),
        "- Research use, not for diagnosis.",
    ]
    if made:
        lines += ["", "## How it was made", ""] + [f"- {key}: {value}" for key, value in made.items()]
    return "\n".join(lines) + "\n"
