"""``python -m training.calibrate ENCODER``: scores to probabilities by Platt scaling on validation scans (Platt, 1999).

Any encoder that the plugin loads, ours or a published one, gets a ``calibration.json`` of its own in its folder: a map
per organ and abnormality where there are cases enough, else per abnormality, else one for all. Training does the same
at its end. The scans must be others than those that the encoder is then judged on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from napari_ctvlp.encoder.artifact import write_calibration
from napari_ctvlp.encoder.contract import Calibration
from napari_ctvlp.errors import UserError
from napari_ctvlp.folders import cache_folder
from training.engine.validate import PairScores

if TYPE_CHECKING:
    from napari_ctvlp.encoder.contract import ScanEncoder
    from training.data.prepared import PreparedStore
    from training.data.store import WorldStore

FEWEST = 6
"""Cases of each state that a map of its own needs; with fewer, a key uses its abnormality's or the common map."""


def _fit(scores: NDArray[np.float64], present: NDArray[np.bool_]) -> tuple[float, float]:
    # mild ridge: a perfectly separated pair would otherwise get an endless slope
    model = LogisticRegression(C=10.0).fit(scores[:, None], present)
    return max(0.05, float(model.coef_[0, 0])), float(model.intercept_[0])


def fit_calibration(pairs: Sequence[PairScores]) -> Calibration:
    """Fit a map per pair, else per abnormality over its organs, else one for all.

    The base rate of the synthetic world stays in the offsets: a probability answers for a world in which the finding is
    as frequent as it was there.
    """

    def pooled(group: Sequence[PairScores]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        return np.concatenate([p.scores for p in group]), np.concatenate([p.present for p in group])

    def enough(present: NDArray[np.bool_]) -> bool:
        return bool(min(present.sum(), (~present).sum()) >= FEWEST)

    if not pairs:
        return Calibration()
    scores, present = pooled(pairs)
    default = _fit(scores, present) if enough(present) else (1.0, 0.0)
    by_key: dict[str, tuple[float, float]] = {}
    for pair in pairs:
        family = [p for p in pairs if p.key.split("/")[1] == pair.key.split("/")[1]]
        family_scores, family_present = pooled(family)
        if enough(pair.present):
            by_key[pair.key] = _fit(pair.scores, pair.present)
        elif enough(family_present):
            by_key[pair.key] = _fit(family_scores, family_present)
    return Calibration(default, by_key)


@dataclass(frozen=True)
class CalibrateConfig:
    """Fit an encoder's probabilities on validation scans and write them into its folder."""

    encoder: Annotated[str, tyro.conf.Positional]
    """Folder of an encoder, or the name of one that is installed."""
    data: str = "world"
    """"world": synthetic scans; else the folder of a prepared store, whose validation split is used."""
    scans: int = 300
    """Number of synthetic scans."""
    bodies: int = 40
    """Anatomies among them."""
    spacing: float = 3.0
    """Voxel size of synthetic scans in mm."""
    abnormal: float = 1.0
    """Factor on the usual rates of abnormalities: probabilities answer for a world in which they are as frequent."""
    seed: int = 0
    """Of the synthetic scans."""
    cache: Path | None = None
    """Where the synthetic scans are kept; the user's cache folder (CTVLP_CACHE_DIR) by default."""


def pairs_of(encoder: ScanEncoder, store: PreparedStore | WorldStore) -> list[PairScores]:
    """Embed scans as the plugin does, and score every organ and abnormality that is known there.

    Raises
    ------
    UserError
        When there is none.
    """
    from training.evaluation.cases import questions
    from training.evaluation.run import embed

    pairs = [pair for question in questions(encoder, embed(encoder, store)).values() for pair in question.pairs()]
    if not pairs:
        raise UserError(
            "Nothing to calibrate on: no validation scan holds an organ that the encoder can be asked about."
        )
    return pairs


def calibrate(config: CalibrateConfig) -> Calibration:
    """Embed the scans as the plugin does, fit, and write."""
    from napari_ctvlp.encoder import load_encoder
    from napari_ctvlp.encoder.registry import list_entries
    from training.data.prepared import PreparedStore
    from training.data.store import WorldStore

    entry = list_entries().get(config.encoder)
    encoder = load_encoder(config.encoder)
    folder = Path(config.encoder) if entry is None else entry.place
    if folder is None or not folder.is_dir():
        raise UserError(f"The encoder {config.encoder} has no folder to write its calibration to.")
    store: PreparedStore | WorldStore
    if config.data == "world":
        cache = config.cache or cache_folder("calibration-scans")
        store = WorldStore(
            cache, "validation", config.scans, config.seed, config.bodies, config.spacing, config.abnormal
        )
    else:
        store = PreparedStore(Path(config.data), "validation")
    store.prepare()
    pairs = pairs_of(encoder, store)
    found = fit_calibration(pairs)
    write_calibration(folder, found, encoder.card.revision)
    print(f"{folder.name}: {len(found.by_key)} of {len(pairs)} pairs have a map of their own or their abnormality's.")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    try:
        calibrate(tyro.cli(CalibrateConfig, args=arguments, description=__doc__))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
