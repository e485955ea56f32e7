"""``python -m training.average A B --to DIR``: one encoder whose weights are the mean of those of several.

For encoders that were trained from one another: their weights lie in one valley, and the middle of it does better than
its rims where scans differ from those of training (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR
2022). Weights that were trained apart give nothing of use when averaged. The mean is another encoder than each of them,
so it is validated and calibrated anew, on synthetic validation scans.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from torch import Tensor

from napari_ctvlp.encoder.artifact import digest
from napari_ctvlp.encoder.native import NativeEncoder
from napari_ctvlp.encoder.native_files import NativeParts, read_folder
from napari_ctvlp.encoder.native_model import NativeModel
from napari_ctvlp.encoder.registry import list_entries
from napari_ctvlp.errors import UserError
from napari_ctvlp.folders import cache_folder
from training.calibrate import fit_calibration, pairs_of
from training.data.store import WorldStore
from training.engine.validate import PairScores, auc_by_abnormality


@dataclass(frozen=True)
class AverageConfig:
    """Average the weights of encoders, validate and calibrate the mean, and write it."""

    encoders: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Folders of encoders of this project, or names of installed ones; all of one shape and one text model."""
    to: Path
    """Folder to write."""
    shares: tuple[float, ...] = ()
    """How much each counts, of their sum; the same by default."""
    scans: int = 300
    """Number of synthetic validation scans."""
    bodies: int = 40
    """Anatomies among them."""
    seed: int = 0
    """Of the synthetic scans; another one than that of the scans that the encoder is then judged on."""
    cache: Path | None = None
    """Where the synthetic scans are kept; the user's cache folder (CTVLP_CACHE_DIR) by default."""


def mean_of(models: Sequence[NativeModel], shares: Sequence[float]) -> dict[str, Tensor]:
    """The weighted mean of the weights of several models, in float32; what is no floating number is the first one's.

    Parameters
    ----------
    models : sequence of NativeModel
        Of one shape.
    shares : sequence of float
        How much each counts, of their sum.
    """
    states, whole = [model.state_dict() for model in models], sum(shares)
    return {
        name: torch.stack([state[name].float() * (share / whole) for state, share in zip(states, shares, strict=True)])
        .sum(0)
        .to(first.dtype)
        if first.is_floating_point()
        else first.clone()
        for name, first in states[0].items()
    }


def averaged(parts: Sequence[NativeParts], shares: Sequence[float]) -> NativeParts:
    """The mean of several encoders, not yet validated or calibrated.

    Raises
    ------
    UserError
        When they do not fit together.
    """
    first = parts[0]
    if len(shares) != len(parts) or min(shares) < 0 or not sum(shares):
        raise UserError(f"--shares needs {len(parts)} numbers that are not negative, one for each encoder.")
    if any(p.model.vision.config != first.model.vision.config for p in parts):
        raise UserError("These encoders differ in shape (config.json), so their weights have no mean.")
    if len({digest(p.text.state_dict()) for p in parts}) > 1:
        raise UserError("These encoders have different text models, so their weights have no mean.")
    model = NativeModel(first.model.vision.config, first.model.text_projection.in_features)
    model.load_state_dict(mean_of([p.model for p in parts], shares))
    made = {
        "averaged": {
            digest(p.model.state_dict()): {"share": share / sum(shares), **p.provenance.training}
            for p, share in zip(parts, shares, strict=True)
        }
    }
    said = "; ".join(dict.fromkeys(p.provenance.trained_on for p in parts))
    return replace(first, model=model, provenance=replace(first.provenance, trained_on=said, training=made))


def validation_of(pairs: Sequence[PairScores], scans: int) -> dict[str, object]:
    """What a card says of validation scans: the mean AUC, and that of each abnormality with its interval."""
    found = auc_by_abnormality(pairs)
    return {
        "scans": scans,
        "mean_auc": round(float(np.mean([one.value for one in found.values()])), 4) if found else None,
        "auc": {k: [round(v, 4) for v in (one.value, one.low, one.high)] for k, one in found.items()},
    }


def average(config: AverageConfig) -> Path:
    """Read, average, validate, calibrate, write."""
    if len(config.encoders) < 2:
        raise UserError("An average needs two encoders or more.")
    known = list_entries()
    places = [known[name].place if name in known else Path(name) for name in config.encoders]
    parts = averaged([read_folder(Path(place or "")) for place in places], config.shares or (1.0,) * len(places))
    encoder = NativeEncoder(parts.model, parts.text, parts.provenance, device="cpu", known=parts.known)
    cache = config.cache or cache_folder("calibration-scans")
    spacing = parts.model.vision.config.spacing
    store = WorldStore(cache, "validation", config.scans, config.seed, config.bodies, spacing)
    store.prepare()
    pairs = pairs_of(encoder, store)
    training = {**parts.provenance.training, "validation": validation_of(pairs, config.scans)}
    provenance = replace(parts.provenance, training=training)
    done = NativeEncoder(parts.model, parts.text, provenance, fit_calibration(pairs), device="cpu", known=parts.known)
    done.save_pretrained(config.to)
    print(f"Encoder written to {config.to}: mean AUC {training['validation']['mean_auc']} on validation scans.")
    return config.to


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    try:
        average(tyro.cli(AverageConfig, args=arguments, description=__doc__))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
