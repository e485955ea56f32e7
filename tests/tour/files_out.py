"""Steps of the tour for what goes out: results, pictures, sessions, each through the menu and a dialog of files."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage

from napari_ctvlp._qt.window_exports import WINDOW_EXPORTS

from .driver import SHIFT, Driver
from .hands import choose, drop, heard, name_file, press, wait_to_hear

QUESTION = "stone in the left kidney"


def files_menu(driver: Driver) -> None:
    """What can be written, and why the rest cannot."""
    driver.ask(QUESTION)
    menu = driver.widget.dock.scan.files
    lacking = [action.text() for action in menu.exports if not action.isEnabled()]
    choose(driver, menu, "Picture of all views", picture="files_menu")
    name_file(driver, lambda: None, driver.files / "all_views.png", "picture_dialog")
    driver.wait_for((driver.files / "all_views.png").exists)
    driver.idle()
    assert all(": " in text for text in lacking), "each says what it lacks"
    picture = QImage(str(driver.files / "all_views.png"))
    assert picture.width() > 600 and picture.height() > 400


def results(driver: Driver) -> None:
    """Everything that can be written of a scan that is no DICOM, read again by others than the plugin."""
    session = driver.widget.session
    driver.ask(QUESTION)
    shape = session.scan.stored.shape
    written = {}
    for export in WINDOW_EXPORTS:
        if export.needs == "dicom":
            continue
        name = f"result_{len(written)}{export.suffix}"
        with heard() as told:
            name_file(
                driver,
                partial(choose, driver, driver.widget.dock.scan.files, export.title),
                driver.files / name,
            )
            wait_to_hear(driver, told, name, "written")
        written[export.title] = driver.files / name
    driver.picture("results_written")
    with driver.watchdog.paused():  # the tour reads them
        for title, path in written.items():
            _check(title, path, shape, len(session.masks.names))


def _check(title: str, path: Path, shape: tuple[int, ...], organs: int) -> None:
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as stream:
            assert len(list(csv.reader(stream))) > organs / 2, title
    elif path.suffix == ".json":
        told = json.loads(path.read_text(encoding="utf-8"))
        assert told["queries"][0]["text"] == QUESTION and told["provenance"], title
    elif path.suffix == ".html":
        assert "<img" in path.read_text(encoding="utf-8"), title
    elif path.suffix == ".pdf":
        assert path.read_bytes().startswith(b"%PDF"), title
    else:
        image = nib.load(path)
        assert image.shape == shape and np.any(np.asarray(image.dataobj)), title


def organs_csv(driver: Driver) -> None:
    """Statistics by the button of the organ list."""
    dock = driver.widget.dock
    dock.tables.setCurrentWidget(dock.organs)
    driver.wait()
    path = driver.files / "organs.csv"
    name_file(driver, partial(press, driver, dock.organs.export_button), path)
    driver.wait_for(path.exists)
    driver.idle()
    with path.open(newline="", encoding="utf-8") as stream:
        assert len(list(csv.reader(stream))) == 1 + len(driver.widget.session.masks.names)
    dock.tables.setCurrentWidget(dock.findings)


def session_saved(driver: Driver) -> None:
    """What is open, asked, pinned and looked at, as a small file."""
    driver.ask(QUESTION)
    driver.key(Qt.Key.Key_4, SHIFT)
    driver.key(Qt.Key.Key_N, SHIFT)
    path = driver.files / "case.ctvlp.json"
    save = partial(choose, driver, driver.widget.dock.scan.files, "Save the session")
    with heard() as told:
        name_file(driver, save, path, "session_dialog")
        wait_to_hear(driver, told, path.name, "written")
    driver.picture("session_saved")
    driver.key(Qt.Key.Key_U)
    driver.key(Qt.Key.Key_U)
    assert driver.widget.session.query == QUESTION and not driver.widget.queries.pinned


def session_restored(driver: Driver) -> None:
    """The same again after something else was asked; one key takes it back."""
    widget = driver.widget
    path = driver.files / "case.ctvlp.json"
    if not path.exists():
        session_saved(driver)
    driver.ask("liver")
    shown = list(widget.layers.shown)
    name_file(driver, partial(choose, driver, widget.dock.scan.files, "Restore a session"), path)
    driver.wait_for(lambda: widget.session.query == QUESTION and widget.session.ranking is not None)
    driver.idle()
    assert widget.window_level.value == (2500.0, 480.0) and widget.queries.pinned == (QUESTION,)
    driver.picture("session_restored")
    driver.key(Qt.Key.Key_U)
    driver.wait_for(lambda: widget.session.query == "liver" and widget.session.ranking is not None)
    driver.idle()
    assert not widget.queries.pinned
    assert list(widget.layers.shown) == shown, "what was open already was opened once more"
    driver.picture("restoring_taken_back")


def session_dropped(driver: Driver) -> None:
    """A session dropped into another window shows the same there, and nothing changes here."""
    path = driver.files / "case.ctvlp.json"
    if not path.exists():
        session_saved(driver)
    here = driver.widget.session.query
    second = driver.second
    drop(second, second.widget.dock, path)
    session = second.widget.session
    second.wait_for(lambda: session.query == QUESTION and session.ranking is not None)
    second.idle()
    assert session.ranking.best.organ == "kidney_left" and driver.widget.session.query == here
    second.picture("session_dropped")
    driver.front()
