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

PER_ORGAN = 16
"""Places drawn from every organ of a view."""
PER_LESION = 48
"""Most places of one finding."""
CLEAR = 0.25
"""Share of a place's voxels from which it counts as abnormal; with fewer it is neither, but in the smallest lesions."""


@dataclass(frozen=True)
class Places:
    """Places of a step's views on the finest feature map, and what is true there.

    Attributes
    ----------
    place : (n, 4) int64
        View, then index along I, P, L.
    holds, asked : (n, abnormalities) bool
        Whether the place shows each abnormality, and whether that can be told and asked of its organ.
    """

    place: Tensor
    holds: Tensor
    asked: Tensor

    def within(self, views: slice) -> Places:
        """Those of some views, which are counted from the first of these."""
        mine = (self.place[:, 0] >= views.start) & (self.place[:, 0] < views.stop)
        first = self.place.new_tensor([views.start, 0, 0, 0])
        return Places(self.place[mine] - first, self.holds[mine], self.asked[mine])

    def tokens(self, grid: Sequence[int]) -> Tensor:
        """(n,) indices into the tokens of the views together, on a feature map of this shape."""
        view, i, p, l = self.place.unbind(1)  # noqa: E741
        return ((view * grid[0] + i) * grid[1] + p) * grid[2] + l


@dataclass(frozen=True)
class Looked:
    """How places are drawn: the abnormalities by name, and the voxels along each side of a place."""

    names: tuple[str, ...]
    stride: int


@lru_cache(maxsize=2)
def asked_of_labels(names: tuple[str, ...]) -> NDArray[np.bool_]:
    """(256, abnormalities) which abnormalities the organ of each label can have, by the world's catalogue."""
    from training.world.findings.catalogue import ABNORMALITIES

    label_of = {organ: label for label, organ in SCHEMES["totalsegmentator_v2"].items()}
    result = np.zeros((256, len(names)), bool)
    for column, name in enumerate(names):
        for organ in ABNORMALITIES[name].organs:
            result[label_of[organ], column] = True
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
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw places of one crop.

    Parameters
    ----------
    findings : sequence of mapping
        As ``WorldStore.findings`` gives them, in voxels of the scan.
    start : (int, int, int)
        Voxel of the scan at which the crop begins; may be negative.
    labels : (i, p, l) uint8
        Organs of the crop.
    looked : Looked
        What is looked for.
    rng : Generator

    Returns
    -------
    place : (n, 3) int64
    holds, asked : (n, abnormalities) bool
    """
    column = {name: n for n, name in enumerate(looked.names)}
    seen = []
    drawn = [_of_organs(labels, looked.stride, rng)]
    for finding in findings:
        counts = _counts(finding, start, labels.shape, looked.stride) if finding["abnormality"] in column else None
        if counts is None:
            continue
        number, begin = counts
        clear = number >= max(1, min(CLEAR * looked.stride**3, number.max()))
        inside = np.argwhere(clear) + begin
        if len(inside) > PER_LESION:
            inside = inside[rng.choice(len(inside), PER_LESION, replace=False)]
        drawn.append(inside)
        seen.append((column[finding["abnormality"]], number > 0, clear, begin))
    place = np.concatenate(drawn)
    holds = np.zeros((len(place), len(looked.names)), bool)
    touched = np.zeros_like(holds)
    for kind, some, clear, begin in seen:
        at = place - begin
        within = ((at >= 0) & (at < clear.shape)).all(1)
        where = tuple(at[within].T)
        holds[within, kind] |= clear[where]
        touched[within, kind] |= some[where]
    middle = np.minimum(place * looked.stride + looked.stride // 2, np.array(labels.shape) - 1)
    asked = asked_of_labels(looked.names)[labels[tuple(middle.T)]]
    return place, holds, (asked & ~touched) | holds


def places_of_views(
    views: Sequence[tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]],
) -> Places:
    """The places of a step's views together."""
    place = np.concatenate([np.insert(place, 0, view, 1) for view, (place, _, _) in enumerate(views)])
    holds, asked = (np.concatenate([each[n] for each in views]) for n in (1, 2))
    return Places(torch.from_numpy(place), torch.from_numpy(holds), torch.from_numpy(asked))
