"""``python -m training.world``: look at the synthetic CT world, list it, write datasets, paint into real scans."""

from __future__ import annotations

import functools
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from napari_ctvlp.errors import UserError
from training.world.paint_command import PaintConfig, paint_command
from training.world.realism_command import RealismConfig, realism_command
from training.world.show import ShowConfig, show_command


@dataclass(frozen=True)
class ListConfig:
    """List every abnormality: its anatomy, organs, HU, how it is painted, and the source."""

    json: bool = False
    """As JSON."""


@dataclass(frozen=True)
class WriteConfig:
    """Write a dataset in the format that ``python -m training.pretrain --world.folder DIR`` reads."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Folder of the dataset."""
    n: int = 100
    """Training scans."""
    validation: int = 16
    """Validation scans, of other bodies."""
    seed: int = 0
    bodies: int = 100
    """Different anatomies of the training scans; a quarter as many of the validation scans."""
    first_body: int = 0
    """Number of the first anatomy of the training scans, of 1,000."""
    abnormal: float = 1.0
    """Factor on the usual rates of abnormalities."""
    spacing: float = 3.0
    """Voxel size in mm."""
    workers: int | None = None
    """Processes; one a core by default."""


@dataclass(frozen=True)
class BaselineConfig:
    """The best single hand-made feature for each abnormality, and its AUC."""

    scans: int = 600
    seed: int = 0
    spacing: float = 3.0
    workers: int | None = None
    out: Path | None = None
    """JSON file for the table."""


def list_all(config: ListConfig) -> None:
    """Print the catalogue."""
    from training.world.findings.catalogue import ABNORMALITIES

    rows = [
        {
            "abnormality": a.slug,
            "anatomy": a.anatomy,
            "organs": list(a.organs),
            "hu": a.hu,
            "hu_enhanced": a.enhanced or a.hu,
            "volume_factor": a.factor,
            "where": a.where,
            "painted": a.how,
            "source": a.source,
        }
        for a in sorted(ABNORMALITIES.values(), key=lambda a: a.anatomy)
    ]
    if config.json:
        print(json.dumps(rows, indent=1))
        return
    for anatomy in dict.fromkeys(a.anatomy for a in sorted(ABNORMALITIES.values(), key=lambda a: a.anatomy)):
        print(f"\n{anatomy}")
        for a in (a for a in ABNORMALITIES.values() if a.anatomy == anatomy):
            hu = f"{a.hu[0]:.0f} to {a.hu[1]:.0f} HU" if a.hu else "HU of the organ"
            more = f"; enhanced {a.enhanced[0]:.0f} to {a.enhanced[1]:.0f}" if a.enhanced else ""
            size = f"; volume x {a.factor[0]:g}-{a.factor[1]:g}" if a.factor else ""
            print(f"  {a.slug:<30} {hu}{more}{size}\n      {a.how}\n      {a.source}")
    print(f"\n{len(ABNORMALITIES)} abnormalities in {len({a.anatomy for a in ABNORMALITIES.values()})} anatomies")


def write(config: WriteConfig) -> None:
    """Write the dataset."""
    from training.data.store import WorldStore

    kept = functools.partial(WorldStore, seed=config.seed, spacing=config.spacing, abnormal=config.abnormal)
    kept(config.folder / "train", "train", config.n, bodies=config.bodies, first_body=config.first_body).prepare(
        config.workers
    )
    if config.validation:
        other = max(1, config.bodies // 4)
        kept(config.folder / "validation", "validation", config.validation, bodies=other).prepare(config.workers)
    print(
        f"{config.n} + {config.validation} scans in {config.folder}; train on them with: python -m training.pretrain "
        f"--world.folder {config.folder} --world.train-scans {config.n} --world.validation-scans {config.validation} "
        f"--world.bodies {config.bodies} --world.first-body {config.first_body} --world.seed {config.seed} "
        f"--world.abnormal {config.abnormal:g} "
        f"--model.spacing {config.spacing:g}"
    )


def baseline(config: BaselineConfig) -> None:
    """Print the table."""
    from training.world.baseline import as_markdown, best_features

    rows = best_features(config.scans, config.seed, config.spacing, config.workers)
    print(as_markdown(rows))
    if config.out is not None:
        config.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


Show = Annotated[ShowConfig, tyro.conf.subcommand("show")]
List = Annotated[ListConfig, tyro.conf.subcommand("list")]
Write = Annotated[WriteConfig, tyro.conf.subcommand("write")]
Paint = Annotated[PaintConfig, tyro.conf.subcommand("paint")]
Baseline = Annotated[BaselineConfig, tyro.conf.subcommand("baseline")]
Realism = Annotated[RealismConfig, tyro.conf.subcommand("realism")]


def main() -> None:
    """Command line."""
    config: ShowConfig | ListConfig | WriteConfig | PaintConfig | BaselineConfig | RealismConfig
    config = tyro.cli(Show | List | Write | Paint | Baseline | Realism, description=__doc__)
    try:
        if isinstance(config, ShowConfig):
            show_command(config)
        elif isinstance(config, ListConfig):
            list_all(config)
        elif isinstance(config, WriteConfig):
            write(config)
        elif isinstance(config, PaintConfig):
            paint_command(config)
        elif isinstance(config, BaselineConfig):
            baseline(config)
        else:
            realism_command(config)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
