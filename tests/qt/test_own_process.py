"""What is set in a process of our own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, threading
from napari_ctvlp._qt.own_process import share_arenas
assert share_arenas(1)
libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype = ctypes.c_void_p
places = []
barrier = threading.Barrier(4)
def work():
    barrier.wait()
    places.append(libc.malloc(4000))
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(max(places) - min(places))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the GNU C library alone has arenas")
def test_threads_share_one_arena_where_they_are_told_to():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2**20  # arenas of their own lie 64 MB apart


FROZEN = """
import gc
from napari_ctvlp._qt.own_process import keep_out_of_collections
before = len(gc.get_objects())
keep_out_of_collections()
print(before, len(gc.get_objects()))
"""


def test_what_is_imported_is_not_looked_at_again_by_the_collector():
    done = subprocess.run([sys.executable, "-c", FROZEN], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after < before / 10
