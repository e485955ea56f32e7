"""Steps of the tour that look at everything again: in napari's light theme, and on a small screen."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt

from .driver import SHIFT, Driver

SMALL = (1366, 768)
QUESTION = "stone in the left kidney"


def light_theme(driver: Driver) -> None:
    """The window and each of its dialogs in napari's light theme."""
    driver.ask(QUESTION)
    driver.key(Qt.Key.Key_K)
    driver.idle()
    driver.viewer.theme = "light"
    driver.wait(400)
    driver.picture("light_theme")
    _tabs(driver, "light")
    _dialogs(driver, "light")
    driver.key(Qt.Key.Key_K)
    driver.viewer.theme = "dark"
    driver.wait(400)


def small_screen(driver: Driver) -> None:
    """1366 by 768, as on many a laptop: nothing is cut, and what is needed while one looks stays in sight."""
    size = driver.window.size()
    driver.ask(QUESTION)
    driver.window.resize(*SMALL)
    driver.wait(300)
    assert (driver.window.width(), driver.window.height()) == SMALL, "the window does not become so small"
    driver.key(Qt.Key.Key_K)
    driver.idle()
    driver.picture("small")
    for bar in (driver.widget.dock.view, driver.widget.dock.position, driver.widget.dock.query):
        assert not bar.visibleRegion().isEmpty()
    driver.key(Qt.Key.Key_K)
    _tabs(driver, "small")
    driver.ask("")
    driver.picture("small_nothing_asked")
    driver.window.resize(size)
    driver.wait(300)


def _tabs(driver: Driver, prefix: str) -> None:
    tables = driver.widget.dock.tables
    for place in range(1, tables.count()):
        tables.setCurrentIndex(place)
        driver.picture(f"{prefix}_{tables.tabText(place).lower()}")
    tables.setCurrentIndex(0)


def _dialogs(driver: Driver, prefix: str) -> None:
    widget = driver.widget
    shown: tuple[tuple[str, Qt.Key, Qt.KeyboardModifier, Callable[[], object]], ...] = (
        ("why", Qt.Key.Key_W, Qt.KeyboardModifier.NoModifier, lambda: widget.reasons.dialog),
        ("prompts", Qt.Key.Key_R, Qt.KeyboardModifier.NoModifier, lambda: widget.lab.dialog),
        ("queries", Qt.Key.Key_N, Qt.KeyboardModifier.NoModifier, lambda: widget.asked.dialog),
        ("follow_up", Qt.Key.Key_F, SHIFT, lambda: widget.follow_up.dialog),
        ("audit", Qt.Key.Key_U, SHIFT, lambda: widget.audit.dialog),
        ("keys", Qt.Key.Key_F1, Qt.KeyboardModifier.NoModifier, lambda: widget.keys_window.dialog),
    )
    for name, key, modifier, dialog in shown:
        driver.key(key, modifier)
        driver.idle()
        opened = dialog()
        assert opened is not None and opened.isVisible(), name
        driver.picture_of(opened, f"{prefix}_{name}")
        opened.close()
        driver.front()
