"""Joins the case library that the user chose with the score that is being explained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_ctvlp.ask.case_library import CaseLibrary, nearest
from napari_ctvlp.ask.teach import EncoderKey
from napari_ctvlp.errors import UserError
from napari_ctvlp.teaching import anonymous_scan
from napari_ctvlp.work import Task

if TYPE_CHECKING:
    from napari_ctvlp._qt.known_cases_box import KnownCasesBox
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp.session import Session

SHORT = 6
"""Digits of a scan's hash that are shown."""


class KnownCases:
    """Opens a library on request, and shows what in it is nearest to the organs in question.

    Parameters
    ----------
    session, undo
        Whom it serves.
    display_name : callable
        What to call an organ.
    """

    def __init__(self, session: Session, undo: Undo, display_name: Callable[[str], str]) -> None:
        self._session, self._undo, self._display_name = session, undo, display_name
        self.library: CaseLibrary | None = None
        self._box: KnownCasesBox | None = None
        self._organs: tuple[str, ...] = ()

    def show_in(self, box: KnownCasesBox) -> None:
        """Show examples there from now on."""
        self._box = box
        box.library_requested.connect(self._ask_where)
        self._show()

    def set_organs(self, organs: Sequence[str]) -> None:
        """The organs that the score is about; none while there is none."""
        self._organs = tuple(organs)
        self._show()

    def open(self, folder: str | Path) -> None:
        """Read a library for the encoder of the open scan, in the background."""
        session, rooms, encoder = self._session, self._session.rooms, self._session.encoder
        if encoder is None:
            session.failed.emit(UserError("A case library is read for an encoder, and none is loaded yet."))
            return
        session.run(Task.CASES, lambda _report, _cancelled: rooms.read_library(folder, encoder), self._on_read)

    def _on_read(self, library: CaseLibrary) -> None:
        before = self.library
        self._set(library)
        self._undo.push("opening the case library", partial(self._set, before))

    def _set(self, library: CaseLibrary | None) -> None:
        self.library = library
        self._show()

    def _show(self) -> None:
        box, library, embedding, scan = self._box, self.library, self._session.embedding, self._session.scan
        if box is None:
            return
        if library is None or embedding is None or scan is None or not self._organs:
            box.set_cases("", ())
            return
        if library.encoder != EncoderKey.of(embedding.encoder.card):
            box.set_cases(f"{library.name}: was read for another encoder; open it again for this one.", ())
            return
        near = nearest(library, embedding, self._organs, anonymous_scan(scan))
        rows = [
            (f"{self._display_name(known.organ)}, scan {known.scan[:SHORT]}", known.findings, cosine)
            for known, cosine in near.found
        ]
        of = " or ".join(self._display_name(organ) for organ in self._organs)
        told = f"{library.name}: of {near.among} examples of {of} those that look most like it to this encoder."
        if not rows:
            told = f"{library.name}: holds no example of {of} from another scan."
        box.set_cases("\n".join((told, *library.notes)), rows)

    def _ask_where(self) -> None:
        dialog = QFileDialog(self._box, "Case library: folder of taught findings")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.open)
        dialog.open()
