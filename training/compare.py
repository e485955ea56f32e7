"""``python -m training.compare``: train every method on the same scans with the same budget, and print one table.

All rows see the same scans in the same order, the same crops, the same number of steps and the same seeds; the test
scans share neither seed nor anatomy with those that were trained on, and nothing is chosen on them. Runs that are done
are kept, one that was stopped goes on: start the same command again. The table holds every row whose answers are there,
those of earlier calls too: ``--rows`` adds to it. Writes ``compare.json`` and ``compare.md``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from napari_ctvlp.encoder.vit import VitConfig
from napari_ctvlp.errors import UserError
from training.checks import check_settings
from training.comparison.beforehand import Data, check_judged, data_of, is_of
from training.comparison.rows import ABLATIONS, ROWS, Row, chosen
from training.comparison.runs import is_answered, load_answers, places_of, train_and_ask
from training.comparison.table import Figure, as_markdown, entry, figure
from training.config import ModelConfig, OptimConfig, PretrainConfig, RefineConfig, TextConfig, WorldConfig
from training.data.prepared import PreparedStore, write_bytes, write_json
from training.data.records import AT_LEAST, patients_of
from training.data.store import WorldStore
from training.data.stream import WorldStream
from training.data.text_models import load_text_tower
from training.data.texts import Classes
from training.engine.sources import Stored, at_spacing_of_data, sources, text_bank, wordings_of
from training.pretrain import classes_and_records

REFERENCES = ("clip", "supervised", "ours")
"""Rows that all others are compared with."""
SAID = (
    "AUC within organs, mean over {abnormalities} abnormalities; intervals over {scans} test scans{of} and "
    "{seeds} seeds; {train} training scans, {steps} steps of {batch} scans at {spacing:g} mm, {last} steps of the last "
    "stage. CLIP and T3D are asked of the whole volume; the rows below them ask the same weights of single organs."
)


@dataclass(frozen=True)
class CompareConfig:
    """Train all methods with the same data, budget and seeds and print one table."""

    out: Path = Path("runs/compare")
    """Folder of the scans, the runs and the table."""
    data: str = "world"
    """"world" for synthetic scans, or a folder that ``python -m training.prepare`` wrote, with a test split."""
    rows: tuple[str, ...] = ()
    """Rows to train, all but ablations by default: see ``training/comparison/rows.py``."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """A run of every row each."""
    world: WorldConfig = field(
        default_factory=lambda: WorldConfig(train_scans=1600, validation_scans=160, bodies=120, abnormal=2.0)
    )
    test_scans: int = 300
    """Synthetic test scans, of a quarter as many bodies as training has."""
    model: ModelConfig = field(
        default_factory=lambda: ModelConfig(
            widths=(12, 32, 64),
            blocks=(1, 1, 1),
            heads=4,
            hidden=256,
            dim=128,
            spacing=6.0,
            vit=VitConfig(patch=8, width=128, depth=6, heads=4),
        )
    )
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(steps=100, horizon=None, batch=16, warmup=30, ema=0.98)
    )
    refine: RefineConfig = field(default_factory=lambda: RefineConfig(steps=400, within=2.0))
    text: TextConfig = field(default_factory=TextConfig)
    at_least: int = AT_LEAST
    """An abnormality of an organ that fewer training scans show is no class."""
    jobs: int = 2
    """Runs at a time."""
    threads: int = 1
    """CPU threads of each; runs of other threads are the same runs."""
    device: str | None = None
    rounds: int = 1000
    """Draws of the bootstrap."""


def base_of(config: CompareConfig) -> PretrainConfig:
    """What all runs have in common."""
    world = replace(config.world, folder=config.world.folder or config.out / "scans")
    made = PretrainConfig(
        data=config.data,
        world=world,
        model=config.model,
        optim=config.optim,
        refine=config.refine,
        text=config.text,
        at_least=config.at_least,
        validate_every=config.optim.steps,
        checkpoint_every=max(1, config.optim.steps // 4),
        device=config.device,
        threads=config.threads,
        name="compare",
    )
    return at_spacing_of_data(made)


def test_scans(config: CompareConfig, base: PretrainConfig) -> Stored:
    """The scans that every run is asked about."""
    if config.data != "world":
        return PreparedStore(Path(config.data), "test")
    world = base.world
    assert world.folder is not None
    bodies = max(1, world.bodies // 4)
    return WorldStore(
        world.folder / "test", "test", config.test_scans, world.seed, bodies, base.model.spacing, world.abnormal
    )


def embed_texts(base: PretrainConfig, store: Stored, classes: Classes, cache: Path) -> None:
    """Embed every text once, for all runs."""
    records = [r for i in range(store.count) for r in store.records(i).values()]
    reports = [store.report(i) for i in range(store.count)]
    tower = load_text_tower(base.text)
    text_bank(tower, classes, wordings_of(classes), records, reports, cache, hard=True)


def run_config(config: CompareConfig, base: PretrainConfig, name: str, seed: int) -> PretrainConfig:
    """The configuration of one run, without its row."""
    return replace(base, run=config.out / "runs" / f"{name}-{seed}", seed=seed)


def _job(row: Row, config: PretrainConfig, held_out: Stored, data: Data) -> None:
    try:
        train_and_ask(row, config, held_out, data)
    except UserError as error:
        raise RuntimeError(str(error)) from None


def train_all(config: CompareConfig, base: PretrainConfig, held_out: Stored, data: Data) -> None:
    """All runs that are not done, a few at a time, seed by seed, so that a stopped comparison has whole seeds."""
    os.environ["TQDM_DISABLE"] = "1"  # in the processes to come, whose bars would write over each other
    wanted = [(name, row, seed) for seed in config.seeds for name, row in chosen(config.rows).items()]
    with ProcessPoolExecutor(config.jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        jobs = {
            pool.submit(_job, row, run_config(config, base, name, seed), held_out, data): f"{name}, seed {seed}"
            for name, row, seed in wanted
        }
        for count, job in enumerate(as_completed(jobs), 1):
            if job.exception() is not None:
                pool.shutdown(cancel_futures=True)
                raise UserError(f"The run of {jobs[job]} ended: {job.exception()}")
            print(f"{count} of {len(jobs)}: {jobs[job]}", flush=True)


def table(config: CompareConfig, base: PretrainConfig, patients: NDArray[np.int64], data: Data) -> dict[str, Any]:
    """The rows of which at least one seed is done, those of earlier calls too."""
    runs, titles = {}, {}
    for name, row in (ROWS | ABLATIONS).items():
        made = [row.of(run_config(config, base, name, seed)) for seed in config.seeds]
        folders = [run.run for run in made if is_of(run.run, run, data)]
        for place in places_of(Path(), row):
            found = [places_of(folder, row)[place] for folder in folders]
            kept = [load_answers(path) for path in found if is_answered(path, data)]
            if kept:
                key = name if place == "row" else f"{name}, asked of organs"
                runs[key], titles[key] = kept, row.title if place == "row" else f"{row.title}, asked of organs"
    figures = {name: figure(kept, patients, config.rounds) for name, kept in runs.items()}
    against: dict[str, Figure] = {name: figures[name] for name in REFERENCES if name in figures}
    lines = {name: entry(titles[name], figures[name], runs[name], against) for name in figures}
    drawn = len(np.unique(patients))
    said = SAID.format(
        abnormalities=max((row["abnormalities"] for row in lines.values()), default=0),
        scans=len(patients),
        of="" if drawn == len(patients) else f" of {drawn} patients",
        seeds=len(config.seeds),
        train=base.world.train_scans if config.data == "world" else "the prepared",
        steps=base.optim.steps,
        last=base.refine.steps,
        batch=base.optim.batch,
        spacing=base.model.spacing,
    )
    settings = json.loads(json.dumps(asdict(config), default=str))
    return {"rows": lines, "references": list(against), "said": said, "settings": settings, "torch": torch.__version__}


def compare(config: CompareConfig) -> dict[str, Any]:
    """Make the scans, train all rows, write and return the table."""
    chosen(config.rows)
    base = base_of(config)
    check_settings(base)
    store, _ = sources(base, "cpu")
    held_out = test_scans(config, base)
    store.prepare()
    held_out.prepare()
    if not held_out.count:
        raise UserError(f"'{config.data}' has no test scans to compare on.")
    classes, _ = classes_and_records(base, store)
    patients, data = patients_of(held_out), data_of(store, held_out)
    check_judged(held_out, classes, patients)
    if not isinstance(store, WorldStream) and base.text.train == "frozen":
        base.text_cache.parent.mkdir(parents=True, exist_ok=True)
        embed_texts(base, store, classes, base.text_cache)
    train_all(config, base, held_out, data)
    result = table(config, base, patients, data)
    write_json(config.out / "compare.json", result)
    write_bytes(config.out / "compare.md", (as_markdown(result) + "\n").encode())
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    try:
        print(as_markdown(compare(tyro.cli(CompareConfig, args=arguments, description=__doc__))))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
