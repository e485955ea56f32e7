"""Letters, window of HU and scale bar never cover one another, however small the view is."""

from __future__ import annotations

from itertools import combinations

import pytest
from napari.layers import Image

from napari_ctvlp._qt.canvas_room import bar_length, bar_text, window_place
from napari_ctvlp._qt.furniture import PREFIX, WINDOW
from napari_ctvlp._qt.slice_view import SliceView
from napari_ctvlp.anatomy.windows import PRESETS
from napari_ctvlp.scan.layers import scan_layer
from tests.qt.windows import add_layers

TEXTS = (*(f"W {p.width:g}  L {p.level:g}  {p.name}" for p in PRESETS), "W 4096  L -1024", "input: -1000 to 1000 HU")
SIZES = ((200, 200), (200, 500), (240, 300), (330, 300), (348, 697), (460, 700), (900, 700))
ZOOMS = (0.02, 0.3, 1.0, 2.7, 9.0, 300.0)
CLEAR = 3
"""Pixels around a text in which no other may lie."""


def rectangles(canvas):
    """Left, top, right, bottom of all that is written on a canvas, with some air."""
    found = {}
    for overlay, visuals in canvas._viewer_overlay_to_visual.items():
        if overlay.visible and visuals:
            name = getattr(overlay, "text", "scale bar")
            x, y = visuals[0].node.transform.translate[:2]
            found[name] = (x - CLEAR, y - CLEAR, x + visuals[0].x_size + CLEAR, y + visuals[0].y_size + CLEAR)
    return found


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def give_size(view, width, height, qtbot):
    """Let the canvas of a view be as large as this."""
    beside = view.height() - view.view.canvas.native.height()
    view.resize(width, height + beside)
    qtbot.waitUntil(lambda: tuple(view.model.canvas.size) == (height, width))


@pytest.fixture
def view(phantom, qtbot):
    data, options, _ = scan_layer(phantom[0])
    view = SliceView("coronal", 1, lambda world: None)
    view.show_layers([Image(data, **options)])
    view.view.dims.hide()
    view.show()
    qtbot.waitExposed(view)
    yield view
    view.release()
    view.close()
    view.deleteLater()


@pytest.mark.parametrize("size", SIZES)
def test_nothing_covers_anything_at_any_size_and_zoom(view, size, qtbot):
    give_size(view, *size, qtbot)
    canvas, model = view.view.canvas, view.model
    for zoom in ZOOMS:
        model.scene.camera.zoom = zoom
        for text in TEXTS:
            view.furniture.set_window_text(text)
            canvas._update_overlay_canvas_positions()  # as the next drawing does
            shown = rectangles(canvas)
            assert len(shown) == 6 and {*"RLSI", "scale bar"} < set(shown)
            for one, other in combinations(shown, 2):
                assert not overlap(shown[one], shown[other]), (size, zoom, one, other, shown)
            for name, (left, top, right, bottom) in shown.items():
                assert left >= 0 and top >= 0 and right <= size[0] and bottom <= size[1], (size, zoom, name)


def test_a_bar_made_shorter_is_drawn_as_long_as_it_says(view, qtbot):
    give_size(view, 240, 300, qtbot)
    canvas, model = view.view.canvas, view.model
    bar = model.canvas.overlays.scale_bar
    drawn = canvas._viewer_overlay_to_visual[bar][0]
    for zoom in (0.5, 1.1, 4.0):
        model.scene.camera.zoom = zoom
        assert bar.length > 0 and drawn._current_length == pytest.approx(bar.length * zoom)
        assert drawn.node.text.text == bar_text(bar.length)
    give_size(view, 900, 700, qtbot)
    assert bar.length is None  # napari chooses again
    assert drawn._current_length > 70


def test_the_bar_is_the_longest_round_one_that_fits():
    wide = len("750 mm") * 8.0
    assert bar_length(1.0, 400, lambda text: wide) is None
    assert bar_length(1.0, 103, lambda text: wide) == 100
    assert bar_length(1.0, 102, lambda text: wide) == 50  # the line has a width
    assert bar_length(1.0, 60, lambda text: 12.0 * len(text)) == 50
    assert bar_length(1.0, 59, lambda text: 12.0 * len(text)) == 5  # the text of 10 mm is too wide


def test_the_window_stands_beside_the_letter_or_above_it():
    measure = lambda text: 10.0 * max(len(line) for line in text.split("\n"))  # noqa: E731
    text = "W 400  L 40  soft tissue"
    assert window_place(text, 240, 300, measure) == ("bottom_left", text)
    assert window_place(text, 239, 300, measure) == ("bottom_left", "W 400  L 40\nsoft tissue")
    assert window_place(text, 109, 300, measure) == ("bottom_center", text)
    assert window_place(text, 90, 130, measure) == ("bottom_center", "W 400  L 40\nsoft tissue")
    assert window_place("input: -160 to 240 HU", 90, 150, measure)[1] == "input: -160 to\n240 HU"


def test_every_view_says_its_window(window, phantom):
    viewer, widget = window
    widget.views.set_shown(True)
    add_layers(viewer, *phantom)
    widget.views.settle()
    sides = [view.model.canvas.overlays for view in widget.views.views]
    for preset in PRESETS[:2]:
        widget.window_level.choose(preset)
        for overlays in (viewer.canvas.overlays, *sides):
            assert overlays[WINDOW].visible
            assert overlays[WINDOW].text.split() == widget.window_level.text.split()
    widget.views.set_shown(False)
    widget.window_level.choose(PRESETS[2])
    widget.views.set_shown(True)
    widget.views.settle()
    assert all(overlays[WINDOW].text.split()[-1] == PRESETS[2].name for overlays in sides)
    viewer.layers.clear()
    assert not [key for overlays in sides for key in overlays if key.startswith(PREFIX) and overlays[key].visible]
