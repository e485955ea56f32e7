"""Commands that are told to end, and leave nothing behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ends_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end what is done here as Ctrl+C does.

    Left alone they end Python at once: programs that it started go on, and its temporary files, which may hold a scan,
    stay. A signal that is ignored already (``nohup``) stays so. The exit status is 128 and the signal's number.
    """
    names = ("SIGTERM", "SIGHUP")  # Windows has but the first
    signals = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
    before = {one: signal.getsignal(one) for one in signals if signal.getsignal(one) is signal.SIG_DFL}

    def end(number: int, _frame: FrameType | None) -> None:
        for one in before:
            signal.signal(one, signal.SIG_IGN)  # nothing shall interrupt the clearing up
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        before = {}  # only the main thread gets signals
    for one in before:
        signal.signal(one, end)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
