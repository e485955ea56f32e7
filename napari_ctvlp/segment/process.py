"""A program run to its end: progress read from what it prints, and nothing of it left when it is cancelled."""

from __future__ import annotations

import queue
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO

from napari_ctvlp.errors import UserError
from napari_ctvlp.segment.guard import end_tree

SILENCE_S = 1800.0
"""A program that prints nothing for so long is taken for dead; on a CPU one tile takes minutes, not half an hour."""
LAST_LINES = 40


class SegmentationCancelled(Exception):
    """Raised when ``cancelled()`` became true; the program and its children are gone by then."""


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    on_line: Callable[[str], None],
    cancelled: Callable[[], bool],
    name: str,
    silence_s: float = SILENCE_S,
    on_start: Callable[[int], None] = lambda pid: None,
) -> None:
    """Run a program and hand on every line that it prints.

    Parameters
    ----------
    command : sequence of str
    environment : mapping
    on_line : callable
        Gets each line, also those that a progress bar overwrites.
    cancelled : callable
        Looked at ten times a second.
    name : str
        How the program is called in messages.
    silence_s : float
        Seconds without a line after which it is ended.
    on_start : callable
        Gets its process id.

    Raises
    ------
    SegmentationCancelled
        When ``cancelled()`` became true.
    UserError
        When it could not be started, failed, was killed or fell silent.
    """
    try:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl+C in the terminal is for us, and we end it in order
        )
    except OSError as error:
        raise UserError(f"{name} could not be started: {error.strerror or 'unknown reason'}.") from error
    assert process.stdout is not None
    on_start(process.pid)
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), name="segment-output", daemon=True)
    reader.start()
    last: deque[str] = deque(maxlen=LAST_LINES)
    heard = time.monotonic()
    try:
        while True:
            if cancelled():
                raise SegmentationCancelled
            try:
                line = lines.get(timeout=0.1)
            except queue.Empty:
                if process.poll() is not None:
                    break  # a child that outlives it may keep the pipe open
                if time.monotonic() - heard > silence_s:
                    raise UserError(
                        f"{name} gave no sign of life for {silence_s / 60:.0f} minutes and was ended; try again, or "
                        "the fast model."
                    ) from None
                continue
            if line is None:
                break
            heard = time.monotonic()
            last.append(line)
            on_line(line)
        status = process.wait()
    finally:
        kill_tree(process)
        reader.join(timeout=2)
        with suppress(OSError):
            process.stdout.close()
    if status != 0:
        raise UserError(_failure(name, status, last))


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """End a program and everything it started; returns when they are gone."""
    end_tree(process.pid)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)


def _read(stream: IO[bytes], lines: queue.Queue[str | None]) -> None:
    """Lines as they come; a progress bar ends them with a carriage return."""
    rest = b""
    with suppress(OSError, ValueError):  # closed while reading
        while chunk := stream.read1(4096):  # type: ignore[attr-defined]
            *whole, rest = re.split(rb"[\r\n]+", rest + chunk)
            for line in whole:
                if text := line.decode("utf-8", "replace").strip():
                    lines.put(text)
    if text := rest.decode("utf-8", "replace").strip():
        lines.put(text)
    lines.put(None)


def _failure(name: str, status: int, last: Sequence[str]) -> str:
    text = "\n".join(last)
    if re.search(r"CUDA out of memory|OutOfMemoryError", text):
        return f"{name}: the GPU has too little memory for this scan; use the fast model, or the CPU."
    if status in (-9, 137) or "MemoryError" in text:
        return f"{name} was killed, most likely for want of memory; close other programs, or use the fast model."
    said = next((line for line in reversed(last) if "%|" not in line), "")
    detail = f': "{said[:200]}"' if said else ""
    return f"{name} failed (exit status {status}){detail}; run it in a terminal to see all that it says."
