"""Connections that are undone together."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from psygnal import SignalInstance


class Wiring(ExitStack):
    """Connects signals to slots and, when closed, disconnects them and calls whatever else was left to call.

    Serves psygnal's signals and napari's event emitters alike. It holds the owners of the slots, of which both of them
    keep only weak references.
    """

    def connect(self, signal: Any, slot: Any) -> None:
        """Call ``slot`` on ``signal`` until closed."""
        signal.connect(slot)
        if isinstance(signal, SignalInstance):
            self.callback(signal.disconnect, slot, missing_ok=True)
        else:
            self.callback(signal.disconnect, slot)
