"""What is set in a process that is ours alone, and not one that somebody opened napari in."""

from __future__ import annotations

import ctypes
import gc
import sys

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


def keep_out_of_collections() -> None:
    """Let the garbage collector pass over all that exists now: call it when the window stands and nothing is open.

    Half a million objects of torch, transformers and napari are looked at by every full collection, a third of a second
    in which the window stands still; napari (0.9) asks for one, in every view, whenever a layer is removed. They stay
    until the process ends anyway.
    """
    gc.collect()
    gc.freeze()
