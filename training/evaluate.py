"""``python -m training.evaluate ENCODER_OR_RUN``: what an encoder does on test scans that nothing was chosen on.

By default on synthetic scans that share neither seed nor anatomy with training or validation; ``--data PREPARED`` takes
the test split of a prepared store, with what the rules read in its reports as truth, ``--protocol`` the manifest's own
labels (``own``), or those of CT-RATE or Rad-ChestCT, for whole scans (the largest
score over the organs that a label looks at), ``--patients`` real scans with what is known of them. Scores and
probabilities come from the code that the plugin runs; thresholds and fits see validation scans alone; intervals are 95
percent over patients. Prints a Markdown table and with ``--out`` writes it, a JSON with everything, and a reliability
plot, and with synthetic scans pictures of what was missed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from napari_ctvlp.encoder.contract import ScanEncoder
from napari_ctvlp.errors import UserError
from training.data.prepared import PreparedStore
from training.data.store import WorldStore
from training.evaluation.failures import draw_misses
from training.evaluation.located import locate_all, located_figures
from training.evaluation.patients import about_patients, patients_in
from training.evaluation.run import WORLD, Evaluation, Settings, Store, embed, load
from training.evaluation.run import evaluate as evaluated
from training.evaluation.table import as_markdown
from training.evaluation.twins import told_apart, twin_figures


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluate an encoder on test scans."""

    encoder: Annotated[Path, tyro.conf.Positional] = Path("starter")
    """Folder of an encoder or of a run, or the name of an installed encoder."""
    data: str = "world"
    """"world": synthetic scans; else the folder of a prepared store."""
    protocol: str = WORLD
    """"world": every organ and abnormality that was trained, of prepared scans as the rules read their reports; own:
    the manifest's label:NAME columns whose names the dictionary knows; ct-rate-18, ct-rate-16, rad-chestct."""
    out: Path | None = None
    """Folder for evaluation.json, evaluation.md and reliability.png."""
    calibration: str | None = None
    """encoder, platt, temperature or isotonic, the last three fitted on validation; by default the encoder's own."""
    scans: int = 200
    """Number of synthetic test scans."""
    bodies: int = 20
    """Anatomies among them."""
    validation_scans: int = 100
    """Number of synthetic validation scans; 0: no thresholds."""
    cache: Path = Path("runs/test-scans")
    """Where the synthetic scans are kept."""
    spacing: float | None = None
    """Voxel size of synthetic scans in mm; the encoder's own by default."""
    abnormal: float = 1.0
    """Factor on the usual rates of abnormalities."""
    seed: int = 0
    """Of the synthetic test scans and of the bootstrap."""
    rounds: int = 500
    """Draws of the bootstrap."""
    check_scans: int = 20
    """Scans in which the sides of all organs are asked for; 0: no checks."""
    locate_scans: int = 100
    """Synthetic scans whose focal lesions are looked for in similarity maps; 0: none."""
    twins: int = 100
    """Synthetic scans that are made a second time without some of their abnormalities; 0: none."""
    patients: Path | None = None
    """Folder with the real scans that training/evaluation/patients.yaml names: organs by sight, known findings, the
    questions of queries.yaml, and abnormalities painted into them."""
    placements: int = 20
    """Of each abnormality painted into each patient; 0: none."""


def stores(config: EvaluateConfig, spacing: float) -> tuple[Store, Store | None]:
    """The test and the validation scans."""
    if config.data != "world":
        test = PreparedStore(Path(config.data), "test")
        test.prepare()
        return test, PreparedStore(Path(config.data), "validation")
    made = WorldStore(config.cache, "test", config.scans, config.seed, config.bodies, spacing, config.abnormal)
    made.prepare()
    if not config.validation_scans:
        return made, None
    before = WorldStore(
        config.cache / "validation",
        "validation",
        config.validation_scans,
        config.seed,
        config.bodies,
        spacing,
        config.abnormal,
    )
    before.prepare()
    return made, before


def twins_told(config: EvaluateConfig, encoder: ScanEncoder, spacing: float) -> dict[str, Any]:
    """How twins of test scans are told apart; more abnormal than usual, so that there is much to tell."""
    store = WorldStore(
        config.cache / "twins",
        "test",
        2 * config.twins,
        config.seed,
        config.bodies,
        spacing,
        2 * config.abnormal,
        0.1,
        twins=True,
    )
    store.prepare()
    return twin_figures(list(told_apart(encoder, embed(encoder, store))), config.rounds)


def evaluate(config: EvaluateConfig) -> tuple[Evaluation, Store]:
    """All figures of one encoder, and the test scans."""
    settings = Settings(config.protocol, config.calibration, config.rounds, config.seed, config.check_scans)
    settings.check(prepared=config.data != "world")
    encoder = load(config.encoder)
    patients = patients_in(config.patients) if config.patients is not None else []
    test, validation = stores(config, config.spacing or encoder.card.spacing_mm)
    found = evaluated(encoder, test, validation, settings)
    if config.locate_scans and isinstance(test, WorldStore):
        found.result["located"] = located_figures(locate_all(encoder, test, config.locate_scans), config.rounds)
    if config.twins and isinstance(test, WorldStore):
        found.result["twins"] = twins_told(config, encoder, test.spacing)
    if patients:
        found.result |= about_patients(encoder, patients, config.cache / "painted", config.placements, config.rounds)
    return found, test


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    try:
        config = tyro.cli(EvaluateConfig, args=arguments, description=__doc__)
        found, test = evaluate(config)
        if config.out is not None:
            found.write(config.out)
            if isinstance(test, WorldStore):
                draw_misses(config.out / "missed.png", test, found.missed)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    print(as_markdown(found.result))


if __name__ == "__main__":
    main()
