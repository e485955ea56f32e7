"""A segmenter on a whole scan: windows that overlap, blended, then the likeliest class of each voxel of any grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_ctvlp.anatomy import organ_colour
from napari_ctvlp.encoder.preprocess import resample_hu, windowed
from napari_ctvlp.scan.types import OrganMasks, Scan

from .network import Segmenter
from .targets import LABELS

WINDOW, OVERLAP = 192, 0.25
"""Most voxels along each side of a window, and the share of it that the next one sees again."""


def window_of(size: int, most: int = WINDOW) -> int:
    """Voxels of the windows along an axis of ``size``: as few windows as ``most`` allows, and these as small as they
    can be, since what they share is computed twice."""
    count = max(1, math.ceil((size / most - 1) / (1 - OVERLAP) + 1))
    return min(size, math.ceil(size / (1 + (count - 1) * (1 - OVERLAP))))


@torch.no_grad()
def scan_features(network: Segmenter, image: Tensor, window: int = WINDOW) -> Tensor:
    """(1, C, I, P, L) windowed image of a whole scan to (channels, I, P, L) features, blended where windows overlap.

    Features are stitched in place of logits: logits are linear in them, so the blend is the same, and a scan with a
    hundred classes needs no hundred volumes.
    """
    from monai.inferers import sliding_window_inference

    size = [window_of(n, window) for n in image.shape[2:]]
    found = sliding_window_inference(image, size, 1, network.features, overlap=OVERLAP, mode="gaussian")
    assert isinstance(found, Tensor)
    return found[0]


def _between(out: int, size: int) -> list[tuple[int, int, float]]:
    """For each of ``out`` voxels the two of ``size`` that lie about it, and the weight of the second: both grids cover
    the same millimetres."""
    place = np.clip((np.arange(out) + 0.5) * size / out - 0.5, 0, size - 1)
    low = np.floor(place).astype(int)
    return [(int(k), min(int(k) + 1, size - 1), float(p - k)) for k, p in zip(low, place, strict=True)]


@torch.no_grad()
def likeliest(network: Segmenter, features: Tensor, shape: Sequence[int]) -> NDArray[np.uint8]:
    """(I, P, L) likeliest class of each voxel of a grid that covers the same millimetres as the features.

    Logits are interpolated linearly, row by row, before the likeliest is taken: outlines are those of the finer grid
    and not steps of the coarser one.
    """
    weight = network.head.weight.flatten(1)
    bias = network.head.bias
    assert bias is not None
    result = np.empty(tuple(shape), np.uint8)
    for row, (low, high, share) in enumerate(_between(shape[0], features.shape[1])):
        plane = torch.lerp(features[:, low], features[:, high], share)
        if tuple(plane.shape[1:]) != tuple(shape[1:]):
            plane = F.interpolate(plane[None], size=tuple(shape[1:]), mode="bilinear", align_corners=False)[0]
        logits = (weight @ plane.flatten(1)) + bias[:, None]
        result[row] = logits.argmax(0).reshape(tuple(shape[1:])).cpu().numpy().astype(np.uint8)
    return result


def segment_hu(
    network: Segmenter, hu: NDArray[np.int16], spacing: Sequence[float], window: int = WINDOW
) -> NDArray[np.uint8]:
    """Class of every voxel of a scan, on its own grid.

    Parameters
    ----------
    network : Segmenter
    hu : (I, P, L) int16
        In the project's axes: caudal, posterior, left.
    spacing : sequence of float
        Voxel size in mm along I, P, L.
    window : int
        See `WINDOW`.

    Returns
    -------
    (I, P, L) uint8
    """
    network.eval()
    small = resample_hu(hu, spacing, network.vision.spacing)
    image = windowed(small, network.vision.windows)[None].to(network.head.weight.device)
    return likeliest(network, scan_features(network, image, window), hu.shape)


def labels_of(names: Sequence[str]) -> list[int]:
    """Label of each class in a file: an organ's own of TotalSegmentator v2, else the next that is free."""
    taken = {LABELS[name] for name in names if name in LABELS}
    free = (label for label in range(1, 256) if label not in taken)
    return [LABELS[name] if name in LABELS else next(free) for name in names]


def segment_scan(network: Segmenter, names: Sequence[str], scan: Scan) -> OrganMasks:
    """Masks of a scan, on its grid, under the names of the classes."""
    classes = segment_hu(network, scan.hu, scan.spacing)
    table = np.zeros(len(names) + 1, np.uint8)
    table[1:] = labels_of(names)
    labels = table[classes]
    there = np.bincount(labels.ravel(), minlength=256)
    named = {label: name for label, name in zip(labels_of(names), names, strict=True) if there[label]}
    return OrganMasks(np.ascontiguousarray(labels), named, "this project's segmenter")


def write_masks(path: Path, scan: Scan, masks: OrganMasks) -> None:
    """Write masks as NIfTI, on the grid and with the affine of the scan's own file."""
    from napari_ctvlp.scan.nifti_out import write_masks_nifti

    write_masks_nifti(path, scan, masks, {name: organ_colour(name) for name in masks.names.values()})
