"""What the window says of its work: a sentence for people, the rest to the log."""

from __future__ import annotations

import logging

from napari.utils.notifications import show_error, show_info
from qtpy.QtWidgets import QApplication

from napari_ctvlp.errors import UserError

logger = logging.getLogger(__name__)
READ_MS = 15_000
"""How long a sentence stays that tells what to do: napari's four seconds are for a word or two."""


def tell_written(name: str) -> None:
    """Say that a file was written."""
    show_info(f"{name} was written.")


def tell_failure(error: Exception) -> None:
    """Say what went wrong; what is an error of ours goes to the log as well."""
    if isinstance(error, UserError):
        show_error(str(error))
        show_whole(str(error))
        return
    logger.error("unexpected error in the window's work", exc_info=error)
    show_error(f"Something went wrong in the plugin itself ({type(error).__name__}); the terminal has the details.")


def show_whole(text: str) -> None:
    """Open the notification that napari (0.9) has just made of a sentence: it shows the first words alone."""
    from napari._qt.dialogs.qt_notification import NapariQtNotification

    for made in QApplication.allWidgets():
        if isinstance(made, NapariQtNotification) and made.isVisible() and made.message.text() == text:
            made.expand()
            made.opacity_anim.setEndValue(1.0)  # an earlier one behind it would shine through
            made.timer.setInterval(READ_MS)
