"""Whether the answer about masks that were just opened is about to come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.session import Session

PATIENCE_S = 0.5
"""What comes from the cache takes a small part of this; what has to be encoded takes longer and is not waited for."""


class FirstAnswer:
    """Lets what takes time to draw wait a moment for the answer, which is what the user waits for.

    Parameters
    ----------
    session : Session
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(self, session: Session, wiring: Wiring) -> None:
        self._session = session
        self._since = float("-inf")
        wiring.connect(session.masks_changed, self._on_masks_changed)

    def is_due(self) -> bool:
        """Whether it is on its way and may be here soon."""
        session = self._session
        if not session.query or session.masks is None or session.activity is None:
            return False
        if session.ranking is not None and session.scores:  # these come last
            return False
        return time.monotonic() - self._since < PATIENCE_S

    def _on_masks_changed(self, masks: object) -> None:
        self._since = time.monotonic()
