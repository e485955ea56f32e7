"""Joins the follow-up window, the prior and the viewer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_ctvlp._qt.dialogs import bring_up
from napari_ctvlp._qt.follow_up_dialog import HINT, PICTURE_HEIGHT, FollowUpDialog
from napari_ctvlp._qt.opening import MASK_FILES
from napari_ctvlp.anatomy import display_name
from napari_ctvlp.ask.followup import FollowUp, write_follow_up
from napari_ctvlp.ask.pictures import key_slice
from napari_ctvlp.errors import UserError
from napari_ctvlp.exports import write
from napari_ctvlp.prior import Given, Prior
from napari_ctvlp.work import Activity, Task

if TYPE_CHECKING:
    from napari_ctvlp._qt.navigator import Navigator, Place
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.session import Session

FOLLOW_UP_KEY = "Shift+F"
SCAN_FILES = "Scans (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.dcm);;All files (*)"


class FollowUpWindow:
    """Opens the dialog on request, fills it, goes to the organ that is chosen there.

    Parameters
    ----------
    session : Session
    navigator : Navigator
        Shows an organ in the viewer.
    undo : Undo
        Takes opening and closing a prior back.
    parent : QWidget
        The dock; dialogs go with it.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(self, session: Session, navigator: Navigator, undo: Undo, parent: QWidget, wiring: Wiring) -> None:
        self._session = session
        self._navigator = navigator
        self._place = navigator.place
        self._undo = undo
        self._parent = parent
        self._scan: str | None = None
        self._masks: str | None = None
        self._offered: list[Any] = []
        self._busy = False
        self.prior = Prior(session)
        self.dialog: FollowUpDialog | None = None
        wiring.connect(self.prior.changed, self._on_changed)
        wiring.connect(self.prior.opened, self._on_opened)
        wiring.connect(self.prior.series_offered, self._on_series)
        wiring.connect(session.activity_changed, self._on_activity)
        wiring.connect(session.failed, self._on_failed)
        wiring.callback(self._close)

    def toggle(self) -> None:
        """Show the window, or hide it; what was compared stays."""
        dialog = self._made()
        if dialog.isVisible():
            dialog.hide()
        else:
            bring_up(dialog)

    def open(self, scan: str | Path | None = None, masks: str | Path | None = None) -> None:
        """Take a prior's scan or masks; both together are opened. A folder may hold both."""
        self._scan = self._scan if scan is None else str(scan)
        self._masks = self._masks if masks is None else str(masks)
        dialog = self._made()
        if self._scan is None:
            dialog.set_state("Now choose the scan that these masks belong to.")
        elif self._masks is None and Path(self._scan).is_file():
            dialog.set_state(f"{Path(self._scan).name}: now choose its organ masks.")
        else:
            self.prior.open(self._scan, self._masks)

    def forget(self) -> None:
        """Close the prior and free its memory; taken back, it is read again."""
        before = self.prior.given
        if before is not None:
            self.prior.close()
            self._undo.push("closing the prior", partial(self._bring_back, before))

    def save(self, path: str) -> None:
        """Write the table in the background."""
        found = self.prior.found
        if found is not None:
            write(self._session, lambda: write_follow_up(path, found))

    # -- inside ------------------------------------------------------------------------------------------------

    def _made(self) -> FollowUpDialog:
        if self.dialog is None:
            self.dialog = dialog = FollowUpDialog(display_name, self._parent)
            dialog.scan_file_requested.connect(lambda: self._ask_file("Prior scan", SCAN_FILES, self._take_scan))
            dialog.scan_folder_requested.connect(lambda: self._ask_folder("Folder of the prior", self._take_scan))
            dialog.masks_file_requested.connect(
                lambda: self._ask_file("Masks of the prior", MASK_FILES, self._take_masks)
            )
            dialog.masks_folder_requested.connect(lambda: self._ask_folder("Masks of the prior", self._take_masks))
            dialog.paths_dropped.connect(self._on_dropped)
            dialog.organ_chosen.connect(self._on_organ)
            dialog.export_requested.connect(self._ask_where)
            dialog.close_requested.connect(self.forget)
            dialog.series.series_chosen.connect(self._on_series_chosen)
        return self.dialog

    def _take_scan(self, path: str) -> None:
        self._masks = None  # those of another scan
        self.open(scan=path)

    def _take_masks(self, path: str) -> None:
        self.open(masks=path)

    def _on_dropped(self, paths: list[str]) -> None:
        self._scan = self._masks = None
        self.prior.open_paths(paths)

    def _on_series(self, path: str | Path, found: list[Any]) -> None:
        self._scan, self._offered = str(path), list(found)
        self._made().series.offer(Path(path).name, [str(series) for series in found])

    def _on_series_chosen(self, place: int) -> None:
        if self._scan is not None:
            self.prior.open(self._scan, self._masks, self._offered[place].key)

    def _on_opened(self, before: Given | None) -> None:
        self._undo.push("opening the prior", partial(self._bring_back, before, self._place))

    def _bring_back(self, given: Given | None, place: Place | None = None) -> None:
        """Open the prior that was open before, nothing where none was, and look where one looked."""
        if given is None:
            self.prior.close()
        else:
            self.prior.open(*given, news=False)
        if place is not None:
            self._navigator.return_to(place)

    def _on_changed(self, found: FollowUp | None) -> None:
        if found is None:
            self._scan = self._masks = None
        if self.dialog is not None:
            self._place = self._navigator.place
            with self._undo.paused():  # going to the first organ is part of opening the prior
                self.dialog.set_found(found)
            self.dialog.set_state(self._told)

    def _on_activity(self, activity: Activity | None) -> None:
        if self.dialog is None:
            return
        if activity is not None and activity.task is Task.PRIOR:
            done = "" if activity.fraction is None else f" {100 * activity.fraction:.0f} %"
            self.dialog.set_state(f"Reading and encoding the prior{done}...")
            self._busy = True
        elif self._busy:
            self._busy = False
            self.dialog.set_state(self._told)

    def _on_failed(self, error: Exception) -> None:
        """Say it here too: the dialog may hide the notification."""
        if self.dialog is not None and self.dialog.isVisible() and isinstance(error, UserError):
            self.dialog.set_state(f"⚠ {error}")

    @property
    def _told(self) -> str:
        exam, found = self.prior.exam, self.prior.found
        if exam is None or found is None:
            return HINT
        days = found.patients.days
        when = f", taken {days} days earlier" if days is not None and days >= 0 else ""
        return f"Prior: {exam.scan.name}{when}. {len(found.rows)} organs, by change."

    def _on_organ(self, organ: str) -> None:
        """Go there in the viewer, and draw it in both scans."""
        self._navigator.choose(organ)
        exam, scan, masks = self.prior.exam, self._session.scan, self._session.masks
        if exam is None or scan is None or masks is None:
            return
        pairs = ((exam.scan, exam.masks), (scan, masks))
        title = display_name(organ)

        def work(_report: object, _cancelled: object) -> list[Any]:
            return [key_slice(s, m, organ, height=PICTURE_HEIGHT) if organ in m.statistics else None for s, m in pairs]

        def done(pictures: list[Any]) -> None:
            if self.dialog is not None:
                self.dialog.set_pictures(title, *pictures)

        self._session.run(Task.PICTURES, work, done)

    # -- dialogs -----------------------------------------------------------------------------------------------

    def _ask_file(self, title: str, pattern: str, then: Callable[[str], None]) -> None:
        dialog = QFileDialog(self.dialog, title, "", pattern)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        self._ask(dialog, then)

    def _ask_folder(self, title: str, then: Callable[[str], None]) -> None:
        dialog = QFileDialog(self.dialog, title)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        self._ask(dialog, then)

    def _ask_where(self) -> None:
        if self.prior.found is None:
            self._session.failed.emit(UserError("There is no comparison to write yet; open a prior first."))
            return
        dialog = QFileDialog(self.dialog, "Changes since the prior", "followup.csv", "CSV (*.csv)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        self._ask(dialog, self.save)

    @staticmethod
    def _ask(dialog: QFileDialog, then: Callable[[str], None]) -> None:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(then)
        dialog.open()

    def _close(self) -> None:
        self.prior.disconnect()
        if self.dialog is not None:
            self.dialog.close()
            self.dialog = None
