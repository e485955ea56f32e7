"""Files dropped onto the dock."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp.session import Session
from tests.scan.makers import body, write_scan


@pytest.fixture
def dropped(make_napari_viewer, word_rooms):
    """Drops paths onto the dock of a new viewer; gives the viewer and the dock."""
    viewer = make_napari_viewer()
    widget = CtvlpWidget(viewer, Session(rooms=word_rooms))
    viewer.window.add_dock_widget(widget, name="CT query", area="right")

    def drop(*paths):
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        event = QDropEvent(
            QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        )
        widget.dropEvent(event)
        return viewer, widget

    yield drop
    widget.close_down()


@pytest.fixture
def files(tmp_path):
    labels = np.zeros((12, 14, 16), np.uint8)
    labels[6:9, 5:9, 4:12] = 5
    return write_scan(tmp_path / "seg.nii.gz", labels), write_scan(tmp_path / "ct.nii.gz", body())


@pytest.mark.parametrize("as_folder", [False, True])
def test_scan_and_masks_together(dropped, files, as_folder):
    viewer, widget = dropped(files[0].parent) if as_folder else dropped(*files)
    assert [type(layer) for layer in viewer.layers] == [Image, Labels]
    assert widget.session.embedding is not None and widget.session.masks.names == {5: "liver"}


def test_a_scan_with_some_masks_of_one_organ_each(dropped, files, tmp_path):
    organs = []
    for nth, name in enumerate(("liver", "spleen", "kidney_left")):
        labels = np.zeros((12, 14, 16), np.uint8)
        labels[nth * 3 + 1 : nth * 3 + 3, 5:9, 4:12] = 1
        organs.append(write_scan(tmp_path / f"{name}.nii.gz", labels))
    viewer, widget = dropped(organs[0], files[1], organs[1])
    assert [type(layer) for layer in viewer.layers] == [Image, Labels]
    assert set(widget.session.masks.names.values()) == {"liver", "spleen"}


def test_one_after_the_other(dropped, files):
    dropped(files[1])
    viewer, widget = dropped(files[0])
    assert [type(layer) for layer in viewer.layers] == [Image, Labels]
    assert widget.session.masks is not None
