"""One organ of the volume that Merlin sees: kept alone, and how much of it is there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_ctvlp.scan.types import OrganMasks

GROWN = 2
"""Voxels by which a mask is grown before all else is taken away, so that what lies at an organ's rim stays."""


def share_within(masks: OrganMasks, label: int, kept: Sequence[tuple[int, int]]) -> float:
    """Share of a label's voxels that lie in a box, (start, stop) along I, P, L; counts only where it must."""
    statistics = masks.statistics.get(masks.names[label])
    box = tuple((0, n) for n in masks.labels.shape) if statistics is None else statistics.box
    if all(low <= start and stop <= high for (low, high), (start, stop) in zip(kept, box, strict=True)):
        return 1.0
    within = tuple(slice(max(a, c), max(a, c, min(b, d))) for (a, b), (c, d) in zip(kept, box, strict=True))
    whole = np.count_nonzero(masks.labels == label) if statistics is None else statistics.voxels
    return float(np.count_nonzero(masks.labels[within] == label) / max(whole, 1))


def masked(volume: Tensor, labels: NDArray[np.uint8], label: int) -> Tensor:
    """The volume with one organ and a rim of two voxels kept where it is, everything else 0 (air)."""
    from scipy.ndimage import binary_dilation

    where = labels == label
    box = tuple(
        slice(max(0, int(found[0]) - GROWN), int(found[-1]) + GROWN + 1)
        for found in (np.flatnonzero(where.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1)))
    )
    kept = torch.zeros_like(volume)
    kept[box] = volume[box] * torch.from_numpy(binary_dilation(where[box], iterations=GROWN))
    return kept
