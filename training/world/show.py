"""``python -m training.world show``: contact sheets and reports, so that a person can judge the world."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from napari_ctvlp.anatomy.organs import display_name
from napari_ctvlp.errors import UserError
from training.data.seeding import generator
from training.world.bodies.body import BodySource
from training.world.deform import REGIONS
from training.world.findings.catalogue import ABNORMALITIES
from training.world.gallery import SOFT, WINDOWS, Tile, around, finding_tile, sample_tile, write_sheet
from training.world.imaging.scanner import acquire
from training.world.report.report import make_report
from training.world.sample import PROCEDURAL, make_sample
from training.world.studio import Portrait, portrait

BODIES = 8
"""Bodies that are tried for one that can show an abnormality."""


@dataclass(frozen=True)
class ShowConfig:
    """Write a contact sheet of samples, or of one abnormality, and the reports beside it."""

    seed: int = 0
    """First seed."""
    n: int = 6
    """Samples on the sheet."""
    abnormality: str | None = None
    """Slug of one abnormality to show in three planes, or 'all' for one picture of each."""
    region: str | None = None
    """Region of the body; drawn by default."""
    spacing: float = 2.0
    """Voxel size in mm."""
    labels: Path | None = None
    """Folder of TotalSegmentator label maps to take bodies from; procedural bodies by default."""
    out: Path = Path("world.png")
    """PNG to write; the reports go into a text file of the same name."""


def known(slug: str) -> str:
    """A slug of the catalogue.

    Raises
    ------
    UserError
        When there is no such abnormality; names the nearest ones.
    """
    if slug in ABNORMALITIES:
        return slug
    near = get_close_matches(slug.replace(" ", "_"), ABNORMALITIES, n=3, cutoff=0.4)
    hint = f"Did you mean {', '.join(near)}?" if near else "'python -m training.world list' names them."
    raise UserError(f"There is no abnormality '{slug}'. {hint}")


def show_command(config: ShowConfig) -> None:
    """Write the sheet and the reports."""
    if config.region is not None and config.region not in REGIONS:
        raise UserError(f"There is no region '{config.region}': choose one of {', '.join(REGIONS)}.")
    bodies: BodySource = PROCEDURAL
    if config.labels is not None:
        from training.world.bodies.label_maps import LabelMapBodies

        bodies = LabelMapBodies(config.labels)
    seeds = range(config.seed, config.seed + config.n)
    if config.abnormality is None:
        made = [_whole(seed, config, bodies) for seed in seeds]
    elif config.abnormality == "all":
        made = [_portrait(slug, config.seed, config, bodies) for slug in ABNORMALITIES]
    else:
        slug = known(config.abnormality)
        made = [_portrait(slug, seed, config, bodies) for seed in seeds]
    write_sheet(
        [tile for tile, _ in made], config.out, columns=2 if len(made) <= 8 else 4, width=480 if len(made) <= 8 else 330
    )
    texts = config.out.with_suffix(".txt")
    texts.write_text("\n".join(text for _, text in made), encoding="utf-8")
    print(f"Written: {config.out} and {texts}")


def _whole(seed: int, config: ShowConfig, bodies: BodySource) -> tuple[Tile, str]:
    sample = make_sample(seed, spacing=config.spacing, region=config.region, bodies=bodies)
    return sample_tile(sample), f"--- seed {seed}\n{make_report(sample, generator(seed, 'report')).text}\n"


def _portrait(slug: str, seed: int, config: ShowConfig, bodies: BodySource) -> tuple[Tile, str]:
    shot = _first_portrait(slug, seed, config, bodies)
    hu = acquire(shot.scene, np.random.default_rng([seed, 1]))
    f, kind = shot.finding, ABNORMALITIES[slug]
    caption = f"{slug}: {display_name(f.organ)}, {f.size_mm:.0f} mm, {f.severity}, {shot.scene.contrast.phase}"
    tile = finding_tile(hu, f, WINDOWS.get(kind.anatomy, SOFT), around(f, config.spacing), caption)
    return tile, f"{caption}; {f.count} found\n    {kind.how}\n"


def _first_portrait(slug: str, seed: int, config: ShowConfig, bodies: BodySource) -> Portrait:
    """The body of a seed may lack the organ, as a woman a prostate: then the next one that has it."""
    for body in range(seed, seed + BODIES):
        try:
            return portrait(slug, seed=seed, body=body, spacing=config.spacing, bodies=bodies, region=config.region)
        except RuntimeError:
            continue
    where = f" in the region '{config.region}'" if config.region else ""
    raise UserError(f"None of {BODIES} bodies shows {slug}{where}: try another --region or --seed.")
