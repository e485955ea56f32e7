"""The button behind which everything is that goes into files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QMenu, QToolButton, QWidget


class FileMenu(QToolButton):
    """A menu of what can be written, of sessions and of the dictionary.

    Signals
    -------
    export_requested(int)
        Place of the chosen kind in the titles given.
    picture_requested(), save_session_requested(), restore_session_requested(), edit_dictionary_requested()
        A menu entry was used.
    """

    export_requested = Signal(int)
    picture_requested = Signal()
    save_session_requested = Signal()
    restore_session_requested = Signal()
    edit_dictionary_requested = Signal()

    def __init__(self, titles: Sequence[str] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText("files ▾")
        self.setStyleSheet("QToolButton::menu-indicator { image: none }")  # the sign is in the text
        self.setToolTip("Export results, save or restore the session, edit the abnormality dictionary")
        self.setAutoRaise(True)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._titles = tuple(titles)
        self._lacking: Callable[[], Sequence[str]] = lambda: ()
        self._menu = QMenu(self)
        self.exports = [
            self._menu.addAction(f"{title}...", lambda place=place: self.export_requested.emit(place))
            for place, title in enumerate(titles)
        ]
        self.picture = self._menu.addAction("Picture of all views (PNG)...", self.picture_requested.emit)
        self._menu.addSeparator()
        self.save_session = self._menu.addAction("Save the session...", self.save_session_requested.emit)
        self.restore_session = self._menu.addAction("Restore a session...", self.restore_session_requested.emit)
        self._menu.addSeparator()
        self.edit_dictionary = self._menu.addAction(
            "Edit the abnormality dictionary", self.edit_dictionary_requested.emit
        )
        self._menu.aboutToShow.connect(self.refresh)
        self.setMenu(self._menu)

    def set_lacking(self, lacking: Callable[[], Sequence[str]]) -> None:
        """``lacking`` says of each export, when the menu opens, why there is nothing to write; empty where there is."""
        self._lacking = lacking
        self.refresh()

    def pop_up(self) -> None:
        """Open the menu, without waiting for what is chosen."""
        self._menu.popup(self.mapToGlobal(self.rect().bottomLeft()))

    def refresh(self) -> None:
        """Enable what is possible now, and say of the rest what it lacks."""
        for action, title, why in zip(self.exports, self._titles, self._lacking(), strict=False):
            if action is not None:
                action.setEnabled(not why)
                action.setText(f"{title}: {why}" if why else f"{title}...")
