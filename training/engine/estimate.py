"""What a run takes beside its steps: scans to be made, validation, the last stage, disk; each from something timed."""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch

from training.config import PretrainConfig
from training.data.batch import crop_size
from training.data.records import ScanSource
from training.data.seeding import generator
from training.data.stream import WorldStream
from training.objectives.gather import processes

from .features import ScanFeatures, scan_features
from .loop import Run
from .refine import averaged, refine
from .validate import embed_store

QUICK_SCANS = 40
"""Validation scans looked at while training; all of them at the end."""
FEW = 2
"""Scans, and steps of the last stage, that are timed."""
WEIGHT_BYTES = 4


@dataclass(frozen=True)
class Rest:
    """Seconds and bytes of a run beside its steps; None where it cannot be told beforehand."""

    making: float
    validation: float | None
    last: float | None
    disk: int


def spoken(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def spoken_bytes(size: float) -> str:
    """A size as people say it."""
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def mean_voxels(config: PretrainConfig, spacing: float, most: int = 1000) -> float:
    """Voxels of a crop, mean over the steps of a run: what each step draws is known beforehand."""
    steps = range(max(1, min(config.optim.steps, most)))
    return float(np.mean([np.prod(crop_size(generator(config.seed, "batch", n), spacing)) for n in steps]))


def at_mean(mean: float, small: tuple[int, float], large: tuple[int, float]) -> float:
    """Seconds at a mean number of voxels, from (voxels, seconds) of two crops: along the line through them."""
    (few, short), (many, long) = small, large
    if many < 1.2 * few:  # too much alike for a slope
        return long * mean / many
    return max(0.0, short + (max(long, short) - short) * (mean - few) / (many - few))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """As in the processes that make scans."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def timed(work: Callable[[], object]) -> float:
    """Seconds that something takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def rest_of(run: Run, held_out: ScanSource | None) -> Rest:
    """Time what can be timed; nothing is written."""
    held = held_out.count if held_out is not None else 0
    making, scans = _scans(run, held)
    weights = sum(p.numel() for p in run.learner.parameters()) * WEIGHT_BYTES
    disk = (
        scans + 2 * 4 * weights + weights
    )  # two checkpoints of weights, averages and the optimiser's two; the encoder
    if processes() > 1:
        return Rest(making, None, None, disk)
    with contextlib.redirect_stderr(io.StringIO()):  # bars
        run.store.load(0)
        look = timed(lambda: embed_store(run.average, run.store, 1, str(run.learner.device)))
        looks = max(0, (run.config.optim.steps - 1) // run.config.validate_every)
        last, kept = _last_stage(run)
    return Rest(making, look * (looks * min(QUICK_SCANS, held) + held), last, disk + kept)


def _scans(run: Run, held: int) -> tuple[float, int]:
    """Seconds to make the scans that are not there yet, in as many processes as there are cores, and their bytes."""
    config, store = run.config, run.store
    if not isinstance(store, WorldStream):
        return 0.0, 0
    folder = config.world.folder or config.run / "scans"
    wanted = {"validation": (held, max(1, store.bodies // 4))}
    if not config.world.stream:
        wanted["train"] = (store.count, store.bodies)
    missing = {split: max(0, count - _there(folder / split)) for split, (count, _) in wanted.items()}
    if not any(missing.values()):
        return 0.0, 0
    with one_thread():
        index = store.count - 1
        first = timed(lambda: store.make(index))  # with its body, and once more without
        again = timed(lambda: store.make(index))
    seconds = sum(n * again + min(n, wanted[s][1]) * max(0.0, first - again) for s, n in missing.items())
    scan = store.load(index)
    return seconds / (os.cpu_count() or 1), sum(missing.values()) * (scan.hu.nbytes + scan.labels.nbytes)


def _there(folder: Path) -> int:
    return sum(path.name != "recipe.json" for path in folder.glob("*.json"))


def _last_stage(run: Run) -> tuple[float, int]:
    """Seconds of the last stage, and the bytes that it keeps meanwhile."""
    settings, store = run.config.refine, run.store
    if not settings.steps or not run.heads.asks_in_words or store.count < FEW:
        return 0.0, 0
    count = min(settings.limit or store.count, store.count)
    for number in range(FEW):
        store.load(number)
    networks, needs = averaged(run).parts, run.learner.needs
    features: list[list[ScanFeatures]] = []
    pool = timed(lambda: features.extend(scan_features(n, store, needs=needs, numbers=range(FEW)) for n in networks))
    size = sum(t.nbytes for own in features for scan in own for t in _tensors(scan))
    many = [(own * settings.scans)[: max(FEW, min(settings.scans, count))] for own in features]

    def steps(number: int) -> None:
        few = replace(run.config, refine=replace(settings, steps=number))
        refine(replace(run, config=few, store=cast(ScanSource, _Again(store))), run.vocabulary, many)

    steps(1 + FEW)  # embeds its texts
    once = timed(lambda: steps(1))  # and copies networks, as often as the stage does
    step = max(0.0, timed(lambda: steps(1 + FEW)) - once) / FEW
    return pool / FEW * count + once + step * settings.steps, size // FEW * count


class _Again:
    """The first scans of a store again and again: as many as a step takes, without making them."""

    def __init__(self, store: ScanSource) -> None:
        self.count, self.twins = store.count, store.twins
        self.report = lambda index: store.report(index % FEW)


def _tensors(scan: ScanFeatures) -> list[torch.Tensor]:
    pooled = scan.pooled
    return [t for t in (pooled.organs, pooled.whole, *pooled.tokens) if t is not None]
