"""A widget that files are dropped onto."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QWidget


class DropTarget(QWidget):
    """Takes files and folders, and opens them."""

    def __init__(self) -> None:
        super().__init__()
        self.setAcceptDrops(True)

    def open_files(self, paths: list[str]) -> None:
        """Open what was dropped."""
        raise NotImplementedError

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Qt: take files and folders."""
        if event is not None and event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Qt: open them."""
        paths = [url.toLocalFile() for url in event.mimeData().urls()] if event is not None else []
        paths = [path for path in paths if path]
        if event is not None and paths:
            event.acceptProposedAction()
            self.open_files(paths)
