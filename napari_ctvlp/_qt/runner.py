"""Work in threads, answers in the thread of the window."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Qt, QTimer, Signal

from napari_ctvlp._qt.collecting import Collecting, left_to_the_window
from napari_ctvlp.work import Report, Work


class ThreadRunner(QObject):
    """Runs a session's work in threads and calls back in the thread that made this object.

    It has no Qt parent on purpose: a thread that ends late still holds it, and finds it closed instead of deleted.
    """

    tells_later = True
    _arrived = Signal(object)

    def __init__(self, threads: int = 3) -> None:
        super().__init__()
        self._closed = False
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ctvlp")
        self._arrived.connect(self._take, Qt.ConnectionType.QueuedConnection)
        self._waiting: deque[Callable[[], None]] = deque()
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._deliver)
        self._collecting = Collecting()

    def __call__(
        self, work: Work, *, progress: Report, done: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None:
        if not self._closed:
            self._pool.submit(self._run, work, progress, done, failed)

    def close(self) -> None:
        """Deliver nothing more and let the threads end; work under way is not waited for."""
        if not self._closed:
            self._collecting.stop()
        self._closed = True
        self._timer.stop()
        self._waiting.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(
        self, work: Work, progress: Report, done: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None:
        try:
            with left_to_the_window():
                result = work(lambda fraction: self._post(partial(progress, fraction)))
        except Exception as error:
            self._post(partial(failed, error))
        else:
            self._post(partial(done, result))

    def _post(self, call: Callable[[], None]) -> None:
        if not self._closed:
            self._arrived.emit(call)

    def _take(self, call: Callable[[], None]) -> None:
        self._waiting.append(call)
        self._timer.start()

    def _deliver(self) -> None:
        """One a turn of the event loop: several that arrive together do not hold up the window together."""
        call = self._waiting.popleft() if self._waiting else None
        if not self._waiting:
            self._timer.stop()
        if call is not None and not self._closed:
            call()
