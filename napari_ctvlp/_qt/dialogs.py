"""Dialogs that are made once, come to the front on request, and go with their room."""

from __future__ import annotations

from qtpy.QtWidgets import QDialog

from napari_ctvlp._qt.shortcuts import keys_of


def bring_up(dialog: QDialog) -> None:
    """Show a dialog in front of the others; the keys of the window work in it, too."""
    keys = keys_of(dialog)
    if keys is not None:
        keys.install_in(dialog)
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()


def dismiss(dialog: QDialog | None) -> None:
    """Take a dialog away for good, where there is one."""
    if dialog is not None:
        dialog.hide()
        dialog.deleteLater()
