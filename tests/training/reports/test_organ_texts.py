"""What a report lets one learn of an organ: all that is certain, and nothing of organs that are in doubt."""

from __future__ import annotations

import pytest

from training.data.organ_texts import organ_states


@pytest.mark.parametrize(
    ("report", "known", "abnormalities"),
    [
        ("Stone in the left kidney.", True, ["kidney_stone"]),
        ("The left kidney is normal.", True, []),
        ("No stone in the left kidney.", False, []),
        ("Possible cyst in the left kidney.", False, []),
        ("Stone in the left kidney. Possible cyst in the left kidney.", False, ["kidney_stone"]),
        ("Stone and possible cyst in the left kidney.", False, ["kidney_stone"]),
        ("Possible stone in the left kidney. Stone in the left kidney.", True, ["kidney_stone"]),
        ("Indeterminate lesion of the left kidney.", False, []),
        ("Stone in the left kidney. Indeterminate lesion of the left kidney.", False, ["kidney_stone"]),
        ("Hypodense lesion of the left kidney, a simple cyst.", True, ["kidney_cyst"]),
    ],
)
def test_an_organ_is_known_only_where_nothing_of_it_is_open(report: str, known: bool, abnormalities: list[str]) -> None:
    by_label, _, _ = organ_states(report, {"1": "kidney_left"})
    assert (by_label["1"]["known"], by_label["1"]["abnormalities"]) == (known, abnormalities)
