"""A scan and its masks as napari layer data: (data, keyword arguments, kind). Nothing of napari is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.scan.types import OrganMasks, Scan

SOFT_TISSUE = (40.0, 400.0)
"""Level and width in HU that a scan opens with when its file asks for no window."""

Colour = Sequence[float] | NDArray[np.floating]
ImageLayer = tuple[NDArray[np.int16], dict[str, Any], Literal["image"]]
LabelsLayer = tuple[NDArray[np.uint8], dict[str, Any], Literal["labels"]]


def scan_layer(scan: Scan) -> ImageLayer:
    """Image layer of a scan: HU as they are, in mm, at the window that the file asks for or at soft tissue.

    ``metadata["ctvlp_scan"]`` is the scan itself.
    """
    level, width = scan.window or SOFT_TISSUE
    options = {
        **_place(scan),
        "name": scan.name,
        "colormap": "gray",
        "contrast_limits": (level - width / 2, level + width / 2),
        "metadata": {"ctvlp_scan": scan},
    }
    return scan.hu, options, "image"


def masks_layer(scan: Scan, masks: OrganMasks, colours: Mapping[str, Colour] | Mapping[int, Colour]) -> LabelsLayer:
    """Labels layer of all organs, with their names and volumes for napari's status bar.

    Parameters
    ----------
    scan : Scan
        Gives the place in mm.
    masks : OrganMasks
    colours : mapping of str or int to colour
        RGB or RGBA in 0..1, by organ name or by label; what is missing is drawn grey, as is what is painted later.

    Returns
    -------
    data, options, "labels"
        ``metadata["ctvlp_masks"]`` is the masks themselves.
    """
    by_key: dict[Any, Colour] = dict(colours)
    palette: dict[int | None, Any] = {None: (0.6, 0.6, 0.6, 1.0), 0: (0.0, 0.0, 0.0, 0.0)}
    for label, name in masks.names.items():
        colour = by_key.get(name, by_key.get(label, (0.6, 0.6, 0.6)))
        palette[label] = (*(float(c) for c in colour), 1.0)[:4] if len(colour) < 4 else tuple(float(c) for c in colour)
    options = {
        **_place(scan),
        "name": f"{scan.name} organs",
        "colormap": palette,
        "features": features_of(masks),
        "metadata": {"ctvlp_masks": masks},
    }
    return masks.labels, options, "labels"


def features_of(masks: OrganMasks) -> Any:
    """Name and volume of each label as the table (pandas) that napari shows in its status bar."""
    import pandas as pd

    rows = [(label, name, _millilitres(masks, name)) for label, name in sorted(masks.names.items())]
    return pd.DataFrame(rows, columns=["index", "organ", "ml"])


def _millilitres(masks: OrganMasks, name: str) -> str:
    """As text: napari writes a number of 1126 as 1.13e+03."""
    stat = masks.statistics.get(name)
    return "" if stat is None else f"{stat.volume_ml:.0f}" if stat.volume_ml >= 10 else f"{stat.volume_ml:.1f}"


def _place(scan: Scan) -> dict[str, Any]:
    return {
        "scale": scan.spacing,
        "translate": scan.napari_translate,
        "axis_labels": ("I", "P", "L"),
        "units": ("mm",) * 3,
    }
