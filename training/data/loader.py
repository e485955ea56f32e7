"""Batches made ahead of the steps that train on them, so that no step waits.

A batch is a pure function of (seed, step, rank) and its makers draw from nothing else, so that neither the number of
workers nor how far ahead they are changes a bit, and no worker needs a seed of its own.

Processes are the way to feed a fast device: threads take the interpreter's lock from the step while they read records
and count voxels. Threads begin at once, copy nothing and can share a stream of scans that a GPU makes.
"""

from __future__ import annotations

import atexit
import itertools
import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from napari_ctvlp.errors import UserError
from training.config import LoaderConfig

from .batch import Batch, part_of, training_batch
from .growth import Growth
from .lesions import Looked
from .records import ScanSource
from .seeding import is_whole_step, scans_of_step
from .stream import WorldStream

Made = Generator[Batch, None, None]

MOST = 8
"""Workers of a process unless told otherwise."""


@dataclass(frozen=True)
class Feed(Dataset[Batch]):
    """The batches of a run by step: those of one process.

    Attributes
    ----------
    store : ScanSource
        The scans.
    seed, batch, windows, views, rank, processes
        As of ``training_batch``.
    reports : bool
        Whether the method reads whole reports; they come with the batch, from where its scans are.
    alternate : int
        Every so many-th step is of whole volumes: the largest crops, and alone with reports.
    looked : Looked, optional
        What to look for in lesions that are known voxel by voxel.
    largest : bool
        Crops of the largest size in every step, to see what memory they take.
    growth : Growth, optional
        How many scans there are at each step, where they are made meanwhile.
    late : bool
        Leave jitter and windows to the device.
    """

    store: ScanSource
    seed: int
    batch: int
    windows: tuple[tuple[float, float], ...]
    views: int = 1
    reports: bool = False
    rank: int = 0
    processes: int = 1
    alternate: int = 0
    looked: Looked | None = None
    largest: bool = False
    growth: Growth | None = None
    late: bool = False

    def __getitem__(self, step: int) -> Batch:
        whole = is_whole_step(step, self.alternate)
        made = training_batch(
            self.store,
            self.seed,
            step,
            self.batch,
            self.windows,
            views=self.views,
            rank=self.rank,
            processes=self.processes,
            largest=whole or self.largest,
            looked=None if whole else self.looked,
            growth=self.growth,
            late=self.late,
        )
        reports = self.reports and (whole or not self.alternate)
        return replace(made, reports=tuple(map(self.store.report, made.scans))) if reports else made

    def after(self, step: int, steps: range) -> Batch:
        """The batch of a step; where scans are made when asked for, those of the next step are begun meanwhile."""
        if isinstance(self.store, WorldStream) and step + 1 in steps:
            picks = scans_of_step(self.seed, step + 1, self.store.count, self.batch, twins=self.store.twins)
            self.store.expect(picks[place] for place in part_of(self.batch, self.rank, self.processes))
        return self[step]


@dataclass(frozen=True)
class _Refused:
    """What a person is told, on its way out of a worker process."""

    sentence: str


@dataclass(frozen=True)
class _Told(Dataset[Any]):
    """A feed whose sentences to a person come back as they are, and not inside a worker's traceback."""

    feed: Feed

    def __getitem__(self, step: int) -> Batch | _Refused:
        try:
            return self.feed[step]
        except UserError as error:
            return _Refused(str(error))


def _as_it_is(batch: Any) -> Any:
    return batch


def _begin(_: int) -> None:
    # at the interpreter's own end a thread that still sends a batch is cut off within C++ code, which aborts
    atexit.register(os._exit, 0)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers_of(config: LoaderConfig, device: torch.device) -> int:
    """How many workers feed this process."""
    if config.workers is not None:
        if config.workers < 0 or config.ahead < 1:
            raise UserError("--loader.workers is at least 0 and --loader.ahead at least 1.")
        return config.workers
    if device.type != "cuda":
        return 0
    return max(1, min(MOST, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1))


@contextmanager
def batches(feed: Feed, steps: range, config: LoaderConfig, device: torch.device) -> Iterator[Iterator[Batch]]:
    """The batches of some steps in order, made ahead by workers that end with the block however it ends.

    Parameters
    ----------
    feed : Feed
        What makes a batch.
    steps : range
        Which.
    config : LoaderConfig
        By whom, and how far ahead.
    device : torch.device
        Where they go; for a GPU they lie in pinned memory, from which copies overlap with computing.

    Raises
    ------
    UserError
        What made a batch impossible, or that a worker process was killed.
    """
    workers, pin = workers_of(config, device), device.type == "cuda"
    made_on_gpu = isinstance(feed.store, WorldStream) and torch.device(feed.store.device).type != "cpu"
    if workers == 0:
        found = _in_line(feed, steps, pin)
    elif made_on_gpu or config.threads:
        # a stream hands out what it made to one reader
        readers = 1 if isinstance(feed.store, WorldStream) else workers
        found = _by_threads(feed, steps, readers, config.ahead, pin)
    else:
        found = _by_processes(feed, steps, workers, config.ahead, pin)
    try:
        yield found
    except RuntimeError as error:
        # raised wherever the step happens to be when the worker ends
        if not str(error).startswith("DataLoader worker"):
            raise
        raise UserError(
            f"A process that makes batches was ended from outside ({error}), often for lack of memory, or of shared "
            "memory in a container: lower --loader.workers or --loader.ahead, or add --loader.threads, and --resume."
        ) from error
    finally:
        found.close()


def _in_line(feed: Feed, steps: range, pin: bool) -> Made:
    for step in steps:
        batch = feed.after(step, steps)
        yield batch.pin_memory() if pin else batch


def _by_threads(feed: Feed, steps: range, workers: int, ahead: int, pin: bool) -> Made:
    def made(step: int) -> Batch:
        batch = feed.after(step, steps)
        return batch.pin_memory() if pin else batch

    pool, waiting, coming = ThreadPoolExecutor(workers, "batches"), deque[Future[Batch]](), iter(steps)
    try:
        for step in itertools.islice(coming, workers * ahead):
            waiting.append(pool.submit(made, step))
        while waiting:
            batch = waiting.popleft().result()
            waiting.extend(pool.submit(made, step) for step in itertools.islice(coming, 1))
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)


def _by_processes(feed: Feed, steps: range, workers: int, ahead: int, pin: bool) -> Made:
    loader = DataLoader(
        _Told(feed),
        batch_size=None,
        sampler=list(steps),
        collate_fn=_as_it_is,
        num_workers=workers,
        prefetch_factor=ahead,
        pin_memory=pin,
        worker_init_fn=_begin,
        multiprocessing_context="spawn",  # a fork of a process with threads, or with a GPU, may hang
        generator=torch.Generator(),  # its seed for workers, which draw nothing, is not taken from the run's generator
    )
    iterator: Any = iter(loader)
    try:
        for batch in iterator:
            if isinstance(batch, _Refused):
                raise UserError(batch.sentence)
            yield batch
    finally:
        # at once, and not when the last traceback that holds the iterator is gone; a worker that dies now is no news
        with suppress(RuntimeError):
            iterator._shutdown_workers()
