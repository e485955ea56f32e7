"""What went wrong is of no interest any more once a scan opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.session import Session


class ToldFailures:
    """Closes the notifications of failures when another scan opens: some would lie over it for as long as it is seen.

    Parameters
    ----------
    session : Session
        Its failures are told by others.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(self, session: Session, wiring: Wiring) -> None:
        self._told: set[str] = set()
        wiring.connect(session.failed, self._on_failed)
        wiring.connect(session.scan_changed, self._on_scan_changed)

    def _on_failed(self, error: Exception) -> None:
        self._told.add(str(error))

    def _on_scan_changed(self, scan: object) -> None:
        if scan is None or not self._told:
            return
        focus = QApplication.focusWidget()
        widgets: list[Any] = QApplication.allWidgets()
        for made in widgets:
            if type(made).__name__ == "NapariQtNotification" and made.isVisible() and made.message.text() in self._told:
                made.close()
        self._told.clear()
        if focus is not None:
            focus.setFocus()  # napari gives it to the canvas with each that is closed
