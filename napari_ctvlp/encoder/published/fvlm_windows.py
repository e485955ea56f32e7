"""From a scan to what fVLM sees: 3 x 1 x 1 mm, HU -1150..350, one window for as many organs as it holds.

Order and rounding follow the released preprocessing: resize the whole scan, window it, keep the box around all its
organs with a margin, pad to the window of training; then cut a window around each organ. Here organs whose boxes fit
the window that the largest of them needs anyway share it, and so one pass of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .fvlm_network import PATCH
from .sampling import sample_linear

SPACING = (3.0, 1.0, 1.0)
"""mm along D (to superior), H (to posterior), W (to left)."""
HU = (-1150.0, 350.0)
MARGIN = (5, 20, 20)
SMALLEST = (112, 256, 352)
"""What a smaller box is padded to."""
WINDOW = (112, 288, 352)
"""Of the released scoring; a larger organ gets a larger one."""

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Window:
    """One input of the network: where it lies on the resized grid and which organs are scored in it."""

    start: tuple[int, int, int]
    shape: tuple[int, int, int]
    organs: tuple[int, ...]


@dataclass(frozen=True)
class Resized:
    """A scan's geometry on the grid of fVLM.

    ``stored`` are the masks' own labels, (D, H, W) uint8, and ``labels`` the same with 1 + index of the organ; ``size``
    is the scan's (I, P, L); ``field`` is the box of the padded volume, which may reach beyond the scan; ``filled`` the
    part of it that holds the scan.
    """

    stored: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    size: tuple[int, ...]
    boxes: Mapping[int, Box]
    field: Box
    filled: Box


def resized_shape(shape: Sequence[int], spacing: Sequence[float]) -> tuple[int, int, int]:
    """(D, H, W) of a scan of ``shape`` (I, P, L) and ``spacing`` mm after resizing; fractions are cut off."""
    d, h, w = (max(1, int(n * s / t)) for n, s, t in zip(shape, spacing, SPACING, strict=True))
    return d, h, w


def resize_labels(labels: NDArray[np.uint8], table: NDArray[np.uint8], spacing: Sequence[float]) -> Resized | None:
    """Organ labels on the grid of fVLM, with the boxes that decide the windows; None where no organ is left.

    Parameters
    ----------
    labels : (I, P, L) uint8
        Masks of the scan.
    table : (256,) uint8
        Mask label to 1 + index of the organ, 0 for anything else.
    spacing : sequence of float
        mm along I, P, L.
    """
    from scipy.ndimage import find_objects

    shape = resized_shape(labels.shape, spacing)
    picks = [_nearest(n, m) for n, m in zip(labels.shape, shape, strict=True)]
    stored = labels[::-1][np.ix_(*picks)]
    small = table[stored]
    boxes: dict[int, Box] = {}
    for organ, found in enumerate(find_objects(small)):
        if found is not None:
            d, h, w = ((s.start, s.stop) for s in found)
            boxes[organ] = (d, h, w)
    if not boxes:
        return None
    filled, field = [], []
    for axis, (size, margin, least) in enumerate(zip(shape, MARGIN, SMALLEST, strict=True)):
        low = max(0, min(box[axis][0] for box in boxes.values()) - margin)
        high = min(size, max(box[axis][1] for box in boxes.values()) + margin)
        before = max(0, least - (high - low)) // 2
        filled.append((low, high))
        field.append((low - before, low - before + max(least, high - low)))
    return Resized(
        stored, small, labels.shape, boxes, (field[0], field[1], field[2]), (filled[0], filled[1], filled[2])
    )


def plan_windows(resized: Resized, *, shared: bool = True) -> list[Window]:
    """Windows that together hold every organ; ``shared=False`` gives each organ its own, as the released code does."""
    boxes = resized.boxes
    by_size = sorted(boxes, key=lambda organ: -float(np.prod(_size(boxes[organ], resized.field))))
    windows: list[tuple[Box, tuple[int, int, int], list[int]]] = []
    for organ in by_size:
        for place, (box, size, members) in enumerate(windows):
            both = _union(box, boxes[organ])
            if shared and all(b - a <= n for (a, b), n in zip(both, size, strict=True)):
                windows[place] = (both, size, [*members, organ])
                break
        else:
            windows.append((boxes[organ], _size(boxes[organ], resized.field), [organ]))
    return [Window(_start(box, size, resized.field), size, tuple(members)) for box, size, members in windows]


def window_image(hu: NDArray[np.int16], resized: Resized, window: Window, tick: Callable[[float], None]) -> Tensor:
    """What the network sees in one window: (1, 1, D, H, W) float32 in 0..1, sides multiples of the patch.

    Only what lies in the window is interpolated. ``hu`` is (I, P, L).
    """
    shape = resized.labels.shape
    image = torch.zeros([n + -n % p for n, p in zip(window.shape, PATCH, strict=True)])
    begin, end = _filled(resized, window)
    if all(a < b for a, b in zip(begin, end, strict=True)):
        places = [_places(n, m)[a:b] for a, b, n, m in zip(begin, end, hu.shape, shape, strict=True)]
        inside = tuple(slice(a - s, b - s) for a, b, s in zip(begin, end, window.start, strict=True))
        image[inside] = _windowed(sample_linear(hu[::-1], places, tick))
    return image[None, None]


def whole_image(hu: NDArray[np.int16], spacing: Sequence[float], tick: Callable[[float], None]) -> Tensor:
    """(I, P, L) float32 in 0..1: the resampled scan that windows are cut from, not turned to D, H, W."""
    shape = resized_shape(hu.shape, spacing)
    return _windowed(sample_linear(hu, [_places(n, m) for n, m in zip(hu.shape, shape, strict=True)], tick))


def _places(size: int, out: int) -> NDArray[np.float64]:
    """Index at which each of ``out`` voxels is taken; the grids share their edges, so that it is the same reversed."""
    return (np.arange(out) + 0.5) * size / out - 0.5


def _windowed(hu: Tensor) -> Tensor:
    return ((hu - HU[0]) / (HU[1] - HU[0])).clamp(0, 1)


def sight(resized: Resized, window: Window) -> tuple[tuple[int, ...], ...]:
    """What decides the image of a window of one scan: where it lies, its shape, and the part of it that is filled."""
    begin, end = _filled(resized, window)
    return window.start, window.shape, tuple(begin), tuple(end)


def _filled(resized: Resized, window: Window) -> tuple[list[int], list[int]]:
    begin = [max(s, low) for s, (low, _) in zip(window.start, resized.filled, strict=True)]
    end = [min(s + n, high) for s, n, (_, high) in zip(window.start, window.shape, resized.filled, strict=True)]
    return begin, end


def window_tokens(resized: Resized, window: Window, organ: int) -> Tensor:
    """(L,) bool: tokens of a window that an organ reaches into with at least one voxel."""
    return torch.from_numpy(_reached(resized.labels, organ + 1, window))


def places_of(resized: Resized, window: Window, organ: int, label: int) -> NDArray[np.bool_]:
    """(n,) bool: of the tokens that an organ reaches those that one of its masks, such as a lobe, reaches."""
    own = _reached(resized.stored, label, window)
    return np.asarray(own[_reached(resized.labels, organ + 1, window)])


def token_centres(resized: Resized, window: Window) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the tokens of a window lie in the scan.

    Returns
    -------
    centres : (L, 3) float64
        Voxel index (I, P, L) of the middle of each; L counts D slowest and W fastest, and D is the reverse of I.
    steps : (3,) float64
        Voxels from one to the next.
    """
    lines, steps = [], []
    for begin, length, patch, size, out in zip(
        window.start, window.shape, PATCH, resized.size, resized.labels.shape, strict=True
    ):
        middles = begin + (np.arange(-(-length // patch)) + 0.5) * patch - 0.5
        lines.append((middles + 0.5) * size / out - 0.5)
        steps.append(patch * size / out)
    lines[0] = resized.size[0] - 1 - lines[0]
    return np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 3), np.array(steps)


def _reached(labels: NDArray[np.uint8], label: int, window: Window) -> NDArray[np.bool_]:
    padded = np.zeros([n + -n % p for n, p in zip(window.shape, PATCH, strict=True)], bool)
    begin = [max(s, 0) for s in window.start]
    end = [min(s + n, m) for s, n, m in zip(window.start, window.shape, labels.shape, strict=True)]
    inside = labels[tuple(slice(a, b) for a, b in zip(begin, end, strict=True))] == label
    padded[tuple(slice(a - s, b - s) for a, b, s in zip(begin, end, window.start, strict=True))] = inside
    split = [size for n, p in zip(padded.shape, PATCH, strict=True) for size in (n // p, p)]
    return np.asarray(padded.reshape(split).any(axis=(1, 3, 5)).ravel())


def _nearest(size: int, out: int) -> NDArray[np.int64]:
    """Index of the voxel that torch's nearest interpolation takes for each of ``out`` voxels."""
    line = torch.arange(size, dtype=torch.float64)[None, None]
    return F.interpolate(line, size=out, mode="nearest")[0, 0].long().numpy()


def _union(a: Box, b: Box) -> Box:
    d, h, w = ((min(p[0], q[0]), max(p[1], q[1])) for p, q in zip(a, b, strict=True))
    return d, h, w


def _size(box: Box, field: Box) -> tuple[int, int, int]:
    """Shape of the window of an organ: that of the released scoring or its box, and no larger than the field."""
    d, h, w = (min(max(n, b - a), f - e) for n, (a, b), (e, f) in zip(WINDOW, box, field, strict=True))
    return d, h, w


def _start(box: Box, size: Sequence[int], field: Box) -> tuple[int, int, int]:
    """First voxel of a window in the middle of a box, moved to lie within the field."""
    d, h, w = (
        min(max((a + b) // 2 - n // 2, low), high - n) for (a, b), n, (low, high) in zip(box, size, field, strict=True)
    )
    return d, h, w
