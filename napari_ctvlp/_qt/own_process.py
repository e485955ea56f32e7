"""What is set in a process that is ours alone, and not one that somebody opened napari in."""

from __future__ import annotations

import ctypes
import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

M_ARENA_MAX = -8
"""``mallopt(3)`` of the GNU C library."""
ARENAS = 2


def share_arenas(count: int = ARENAS) -> bool:
    """Let all threads of this process take memory from a few arenas.

    The GNU C library gives threads up to eight arenas a core, and what was freed in one is not used by another: a
    window works in threads all the time and grows. Threads that run already keep the arena that they have.

    Parameters
    ----------
    count : int
        Most arenas.

    Returns
    -------
    bool
        Whether the C library took it; False elsewhere than on Linux with glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL("libc.so.6").mallopt(M_ARENA_MAX, count))
    except (OSError, AttributeError):  # another C library
        return False


def share_canvases() -> None:
    """Let canvases live on in another window, as in a dock that floats: Qt takes that before there is an application.

    A canvas that comes into another window gets another OpenGL context, in which nothing of what it drew is known.
    """
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QApplication

    if QApplication.instance() is None:
        QApplication.setAttribute(Qt.ApplicationAttribute.AA_ShareOpenGLContexts)


def keep_out_of_collections() -> None:
    """Let the garbage collector pass over all that exists now: call it when the window stands and nothing is open.

    Half a million objects of torch, transformers and napari are looked at by every full collection, a third of a second
    in which the window stands still; napari (0.9) asks for one, in every view, whenever a layer is removed. They stay
    until the process ends anyway.
    """
    gc.collect()
    gc.freeze()


def run_until_told() -> None:
    """Let the window live until it is closed, or until SIGTERM or SIGHUP closes it as its user would.

    Left alone the signals end Python at once: what the window started, as TotalSegmentator, goes on, and its temporary
    files, which may hold a scan, stay. A signal that is ignored already (``nohup``) stays so.

    Raises
    ------
    SystemExit
        After a signal, with 128 and its number.
    """
    import napari
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    told: list[int] = []

    def close() -> None:
        QApplication.closeAllWindows()
        QApplication.exit()  # also where a window, or somebody else's, would not close

    def tell(number: int, _frame: FrameType | None) -> None:
        if not told:  # nothing shall interrupt the clearing up
            told.append(number)
            QTimer.singleShot(0, close)  # what the window is doing now comes to its end first

    with _signals(tell):
        napari.run()
    if told:
        raise SystemExit(128 + told[0])


@contextmanager
def _signals(tell: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Hear of the signals that end a process while Qt's loop runs, in which Python itself sleeps."""
    from qtpy.QtCore import QSocketNotifier

    known = [one for name in ("SIGTERM", "SIGHUP") if (one := getattr(signal, name, None)) is not None]
    before = {one: signal.signal(one, tell) for one in known if signal.getsignal(one) is signal.SIG_DFL}
    heard, told = socket.socketpair()
    for end in (heard, told):
        end.setblocking(False)
    woken = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    notifier = QSocketNotifier(heard.fileno(), QSocketNotifier.Type.Read)  # type: ignore[call-overload]
    notifier.activated.connect(lambda *_: heard.recv(64))  # Python is awake: it sees to the signal before this
    try:
        yield
    finally:
        notifier.setEnabled(False)
        signal.set_wakeup_fd(woken)
        for one, handler in before.items():
            signal.signal(one, handler)
        heard.close()
        told.close()
