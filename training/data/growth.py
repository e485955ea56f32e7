"""Synthetic scans that are made while a run trains on those that are there already.

A fast GPU would wait for minutes while a CPU makes the scans of a run. How many there are at a step is a function of
the step alone, so that a run is the same however fast they are made: one that is ahead of them waits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

from .seeding import generator
from .store import WorldStore, make_scans


@dataclass(frozen=True)
class Growth:
    """How many scans of a store there are at each step.

    Attributes
    ----------
    order : tuple of int
        All scans, in the order in which they are made.
    first : int
        At the first step.
    each : float
        More at every step.
    """

    order: tuple[int, ...]
    first: int
    each: float

    def at(self, step: int) -> int:
        """Scans that a step, counted from 0, draws from."""
        return min(len(self.order), self.first + int(self.each * step))

    def scans_of_step(self, seed: int, step: int, batch: int) -> list[int]:
        """Which scans a step trains on, each as likely as any other that is there: a pure function of (seed, step)."""
        there = self.at(step)
        picks = generator(seed, "growing", step).choice(there, batch, replace=batch > there)
        return [self.order[place] for place in picks.tolist()]


def _yield_to_training() -> None:
    if hasattr(os, "nice"):
        os.nice(5)


@contextmanager
def growing(store: WorldStore, workers: int) -> Iterator[None]:
    """Make what is missing of a store in the background; what is not made at the end of the block is left.

    Who waits for a scan is told when its making fails, see ``WorldStore.load``.
    """
    chunks = store.missing()
    store.failed.unlink(missing_ok=True)

    def watched(future: Future[int]) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            store.failed.write_text(f"{type(error).__name__}: {error}", encoding="utf-8")

    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_yield_to_training) as pool:
        for chunk in chunks:
            pool.submit(make_scans, store, chunk).add_done_callback(watched)
        try:
            yield
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
