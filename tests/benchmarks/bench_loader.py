"""Waiting for batches: in line, by threads and by processes, beside three kinds of step; medians in one process.

    python -m tests.benchmarks.bench_loader [--scans 4] [--steps 16] [--workers 2]

Batches of crops come from a prepared store (blosc2) and from a folder of synthetic scans. An accelerator's step is
played by a sleep that is as long as making a batch takes; a step that is bound by launching kernels by many tiny
operations of as long, which shows what threads take by the interpreter's lock; the step of a CPU is a real one, small.
The first batches, for which workers start, are not counted.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from tests.benchmarks.bench_store import make_files
from training.config import LoaderConfig
from training.data.batch import Batch
from training.data.job import Settings
from training.data.loader import Feed, batches
from training.data.manifest import Manifest, Study
from training.data.preparation import prepare_studies
from training.data.prepared import PreparedStore
from training.data.records import ScanSource
from training.data.store import WorldStore

WINDOWS = ((-160.0, 240.0), (-1000.0, -200.0), (100.0, 1500.0))
CPU = torch.device("cpu")
START = 5
"""Steps that are not counted."""


def prepared(folder: Path) -> PreparedStore:
    """One large scan, prepared."""
    study = Study(1, "one", "one", *make_files(folder), split="train")
    prepare_studies(Manifest((study,), ()), folder / "store", Settings(1.5, "blosc2"), workers=0)
    return PreparedStore(folder / "store")


def synthetic(folder: Path) -> WorldStore:
    """Eight synthetic scans."""
    store = WorldStore(folder, "train", 8, bodies=2)
    store.prepare(2)
    return store


def steps_of(seconds: float) -> dict[str, Callable[[Batch], object]]:
    """The kinds of step."""
    tiny = torch.zeros(8)
    began = time.perf_counter()
    for _ in range(20_000):
        tiny.add_(1)
    count = int(20_000 * seconds / (time.perf_counter() - began))
    small = torch.nn.Sequential(
        torch.nn.Conv3d(3, 12, 3, stride=2, padding=1), torch.nn.ReLU(), torch.nn.Conv3d(12, 24, 3, stride=2)
    )

    def launches(_: Batch) -> None:
        for _ in range(count):
            tiny.add_(1)

    return {
        "accelerator (sleep)": lambda _: time.sleep(seconds),
        "many launches": launches,
        "cpu": lambda batch: small(batch.image).square().mean().backward(),
    }


def run(feed: Feed, config: LoaderConfig, step: Callable[[Batch], object], count: int) -> tuple[float, float]:
    """Median seconds of a step with its waiting, and the share of waiting."""
    waits, whole = [], []
    with batches(feed, range(count + START), config, CPU) as made:
        for _ in range(count + START):
            began = time.perf_counter()
            batch = next(made)
            waits.append(time.perf_counter() - began)
            step(batch)
            whole.append(time.perf_counter() - began)
    return statistics.median(whole[START:]), sum(waits[START:]) / sum(whole[START:])


def in_line(feed: Feed) -> float:
    """Median seconds to make a batch."""
    times = []
    for step in range(START):
        began = time.perf_counter()
        feed[step]
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def bench(name: str, store: ScanSource, scans: int, count: int, workers: int) -> None:
    """Print the table of a store."""
    feed = Feed(store, 0, scans, WINDOWS)
    seconds, late = in_line(feed), in_line(replace(feed, late=True))
    print(
        f"\n{name}: {1e3 * seconds:.0f} ms to make a batch of {scans} in line, {1e3 * late:.0f} ms "
        f"({late / seconds:.2f} x) where a GPU is to jitter and window it",
        flush=True,
    )
    print("| step | batches made | s a step (median) | waiting | against in line |\n|---|---|---|---|---|")
    ways = {
        "in line": LoaderConfig(0),
        "1 thread": LoaderConfig(1, threads=True),
        f"{workers} threads": LoaderConfig(workers, threads=True),
        f"{workers} processes": LoaderConfig(workers),
    }
    for kind, step in steps_of(seconds).items():
        base = None
        for way, config in ways.items():
            took, waiting = run(feed, config, step, count)
            base = base or took
            print(f"| {kind} | {way} | {took:.3f} | {waiting:.0%} | {took / base:.2f} x |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", type=int, default=4)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "prepared").mkdir()
        stores = {
            "prepared store": prepared(Path(name) / "prepared"),
            "synthetic scans on disk": synthetic(Path(name) / "world"),
        }
        for label, store in stores.items():
            bench(label, store, given.scans, given.steps, given.workers)


if __name__ == "__main__":
    main()
