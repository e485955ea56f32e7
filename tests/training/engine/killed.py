"""Runs on the phantoms that end themselves by SIGKILL at a chosen moment, each in a process of its own."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from tests.training.gloo import joined
from training.config import LoaderConfig, PretrainConfig
from training.data.records import LabelledScan
from training.engine import checkpoint, loop

from .phantoms import Phantoms, config_of, low_crops, start, state_of

MOMENTS = ("half written", "written", "synchronised", "one before kept", "in place")
"""Within the writing of a checkpoint, in their order."""


@dataclass(frozen=True)
class Death:
    """When: in the writing of a checkpoint (``moment``), or in the middle of a step (None), of the step ``step``."""

    step: int
    moment: str | None = None


def die() -> None:
    """As a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(death: Death) -> None:
    """Have this process end at that moment."""
    save, fsync, replacing, advance = torch.save, os.fsync, Path.replace, loop.advance
    now = {"step": -1, "renames": 0}

    def stepping(run: loop.Run, batch: Any) -> Any:
        now["step"], now["renames"] = run.step + 1, 0
        if death.moment is None and now["step"] == death.step:
            loop.gradient_step(run, batch)
            die()
        return advance(run, batch)

    def at(moment: str) -> None:
        if now["step"] == death.step and death.moment == moment:
            die()

    def saving(state: Any, handle: Any) -> None:
        whole = io.BytesIO()
        save(state, whole)
        if now["step"] == death.step and death.moment == "half written":
            handle.write(whole.getvalue()[: whole.tell() // 2])
            handle.flush()
            die()
        handle.write(whole.getvalue())
        handle.flush()
        at("written")

    def synchronising(handle: int) -> None:
        fsync(handle)
        at("synchronised")

    def renaming(path: Path, target: Path) -> Path:
        moved = replacing(path, target)
        at("one before kept" if target.name == checkpoint.BEFORE else "in place")
        return moved

    loop.advance = stepping  # type: ignore[assignment]
    torch.save = saving  # type: ignore[assignment]
    os.fsync = synchronising
    Path.replace = renaming  # type: ignore[method-assign, assignment]


def config(folder: Path, workers: int = 0) -> PretrainConfig:
    """Five steps with a checkpoint after each, by a method that remembers."""
    return replace(config_of("ours-bank", folder, steps=5), loader=LoaderConfig(workers))


class Noted(Phantoms):
    """Scans whose readers leave their number in the run's folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def load(self, index: int) -> LabelledScan:
        (self.folder / f"worker{os.getpid()}").touch()
        return super().load(index)


def go(settings: PretrainConfig, death: Death | None, rank: int = 0, processes: int = 1, meeting: str = "") -> None:
    """A run from its beginning, or with ``resume`` from where it was; writes its weights where it comes to its end."""
    torch.set_num_threads(1)
    low_crops()
    with joined(rank, settings.run / meeting, processes) if processes > 1 else nullcontext():
        if death is not None:
            arm(death)
        run = start(settings, Noted(settings.run) if settings.loader.workers else None)
        loop.train(run, lambda _: {})
        torch.save(state_of(run), settings.run / f"weights{rank}.pt")


CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])


def run_in(targets: list[tuple[Callable[..., None], tuple[Any, ...]]], seconds: float = 240) -> list[int | None]:
    """Run each in a process of its own; their exit codes, None for one that did not end in time."""
    running = [CONTEXT.Process(target=target, args=arguments) for target, arguments in targets]
    for process in running:
        process.start()
    for process in running:
        process.join(seconds)
    codes = [process.exitcode for process in running]
    for process in running:
        process.kill()
        process.join()
    return codes
