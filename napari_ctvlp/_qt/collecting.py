"""No collection of garbage in our threads: it would delete widgets and pictures there that Qt may be drawing.

Python collects in whichever thread happens to allocate, and what a window leaves behind hangs together in cycles. So
while work is under way nothing is collected but by a timer in the window's thread, which switches collection on again.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from qtpy.QtCore import QTimer

EVERY_MS = 1000


class _State:
    """Of the process, as Python's collector is; ``runners`` are those whose timers tick."""

    lock = threading.Lock()
    runners = 0
    under_way = 0
    off = False


def _on_again() -> None:
    if _State.off and not _State.under_way:
        _State.off = False
        gc.enable()


@contextmanager
def left_to_the_window() -> Iterator[None]:
    """Around work in a thread: what becomes garbage meanwhile is collected by the timers of the windows."""
    with _State.lock:
        _State.under_way += 1
        if _State.runners and gc.isenabled():
            _State.off = True
            gc.disable()
    try:
        yield
    finally:
        with _State.lock:
            _State.under_way -= 1
            if not _State.runners:
                _on_again()


class Collecting:
    """The timer of one runner of threads; made, ticking and stopped in the window's thread."""

    def __init__(self) -> None:
        with _State.lock:
            _State.runners += 1
        self._timer = QTimer()
        self._timer.timeout.connect(_collect)
        self._timer.start(EVERY_MS)

    def stop(self) -> None:
        """Tick no more; to be called once."""
        self._timer.stop()
        with _State.lock:
            _State.runners -= 1
            if not _State.runners:
                _on_again()


def _collect() -> None:
    if not _State.off:
        return
    if gc.get_count()[0] > gc.get_threshold()[0]:
        gc.collect(1)
    with _State.lock:
        _on_again()
