"""A scan and its masks as napari layer data: (data, keyword arguments, kind). Nothing of napari is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.scan.geometry import Affine, voxel_sizes
from napari_ctvlp.scan.types import OrganMasks, Scan

if TYPE_CHECKING:
    from napari_ctvlp.scan.lone import LoneMasks

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
    options = {
        **_place(scan),
        "name": f"{scan.name} organs",
        "colormap": _palette(masks.names, colours),
        "features": features_of(masks),
        "metadata": {"ctvlp_masks": masks},
    }
    return masks.labels, options, "labels"


def lone_layer(lone: LoneMasks, colours: Mapping[str, Colour]) -> LabelsLayer:
    """Labels layer of masks whose scan is not there yet: where they lie, and the names that their file gives.

    ``metadata["ctvlp_lone"]`` is the masks. They are none of a scan, and nothing was measured.
    """
    options: dict[str, Any] = {
        **_place_of(lone.affine),
        "name": lone.title,
        "metadata": {"ctvlp_lone": lone},
    }
    if lone.names:
        import pandas as pd

        options["colormap"] = _palette(lone.names, colours)
        options["features"] = pd.DataFrame(sorted(lone.names.items()), columns=["index", "organ"])
    return lone.labels, options, "labels"


def features_of(masks: OrganMasks) -> Any:
    """Name and volume of each label as the table (pandas) that napari shows in its status bar."""
    import pandas as pd

    rows = [(label, name, _millilitres(masks, name)) for label, name in sorted(masks.names.items())]
    return pd.DataFrame(rows, columns=["index", "organ", "ml"])


def _millilitres(masks: OrganMasks, name: str) -> str:
    """As text: napari writes a number of 1126 as 1.13e+03."""
    stat = masks.statistics.get(name)
    return "" if stat is None else f"{stat.volume_ml:.0f}" if stat.volume_ml >= 10 else f"{stat.volume_ml:.1f}"


def _palette(
    names: Mapping[int, str], colours: Mapping[str, Colour] | Mapping[int, Colour]
) -> dict[int | None, tuple[float, ...]]:
    by_key: dict[Any, Colour] = dict(colours)
    palette: dict[int | None, tuple[float, ...]] = {None: (0.6, 0.6, 0.6, 1.0), 0: (0.0, 0.0, 0.0, 0.0)}
    for label, name in names.items():
        colour = tuple(float(c) for c in by_key.get(name, by_key.get(label, (0.6, 0.6, 0.6))))
        palette[label] = (*colour, 1.0)[:4]
    return palette


def _place(scan: Scan) -> dict[str, Any]:
    return _at(scan.spacing, scan.napari_translate)


def _place_of(affine: Affine) -> dict[str, Any]:
    x, y, z = (float(v) for v in affine[:3, 3])
    return _at(voxel_sizes(affine), (-z, y, x))


def _at(scale: tuple[float, ...], translate: tuple[float, ...]) -> dict[str, Any]:
    return {"scale": scale, "translate": translate, "axis_labels": ("I", "P", "L"), "units": ("mm",) * 3}
