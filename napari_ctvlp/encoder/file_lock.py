"""One owner at a time for a file that is being made: among threads, and among processes where the system can tell."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PAUSE = 0.05
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_locks: dict[Path, threading.Lock] = {}
_guard = threading.Lock()


class OwnedElsewhere(Exception):
    """Another process owns the file."""


@contextmanager
def owning(path: Path, give_up: Callable[[], None]) -> Iterator[bool]:
    """Own a file for the length of the block; gives whether another thread had it first.

    Parameters
    ----------
    path : Path
        What is owned; beside it lies ``.<name>.lock`` for as long as it is. Its folder must be there.
    give_up : callable
        Asked again and again while another thread owns it; raises to wait no longer.

    Raises
    ------
    OwnedElsewhere
        When another process owns it: nobody knows for how long.
    OSError
        When the folder cannot be written to.
    """
    with _guard:
        lock = _locks.setdefault(path.resolve(), threading.Lock())
    waited = not lock.acquire(blocking=False)
    while waited and not lock.acquire(timeout=PAUSE):
        give_up()
    try:
        with _among_processes(path.with_name(f".{path.name}.lock")):
            yield waited
    finally:
        lock.release()


@contextmanager
def _among_processes(path: Path) -> Iterator[None]:
    handle = _opened(path)
    try:
        yield
    finally:
        with suppress(OSError):  # a system that cannot take an open file away keeps an empty one
            path.unlink()
        handle.close()


def _opened(path: Path) -> IO[bytes]:
    """The lock's file, locked, and still the one of that name: its last owner may have taken it away meanwhile."""
    while True:
        handle = path.open("ab")
        try:
            _lock(handle)
            with suppress(FileNotFoundError):
                if path.stat().st_ino == _inode(handle):
                    return handle
        except BaseException:
            handle.close()
            raise
        handle.close()
        time.sleep(PAUSE)


def _inode(handle: IO[bytes]) -> int:
    return os.fstat(handle.fileno()).st_ino


def _lock(handle: IO[bytes]) -> None:
    try:
        try:
            from fcntl import LOCK_EX, LOCK_NB, flock
        except ImportError:
            import msvcrt

            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            flock(handle, LOCK_EX | LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            raise OwnedElsewhere from error
        # a file system that knows no locks: threads of this process are still kept apart
