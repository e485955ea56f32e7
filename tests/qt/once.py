"""What napari and vispy work out anew for every window, and what comes out the same every time: done once a process.

A third of the time of a test with a window goes there. Nothing is left out and nothing is drawn otherwise: a result is
handed out again where everything that it depends on is the same.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import pytest
from npe2 import PluginManager

from napari_ctvlp._qt.own_drawing import replacements


def plugins_are_looked_for_once(patch: pytest.MonkeyPatch) -> None:
    """No package is installed while tests run, and napari's fixture looks through all of them for every viewer."""
    discover = PluginManager.discover
    done: WeakSet[PluginManager] = WeakSet()

    def once(self: PluginManager, paths: Any = (), clear: bool = False, include_npe1: bool = False) -> int:
        if self is PluginManager.instance() and not paths and not clear:
            if self in done:
                return 0
            done.add(self)
        return discover(self, paths, clear, include_npe1)

    patch.setattr(PluginManager, "discover", once)


def drawing_is_worked_out_once(patch: pytest.MonkeyPatch) -> None:
    """As in our own process."""
    for owner, name, method in replacements():
        patch.setattr(owner, name, method)
