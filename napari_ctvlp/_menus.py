"""What the entries in napari's own menus do: each asks the dock "CT query", which is opened where it is not.

Light, as all that the manifest names: everything else is imported when an entry is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_ctvlp._qt.main_widget import CtvlpWidget

PLUGIN, WIDGET = "napari-ctvlp", "CT query"


def make_masks() -> None:
    """Make organ masks of the open scan."""
    _make_masks(fast=False)


def make_masks_fast() -> None:
    """Make organ masks of the open scan with the fast model."""
    _make_masks(fast=True)


def statistics() -> None:
    """Show the list of organs with their statistics."""
    widget = dock()
    if widget is not None and _has_scan(widget):
        widget.dock.tables.setCurrentWidget(widget.dock.organs)


def follow_up() -> None:
    """Compare the open scan with a prior."""
    widget = dock()
    if widget is not None and _has_scan(widget):
        widget.follow_up.toggle()


def views() -> None:
    """Show coronal and sagittal, or hide them."""
    widget = dock()
    if widget is not None:
        widget.views.toggle()


def body() -> None:
    """Show the organs in 3D, or hide them."""
    widget = dock()
    if widget is not None:
        widget.body.toggle()


def export() -> None:
    """Offer what can be written of the open scan."""
    widget = dock()
    if widget is not None and _has_scan(widget):
        widget.dock.scan.files.pop_up()


def save_session() -> None:
    """Ask where to save the session."""
    widget = dock()
    if widget is not None and _has_scan(widget):
        widget.dock.scan.files.save_session_requested.emit()


def restore_session() -> None:
    """Ask which session to restore."""
    widget = dock()
    if widget is not None:
        widget.dock.scan.files.restore_session_requested.emit()


def dock() -> CtvlpWidget | None:
    """The dock of the viewer in front, opened where it is not and shown where it hides; None without a viewer."""
    import napari

    from napari_ctvlp._npe2 import open_dock

    viewer = napari.current_viewer()
    if viewer is None:
        return None
    widget: CtvlpWidget | None = open_dock()
    if widget is None:
        _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    elif (frame := widget.parentWidget()) is not None:
        frame.show()
        frame.raise_()  # it may stand behind another tab
    return widget


def _make_masks(*, fast: bool) -> None:
    widget = dock()
    if widget is not None and _has_scan(widget):
        widget.dock.scan.segment_requested.emit(fast)


def _has_scan(widget: CtvlpWidget) -> bool:
    """Whether there is something to work on; says so where there is not."""
    from napari_ctvlp.errors import UserError

    there = widget.session.scan is not None
    if not there:
        widget.session.failed.emit(UserError("There is no open scan; open one first."))
    return there
