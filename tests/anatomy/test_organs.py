"""Organs in words, their groups, their colours."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctvlp.anatomy import (
    GROUPS,
    ORGANS,
    SCHEMES,
    V2_NAMES,
    display_name,
    name_prompts,
    normal_prompts,
    organ_colour,
)
from napari_ctvlp.anatomy.query import parse_query


def test_every_organ_of_both_schemes_is_described():
    assert set(ORGANS) == {name for scheme in SCHEMES.values() for name in scheme.values()}
    for organ in ORGANS.values():
        assert organ.display and organ.gloss and organ.words
        assert "{" not in organ.display + organ.gloss
        assert organ.side == next((s for s in ("left", "right") if s in organ.name), None)


@pytest.mark.parametrize("name", ORGANS)
def test_an_organ_is_found_by_its_own_words(name):
    """Its display name, its scheme name and each side-bearing synonym lead to it."""
    for text in (display_name(name), name, *ORGANS[name].synonyms):
        organs = parse_query(text).organs
        assert name in organs, text


def test_display_names():
    shown = {
        n: display_name(n) for n in ("kidney_left", "vertebrae_L3", "rib_right_3", "lung_upper_lobe_left", "label_7")
    }
    assert list(shown.values()) == ["left kidney", "L3 vertebra", "right 3rd rib", "left upper lung lobe", "label 7"]
    assert len({o.display for o in ORGANS.values()}) == len(ORGANS)


def test_groups_hold_known_organs():
    assert set(GROUPS["kidney"]) == {"kidney_left", "kidney_right"}
    assert len(GROUPS["lung"]) == 5 and len(GROUPS["lungs_left"]) == 2
    assert len(GROUPS["rib"]) == 24 and len(GROUPS["ribs_left"]) == 12
    assert GROUPS["lumbar spine"] == tuple(f"vertebrae_L{n}" for n in (5, 4, 3, 2, 1))
    assert all(members and set(members) <= set(ORGANS) for members in GROUPS.values())


def test_prompts_name_the_organ_and_never_negate():
    for organ in V2_NAMES:
        names, normals = name_prompts(organ), normal_prompts(organ)
        assert names[0] == display_name(organ)
        assert len(normals) >= 5 and all(display_name(organ) in p for p in normals)
        assert not any(f" {word} " in f" {p.lower()} " for p in normals for word in ("no", "not", "without"))


def _oklab(rgb: np.ndarray) -> np.ndarray:
    """Oklab (Ottosson 2020) of sRGB: distances of about 0.02 are just seen."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lms = np.cbrt(
        linear @ np.array([[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]]).T
    )
    return lms @ np.array([[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]]).T


def _deuteranope(rgb: np.ndarray) -> np.ndarray:
    """What a deuteranope sees (Machado, Oliveira and Fernandes 2009, severity 1)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(
        linear @ np.array([[0.36732, 0.86065, -0.22797], [0.28009, 0.67250, 0.04741], [-0.01182, 0.04294, 0.96888]]).T,
        0,
        1,
    )
    return np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


_BESIDE = {
    "liver": "gallbladder stomach pancreas kidney_right colon inferior_vena_cava duodenum heart",
    "spleen": "stomach kidney_left pancreas",
    "stomach": "pancreas colon small_bowel",
    "duodenum": "pancreas gallbladder small_bowel colon",
    "kidney_left": "adrenal_gland_left iliopsoas_left",
    "small_bowel": "colon urinary_bladder",
    "aorta": "inferior_vena_cava vertebrae_L3 heart esophagus",
    "gallbladder": "colon",
    "autochthon_left": "aorta kidney_left vertebrae_L3 iliopsoas_left",
    "lung_lower_lobe_left": "lung_upper_lobe_left heart",
}
NEIGHBOURS = [
    *((one, other) for one, others in _BESIDE.items() for other in others.split()),
    *((f"vertebrae_L{n}", f"vertebrae_L{n + 1}") for n in range(1, 5)),
    *((f"vertebrae_T{n}", f"vertebrae_T{n + 1}") for n in range(1, 12)),
    *((f"rib_left_{n}", f"rib_left_{n + 1}") for n in range(1, 12)),
]


@pytest.mark.parametrize(("one", "other"), NEIGHBOURS)
def test_neighbours_are_told_apart_also_without_red_and_green(one, other):
    colours = np.array([organ_colour(one), organ_colour(other)])
    for seen in (colours, _deuteranope(colours)):
        assert np.linalg.norm(np.subtract(*_oklab(seen))) > 0.04


def test_colours_are_valid_bright_and_stable():
    colours = np.array([organ_colour(n) for n in ORGANS])
    assert colours.min() >= 0 and colours.max() <= 1
    assert len({tuple(np.round(c, 3)) for c in colours}) == len(ORGANS)
    assert _oklab(colours)[:, 0].min() > 0.4  # readable on a gray scan
    assert organ_colour("label_7") == organ_colour("label_7") != organ_colour("label_8")
    assert organ_colour("kidney_left") != organ_colour("kidney_right")
