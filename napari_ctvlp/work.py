"""Pieces of work under way, one of a kind at a time; no Qt and no napari.

Work goes through a runner: at once in scripts and tests, in a thread in the window. Every piece carries a generation
number; whatever arrives after something newer was started in its place is dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from napari_ctvlp.encoder.contract import Cancelled

Report = Callable[[float], None]
Work = Callable[[Report], Any]


class Runner(Protocol):
    """Runs work and tells of it; ``progress``, ``done`` and ``failed`` are called in the thread of the session.

    One that never does so before it returns may say so by a ``tells_later`` that is True.
    """

    def __call__(
        self,
        work: Work,
        *,
        progress: Report,
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
    ) -> None: ...


def run_now(work: Work, *, progress: Report, done: Callable[[Any], None], failed: Callable[[Exception], None]) -> None:
    """Run the work at once, in the caller's thread (scripts, notebooks, tests)."""
    try:
        result = work(progress)
    except Exception as error:
        failed(error)
    else:
        done(result)


class Task(StrEnum):
    """What a session may be busy with, the most telling first; one piece of work each at a time."""

    SCAN = "reading scan"
    MASKS = "reading masks"
    EDITING = "measuring what was painted"
    SEGMENTING = "making organ masks"
    ENCODING = "encoding"
    ENCODER = "loading encoder"
    QUERY = "asking"
    SCORES = "scoring findings"
    PRIOR = "comparing with the prior"
    LOCATE = "mapping"
    LAB = "trying prompts"
    ANSWERS = "answering earlier questions"
    EVIDENCE = "gathering evidence"
    CASES = "reading the case library"
    INPUT = "preparing the encoder's input"
    SURFACES = "making surfaces"
    EXPORT = "writing"
    WORDS = "dictionary"
    DICTIONARY = "reading the dictionary again"
    PICTURES = "drawing"


CANCELLABLE = (
    Task.SCAN,
    Task.MASKS,
    Task.SEGMENTING,
    Task.ENCODING,
    Task.PRIOR,
    Task.EVIDENCE,
    Task.CASES,
    Task.INPUT,
    Task.SURFACES,
)
"""What `Session.cancel` ends."""
ABOUT_ANSWERS = (Task.ENCODING, Task.QUERY, Task.SCORES, Task.LAB, Task.ANSWERS, Task.EVIDENCE)
"""What has no meaning any more when scan, masks or encoder change."""


@dataclass(frozen=True)
class Activity:
    """What a session is busy with; ``fraction`` is 0..1, or None where it cannot be told."""

    task: Task
    fraction: float | None = None

    @property
    def can_cancel(self) -> bool:
        """Whether ``Session.cancel`` ends it; a query or a loading encoder ends by itself soon."""
        return self.task in CANCELLABLE


@dataclass(eq=False)
class _Job:
    generation: int
    stop: threading.Event
    fraction: float | None = None


class Workbench:
    """The work under way for each task.

    Parameters
    ----------
    runner : Runner
        Where work runs.
    changed : callable
        Called with the present `Activity` (or None) whenever it changes.
    failed : callable
        Called with the exception of work that failed and is still wanted.
    """

    def __init__(
        self,
        runner: Runner,
        changed: Callable[[Activity | None], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._runner = runner
        self._changed = changed
        self._failed = failed
        self._generation = 0
        self._jobs: dict[Task, _Job] = {}
        self._next: dict[Task, Callable[[], None]] = {}  # begins when what is under way for the task has ended
        self.closed = False

    @property
    def tells_later(self) -> bool:
        """Whether nothing that is started here is told of before `start` returns."""
        return bool(getattr(self._runner, "tells_later", False))

    def __contains__(self, task: Task) -> bool:
        """Whether work for this task is under way."""
        return task in self._jobs

    @property
    def activity(self) -> Activity | None:
        """What is under way, the most telling first; None when idle."""
        for task in Task:
            if task in self._jobs:
                return Activity(task, self._jobs[task].fraction)
        return None

    def start(
        self,
        task: Task,
        work: Callable[[Report, Cancelled], Any],
        done: Callable[[Any], None],
        fraction: float | None = None,
        *,
        failed: Callable[[Exception], None] | None = None,
        in_turn: bool = False,
    ) -> None:
        """Start work in place of what is under way for ``task``; ``done`` gets its result unless it is dropped.

        ``failed`` is told of its exception in place of the bench's own. Work ``in_turn`` waits until what is under way
        for the task has ended, of which nobody hears then, and replaces what waits: a thread cannot be stopped, and
        work that comes quickly would pile up.
        """
        if self.closed:
            return
        if in_turn and task in self._jobs:
            self._next[task] = partial(self.start, task, work, done, fraction, failed=failed)
            return
        self.drop(task)
        self._generation += 1
        job = self._jobs[task] = _Job(self._generation, threading.Event(), fraction)
        self._changed(self.activity)

        def current() -> bool:
            running = self._jobs.get(task)
            return running is not None and running.generation == job.generation

        def on_progress(value: float) -> None:
            if current():
                job.fraction = value
                self._changed(self.activity)

        def ended(tell: Callable[[], None]) -> None:
            if current():
                following = self._next.pop(task, tell)
                self.drop(task)
                following()

        def on_done(result: Any) -> None:
            ended(partial(done, result))

        def on_failed(error: Exception) -> None:
            ended(partial(failed or self._failed, error))

        self._runner(lambda report: work(report, job.stop.is_set), progress=on_progress, done=on_done, failed=on_failed)

    def drop(self, task: Task) -> None:
        """Forget the work under way for ``task``: ask it to stop, and do not listen to it any more."""
        self._next.pop(task, None)
        job = self._jobs.pop(task, None)
        if job is not None:
            job.stop.set()
            if not self.closed:
                self._changed(self.activity)

    def close(self) -> None:
        """Ask all work to stop; nothing is told and nothing starts any more."""
        self.closed = True
        for job in self._jobs.values():
            job.stop.set()
        self._jobs.clear()
        self._next.clear()
