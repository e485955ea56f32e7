"""Places inside and outside of lesions, in scans whose lesions are known voxel by voxel, as those of the world are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_ctvlp.anatomy.schemes import SCHEMES
from napari_ctvlp.encoder.tokens import OrganIndex

PER_ORGAN = 16
"""Places drawn from every organ of a view."""
PER_LESION = 48
"""Most places of one finding."""
_LABEL = {organ: label for label, organ in SCHEMES["totalsegmentator_v2"].items()}
CLEAR = 0.25
"""Share of a place's voxels from which it counts as abnormal; with fewer it is neither, but in the smallest lesions."""


@dataclass(frozen=True)
class Places:
    """Places of a step's views on the finest feature map, and what is true there.

    Attributes
    ----------
    place : (n, 5) int64
        View, then index along I, P, L, then label of the organ that is looked at there.
    holds, asked : (n, abnormalities) bool
        Whether the place shows each abnormality, and whether that can be told and asked of its organ.
    """

    place: Tensor
    holds: Tensor
    asked: Tensor

    def within(self, views: slice) -> Places:
        """Those of some views, which are counted from the first of these."""
        mine = (self.place[:, 0] >= views.start) & (self.place[:, 0] < views.stop)
        first = self.place.new_tensor([views.start, 0, 0, 0, 0])
        return Places(self.place[mine] - first, self.holds[mine], self.asked[mine])

    def pairs(self, organs: OrganIndex, grid: Sequence[int]) -> Tensor:
        """(n,) pairs of finest token and organ, on a feature map of this shape, where the views' organs are."""
        view, i, p, l, label = self.place.to(organs.label.device).unbind(1)  # noqa: E741
        return organs.pairs(view, label, ((view * grid[0] + i) * grid[1] + p) * grid[2] + l)


@dataclass(frozen=True)
class Looked:
    """How places are drawn: the abnormalities by name, and the voxels along each side of a place."""

    names: tuple[str, ...]
    stride: int


@lru_cache(maxsize=2)
def asked_of_labels(names: tuple[str, ...]) -> NDArray[np.bool_]:
    """(256, abnormalities) which abnormalities the organ of each label can have, by the world's catalogue."""
    from training.world.findings.catalogue import ABNORMALITIES

    result = np.zeros((256, len(names)), bool)
    for column, name in enumerate(names):
        for organ in ABNORMALITIES[name].organs:
            result[_LABEL[organ], column] = True
    return result


