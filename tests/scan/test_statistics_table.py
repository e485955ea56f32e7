"""Statistics as a file."""

from __future__ import annotations

import csv

import pytest

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.statistics_table import COLUMNS, write_statistics


def test_a_line_per_organ_with_what_was_measured(phantom, tmp_path):
    _, masks = phantom
    write_statistics(tmp_path / "organs.csv", masks)
    with (tmp_path / "organs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["organ"] for row in rows] == ["spleen", "kidney_right", "kidney_left", "liver"]  # by label
    liver = rows[-1]
    assert float(liver["volume_ml"]) == pytest.approx(12 * 28 * 25 * 3 * 2 * 2 / 1000)
    assert (liver["mean_hu"], liver["sd_hu"], liver["cut_by_field_of_view"]) == ("60.0", "0.0", "no")
    assert float(liver["centroid_left_mm"]) == pytest.approx(masks.statistics["liver"].centroid[0], abs=0.05)
    assert "phantom" not in (tmp_path / "organs.csv").read_text()  # nothing of the scan's name


def test_a_place_that_cannot_be_written_to_is_told(phantom, tmp_path):
    with pytest.raises(UserError, match=r"^organs\.csv cannot be written"):
        write_statistics(tmp_path / "missing" / "organs.csv", phantom[1])
