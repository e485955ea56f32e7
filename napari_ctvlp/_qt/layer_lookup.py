"""Scans and masks among napari's layers, by what their metadata carries and never by their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray

from napari_ctvlp.scan.drawn import Drawing
from napari_ctvlp.scan.lone import LoneMasks
from napari_ctvlp.scan.types import OrganMasks, Scan

SCAN_KEY = "ctvlp_scan"
MASKS_KEY = "ctvlp_masks"
LONE_KEY = "ctvlp_lone"
OWN_KEY = "ctvlp_own"
"""Marks a layer that shows something of ours which is neither a scan nor masks: a map, regions, an input."""
NAMES_KEY = "ctvlp_names"
"""Names that labels of a layer had or are to have, whether they occur now or not."""
NAME_COLUMNS = ("organ", "name", "names", "label_name", "structure", "class")
"""Columns of a layer's features that hold names of labels, in small letters."""


def scan_of(layer: Layer | None) -> Scan | None:
    """The scan that an Image layer shows, if it is one of ours."""
    scan = layer.metadata.get(SCAN_KEY) if isinstance(layer, Image) else None
    return scan if isinstance(scan, Scan) else None


def masks_of(layer: Layer | None) -> OrganMasks | None:
    """The organ masks that a Labels layer shows, if they are ours."""
    masks = layer.metadata.get(MASKS_KEY) if isinstance(layer, Labels) else None
    return masks if isinstance(masks, OrganMasks) else None


def lone_of(layer: Layer | None) -> LoneMasks | None:
    """Masks that a Labels layer shows since before their scan was open."""
    lone = layer.metadata.get(LONE_KEY) if isinstance(layer, Labels) else None
    return lone if isinstance(lone, LoneMasks) else None


def layers_with_scans(layers: Iterable[Layer]) -> list[Image]:
    """Image layers of ours, lowest first."""
    return [layer for layer in layers if scan_of(layer) is not None]


def belongs_to(layer: Layer, scan: Scan) -> bool:
    """Whether a layer with masks lies on the grid of a scan."""
    masks = masks_of(layer)
    if masks is None or masks.labels.shape != scan.hu.shape:
        return False
    made_for = layer.metadata.get(SCAN_KEY)
    if isinstance(made_for, Scan):
        return made_for is scan or bool(np.allclose(made_for.affine, scan.affine, atol=1e-2))
    return bool(
        np.allclose(layer.scale[-3:], scan.spacing, atol=1e-3)
        and np.allclose(layer.translate[-3:], scan.napari_translate, atol=1e-2)
    )


def layers_with_masks(layers: Iterable[Layer], scan: Scan) -> list[Labels]:
    """Labels layers of ours that belong to a scan, lowest first."""
    return [layer for layer in layers if belongs_to(layer, scan)]


def names_in(layer: Labels) -> dict[int, str]:
    """Names that a Labels layer carries for its labels, in the table that napari shows in its status bar."""
    table = layer.features
    column = next((c for c in table.columns if str(c).lower() in NAME_COLUMNS), None)
    if column is None:
        return {}
    labels = table["index"] if "index" in table.columns else table.index  # napari's two ways
    return {
        int(label): str(name).strip()
        for label, name in zip(labels, table[column], strict=True)
        if isinstance(name, str) and name.strip() and int(label) > 0
    }


def affine_of(layer: Layer) -> NDArray[np.float64]:
    """Index of the last three axes of a layer to the viewer's world, (4, 4)."""
    origin = np.asarray(layer.data_to_world((0.0,) * layer.ndim))
    steps = [np.asarray(layer.data_to_world(unit)) - origin for unit in np.eye(layer.ndim)[-3:]]
    affine = np.eye(4)
    affine[:3, :3] = np.stack(steps, 1)[-3:]
    affine[:3, 3] = origin[-3:]
    return affine


def drawing_of(layer: Labels) -> Drawing:
    """The content of a Labels layer with its place; the array is shared, not copied."""
    data = layer.data[0] if layer.multiscale else layer.data
    return Drawing(np.asarray(data), affine_of(layer), layer.name, names_in(layer))


def foreign_volume(layers: Iterable[Layer]) -> Image | None:
    """The topmost 3D image that is not a scan of ours: its orientation and its HU are not known."""
    found = [layer for layer in layers if isinstance(layer, Image) and _is_foreign(layer) and scan_of(layer) is None]
    return found[-1] if found else None


def foreign_labels(layers: Iterable[Layer]) -> Labels | None:
    """The topmost 3D labels that are not organ masks of ours."""
    found = [layer for layer in layers if isinstance(layer, Labels) and _is_foreign(layer) and masks_of(layer) is None]
    return found[-1] if found else None


def _is_foreign(layer: Layer) -> bool:
    return layer.ndim >= 3 and OWN_KEY not in layer.metadata


def pick_scan(layers: Sequence[Layer], active: Layer | None, current: Scan | None) -> Scan | None:
    """Of the scans among layers, the selected one or that of selected masks, else the current, else the topmost."""
    scans = [scan for layer in layers if (scan := scan_of(layer)) is not None]
    if (selected := scan_of(active)) is not None:
        return selected
    if active is not None and masks_of(active) is not None:
        scans = [scan for scan in scans if belongs_to(active, scan)] or scans
    if any(scan is current for scan in scans):
        return current
    return scans[-1] if scans else None


def pick_masks(
    layers: Sequence[Layer], active: Layer | None, scan: Scan | None, current: OrganMasks | None
) -> OrganMasks | None:
    """Of the masks of a scan, the selected ones, else the current ones, else the topmost."""
    if scan is None:
        return None
    found = layers_with_masks(layers, scan)
    if any(layer is active for layer in found):
        return masks_of(active)
    if any(masks_of(layer) is current for layer in found):
        return current
    return masks_of(found[-1]) if found else None


@dataclass(frozen=True, eq=False)
class Own:
    """What a layer was like before it was taken for organ masks.

    Attributes
    ----------
    metadata, place, features
        As napari keeps them; ``place`` holds scale, translate and units.
    visible : bool
    """

    metadata: dict[str, Any]
    place: dict[str, Any]
    features: Any
    visible: bool

    @classmethod
    def of(cls, layer: Labels) -> Own:
        """What a layer is like now."""
        place = {name: getattr(layer, name) for name in ("scale", "translate", "units")}
        return cls(dict(layer.metadata), place, layer.features.copy(), layer.visible)

    def restore(self, layer: Labels) -> None:
        """Make the layer so again, but for what was painted and whether it is visible."""
        layer.metadata = dict(self.metadata)
        for name, value in self.place.items():
            setattr(layer, name, value)
        layer.features = self.features
