"""Colours of an answer, letters at the edges, and the text under the cursor."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_ctvlp._qt.cursor_text import cursor_text
from napari_ctvlp._qt.furniture import edge_letters
from napari_ctvlp._qt.overlay import ACCENT, RECEDED, RESTING, Overlay, highlight_colours, ranking_scores

from .conftest import words

BASE = {None: (0.0, 0.0, 0.0, 0.0), 1: (1.0, 0.0, 0.0, 1.0), 2: (0.0, 1.0, 0.0, 1.0), 3: (0.0, 0.0, 1.0, 1.0)}


@pytest.fixture
def layer():
    return Labels(np.zeros((4, 4, 4), np.uint8), colormap=DirectLabelColormap(color_dict=BASE))


def test_matching_organs_glow_in_proportion_and_others_recede():
    colours = highlight_colours({1: 0.9, 2: 0.6, 3: 0.1}, BASE)
    assert colours[1][:3] == ACCENT
    assert colours[2][:3] == ACCENT
    assert colours[1][3] > colours[2][3] > RECEDED
    assert colours[3] == (*BASE[3][:3], RECEDED)
    assert colours[None][3] == 0


def test_a_weak_best_glows_less_than_a_strong_one():
    assert highlight_colours({1: 0.3}, BASE)[1][3] < highlight_colours({1: 0.9}, BASE)[1][3]


def test_no_scores_let_everything_recede():
    colours = highlight_colours({}, BASE)
    assert all(colour[3] <= RECEDED for colour in colours.values())


def test_organs_without_a_mask_are_left_out(ranking, phantom):
    assert ranking_scores(ranking, phantom[1]) == {3: 0.91, 2: 0.4, 1: 0.0}


def test_many_answers_in_one_turn_recolour_once(qapp, qtbot, layer):
    overlay, drawn = Overlay(), []
    overlay.set_layer(layer)
    overlay.flush()
    layer.events.colormap.connect(drawn.append)
    for score in (0.2, 0.5, 0.9):
        overlay.show({1: score, 2: 1.0})
    assert drawn == []
    qtbot.waitUntil(lambda: bool(drawn))
    qtbot.wait(20)
    assert len(drawn) == 1
    assert np.allclose(layer.colormap.color_dict[1], highlight_colours({1: 0.9, 2: 1.0}, BASE)[1])


def test_own_colours_are_faint_at_rest_and_come_back_at_the_end(qapp, layer):
    overlay = Overlay()
    overlay.set_layer(layer)
    overlay.show({1: 1.0})
    overlay.flush()
    assert np.allclose(layer.colormap.color_dict[2], (*BASE[2][:3], RECEDED))
    overlay.reset()
    overlay.flush()
    assert np.allclose(layer.colormap.color_dict[2], (*BASE[2][:3], RESTING))
    overlay.show({1: 1.0})
    overlay.set_layer(None)
    assert np.allclose(layer.colormap.color_dict[2], BASE[2])


@pytest.mark.parametrize(
    ("displayed", "letters"),
    [
        ((1, 2), {"top": "A", "bottom": "P", "left": "R", "right": "L"}),
        ((0, 2), {"top": "S", "bottom": "I", "left": "R", "right": "L"}),
        ((0, 1), {"top": "S", "bottom": "I", "left": "A", "right": "P"}),
        ((2, 1), {"top": "R", "bottom": "L", "left": "A", "right": "P"}),
    ],
)
def test_letters_of_the_slice_views(displayed, letters):
    assert edge_letters(displayed) == letters


def test_letters_follow_a_turned_camera_and_leave_3d_alone():
    assert edge_letters((1, 2), "up", "left") == {"top": "P", "bottom": "A", "left": "L", "right": "R"}
    assert edge_letters((0, 1, 2)) is None


def test_cursor_tells_hu_patient_position_and_organ(phantom):
    scan, masks = phantom
    # affine of the phantom: x = 2 l - 80, y = 2 p - 60, z = 60 - 3 i
    assert cursor_text(scan, masks, (25, 40, 57), words) == "30 HU  ·  L 34.0  P 20.0  I 15.0 mm  ·  kidney left"
    assert cursor_text(scan, masks, (0, 0, 0), words) == "-1000 HU  ·  R 80.0  A 60.0  S 60.0 mm"
    assert cursor_text(scan, None, (25, 40, 57), words).endswith("mm")


def test_cursor_outside_the_scan_says_nothing(phantom):
    scan, masks = phantom
    assert cursor_text(scan, masks, (-1, 0, 0), words) == ""
    assert cursor_text(scan, masks, (0, 60, 0), words) == ""
