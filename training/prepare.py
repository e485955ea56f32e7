"""``python -m training.prepare MANIFEST``: scans, organ masks and reports into a store that training reads.

Every scan goes through the plugin's own reader and audit, onto the training grid, cropped to the body, compressed in
blocks; every report becomes a state and sentences per organ. Run it again after a kill or with more studies: what is up
to date is left alone. A study that cannot be prepared is left out and told in ``problems.csv``. Patients, never
studies, are drawn into splits; use pseudonyms as study and patient ids.

Begin with ``python -m training.prepare studies.csv --init DIR``, which drafts the manifest from a folder tree.

Columns of a manifest: ``study``, ``image`` (NIfTI file or DICOM folder) and ``masks`` (multi-label file, or folder with
a file an organ), which every row has; ``report``, or ``findings`` and ``impression``; ``patient`` (by default the
study); ``series`` (number, of a DICOM folder that holds several); ``split`` (train, validation or test; drawn where
empty); ``label:NAME`` for labels of one's own (1 present, 0 absent, empty not known), which ``training.pretrain
--labels own`` learns from. Paths start at the manifest.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from napari_ctvlp.errors import UserError
from training.config import ModelConfig
from training.data.draft import draft_manifest
from training.data.explain import explain_report, explain_study
from training.data.job import Settings
from training.data.manifest import read_manifest
from training.data.preparation import Summary, find_study, prepare_studies
from training.data.prepared import stored_format


@dataclass(frozen=True)
class PrepareConfig:
    """What to prepare, and how."""

    manifest: Annotated[Path, tyro.conf.Positional] = Path("studies.csv")
    """A .csv, .jsonl or .parquet file with one row a study."""
    to: Path | None = None
    """The store; "prepared" beside the manifest by default."""
    init: Path | None = None
    """Draft the manifest from this folder tree (CT-RATE's and Merlin's layouts are known) and stop."""
    show: str | None = None
    """Print what the report of this study says of which organ, and why, and stop."""
    spacing: float = ModelConfig().spacing
    """Voxel size in mm."""
    margin: float = 10.0
    """mm kept around the body, 0 or more."""
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Of patients in train, validation and test, where the manifest names no split."""
    split_seed: int = 0
    keep_doubtful: bool = False
    """Keep scans whose orientation had to be guessed or whose values do not look like HU."""
    llm: Path | None = None
    """Folder of an instruction model (transformers, local files only) that reads what the rules leave unknown; only
    what it quotes verbatim is taken."""
    check: bool = False
    """Read every volume that is there already, and make damaged ones anew."""
    workers: int = max(1, (os.cpu_count() or 2) - 1)
    """Processes; 0 works in this one."""


def prepare(config: PrepareConfig) -> Summary | None:
    """Draft, show, or prepare."""
    if config.init is not None:
        rows = draft_manifest(config.init, config.manifest)
        print(f"{config.manifest}: {rows}; look it over, then run python -m training.prepare {config.manifest}")
        return None
    folder = config.to or config.manifest.parent / "prepared"
    if config.show is not None:
        print(_shown(config, folder, config.show))
        return None
    if not 0.25 <= config.spacing <= 20:
        raise UserError(f"A spacing of {config.spacing:g} mm is no training grid; give 0.25 to 20.")
    if not 0 <= config.margin <= 1000:
        raise UserError(f"A margin of {config.margin:g} mm would cut the body; give --margin 0 to 1000.")
    if config.workers < 0:
        raise UserError(f"There are no {config.workers} processes; give --workers 0 or more.")
    if min(config.shares) < 0 or sum(config.shares) <= 0:
        raise UserError("The shares of train, validation and test must not be negative, nor all 0.")
    settings = Settings(config.spacing, stored_format(), config.margin, config.keep_doubtful)
    language_model = None
    if config.llm is not None:
        from training.reports.llm import LocalReader

        model = LocalReader.from_folder(config.llm)
        language_model = (model.identity, model.statements)
    summary = prepare_studies(
        read_manifest(config.manifest),
        folder,
        settings,
        shares=config.shares,
        seed=config.split_seed,
        workers=config.workers,
        language_model=language_model,
        check=config.check,
    )
    _tell(summary, folder)
    return summary


def _shown(config: PrepareConfig, folder: Path, study: str) -> str:
    """From the store where it is prepared, else from the manifest: a report can be looked at before all else."""
    try:
        return explain_study(find_study(folder, study))
    except UserError:
        if not config.manifest.is_file():
            raise
    row = next((s for s in read_manifest(config.manifest).studies if s.study == study), None)
    if row is None:
        raise UserError(f"Neither '{folder.name}' nor {config.manifest.name} holds a study '{study}'.")
    return explain_report(study, row.report)


def _tell(summary: Summary, folder: Path, most: int = 20) -> None:
    out = [p for p in summary.problems if p.left_out]
    warned = [p for p in summary.problems if p.severity == "warning"]
    splits = ", ".join(f"{n} {name}" for name, n in sorted(summary.splits.items()))
    print(
        f"{folder}: {summary.ready} studies ({splits or 'none'}); {summary.made} prepared now, {summary.reread} read "
        f"anew, {len(out)} left out, {len({p.study for p in warned})} with warnings"
    )
    for what, told in (("left out", out), ("warning", warned)):
        for p in told[:most]:
            print(f"  {what}: {p.study or '?'} (line {p.line}): {p.reason}")
    if len(summary.problems) > min(len(out), most) + min(len(warned), most):
        print(f"  {len(summary.problems)} lines of problems and notes in {folder / 'problems.csv'}")


def main() -> None:
    """Command line."""
    try:
        prepare(tyro.cli(PrepareConfig, description=__doc__))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
