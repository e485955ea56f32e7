"""More of what hands do: files dropped, buttons and menus clicked, names typed into dialogs of files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from napari.utils.notifications import Notification, notification_manager
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QAction, QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QFileDialog,
    QLineEdit,
    QMenu,
    QMenuBar,
    QWidget,
)

from .driver import NONE, Driver

LEFT = Qt.MouseButton.LeftButton
PRESSES = 20
"""How often Enter is tried: on a busy machine a dialog of files may still be looking for the folder typed."""
Widget = TypeVar("Widget", bound=QWidget)


def press(driver: Driver, button: QAbstractButton) -> None:
    """Click a button, which has to be there to be clicked."""
    assert button.isVisible() and button.isEnabled(), f"{button.text()!r} cannot be clicked"
    QTest.mouseClick(button, LEFT)
    driver.wait()


def drop(driver: Driver, target: QWidget, *paths: Path) -> None:
    """Drop files: they go to the nearest widget that takes drops, from ``target`` outwards, as Qt finds it."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    taker: QWidget | None = target
    while taker is not None and not taker.acceptDrops():
        taker = taker.parentWidget()
    assert taker is not None, "nothing takes the drop"
    copy = Qt.DropAction.CopyAction
    enter = QDragEnterEvent(QPoint(5, 5), copy, data, LEFT, NONE)
    enter.ignore()
    QApplication.sendEvent(taker, enter)
    assert enter.isAccepted(), "the drop is refused"
    QApplication.sendEvent(taker, QDropEvent(QPointF(5, 5), copy, data, LEFT, NONE))
    driver.wait()


def choose(driver: Driver, button: QAbstractButton, *texts: str, picture: str = "") -> None:
    """Open the menu of a button and choose an entry by the beginning of its text."""

    def act(popup: QWidget) -> None:
        assert isinstance(popup, QMenu), "no menu opened"
        if picture:
            driver.picture_of_screen(picture)
        _walk(driver, popup, texts)

    answer(driver, lambda: QTest.mouseClick(button, LEFT), act)


def answer(driver: Driver, opens: Callable[[], object], act: Callable[[QWidget], None]) -> None:
    """Open what waits in a loop of its own, a menu or a modal dialog, and act on it meanwhile."""
    failed: list[BaseException] = []
    done: list[bool] = []

    def look() -> None:
        front = QApplication.activePopupWidget() or QApplication.activeModalWidget()
        if front is None:
            if not done:
                QTimer.singleShot(100, look)
            return
        try:
            act(front)
        except BaseException as error:  # else it would be lost in Qt, and the loop go on for ever
            failed.append(error)
            front.close()
        done.append(True)

    QTimer.singleShot(150, look)
    opens()
    driver.wait_for(lambda: bool(done))
    if failed:
        raise failed[0]
    driver.wait_for(lambda: QApplication.activePopupWidget() is None)


def choose_from_bar(driver: Driver, *texts: str, picture: str = "") -> None:
    """Choose an entry of napari's own menus."""
    bar = driver.window.findChild(QMenuBar)
    assert bar is not None
    action = _entry(bar.actions(), texts[0])
    QTest.mouseClick(bar, LEFT, NONE, bar.actionGeometry(action).center())
    driver.wait()
    menu = action.menu()
    assert isinstance(menu, QMenu) and menu.isVisible()
    _walk(driver, menu, texts[1:], picture)


def _walk(driver: Driver, menu: QMenu, texts: Sequence[str], picture: str = "") -> None:
    for text in texts:
        action = _entry(menu.actions(), text)
        assert action.isEnabled(), f"{action.text()!r} cannot be chosen"
        submenu = action.menu()
        if not isinstance(submenu, QMenu):
            if picture:
                menu.setActiveAction(action)
                driver.picture_of_screen(picture)
            QTest.mouseClick(menu, LEFT, NONE, menu.actionGeometry(action).center())
            break
        menu.setActiveAction(action)
        QTest.keyClick(menu, Qt.Key.Key_Right)
        driver.wait()
        menu = submenu
    driver.wait()


def _entry(actions: Sequence[QAction], text: str) -> QAction:
    found = [action for action in actions if action.text().replace("&", "").startswith(text)]
    assert found, f"no entry {text!r} among {[action.text() for action in actions]}"
    return found[0]


def name_file(driver: Driver, opens: Callable[[], None], path: Path, picture: str = "") -> None:
    """Open a dialog of files, type a path into it and confirm; only what follows is the window's time, not Qt's."""
    with driver.watchdog.paused():
        opens()
        line = found(driver, QFileDialog).findChild(QLineEdit, "fileNameEdit")
        assert line is not None
        line.setCompleter(None)  # Qt's completion comes late on a busy machine, and changes what was typed
        _type_over(line, str(path))
        driver.wait()
        if picture:
            driver.picture_of_screen(picture)
    for _ in range(PRESSES):
        QTest.keyClick(line, Qt.Key.Key_Return)
        driver.wait(400)
        if not _visible(QFileDialog):
            return
        _type_over(line, str(path))  # it looks again
        driver.wait()
    raise AssertionError(f"the dialog does not take {path}")


def _type_over(line: QLineEdit, text: str) -> None:
    line.selectAll()
    QTest.keyClicks(line, text)


def found(driver: Driver, kind: type[Widget]) -> Widget:
    """The window of a kind that is open, once it is."""
    driver.wait_for(lambda: bool(_visible(kind)))
    return _visible(kind)[-1]


def _visible(kind: type[Widget]) -> list[Widget]:
    return [one for one in QApplication.topLevelWidgets() if isinstance(one, kind) and one.isVisible()]


@contextmanager
def heard() -> Iterator[list[str]]:
    """What the window tells meanwhile."""
    told: list[str] = []

    def note(notification: Notification) -> None:
        told.append(notification.message)

    notification_manager.notification_ready.connect(note)
    try:
        yield told
    finally:
        notification_manager.notification_ready.disconnect(note)


def wait_to_hear(driver: Driver, told: list[str], *words: str) -> None:
    """Wait until something is told that has all these words."""
    driver.wait_for(lambda: any(all(word in text for word in words) for text in told))
