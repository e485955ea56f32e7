"""What is known of the organs as a table in a file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from napari_ctvlp.files import write_whole
from napari_ctvlp.scan.types import OrganMasks

COLUMNS = (
    "organ", "label", "volume_ml", "voxels", "mean_hu", "sd_hu", "cut_by_field_of_view",
    "centroid_left_mm", "centroid_posterior_mm", "centroid_superior_mm",
)  # fmt: skip


def statistics_csv(masks: OrganMasks) -> str:
    """One line an organ, in the order of the labels; centroids in LPS mm. Nothing in it tells who the patient is."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for stat in sorted(masks.statistics.values(), key=lambda s: s.label):
        left, posterior, superior = (f"{v:.1f}" for v in stat.centroid)
        table.writerow(
            (
                stat.organ,
                stat.label,
                f"{stat.volume_ml:.2f}",
                stat.voxels,
                f"{stat.mean_hu:.1f}",
                f"{stat.sd_hu:.1f}",
                "yes" if stat.touches_edge else "no",
                left,
                posterior,
                superior,
            )
        )
    return text.getvalue()


def write_statistics(path: str | Path, masks: OrganMasks) -> None:
    """Write `statistics_csv`; the file is complete or not there.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    write_whole(Path(path), statistics_csv(masks))
