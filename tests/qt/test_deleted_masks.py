"""The masks' layer deleted from napari's list: what hung on it goes, and one key brings it back."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_ctvlp._qt.region_layer import RegionLayer
from napari_ctvlp.ask.locate import SimilarityMap

from .test_teacher import press
from .windows import add_layers


@pytest.fixture
def opened(window, word_rooms, phantom, monkeypatch):
    """The phantom with a question asked, the map shown and the cursor over the left kidney."""
    viewer, widget = window

    class Places:
        def cells(self, organ):
            raise AssertionError

    encode = word_rooms.encoder.encode_scan

    def with_places(scan, masks, **more):
        embedding = encode(scan, masks, **more)
        object.__setattr__(embedding, "dense", Places())
        return embedding

    word_rooms.encoder.encode_scan = with_places
    word_rooms.locate = lambda _embedding, _masks, ranking, _scan: SimilarityMap(
        ranking.text, "test", ("kidney_left",), np.full((3, 4, 5), 200, np.uint8), (21, 36, 53), 1, -1.0, 2.0, ()
    )
    add_layers(viewer, *phantom)
    widget.ask("left kidney")
    widget.similarity.set_wanted(True)
    viewer.mouse_over_canvas = True
    viewer.cursor.position = tuple(viewer.layers[1].data_to_world((25, 40, 57)))
    return viewer, widget


def shown(widget):
    """What is to be seen of the masks, and of answers about them."""
    dock = widget.dock
    return (
        dock.organs.table.model().rowCount(),
        dock.findings.table.model().rowCount(),
        dock.ranking.model().rowCount(),
        "left kidney" in dock.position.text(),
        dock.view.map_button.isChecked(),
        widget.similarity.shown,
        dock.legend.isVisibleTo(dock),
        dock.query.text(),
    )


def test_everything_that_hung_on_them_goes_at_once(opened):
    viewer, widget = opened
    before = shown(widget)
    assert all(before)
    viewer.layers.remove(viewer.layers[1])
    assert shown(widget) == (0, 0, 0, False, False, False, False, "left kidney")
    assert "HU" in widget.dock.position.text()  # the scan is still there


def test_what_is_ours_is_not_offered_in_their_place(opened, phantom):
    viewer, widget = opened
    regions = RegionLayer(viewer)
    regions.show(phantom[0], (20, 35, 52), np.ones((3, 4, 5), np.uint8))
    viewer.layers.remove(viewer.layers[1])
    assert widget.dock.scan.hint.text() == ""
    viewer.layers.selection.active = regions.layers[0]
    assert widget.dock.scan.hint.text() == ""


def test_one_key_brings_them_back_as_they_were(opened, qtbot):
    viewer, widget = opened
    layer = viewer.layers[1]
    widget.dock.organs.visible_requested.emit((5,), False)
    before, answer, names = shown(widget), widget.session.ranking.organs, [known.name for known in viewer.layers]
    viewer.layers.selection.active = layer
    viewer.layers.remove_selected()
    assert widget.undo.next == f"deleting “{layer.name}”"
    press(widget, Qt.Key.Key_U, qtbot, Qt.KeyboardModifier.NoModifier)
    assert [known.name for known in viewer.layers] == names and viewer.layers[1] is layer
    assert shown(widget) == before and widget.session.ranking.organs == answer
    assert not widget.overlay.looks.shown(5) and widget.overlay.looks.shown(1)
    assert widget.undo.next == "hiding organs"


def test_with_their_scan_nothing_is_left_to_take_back(opened):
    viewer, widget = opened
    viewer.layers.clear()
    assert widget.undo.next == ""
