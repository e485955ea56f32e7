"""Processes that tests start beside each other: joined by gloo, and parted with nothing of it left."""

from __future__ import annotations

import faulthandler
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist

from training.engine.processes import join, leave


def gloo_threads() -> list[str]:
    """Names of this process's threads that gloo started; empty where the system does not tell."""
    found = []
    for task in Path("/proc/self/task").glob("*"):
        try:
            found.append((task / "comm").read_text().strip())
        except OSError:  # it has just ended
            continue
    return [name for name in found if "gloo" in name]


@contextmanager
def joined(rank: int, store: Path, processes: int = 2) -> Iterator[None]:
    """One of several processes that meet at the file ``store``; a crash of the interpreter says where it was.

    Raises
    ------
    AssertionError
        When a thread of gloo is left: it may touch Python while the interpreter ends, which aborts the process.
        DistributedDataParallel leaves three.
    """
    faulthandler.enable()
    torch.set_num_threads(1)
    join("gloo", store=dist.FileStore(str(store), processes), rank=rank, world_size=processes)
    try:
        yield
    except BaseException:
        dist.destroy_process_group()
        raise
    leave()
    deadline = time.monotonic() + 30
    while gloo_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not gloo_threads()
