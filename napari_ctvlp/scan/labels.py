"""Labels as they came from a file or a layer, made ready: as uint8, on the grid of their scan, counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import geometry
from napari_ctvlp.scan.types import Scan


def to_uint8(raw: NDArray[Any], name: str) -> tuple[NDArray[np.uint8], dict[int, int] | None]:
    """Labels as uint8, renumbered when some are above 255: the array, and new number to old one if renumbered."""
    if raw.dtype == np.uint8:
        return raw, None
    values: set[int] = set()
    for start, stop in geometry.slabs(raw.shape[0], raw[0].size):
        values.update(int(v) for v in np.unique(raw[start:stop]))
        if len(values) > 4096:
            break
    old = sorted(values - {0})
    if len(old) > 255:
        count = f"{len(old)}" if len(values) <= 4096 else "thousands of"
        raise UserError(
            f"{name}: holds {count} labels, more than the 255 that can be shown; give organ masks, not a scan."
        )
    out = np.empty(raw.shape, np.uint8)
    keys = np.asarray([0, *old])
    for start, stop in geometry.slabs(raw.shape[0], raw[0].size):
        out[start:stop] = np.searchsorted(keys, raw[start:stop])
    return out, dict(enumerate(old, 1))


def onto_scan(
    labels: NDArray[np.uint8],
    affine: geometry.Affine,
    scan: Scan,
    name: str,
    notes: list[str],
    *,
    tight: bool = False,
) -> tuple[NDArray[np.uint8], frozenset[int]]:
    """Canonical labels on the grid of the scan: as they are on the same grid, else the nearest voxel by affine.

    Also gives the labels that the end of their own grid cuts within the scan; none of a ``tight`` grid, which ends
    where its labels do.
    """
    if labels.shape == scan.hu.shape and geometry.same_grid(affine, scan.affine, labels.shape):
        return labels, frozenset()
    _check_meets(affine, labels.shape, scan, name)
    notes.append("masks lie on another grid and were brought onto the scan (nearest voxel)")
    cut = frozenset() if tight else _cut_within(labels, affine, scan)
    return geometry.resample(labels, affine, scan.affine, scan.hu.shape, order=0, fill=0), cut


def cut_note(organs: Sequence[str]) -> str:
    """What is to be known of organs at the end of the masks' own grid."""
    return f"the masks end within the scan, and what reaches that end counts as cut: {listed(organs)}"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names, of many the first."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _cut_within(labels: NDArray[np.uint8], affine: geometry.Affine, scan: Scan) -> frozenset[int]:
    """Labels on an outermost voxel of their grid, one step beyond which the scan goes on."""
    to_scan = np.linalg.inv(scan.affine) @ affine
    size = np.asarray(scan.hu.shape)
    found: set[int] = set()
    for axis, length in enumerate(labels.shape):
        for place, beyond in ((0, -1), (length - 1, length)):
            face: NDArray[np.uint8] = np.take(labels, place, axis)
            inside = np.argwhere(face)
            points = np.insert(inside, axis, beyond, axis=1) @ to_scan[:3, :3].T + to_scan[:3, 3]
            there = ((points > -0.5) & (points < size - 0.5)).all(axis=1)
            found.update(int(n) for n in np.unique(face[tuple(inside[there].T)]))
    return frozenset(found)


def _check_meets(affine: geometry.Affine, shape: tuple[int, ...], scan: Scan, name: str) -> None:
    mask_box = geometry.world_box(affine, shape)
    scan_box = geometry.world_box(scan.affine, scan.hu.shape)
    if (np.minimum(mask_box[1], scan_box[1]) > np.maximum(mask_box[0], scan_box[0])).all():
        return
    raise UserError(
        f"{name}: does not meet the scan: the masks lie at {_box_text(mask_box)}, the scan at {_box_text(scan_box)} "
        "(LPS mm); give the masks that were made from this scan."
    )


def _box_text(box: NDArray[np.float64]) -> str:
    return ", ".join(f"{axis} {low:.0f}..{high:.0f}" for axis, low, high in zip("xyz", *box, strict=True))


def present_labels(labels: NDArray[np.uint8]) -> list[int]:
    """Labels that occur, without the background, counted in slabs (bincount makes int64 copies)."""
    counts = np.zeros(256, np.int64)
    for start, stop in geometry.slabs(labels.shape[0], labels[0].size):
        counts += np.bincount(labels[start:stop].reshape(-1), minlength=256)
    return [int(n) for n in np.flatnonzero(counts) if n > 0]
