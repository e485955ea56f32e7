"""Label numbers and the one spelling of organ names."""

from __future__ import annotations

import json

import pytest

from napari_ctvlp.anatomy import SCHEMES, V2_NAMES, to_v2


def test_both_schemes_are_whole():
    assert {key: len(scheme) for key, scheme in SCHEMES.items()} == {
        "totalsegmentator_v1": 104,
        "totalsegmentator_v2": 117,
    }
    assert sorted(SCHEMES["totalsegmentator_v2"]) == list(range(1, 118))
    assert len(set(V2_NAMES)) == 117


def test_schemes_equal_the_published_tables(shared_data):
    for key, scheme in SCHEMES.items():
        published = json.loads((shared_data / "class_maps" / f"{key}.json").read_text())["labels"]
        assert {str(label): name for label, name in scheme.items()} == published


@pytest.mark.parametrize("name", V2_NAMES)
def test_v2_names_stay(name):
    assert to_v2(name) == name
    assert to_v2(name.upper().replace("_", " ")) == name
    assert to_v2(f"{name}.nii.gz") == name


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Left Kidney", "kidney_left"),
        ("kidney-l", "kidney_left"),
        ("L3", "vertebrae_L3"),
        ("vertebra_l3", "vertebrae_L3"),
        ("clavicle_right", "clavicula_right"),
        ("postcava", "inferior_vena_cava"),
        ("rib 7 left", "rib_left_7"),
        ("rib_right_03", "rib_right_3"),
        ("oesophagus", "esophagus"),
        ("bladder", "urinary_bladder"),
        ("heart_atrium_left", "heart_atrium_left"),
        ("T13", "T13"),
        ("tumour", "tumour"),
        ("", ""),
    ],
)
def test_spellings(given, expected):
    assert to_v2(given) == expected
