"""Organ statistics as a table."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from napari_ctvlp.ask.provenance import statistics_row
from napari_ctvlp.atomic import write_file
from napari_ctvlp.scan.types import OrganMasks

STATISTICS_COLUMNS = (
    "organ", "label", "voxels", "volume_ml", "mean_hu", "sd_hu", "cut_by_field_of_view", "centroid_x_mm",
    "centroid_y_mm", "centroid_z_mm",
)  # fmt: skip


def statistics_rows(masks: OrganMasks) -> list[dict[str, Any]]:
    """One row per organ, in the order of their labels; centroids in LPS mm."""
    return [statistics_row(s) for s in sorted(masks.statistics.values(), key=lambda s: s.label)]


def write_statistics(path: str | Path, masks: OrganMasks) -> None:
    """Write the statistics of all organs as CSV.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, STATISTICS_COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(statistics_rows(masks))
    write_file(path, text.getvalue())
