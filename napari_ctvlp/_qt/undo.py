"""Steps of looking that one key takes back."""

from __future__ import annotations

from collections.abc import Callable

from psygnal import Signal

DEPTH = 100


class Undo:
    """What was done to the view, and how to take it back; the newest first.

    Notes
    -----
    ``changed`` (psygnal) carries the name of what would be taken back, or an empty text.
    """

    changed = Signal(str)

    def __init__(self) -> None:
        self._steps: list[tuple[str, str, Callable[[], None]]] = []
        self._undoing = False

    @property
    def next(self) -> str:
        """Name of what would be taken back, or an empty text."""
        return self._steps[-1][0] if self._steps else ""

    def push(self, name: str, back: Callable[[], None], *, series: str = "") -> None:
        """Remember a step.

        Parameters
        ----------
        name : str
            What was done, in words.
        back : callable
            Takes it back.
        series : str
            Steps that follow each other with the same non-empty series are one step (the moves of a drag).
        """
        if self._undoing:
            return
        if not (series and self._steps and self._steps[-1][1] == series):
            self._steps.append((name, series, back))
            del self._steps[:-DEPTH]
        self.changed.emit(self.next)

    def undo(self) -> None:
        """Take the newest step back; nothing where there is none."""
        if not self._steps:
            return
        _, _, back = self._steps.pop()
        self._undoing = True
        try:
            back()
        finally:
            self._undoing = False
        self.changed.emit(self.next)

    def clear(self) -> None:
        """Forget all steps."""
        self._steps.clear()
        self.changed.emit("")
