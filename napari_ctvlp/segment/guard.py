"""A small process that outlives ours, to end a program and remove its folder when ours was killed over it.

Run as a file, so that it needs nothing of this package. It reads process ids from its standard input, a line each, and
``done`` at the end; that the input ends without it means that whoever held the other end is no more.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

DONE = "done"


@contextmanager
def guarded(folder: Path) -> Iterator[Callable[[int], None]]:
    """See that a folder, and the programs that work in it, are gone should this process be killed meanwhile.

    Whoever runs inside must clear up by itself otherwise. Without the guard, as where no process can be started, all
    works as with it.

    Parameters
    ----------
    folder : Path
        Removed with all that is in it: a scan lies there, and the next start would not find it.

    Yields
    ------
    callable
        To be told the process id of each program that is started.
    """
    guard = None
    with suppress(OSError):
        guard = subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what ends us, as a terminal that is closed, must not end it
        )

    def tell(text: str) -> None:
        if guard is not None and guard.stdin is not None:
            with suppress(OSError, ValueError):
                guard.stdin.write(f"{text}\n".encode())
                guard.stdin.flush()

    try:
        yield lambda pid: tell(str(pid))
    finally:
        tell(DONE)
        if guard is not None and guard.stdin is not None:
            with suppress(OSError, subprocess.TimeoutExpired):
                guard.stdin.close()
                guard.wait(timeout=5)


def end_tree(pid: int) -> None:
    """End a process and everything it started; returns when they are gone."""
    found: list[psutil.Process] = []
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        # stopped first, so that it cannot start another one meanwhile
        with suppress(psutil.Error):
            parent.suspend()
        found = [*parent.children(recursive=True), parent]
    for one in found:
        with suppress(psutil.Error):
            one.kill()
    psutil.wait_procs(found, timeout=5)


def watch(folder: Path) -> None:
    """Wait for the end of the input; unless it was told, end the programs and remove the folder."""
    started: list[psutil.Process] = []
    for line in sys.stdin:
        if line.strip() == DONE:
            return
        with suppress(psutil.Error, ValueError):
            started.append(psutil.Process(int(line)))
    for one in started:
        if one.is_running():  # and its number is not that of another process by now
            end_tree(one.pid)
        elif os.name == "posix" and not psutil.pid_exists(one.pid):
            with suppress(OSError):  # it has ended over its closed output, and those of its session have not
                os.killpg(one.pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and os.name == "posix":
            signal.signal(getattr(signal, name), signal.SIG_IGN)  # of a session that is closed as a whole
    watch(Path(sys.argv[1]))
