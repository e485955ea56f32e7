"""Steps of looking that one key takes back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from psygnal import Signal

DEPTH = 100
Step = tuple[str, str, Callable[[], object]]
"""Name, series, and what takes it back."""
PAUSE_S = 2.0
"""After so long without a move the next one begins another step."""


class Undo:
    """What was done to the view, and how to take it back; the newest first.

    Notes
    -----
    ``changed`` (psygnal) carries the name of what would be taken back, or an empty text.
    """

    changed = Signal(str)

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._undoing = False

    @property
    def next(self) -> str:
        """Name of what would be taken back, or an empty text."""
        return self._steps[-1][0] if self._steps else ""

    def push(self, name: str, back: Callable[[], object], *, series: str = "") -> None:
        """Remember a step.

        Parameters
        ----------
        name : str
            What was done, in words.
        back : callable
            Takes it back.
        series : str
            Steps that follow each other with the same non-empty series are one step (the moves of a drag), which is
            called as the last of them.
        """
        if self._undoing:
            return
        if self._ends_with(series):
            self._steps[-1] = (name, series, self._steps[-1][2])
        else:
            self._steps.append((name, series, back))
            del self._steps[:-DEPTH]
        self.changed.emit(self.next)

    def withdraw(self, series: str) -> None:
        """Forget the newest step where it is of this series: what was done has been taken back already."""
        if self._ends_with(series):
            self._steps.pop()
            self.changed.emit(self.next)

    def _ends_with(self, series: str) -> bool:
        return bool(series and self._steps and self._steps[-1][1] == series)

    def undo(self) -> None:
        """Take the newest step back; nothing where there is none."""
        if not self._steps:
            return
        _, _, back = self._steps.pop()
        with self.paused():
            back()
        self.changed.emit(self.next)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens meanwhile is no step of the user."""
        before, self._undoing = self._undoing, True
        try:
            yield
        finally:
            self._undoing = before

    def put_aside(self) -> list[Step]:
        """Begin anew; gives the steps so far, for `bring`."""
        aside, self._steps = self._steps, []
        self.changed.emit("")
        return aside

    def bring(self, steps: Iterable[Step]) -> None:
        """Have these steps, and no others, to take back."""
        self._steps = list(steps)
        self.changed.emit(self.next)

    def forget(self, series: str) -> None:
        """Forget all steps of a series: what they lead back to is gone."""
        self.bring([step for step in self._steps if step[1] != series])

    def clear(self) -> None:
        """Forget all steps."""
        self.bring(())


class Series:
    """Names moves that follow each other closely, for `Undo.push` to take them for one step.

    Parameters
    ----------
    name : str
        What moves.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self._last = -math.inf

    def next(self) -> str:
        """The name for a move that is made now."""
        now = time.monotonic()
        if now - self._last > PAUSE_S:
            self._count += 1
        self._last = now
        return f"{self._name} {self._count}"

    def end(self) -> None:
        """Let the next move begin another step."""
        self._last = -math.inf
