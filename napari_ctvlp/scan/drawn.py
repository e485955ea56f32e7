"""Organ masks that come from no file: labels that are open in a viewer, drawn or changed by hand, named by the user."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import geometry, naming
from napari_ctvlp.scan.labels import cut_note, onto_scan, present_labels, to_uint8
from napari_ctvlp.scan.lone import LoneMasks
from napari_ctvlp.scan.masks import read_masks, statistics_by_label
from napari_ctvlp.scan.statistics import cut_short, organ_statistics
from napari_ctvlp.scan.types import OrganMasks, OrganStatistics, Scan

FEWEST = 5
"""Labels from which on densities and positions may tell a label scheme."""
SURE = 0.75
"""Share of densities and positions that must fit a scheme before it names organs that nobody named."""
EDITED = "edited by hand"
TO_LPS = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]], np.float64)
"""The viewer's world (I, P, L mm) to LPS mm."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """Labels as a viewer holds them.

    Attributes
    ----------
    labels : (i, j, k) array of whole numbers
    affine : (4, 4) float64
        Index to the viewer's world, which for our scans is mm along I, P, L.
    title : str
        What the viewer calls them.
    names : mapping of int to str
        Names that come with them, where there are any.
    """

    labels: NDArray[Any]
    affine: NDArray[np.float64]
    title: str
    names: Mapping[int, str] = dataclasses.field(default_factory=dict)


def viewer_affine(scan: Scan) -> NDArray[np.float64]:
    """Index of a scan to the world it is shown in: mm along I, P, L."""
    affine = np.diag([*scan.spacing, 1.0])
    affine[:3, 3] = scan.napari_translate
    return affine


def masks_from_drawing(scan: Scan, drawing: Drawing) -> tuple[OrganMasks, bool]:
    """Take labels that are open in a viewer for the organ masks of a scan.

    Names that come with the labels are kept; a single label goes by the title where that names an organ; many labels
    go by the TotalSegmentator scheme that fits the scan, if one does. What stays is called "label_<n>".

    Parameters
    ----------
    scan : Scan
    drawing : Drawing
        May be empty. Labels of the scan's shape without a place of their own (voxel size 1, origin 0) are taken voxel
        for voxel.

    Returns
    -------
    masks : OrganMasks
        A copy: what is drawn later does not change it.
    same : bool
        Whether voxels and numbers are those of the drawing; False where it had to be resampled or renumbered.

    Raises
    ------
    UserError
        In one sentence: what is wrong with the labels and what to do.
    """
    labels, title, notes = _checked(drawing), drawing.title, []
    small, values = (labels.astype(np.uint8), None) if labels.max(initial=0) <= 255 else to_uint8(labels, title)
    affine, onto = drawing.affine, viewer_affine(scan)
    if labels.shape == scan.hu.shape and np.allclose(affine, np.eye(4)):
        affine = onto
        notes.append("the layer had no voxel size: taken voxel for voxel, as it has the scan's shape")
    resampled: list[str] = []
    placed, cut = onto_scan(small, TO_LPS @ affine, dataclasses.replace(scan, affine=TO_LPS @ onto), title, resampled)
    present = present_labels(placed)
    by_label = statistics_by_label(scan, placed, present)
    number = values or {label: label for label in present}
    names, how = _names(drawing, {number[label]: stat for label, stat in by_label.items()})
    final = {label: names[number[label]] for label in present}
    statistics = {name: dataclasses.replace(by_label[label], organ=name) for label, name in final.items()}
    ended = [final[label] for label in sorted(cut & final.keys())]
    told = (*notes, *resampled, *([cut_note(ended)] if ended else []))
    masks = OrganMasks(placed, final, how, told, cut_short(statistics, ended))
    return masks, values is None and not resampled and labels is drawing.labels


def masks_of_lone(scan: Scan, lone: LoneMasks, drawing: Drawing) -> tuple[OrganMasks, bool]:
    """Take masks that were open before their scan, measured and named on the scan.

    They are read again, as if the scan had been there first; where somebody has painted in them, or their file is gone,
    the labels are taken as they are.

    Parameters
    ----------
    scan : Scan
    lone : LoneMasks
    drawing : Drawing
        What the viewer holds of them now.

    Returns
    -------
    masks, same
        As of `masks_from_drawing`.

    Raises
    ------
    UserError
        In one sentence: why they are no masks of this scan.
    """
    if not lone.path.exists() or not lone.are(drawing.labels):
        return masks_from_drawing(scan, drawing)
    masks = read_masks(lone.path, scan)
    return masks, np.array_equal(masks.labels, drawing.labels)


def measured_on(scan: Scan, masks: OrganMasks) -> OrganMasks:
    """The same organs on another scan of the same grid (two phases of one examination), with the HU of that one.

    Parameters
    ----------
    scan : Scan
    masks : OrganMasks
        Of a scan of the same shape and affine.
    """
    made = organ_statistics(scan, masks.labels, masks.names)
    return dataclasses.replace(masks, statistics=cut_short(made, _cut_by_masks(masks)), as_read=None)


def edited_masks(
    scan: Scan, before: OrganMasks, labels: NDArray[Any], known: Mapping[int, str] | None = None
) -> OrganMasks:
    """Masks after somebody painted in them: statistics of the organs that changed are made anew, the others kept.

    Parameters
    ----------
    scan : Scan
    before : OrganMasks
        What is known; where ``labels`` is its very array, every organ counts as changed.
    labels : (I, P, L) array of whole numbers up to 255
        As they are now; copied.
    known : mapping of int to str, optional
        Names for labels that were not there before. Others go by the scheme of those that were, else "label_<n>".

    Returns
    -------
    OrganMasks
        ``before`` itself where nothing changed.

    Raises
    ------
    UserError
        When the labels do not lie on the grid of the scan any more, or are no labels of organs.
    """
    if labels.shape != scan.hu.shape:
        raise UserError("The layer of the organ masks has another shape than the scan now, and is not used any more.")
    now = _bytes(labels)
    touched = None if labels is before.labels else changed_labels(before.labels, now)
    if touched is not None and not touched:
        return before
    present = present_labels(now) if touched is None else sorted((set(before.names) - touched) | _there(now, touched))
    known = {**(known or {}), **before.names}
    scheme = naming.scheme_of(before.names)
    if scheme is not None:
        known = {**naming.scheme_names(scheme, present), **known}
    names = naming.unique_names({label: known.get(label, f"label_{label}") for label in present})
    again = {label: name for label, name in names.items() if touched is None or label in touched}
    # what the masks' own end cut off is not back because somebody painted within
    made = cut_short(organ_statistics(scan, now, again), _cut_by_masks(before))
    statistics: dict[str, OrganStatistics] = {}
    for label, name in names.items():
        statistics[name] = made[name] if label in again else before.statistics[before.names[label]]
    notes = before.notes if EDITED in before.notes else (*before.notes, EDITED)
    return OrganMasks(now, names, before.scheme, notes, statistics)


def renamed(masks: OrganMasks, names: Mapping[int, str]) -> OrganMasks:
    """The same masks with other names for some labels; what the user writes is read as an organ where it names one.

    Raises
    ------
    UserError
        When two labels would have one name.
    """
    wanted = {}
    for label, name in masks.names.items():
        text = (names.get(label) or "").strip()
        wanted[label] = name if text in ("", name) else naming.organ_of(text)
    twice = sorted({name for name in wanted.values() if list(wanted.values()).count(name) > 1})
    if twice:
        raise UserError(f"Two labels would both be called {twice[0]}: give each a name of its own.")
    if wanted == dict(masks.names):
        return masks
    statistics = {
        wanted[label]: dataclasses.replace(masks.statistics[name], organ=wanted[label])
        for label, name in masks.names.items()
        if name in masks.statistics
    }
    return dataclasses.replace(masks, names=wanted, scheme="named by you", statistics=statistics, source="")


def changed_labels(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> set[int]:
    """Labels, without the background, that voxels gained or lost."""
    found: set[int] = set()
    for start, stop in geometry.slabs(now.shape[0], now[0].size):
        old, new = before[start:stop], now[start:stop]
        differ = old != new
        if differ.any():
            found |= {int(n) for n in np.unique(old[differ])} | {int(n) for n in np.unique(new[differ])}
    return found - {0}


def _cut_by_masks(masks: OrganMasks) -> set[str]:
    return {name for name, found in masks.statistics.items() if found.cut_by_masks}


def _there(labels: NDArray[np.uint8], wanted: set[int]) -> set[int]:
    return wanted & set(present_labels(labels))


def _bytes(labels: NDArray[Any]) -> NDArray[np.uint8]:
    """A copy as uint8."""
    if labels.dtype != np.uint8 and (labels.min() < 0 or labels.max() > 255):
        raise UserError("The organ masks hold labels outside of 0 to 255; paint with smaller numbers.")
    return np.array(labels, np.uint8, order="C")


def _checked(drawing: Drawing) -> NDArray[Any]:
    labels = drawing.labels
    while labels.ndim > 3 and labels.shape[0] == 1:
        labels = labels[0]
    if labels.ndim != 3:
        raise UserError(f"{drawing.title}: has {labels.ndim} axes; organ masks are volumes with three.")
    if labels.dtype.kind not in "biu":
        raise UserError(f"{drawing.title}: holds no whole numbers, so it is no set of organ masks.")
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise UserError(f"{drawing.title}: holds negative labels; organs are numbered from 1.")
    return labels


def _names(drawing: Drawing, by_number: Mapping[int, OrganStatistics]) -> tuple[dict[int, str], str]:
    given = {n: name for n, name in drawing.names.items() if n in by_number and name}
    if given:
        own = {n: naming.organ_of(given[n]) if n in given else f"label_{n}" for n in by_number}
        return naming.unique_names(own), "names in the layer"
    if len(by_number) == 1 and naming.is_organ(organ := naming.organ_of(drawing.title)):
        return dict.fromkeys(by_number, organ), "name of the layer"
    if len(by_number) >= FEWEST:
        scheme, reason = naming.detect_scheme(by_number)
        if naming.scheme_share(scheme, by_number) >= SURE:
            return naming.scheme_names(scheme, by_number), f"{naming.title(scheme)} (detected: {reason})"
    return {n: f"label_{n}" for n in by_number}, "not named yet"
