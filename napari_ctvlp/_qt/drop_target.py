"""What widgets that files are dropped onto have in common."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from qtpy.QtGui import QDragEnterEvent, QDropEvent


class DropTarget:
    """Mixed into a widget of Qt's, which it comes before; takes files and folders where the widget accepts drops."""

    def open_files(self, paths: list[str]) -> None:
        """Open what was dropped; each widget does that its own way."""
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
