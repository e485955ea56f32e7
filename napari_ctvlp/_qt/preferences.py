"""What the user set in napari's preferences for this plugin (the manifest's ``configurations``)."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from napari_ctvlp._qt.dock import Dock
    from napari_ctvlp._qt.linked_views import LinkedViews
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.wiring import Wiring

PLUGIN = "napari-ctvlp"
DEFAULT_ENCODER = "starter"


def preferences() -> Any:
    """The settings that napari keeps for this plugin, None where it does not know the plugin (scripts, tests)."""
    from napari.settings import get_plugin_settings

    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:
        return None


def preferred_encoder() -> str:
    """Name or folder of the encoder that a new window begins with."""
    settings = preferences()
    return (settings.asking.encoder.strip() if settings is not None else "") or DEFAULT_ENCODER


def prefers_side_views() -> bool:
    """Whether coronal and sagittal are shown from the start."""
    settings = preferences()
    return True if settings is None else bool(settings.looking.side_views)


class Preferences:
    """Begins with what the user prefers, and follows when that changes.

    What is switched in the dock holds for the dock; the preferences say how the next one begins.

    Parameters
    ----------
    dock, views, undo
        Whom it serves.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(self, dock: Dock, views: LinkedViews, undo: Undo, wiring: Wiring) -> None:
        self._dock = dock
        self._views = views
        self._undo = undo
        settings = self._settings = preferences()
        self._begun = False
        self._later = QTimer()
        self._later.setSingleShot(True)
        self._later.setInterval(0)
        self._later.timeout.connect(self._show_views)
        wiring.callback(self._later.stop)
        if settings is None:
            return
        wiring.connect(settings.asking.events.use_names, self._apply_names)
        wiring.connect(settings.looking.events.automatic_window, self._apply_window)
        wiring.connect(settings.looking.events.map_opacity, self._apply_opacity)
        self._apply_names()
        self._apply_window()
        self._apply_opacity()

    def show_views(self) -> None:
        """Show the side views where the user wants them from the start; the dock has its place and a scan is open."""
        begun, self._begun = self._begun, True
        if not begun and self._settings is not None and self._settings.looking.side_views:
            self._later.start()

    def leave_views(self) -> None:
        """Somebody else says whether the side views are shown at first."""
        self._begun = True
        self._later.stop()

    def _show_views(self) -> None:
        if not self._views.shown:
            self._views.set_shown(True)
            self._undo.clear()  # how it begins is no step

    def _apply_names(self, event: object = None) -> None:
        self._dock.use_names.setChecked(self._settings.asking.use_names)

    def _apply_window(self, event: object = None) -> None:
        self._dock.view.automatic.setChecked(self._settings.looking.automatic_window)

    def _apply_opacity(self, event: object = None) -> None:
        with self._undo.paused():
            self._dock.legend.opacity.setValue(self._settings.looking.map_opacity)
