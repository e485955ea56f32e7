"""Whether there is a screen for a window; without one Qt ends the whole process, with a dump and no sentence."""

from __future__ import annotations

import ctypes
import os
import sys

from qtpy.QtWidgets import QApplication

from napari_ctvlp.errors import UserError

NO_DISPLAY = (
    "No window can be opened: {}. The commands (napari-ctvlp --help lists them) need no screen, "
    "and xvfb-run napari-ctvlp ... gives a window one that nobody sees."
)


def check_display() -> None:
    """Make sure that Qt finds a screen, before it is asked for one.

    Raises
    ------
    UserError
        When there is none.
    """
    told = os.environ
    elsewhere = told.get("QT_QPA_PLATFORM", "xcb").split(":")[0] != "xcb" or "WAYLAND_DISPLAY" in told
    if not sys.platform.startswith("linux") or elsewhere or QApplication.instance() is not None:
        return
    name = told.get("DISPLAY", "")
    if not name:
        raise UserError(NO_DISPLAY.format("there is no display (DISPLAY is not set)"))
    if not _answers(name):
        raise UserError(NO_DISPLAY.format(f"the display {name} does not answer"))


def _answers(name: str) -> bool:
    """Whether an X server takes connections; True where the library that Qt would use is not there to ask."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return True
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(name.encode(), None))
    faulty = bool(xcb.xcb_connection_has_error(connection))
    xcb.xcb_disconnect(connection)
    return not faulty
