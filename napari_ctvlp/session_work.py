"""What a session is busy with, and how that is begun and ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari_ctvlp.session_signals import SessionSignals
from napari_ctvlp.work import CANCELLABLE, Activity, Report, Task, Workbench

if TYPE_CHECKING:
    from napari_ctvlp.encoder.contract import Cancelled


class SessionWork(SessionSignals):
    """The part of a session that works."""

    _bench: Workbench

    @property
    def activity(self) -> Activity | None:
        """What the session is busy with, the most telling first; None when idle."""
        return self._bench.activity

    def run(
        self,
        task: Task,
        work: Callable[[Report, Cancelled], Any],
        done: Callable[[Any], None],
        fraction: float | None = None,
    ) -> None:
        """Do work about what is open, in place of what is under way for ``task``; ``fraction`` is done at first."""
        self._bench.start(task, work, done, fraction)

    def busy_with(self, task: Task) -> bool:
        """Whether work for a task is under way."""
        return task in self._bench

    def stop(self, task: Task) -> None:
        """End the work for one task."""
        self._bench.drop(task)

    def cancel(self) -> None:
        """End the work that can be cancelled; what is open and what was answered stays."""
        for task in CANCELLABLE:
            self._bench.drop(task)

    def close(self) -> None:
        """Stop all work and emit nothing more."""
        self._bench.close()
