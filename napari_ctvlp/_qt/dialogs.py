"""Dialogs that are made once, come to the front on request, and go with their room."""

from __future__ import annotations

from qtpy.QtWidgets import QDialog


def bring_up(dialog: QDialog) -> None:
    """Show a dialog in front of the others."""
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()


def dismiss(dialog: QDialog | None) -> None:
    """Take a dialog away for good, where there is one."""
    if dialog is not None:
        dialog.hide()
        dialog.deleteLater()
