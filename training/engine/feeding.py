"""What a step of a run is fed with: which part of which scans, for which needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from training.data.batch import Batch
from training.data.growth import Growth, growing
from training.data.lesions import Looked
from training.data.loader import Feed, cores, workers_of
from training.data.seeding import is_whole_step
from training.data.store import WorldStore
from training.objectives.base import Needs
from training.objectives.gather import processes

from .processes import rank

if TYPE_CHECKING:
    from .loop import Run


def feed_of(run: Run) -> Feed:
    """What makes this process's part of every step."""
    config, needs = run.config, run.learner.needs
    return Feed(
        run.store,
        config.seed,
        config.optim.batch,
        config_windows(run),
        views=needs.views,
        reports=needs.whole,
        rank=rank(),
        processes=processes(),
        alternate=config.optim.alternate,
        looked=looked_of(run),
        growth=growth_of(run),
        late=run.learner.device.type == "cuda",
    )


def growth_of(run: Run) -> Growth | None:
    """How many scans there are at each step, where they are made meanwhile."""
    world = run.config.world
    if world.first is None or not isinstance(run.store, WorldStore):
        return None
    return Growth(tuple(run.store.order), world.first, world.each)


@contextmanager
def scans_made(run: Run) -> Iterator[None]:
    """Make scans in the first process while the block trains on those that are there, if the run is told to."""
    if growth_of(run) is None or rank() > 0 or not isinstance(run.store, WorldStore):
        yield
        return
    spare = cores() - 1 - workers_of(run.config.loader, run.learner.device)
    with growing(run.store, run.config.world.makers or max(1, spare)):
        yield


def looked_of(run: Run) -> Looked | None:
    """What is looked for in lesions, where they are known voxel by voxel and the run wants it."""
    shape = run.learner.model.vision.config
    wanted = run.config.optim.lesions > 0 and shape.evidence
    return Looked(shape.evidence, shape.strides[0]) if wanted else None


def needs_of(run: Run) -> Needs:
    """What the next step gives the method: all that it asks for, or where kinds of steps alternate a part of it."""
    every, needs = run.config.optim.alternate, run.learner.needs
    return needs.of_kind(is_whole_step(run.step, every)) if every else needs


def batch_of(run: Run, step: int) -> Batch:
    """This process's part of a step."""
    return feed_of(run)[step]


def config_windows(run: Run) -> tuple[tuple[float, float], ...]:
    """HU windows of the network."""
    return run.learner.model.vision.config.windows
