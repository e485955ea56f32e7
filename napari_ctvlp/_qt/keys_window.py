"""The list "Keys and mouse"."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QDialog, QTextBrowser, QVBoxLayout, QWidget

from napari_ctvlp._qt.dialogs import bring_up, dismiss
from napari_ctvlp._qt.shortcuts import Shortcuts, Told

if TYPE_CHECKING:
    from napari_ctvlp._qt.wiring import Wiring

WHERE = (
    "Keys work in the whole window and in the dialogs of this plugin, but not while text is typed. "
    "Where the active layer is not ours and napari has a use for a key in it (R in a Shapes layer), the key is "
    "napari's while the dock does not have the focus."
)


def keys_html(told: Sequence[Told]) -> str:
    """Keys and gestures as a table, a heading a group; keys that do the same share a line."""
    groups: dict[str, dict[str, list[str]]] = {}
    for one in told:
        groups.setdefault(one.group, {}).setdefault(one.what, []).append(one.keys)
    rows = []
    for group, lines in groups.items():
        rows.append(f"<tr><td colspan='2'><b>{escape(group)}</b></td></tr>")
        for what, keys in lines.items():
            rows.append(
                f"<tr><td style='padding-right: 12px'>{escape(' or '.join(keys))}</td><td>{escape(what)}</td></tr>"
            )
    return f"<table cellpadding='2'>{''.join(rows)}</table><p>{escape(WHERE)}</p>"


class KeysDialog(QDialog):
    """Shows the list."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys and mouse")
        self.setModal(False)
        self.text = QTextBrowser()
        self.text.setAccessibleName("Keys and mouse")
        QVBoxLayout(self).addWidget(self.text)
        self.resize(620, 720)


class KeysWindow:
    """Opens the list on request.

    Parameters
    ----------
    keys : Shortcuts
        What is listed.
    parent : QWidget
        The dock; the dialog goes with it.
    wiring : Wiring
        Takes it away.
    """

    def __init__(self, keys: Shortcuts, parent: QWidget, wiring: Wiring) -> None:
        self._keys = keys
        self._parent = parent
        self.dialog: KeysDialog | None = None
        wiring.callback(self.close)

    def toggle(self) -> None:
        """Show the list, or hide it."""
        if self.dialog is not None and self.dialog.isVisible():
            self.dialog.close()
            return
        if self.dialog is None:
            self.dialog = KeysDialog(self._parent)
        self.dialog.text.setHtml(keys_html(self._keys.told))
        bring_up(self.dialog)

    def close(self) -> None:
        """Take the dialog away; safe to call twice."""
        dialog, self.dialog = self.dialog, None
        dismiss(dialog)
