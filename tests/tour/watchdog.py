"""Sees when the event loop stands still, and what it was doing."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from dataclasses import dataclass

from qtpy.QtCore import QObject, Qt, QTimer

TICK_MS = 5
NOTED_MS = 40.0
"""Shorter stalls are not kept."""
LOOKED_AT_S = 0.06
"""After so long a stall the stack is looked at."""


@dataclass(frozen=True)
class Stall:
    """A stretch in which no event was handled.

    ``wall_ms`` is what a user waits; ``own_ms`` is the processor time of the window's thread in it, which other
    programs on a busy machine do not lengthen.
    """

    step: str
    wall_ms: float
    own_ms: float
    where: str


class Watchdog(QObject):
    """Ticks in the event loop; a thread looks at the stack when ticks fail to come."""

    def __init__(self) -> None:
        super().__init__()
        self.step = ""
        self.stalls: list[Stall] = []
        self._paused = False
        self._where = ""
        self._last = time.perf_counter()
        self._own = time.thread_time()
        self._main = threading.get_ident()
        self._stop = threading.Event()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()
        self._thread = threading.Thread(target=self._look, daemon=True, name="watchdog")
        self._thread.start()

    def pause(self) -> None:
        """Count nothing until `resume`: the tour's own work (pictures)."""
        self._tick()
        self._paused = True

    def resume(self) -> None:
        """Count again."""
        self._last, self._own, self._where = time.perf_counter(), time.thread_time(), ""
        self._paused = False

    def stop(self) -> None:
        """End."""
        self._timer.stop()
        self._stop.set()
        self._thread.join()

    def _tick(self) -> None:
        now, own = time.perf_counter(), time.thread_time()
        gap = 1e3 * (now - self._last)
        if gap > NOTED_MS and not self._paused:
            self.stalls.append(Stall(self.step, gap, 1e3 * (own - self._own), self._where))
        self._last, self._own, self._where = now, own, ""

    def _look(self) -> None:
        while not self._stop.wait(0.02):
            if time.perf_counter() - self._last > LOOKED_AT_S and not self._where:
                frame = sys._current_frames().get(self._main)
                self._where = _summary(traceback.extract_stack(frame)) if frame is not None else ""


def _summary(stack: traceback.StackSummary) -> str:
    """The innermost frame of ours, and the innermost of all."""
    ours = [f for f in stack if "napari_ctvlp" in f.filename]
    told = [*ours[-1:], *stack[-1:]]
    names = [f"{'/'.join(f.filename.split('/')[-2:])}:{f.lineno} {f.name}" for f in told]
    return " > ".join(dict.fromkeys(names))
