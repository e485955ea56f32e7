"""What the window says can be read whole."""

from __future__ import annotations

from napari._qt.dialogs.qt_notification import NapariQtNotification
from qtpy.QtCore import QRect, Qt

from napari_ctvlp._qt.telling import READ_MS, tell_failure
from napari_ctvlp.errors import UserError

LONG = "ct.nii.gz: " + "is a file with something in it that has to be told at some length; " * 4


def test_a_sentence_is_seen_whole_and_stays_for_as_long_as_it_takes_to_read(window, qtbot):
    before = list(NapariQtNotification._instances)
    tell_failure(UserError(LONG))
    (said,) = [made for made in NapariQtNotification._instances if made not in before]

    def needed():
        room = QRect(0, 0, said.message.width(), 1000)
        return said.message.fontMetrics().boundingRect(room, Qt.TextFlag.TextWordWrap, LONG).height()

    assert needed() > said.minimumHeight()
    qtbot.waitUntil(lambda: said.height() >= needed())
    assert said.timer.interval() == READ_MS
    said.close()
