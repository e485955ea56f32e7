"""Files that the window writes: results, sessions, the user's dictionary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Image, Labels
from napari.utils.notifications import show_info
from qtpy.QtCore import QFileSystemWatcher, Qt, QTimer, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QAbstractButton, QFileDialog, QWidget

from napari_ctvlp._qt.before_restoring import Before
from napari_ctvlp._qt.file_menu import FileMenu
from napari_ctvlp._qt.query_line import QueryLine
from napari_ctvlp._qt.telling import show_whole
from napari_ctvlp._qt.undo import Undo
from napari_ctvlp._qt.view_picture import picture_of, write_picture
from napari_ctvlp._qt.view_state import ViewState
from napari_ctvlp._qt.window_exports import WINDOW_EXPORTS
from napari_ctvlp.anatomy.user_dictionary import make_user_dictionary, user_dictionary_path
from napari_ctvlp.errors import UserError
from napari_ctvlp.exports import Results, write
from napari_ctvlp.queries import Queries
from napari_ctvlp.saved_session import SUFFIX, read_session, restore, save
from napari_ctvlp.session import Session
from napari_ctvlp.work import Task

SETTLE_MS = 200
"""Editors write a file in several steps; only the last is worth reading."""


class Saving:
    """Joins the menu of files, the session and the view.

    Parameters
    ----------
    viewer : napari viewer
    session : Session
    menu : FileMenu
    query : QueryLine
        Shows the question of a restored session.
    use_names : QAbstractButton
        Shows whether names count in it.
    queries : Queries
        What is pinned.
    undo : Undo
        Takes a restored session back.
    layers : callable
        Gives the layers of the open scan and of its masks, each None where there is none.
    view : ViewState
        How the scan is looked at.
    canvases : callable
        Gives the canvases that are to be seen.
    parent : QWidget
        Of the dialogs; what is made here goes with it.
    """

    def __init__(
        self,
        viewer: Any,
        session: Session,
        menu: FileMenu,
        query: QueryLine,
        use_names: QAbstractButton,
        queries: Queries,
        undo: Undo,
        layers: Callable[[], tuple[Image | None, Labels | None]],
        view: ViewState,
        canvases: Callable[[], list[QWidget]],
        parent: QWidget,
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._query = query
        self._use_names = use_names
        self._queries = queries
        self._undo = undo
        self._restored = 0
        self._layers = layers
        self._view = view
        self._canvases = canvases
        self._parent = parent
        menu.set_lacking(lambda: [export.lacks(Results.of(session)) for export in WINDOW_EXPORTS])
        menu.export_requested.connect(self._ask_where)
        menu.picture_requested.connect(self._ask_where_for_picture)
        menu.save_session_requested.connect(self._ask_where_to_save)
        menu.restore_session_requested.connect(self._ask_what_to_restore)
        menu.edit_dictionary_requested.connect(self._edit_dictionary)
        self._timer = QTimer(parent)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.timeout.connect(self._on_dictionary_settled)
        self._waiting = QTimer(parent)
        self._waiting.setSingleShot(True)
        self._waiting.setInterval(SETTLE_MS)
        self._waiting.timeout.connect(lambda: self.save_session(self._waiting_path))
        self._waiting_path = Path()
        self._watcher = QFileSystemWatcher(parent)
        self._watcher.fileChanged.connect(lambda _path: self._timer.start())
        self._watcher.directoryChanged.connect(lambda _path: self._timer.start())
        self._state = self._dictionary_state()
        self._watch()

    # -- results -----------------------------------------------------------------------------------------------

    def export(self, place: int, path: str | Path) -> None:
        """Write one kind of file in the background."""
        results = Results.of(self._session, self._queries)
        write(self._session, lambda: WINDOW_EXPORTS[place](Path(path), results))

    def _ask_where(self, place: int) -> None:
        export = WINDOW_EXPORTS[place]
        self._dialog(export.title, f"*{export.suffix}", lambda path: self.export(place, path), save=True)

    def write_picture(self, path: str | Path) -> None:
        """Write what all views show now."""
        canvases = self._canvases()
        if not canvases:
            self._session.failed.emit(UserError("There is no view to take a picture of."))
            return
        picture = picture_of(canvases, self._parent.palette().window().color())
        write(self._session, lambda: write_picture(path, picture))

    def _ask_where_for_picture(self) -> None:
        self._dialog("Picture of all views", "*.png", self.write_picture, save=True)

    # -- sessions ----------------------------------------------------------------------------------------------

    def save_session(self, path: str | Path) -> None:
        """Write what is open, asked and seen; the view is taken now, the rest is done in the background."""
        target = Path(path)
        if not target.name.lower().endswith(".json"):
            target = target.with_name(target.name + SUFFIX)
        view = self._view.take()
        session, pinned = self._session, self._queries.pinned
        self._waiting.stop()
        if session.is_editing:  # the last strokes are not measured yet
            self._waiting_path = target
            self._waiting.start()
            return

        def work() -> Path:
            save(target, session, view, pinned)
            return target

        write(session, work)

    def restore_session(self, path: str | Path, *, step: bool = True) -> None:
        """Open what a saved session had open, and look at it as then; a step unless that is how the window begins."""
        try:
            saved = read_session(path)
        except UserError as error:
            self._session.failed.emit(error)
            return
        before = Before.of(self._session, self._queries, self._view.take(), self._viewer.layers)
        self._restored += 1
        series = f"restoring {self._restored}"

        def remember() -> None:
            if step:
                self._undo.push("restoring a session", partial(self._go_back, before), series=series)

        def opened() -> None:
            self._view.give(saved.view)
            remember()  # another scan has come, with which all steps were forgotten

        remember()
        self._query.setText(saved.query)
        self._query.set_history(list(saved.history))
        self._queries.set_pinned(saved.pinned)
        restore(self._session, saved, opened, Path(path).parent)
        self._use_names.setChecked(saved.use_names)

    def _go_back(self, before: Before) -> None:
        """Take a restored session back: its scan goes, and what was open, asked and seen comes again."""
        for task in (Task.SCAN, Task.MASKS):
            self._session.stop(task)  # it may still be on its way
        before.open_again(self._session, self._viewer, self._layers())
        before.ask_again(self._session, self._queries)
        self._query.setText(before.query)
        self._query.set_history(self._session.history)
        self._use_names.setChecked(before.use_names)
        before.look_again(self._viewer, self._layers()[0], self._view)

    def take(self, paths: Sequence[str]) -> bool:
        """Restore a session that was dropped; False when it is none."""
        if len(paths) == 1 and paths[0].lower().endswith(SUFFIX):
            self.restore_session(paths[0])
            return True
        return False

    def _ask_where_to_save(self) -> None:
        self._dialog("Save the session", f"*{SUFFIX}", self.save_session, save=True)

    def _ask_what_to_restore(self) -> None:
        self._dialog("Restore a session", "*.json", self.restore_session, save=False)

    # -- the dictionary ----------------------------------------------------------------------------------------

    def _edit_dictionary(self) -> None:
        try:
            path = make_user_dictionary()
        except UserError as error:
            self._session.failed.emit(error)
            return
        self._watch()
        text = f"{_open_with_any_program(path)} It is read again as soon as it is saved."
        show_info(text)
        show_whole(text)

    def dictionary_written(self) -> None:
        """Read the dictionary again, which the window itself has written."""
        self._on_dictionary_settled()

    def _watch(self) -> None:
        """Watch the file and its folder, since editors replace a file rather than write into it.

        While there is no such folder the nearest one above is watched, in which it will appear.
        """
        path = user_dictionary_path()
        while True:
            wanted = [str(p) for p in (path, next((p for p in path.parents if p.is_dir()), path)) if p.exists()]
            watched = [*self._watcher.files(), *self._watcher.directories()]
            if gone := [p for p in watched if p not in wanted]:
                self._watcher.removePaths(gone)
            new = [p for p in wanted if p not in watched]
            # once more after each: a folder may have appeared in what was not watched yet
            if not new or self._watcher.addPaths(new):
                return

    def _on_dictionary_settled(self) -> None:
        self._watch()
        state = self._dictionary_state()
        if state != self._state:
            self._state = state
            self._session.dictionary_changed()

    @staticmethod
    def _dictionary_state() -> tuple[int, int] | None:
        try:
            stat = user_dictionary_path().stat()
        except OSError:
            return None
        return (stat.st_mtime_ns, stat.st_size)

    # -- dialogs -----------------------------------------------------------------------------------------------

    def _dialog(self, title: str, pattern: str, then: Callable[[str], None], *, save: bool) -> None:
        dialog = QFileDialog(self._parent, title, "", f"{title} ({pattern})")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if save:
            dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        else:
            dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(then)
        dialog.open()


def _open_with_any_program(path: Path) -> str:
    """Open a text file with what the desktop has for it, or else its folder; says where it is in any case."""
    if QDesktopServices.openUrl(QUrl.fromLocalFile(str(path))):
        return f"The dictionary is {path}."
    shown = QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent)))
    return (
        f"No program is set here to open {path.name}{', so its folder is shown' if shown else ''}. "
        f"Edit {path} with any text editor."
    )
