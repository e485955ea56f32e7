"""Sees when the event loop stands still, and what it was doing."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from qtpy.QtCore import QObject, Qt, QTimer

TICK_MS = 5
NOTED_MS = 40.0
"""Shorter stalls are not kept."""
LOOKED_AT_S = 0.02
"""After so long a stall the stack is looked at, and again every ``LOOK_S``."""
LOOK_S = 0.008
OURS, NAPARI = "napari_ctvlp", ("napari", "vispy")


@dataclass(frozen=True)
class Stall:
    """A stretch in which no event was handled.

    ``wall_ms`` is what a user waits; ``own_ms`` is the processor time of the window's thread in it, which other
    programs on a busy machine do not lengthen; ``gc_ms`` the wall time of it that Python collected garbage. ``frames``
    are the pairs of innermost frames, of ours and of napari, that the stack was seen in (where there is neither, the
    innermost of all), with the processor time in ms that each took, the longest first.
    """

    step: str
    wall_ms: float
    own_ms: float
    gc_ms: float
    frames: tuple[tuple[tuple[str, str], float], ...]

    @property
    def ours(self) -> float:
        """Share of its processor time with code of ours in the stack."""
        seen = sum(ms for _, ms in self.frames)
        return sum(ms for (ours, _), ms in self.frames if ours) / seen if seen else 0.0

    @property
    def where(self) -> str:
        """What it was mostly doing, in words."""
        if not self.frames:
            return "(not looked at)"
        seen = sum(ms for _, ms in self.frames) or 1.0
        told = [f"{' > '.join(filter(None, pair))} {100 * n / seen:.0f} %" for pair, n in self.frames[:2]]
        return "; ".join([*told, *([f"garbage {self.gc_ms:.0f} ms"] if self.gc_ms >= 1 else [])])


class Watchdog(QObject):
    """Ticks in the event loop; a thread looks at the stack of the window when ticks fail to come."""

    def __init__(self, noted_ms: float = NOTED_MS) -> None:
        super().__init__()
        self.step = ""
        self._noted_ms = noted_ms
        self.stalls: list[Stall] = []
        self._paused = 0
        self._seen: dict[tuple[str, str], float] = {}
        self._gc_s = self._gc_since = 0.0
        self._last = time.perf_counter()
        self._own = time.thread_time()
        self._main = threading.get_ident()
        self._stop = threading.Event()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()
        gc.callbacks.append(self._on_gc)
        self._thread = threading.Thread(target=self._look, daemon=True, name="watchdog")
        self._thread.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Count nothing meanwhile: the tour's own work, such as pictures."""
        self._tick()
        self._paused += 1
        try:
            yield
        finally:
            self._paused -= 1
            self._begin()

    def stop(self) -> None:
        """End."""
        self._timer.stop()
        self._stop.set()
        self._thread.join()
        gc.callbacks.remove(self._on_gc)

    def _tick(self) -> None:
        gap = 1e3 * (time.perf_counter() - self._last)
        if gap > self._noted_ms and not self._paused:
            frames = tuple(sorted(self._seen.items(), key=lambda pair: -pair[1]))
            own = 1e3 * (time.thread_time() - self._own)
            self.stalls.append(Stall(self.step, gap, own, 1e3 * self._gc_s, frames))
        self._begin()

    def _begin(self) -> None:
        self._last, self._own = time.perf_counter(), time.thread_time()
        self._seen, self._gc_s = {}, 0.0

    def _on_gc(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._gc_since = time.perf_counter()
        elif threading.get_ident() == self._main:
            self._gc_s += time.perf_counter() - self._gc_since

    def _look(self) -> None:
        clock, before = time.pthread_getcpuclockid(self._main), 0.0
        while not self._stop.wait(LOOK_S):
            seen = self._seen  # of this stall, should it end now
            before, now = max(before, self._own), time.clock_gettime(clock)
            if time.perf_counter() - self._last > LOOKED_AT_S and not self._paused:
                frames = _frames(sys._current_frames().get(self._main))
                seen[frames] = seen.get(frames, 0.0) + 1e3 * (now - before)
            before = now


def _frames(frame: FrameType | None) -> tuple[str, str]:
    """The innermost frame of ours and the innermost of napari or of its canvas, vispy."""
    ours = napari = ""
    innermost = _name(frame) if frame is not None else "?"
    while frame is not None and not (ours and napari):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package == OURS and not ours:
            ours = _name(frame)
        elif package in NAPARI and not napari:
            napari = _name(frame)
        frame = frame.f_back
    return (ours, napari) if ours or napari else ("", innermost)


def _name(frame: FrameType) -> str:
    return f"{'/'.join(frame.f_code.co_filename.split('/')[-2:])}:{frame.f_lineno} {frame.f_code.co_name}"