def _of_organs(labels: NDArray[np.uint8], stride: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n, 3) places whose middle lies in an organ, as many of each."""
    middle = labels[stride // 2 :: stride, stride // 2 :: stride, stride // 2 :: stride]
    flat = middle.ravel()
    order = flat.argsort(kind="stable")
    count = np.bincount(flat, minlength=256)
    first = np.cumsum(count) - count
    there = np.flatnonzero(count[1:]) + 1
    draw = (rng.random((len(there), PER_ORGAN)) * count[there, None]).astype(np.int64) + first[there, None]
    return np.stack(np.unravel_index(order[draw.ravel()], middle.shape), 1).astype(np.int64)


def _labels_of(finding: Mapping[str, Any]) -> NDArray[np.bool_]:
    """(256,) labels of the organs that show a finding."""
    shown = np.zeros(256, bool)
    shown[[_LABEL[organ] for organ in (finding["organ"], *finding.get("also", ()))]] = True
    return shown


def _organ_at(
    place: NDArray[np.int64], labels: NDArray[np.uint8], stride: int, shown: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """(n,) for each place an organ of those shown that it holds a voxel of; 0 for none."""
    within = np.stack(np.meshgrid(*[np.arange(stride)] * 3, indexing="ij"), 3).reshape(1, -1, 3)
    voxel = np.minimum(place[:, None] * stride + within, np.array(labels.shape) - 1)
    found = labels[tuple(np.moveaxis(voxel, 2, 0))]
    found = np.where(shown[found], found, 0)
    return found[np.arange(len(found)), (found > 0).argmax(1)].astype(np.uint8)


def _counts(
    finding: Mapping[str, Any], start: Sequence[int], size: Sequence[int], stride: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Voxels of a finding in each place of a box of places, and where that box begins; None outside of the view."""
    low = np.array([a - s for (a, _), s in zip(finding["box"], start, strict=True)])
    inner = [(max(0, -a), min(n, m - a)) for a, n, m in zip(low, finding["mask"].shape, size, strict=True)]
    if any(b <= a for a, b in inner):
        return None
    mask = finding["mask"][tuple(slice(a, b) for a, b in inner)]
    begin = low + np.array([a for a, _ in inner])
    before = begin % stride
    mask = np.pad(mask, [(int(b), int(-(b + n) % stride)) for b, n in zip(before, mask.shape, strict=True)])
    grid = [n // stride for n in mask.shape]
    cut = mask.reshape(grid[0], stride, grid[1], stride, grid[2], stride)
    return cut.sum((1, 3, 5), dtype=np.int64), begin // stride


def places_of_view(
    findings: Sequence[Mapping[str, Any]],
    start: Sequence[int],
    labels: NDArray[np.uint8],
    looked: Looked,
    rng: np.random.Generator,
    gone: Sequence[Mapping[str, Any]] = (),
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw places of one crop.

    Parameters
    ----------
    findings : sequence of mapping
        As ``WorldStore.findings`` gives them, in voxels of the scan.
    start : (int, int, int)
        Voxel of the scan at which the crop begins; may be negative.
    labels : (i, p, l) uint8
        Organs of the crop, as the network is given them.
    looked : Looked
        What is looked for.
    rng : Generator
    gone : sequence of mapping
        Findings that would be here and are not: places of theirs are drawn too, and do not show them.

    Returns
    -------
    place : (n, 4) int64
        Index along I, P, L, and the label of an organ that is there.
    holds, asked : (n, abnormalities) bool
    """
    column = {name: n for n, name in enumerate(looked.names)}
    seen = []
    drawn = [_of_organs(labels, looked.stride, rng)]
    middle = np.minimum(drawn[0] * looked.stride + looked.stride // 2, np.array(labels.shape) - 1)
    organ = [labels[tuple(middle.T)]]
    for finding, is_here in [*((f, True) for f in findings), *((f, False) for f in gone)]:
        counts = _counts(finding, start, labels.shape, looked.stride) if finding["abnormality"] in column else None
        if counts is None:
            continue
        number, begin = counts
        clear = number >= max(1, min(CLEAR * looked.stride**3, number.max()))
        shown, inside = _labels_of(finding), np.argwhere(clear) + begin
        own = _organ_at(inside, labels, looked.stride, shown)
        inside, own = inside[own > 0], own[own > 0]
        if len(inside) > PER_LESION:
            few = rng.choice(len(inside), PER_LESION, replace=False)
            inside, own = inside[few], own[few]
        drawn.append(inside)
        organ.append(own)
        if is_here:
            seen.append((column[finding["abnormality"]], number > 0, clear, begin, shown))
    place, label = np.concatenate(drawn), np.concatenate(organ)
    holds = np.zeros((len(place), len(looked.names)), bool)
    touched = np.zeros_like(holds)
    for kind, some, clear, begin, shown in seen:
        at = place - begin
        within = ((at >= 0) & (at < clear.shape)).all(1)
        where = tuple(at[within].T)
        holds[within, kind] |= clear[where] & shown[label[within]]
        touched[within, kind] |= some[where]
    asked = asked_of_labels(looked.names)[label]
    return np.column_stack([place, label.astype(np.int64)]), holds, (asked & ~touched) | holds


def places_of_views(
    views: Sequence[tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]],
) -> Places:
    """The places of a step's views together."""
    place = np.concatenate([np.insert(place, 0, view, 1) for view, (place, _, _) in enumerate(views)])
    holds, asked = (np.concatenate([each[n] for each in views]) for n in (1, 2))
    return Places(torch.from_numpy(place), torch.from_numpy(holds), torch.from_numpy(asked))
