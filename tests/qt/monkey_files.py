"""What a random user does with files, docks and other windows."""

from __future__ import annotations

import re
import weakref

from napari._qt.widgets.qt_viewer_dock_widget import QtViewerDockWidget
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QColorDialog, QFileDialog, QPushButton

from napari_ctvlp._qt.docked import dock_of
from napari_ctvlp._qt.preferences import PLUGIN
from napari_ctvlp.opening import open_paths
from napari_ctvlp.scan.nifti_out import write_masks_nifti, write_straight_scan

from .monkey_dock import DockHands
from .monkey_hands import NONE, QUESTIONS
from .windows import add_layers


class FileHands(DockHands):
    """Opens and writes files, answers dialogs, opens and closes docks and viewers.

    Parameters
    ----------
    viewer, phantom, seed
    folder : Path
        Where files are written, and opened from.
    make_viewer, make_widget : callable
        Make another viewer, and a dock in one.
    settings
        What napari keeps of the user's preferences.
    """

    def __init__(self, viewer, phantom, seed, folder, make_viewer, make_widget, settings):
        super().__init__(viewer, phantom, seed)
        self.make_viewer, self.make_widget, self.settings = make_viewer, make_widget, settings
        self.out = folder / "out"
        self.gone = []  # weak references to what was closed
        scan, masks = phantom
        for name in ("now", "before", "out"):
            (folder / name).mkdir()
        for name in ("now", "before"):
            write_straight_scan(folder / name / "ct.nii.gz", scan)
            write_masks_nifti(folder / name / "seg.nii.gz", scan, masks)
        (folder / "broken.nii.gz").write_bytes(b"no")
        now, before = folder / "now", folder / "before"
        self.files = [now / "ct.nii.gz", now / "seg.nii.gz", now, before, folder / "broken.nii.gz"]
        self.priors = [(before,), (before / "ct.nii.gz", before / "seg.nii.gz"), (before, before / "seg.nii.gz")]
        self.open_dock()

    # -- dialogs -----------------------------------------------------------------------------------------------

    def answer_dialogs(self, monkeypatch):
        """Let dialogs of Qt be answered as soon as they open: most with a file, some not at all."""
        monkeypatch.setattr(QFileDialog, "open", lambda dialog: self._answer(dialog))
        monkeypatch.setattr(QColorDialog, "open", lambda dialog: self._answer_colour(dialog))

    def _answer(self, dialog):
        if self.chance(0.85):
            dialog.fileSelected.emit(str(self._chosen(dialog)))
        dialog.close()

    def _chosen(self, dialog):
        if dialog.acceptMode() == QFileDialog.AcceptMode.AcceptSave:
            ending = re.search(r"\*(\.[\w.]+)", dialog.nameFilters()[0])
            name = f"{self.rng.integers(20)}" + (ending[1] if ending and self.chance(0.8) else "")
            return self.out / name
        if dialog.fileMode() == QFileDialog.FileMode.Directory:
            return self.pick(path for path in [*self.files, self.out] if path.is_dir())
        written = [path for path in self.out.iterdir() if path.name.endswith(".json")]
        wants_json = "json" in dialog.nameFilters()[0]
        return self.pick(written if written and wants_json else [path for path in self.files if path.is_file()])

    def _answer_colour(self, dialog):
        dialog.colorSelected.emit(dialog.currentColor())
        dialog.close()

    # -- files -------------------------------------------------------------------------------------------------

    def room_for_a_scan(self):
        if self.too_many_scans():
            self.remove_a_layer()
            return False
        return True

    def open_files(self):
        """Read files in the background, whatever goes on there."""
        if self.room_for_a_scan():
            open_paths(
                self.widget.session, self.pick([self.files[:2], self.files[:1], self.files[2:3], self.files[4:]])
            )

    def drop_files(self):
        if not self.room_for_a_scan():
            return
        data = QMimeData()
        paths = self.pick([self.files[:2], self.files[:1], self.files[1:2], self.files[2:3], self.files[4:]])
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        left = Qt.MouseButton.LeftButton
        self.widget.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, left, NONE))

    def open_with_napari(self):
        if self.room_for_a_scan():
            self.viewer.open([str(path) for path in self.pick([self.files[:2], self.files[:1]])], plugin=PLUGIN)

    def export(self):
        menu = self.widget.dock.scan.files
        menu.refresh()
        action = self.pick(a for a in [*menu.exports, menu.picture] if a.isEnabled())
        action.trigger()

    def save_the_session(self):
        self.widget.dock.scan.files.save_session.trigger()

    def restore_a_session(self):
        saved = self.pick(self.out.glob("*.ctvlp.json"))
        if saved is not None and self.room_for_a_scan():
            self.widget.saving.restore_session(saved)

    # -- docks and windows -------------------------------------------------------------------------------------

    def open_dock(self):
        self.widget = self.make_widget(self.viewer)

    def close_dock(self):
        """Close the dock of the plugin, and open it again from the menu."""
        self.gone.append(weakref.ref(self.widget))
        press_title(dock_of(self.widget), "QTitleBarCloseButton")
        self.widget = None
        if self.chance(0.5):
            QApplication.processEvents()
        self.open_dock()

    def handle_docks(self):
        """Close, float, hide and show docks, ours and napari's."""
        docks = [dock for dock in self.window.findChildren(QtViewerDockWidget) if dock.widget() is not None]
        dock = self.pick(docks)
        ours = dock.widget() is self.widget
        kind = self.rng.integers(4)
        if kind == 0 and not ours and dock.isVisible() and dock.name.startswith(("Coronal", "Organs")):
            press_title(dock, "QTitleBarCloseButton")
        elif kind == 1 and dock.isVisible() and dock.features() & dock.DockWidgetFeature.DockWidgetFloatable:
            dock.setFloating(not dock.isFloating())
        elif kind == 2:
            dock.setVisible(not dock.isVisible())
        else:
            self.window.resize(int(self.rng.integers(700, 1100)), int(self.rng.integers(450, 750)))
        if not dock_of(self.widget).isVisible():
            dock_of(self.widget).show()

    def use_another_viewer(self):
        """Open another viewer with a dock of its own, ask there, and close it."""
        viewer = self.make_viewer()
        widget = self.make_widget(viewer)
        self.gone += [weakref.ref(viewer), weakref.ref(widget)]
        add_layers(viewer, *self.phantom)
        widget.ask(self.pick(QUESTIONS))
        if self.chance(0.5):
            widget.views.set_shown(True)
        QTest.qWait(int(self.pick([0, 20, 200])))
        viewer.close()


def press_title(dock, name):
    """Click a button of a dock's title bar."""
    button = next(b for b in dock.titleBarWidget().findChildren(QPushButton) if b.objectName() == name)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
