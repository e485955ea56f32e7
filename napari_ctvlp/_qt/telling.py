"""What the window says of its work: a sentence for people, the rest to the log."""

from __future__ import annotations

import logging

from napari.utils.notifications import show_error, show_info

from napari_ctvlp.errors import UserError

logger = logging.getLogger(__name__)


def tell_written(name: str) -> None:
    """Say that a file was written."""
    show_info(f"{name} was written.")


def tell_failure(error: Exception) -> None:
    """Say what went wrong; what is an error of ours goes to the log as well."""
    if isinstance(error, UserError):
        show_error(str(error))
        return
    logger.error("unexpected error in the window's work", exc_info=error)
    show_error(f"Something went wrong in the plugin itself ({type(error).__name__}); the terminal has the details.")
