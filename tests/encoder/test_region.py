"""A chest model on an abdomen says so."""

from __future__ import annotations

from dataclasses import replace

from napari_ctvlp.encoder.region import outside_region
from napari_ctvlp.sample import load_sample


def test_an_abdomen_is_outside_a_chest_model(phantom):
    _, masks = phantom
    assert "none of it" in outside_region("colipri", "chest", masks)
    assert outside_region("merlin", "abdomen", masks) == ""
    assert outside_region("starter", "body", masks) == ""


def test_a_cut_lung_is_a_part(phantom):
    _, masks = phantom
    statistics = dict(masks.statistics)
    statistics["heart"] = replace(statistics["liver"], organ="heart", touches_edge=True)
    cut = replace(masks, names={**masks.names, 9: "heart"}, statistics=statistics)
    assert "only a part" in outside_region("colipri", "chest", cut)
    whole = {**statistics, "heart": replace(statistics["heart"], touches_edge=False)}
    assert outside_region("colipri", "chest", replace(cut, statistics=whole)) == ""


def test_a_chest_is_outside_an_abdomen_model(phantom):
    _, masks = phantom
    statistics = {"heart": replace(masks.statistics["liver"], organ="heart")}
    assert "abdomen" in outside_region("merlin", "abdomen", replace(masks, names={1: "heart"}, statistics=statistics))


def test_nothing_is_said_of_masks_without_a_known_organ(phantom):
    _, masks = phantom
    assert outside_region("colipri", "chest", replace(masks, names={1: "thing"}, statistics={})) == ""


def test_the_sample_is_an_abdomen():
    _, masks = load_sample()
    assert outside_region("merlin", "abdomen", masks) == "" and outside_region("fvlm", "chest", masks) != ""
