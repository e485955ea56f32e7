"""Which window an organ is read in."""

from __future__ import annotations

import pytest

from napari_ctvlp.anatomy.organs import ORGANS
from napari_ctvlp.anatomy.windows import PRESETS, window_of, window_text


def test_presets_are_those_of_the_field():
    assert [(w.name, w.width, w.level) for w in PRESETS] == [
        ("soft tissue", 400, 40),
        ("lung", 1500, -600),
        ("liver", 150, 90),
        ("bone", 2500, 480),
        ("brain", 80, 40),
        ("mediastinum", 350, 50),
    ]
    assert PRESETS[0].limits == (-160, 240)


@pytest.mark.parametrize(
    ("organ", "name"),
    [
        ("lung_upper_lobe_left", "lung"),
        ("trachea", "lung"),
        ("liver", "liver"),
        ("vertebrae_L3", "bone"),
        ("rib_left_4", "bone"),
        ("sternum", "bone"),
        ("brain", "brain"),
        ("heart", "mediastinum"),
        ("kidney_left", "soft tissue"),
        ("aorta", "soft tissue"),
        ("label_7", "soft tissue"),
    ],
)
def test_organ_is_read_in_its_window(organ, name):
    assert window_of(organ).name == name


def test_every_organ_has_a_window_of_the_menu():
    assert {window_of(organ) for organ in ORGANS} == set(PRESETS)


def test_text_names_a_preset_only_when_it_is_one():
    assert window_text(1500, -600) == "W 1500  L -600  lung"
    assert window_text(1501, -600) == "W 1501  L -600"
