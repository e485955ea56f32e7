"""What the user chose for single organs, and what is drawn of it."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_ctvlp._qt.organ_looks import OrganLooks
from napari_ctvlp._qt.overlay import ACCENT, RECEDED, RESTING, Overlay

RED, GREEN, BLUE = (1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 0.0, 1.0), (0.0, 0.0, 1.0, 0.5)


@pytest.fixture
def looks():
    looks = OrganLooks()
    looks.reset({1: RED, 2: GREEN, 3: BLUE})
    return looks


def shown(looks):
    return [label for label in (1, 2, 3) if looks.shown(label)]


def test_hidden_organs_have_no_alpha(looks):
    looks.set_visible([1, 3], False)
    assert shown(looks) == [2]
    assert [looks.base()[label][3] for label in (1, 2, 3)] == [0, 1, 0]


def test_solo_shows_alone_and_ends_where_it_began(looks):
    looks.set_visible([1], False)
    looks.set_solo([3])
    assert shown(looks) == [3]
    looks.set_solo([])
    assert shown(looks) == [2, 3]


def test_checking_an_organ_during_solo_adds_it_to_what_is_seen(looks):
    looks.set_solo([3])
    looks.set_visible([1], True)
    assert shown(looks) == [1, 3]
    assert not looks.solo


def test_states_are_taken_back_for_the_same_masks_alone(looks):
    before = looks.state
    looks.set_colour([1], (0.5, 0.5, 0.5))
    looks.set_opacity([2], 7)
    assert looks.look(1).colour == (0.5, 0.5, 0.5)
    assert looks.look(2).opacity == 1
    looks.restore(before)
    assert looks.look(1).colour == RED[:3]
    looks.reset({9: RED})
    looks.restore(before)  # of other masks: nothing to restore
    assert looks.look(1) is None


def test_unknown_labels_are_left_alone(looks):
    looks.set_visible([77], False)
    looks.set_solo([77])
    assert shown(looks) == [1, 2, 3]


def test_looks_hold_at_rest_and_under_an_answer(qapp):
    colours = {None: (0, 0, 0, 0), 0: (0, 0, 0, 0), 1: RED, 2: GREEN, 3: BLUE}
    layer = Labels(np.zeros((4, 4, 4), np.uint8), colormap=DirectLabelColormap(color_dict=colours))
    overlay = Overlay()
    overlay.set_layer(layer)
    overlay.looks.set_visible([1], False)
    overlay.looks.set_opacity([2], 0.5)
    overlay.looks.set_colour([3], (1.0, 1.0, 1.0))
    overlay.flush()
    drawn = layer.colormap.color_dict
    assert drawn[1][3] == 0
    assert drawn[2][3] == pytest.approx(0.5 * RESTING)
    assert np.allclose(drawn[3], (1, 1, 1, 0.5 * RESTING))
    overlay.show({1: 1.0, 2: 1.0})
    overlay.flush()
    drawn = layer.colormap.color_dict
    assert drawn[1][3] == 0  # hidden stays hidden even where it answers
    assert np.allclose(drawn[2][:3], ACCENT)
    assert drawn[3][3] == pytest.approx(0.5 * RECEDED)
    overlay.set_layer(None)
    assert np.allclose(layer.colormap.color_dict[1], RED)  # its own again
