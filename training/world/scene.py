"""The scene that abnormalities are painted into, and the ground truth that painting leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.world.imaging.contrast import Contrast
from training.world.materials import NAMES

Box = tuple[slice, slice, slice]
IndexBox = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
Severity = Literal["mild", "moderate", "severe"]


@dataclass(frozen=True, eq=False)
class PaintedFinding:
    """An abnormality that was painted.

    Attributes
    ----------
    organ : str
        TotalSegmentator v2 name of the organ that it is reported with.
    abnormality : str
        Slug of the catalogue.
    centre : (int, int, int)
        Voxel (I, P, L) of the mask nearest to its middle.
    size_mm : float
        Diameter of the largest lesion; of diffuse changes the largest extent, of effusions the thickness, of an
        aneurysm the largest diameter, of a growth the organ's longest axis.
    box : IndexBox
        (start, stop) per axis of the mask.
    mask : (i, p, l) bool
        The abnormal voxels within ``box``.
    count : int
        Number of lesions.
    severity : str
        mild, moderate or severe.
    also : tuple of str
        Other organs that show the same finding, as the spleen does ascites.
    volume_factor : float, optional
        Volume of the organ after painting over that before; only of findings that change an organ's size.
    """

    organ: str
    abnormality: str
    centre: tuple[int, int, int]
    size_mm: float
    box: IndexBox
    mask: Tensor
    count: int = 1
    severity: Severity = "moderate"
    also: tuple[str, ...] = ()
    volume_factor: float | None = None

    @property
    def organs(self) -> tuple[str, ...]:
        """All organs that show it."""
        return (self.organ, *self.also)

    @property
    def slices(self) -> Box:
        """``box`` as slices."""
        a, b, c = (slice(*s) for s in self.box)
        return (a, b, c)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the mask, ready for JSON."""
        value = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "mask"}
        value["size_mm"] = round(self.size_mm, 1)
        return value


@dataclass(eq=False)
class Scene:
    """The volumes that painting changes.

    Attributes
    ----------
    labels, tissue : (I, P, L) uint8
        TotalSegmentator v2 ids (0: no organ) and ``Material`` ids.
    spacing : float
        Isotropic voxel size in mm.
    contrast : Contrast
        Phase and mean HU by material.
    boxes : list of Box or None
        Box of label n at n - 1; None for a label that is not in the scene. Painters that change an organ's extent call
        ``rebox``.
    hu : (I, P, L) float32, optional
        Noise-free and unblurred; None while shapes are still changed.
    metal : list of (Box, (i, p, l) bool)
        Metal that the scanner later draws streaks from.
    """

    labels: Tensor
    tissue: Tensor
    spacing: float
    contrast: Contrast
    boxes: list[Box | None]
    hu: Tensor | None = None
    metal: list[tuple[Box, Tensor]] = field(default_factory=list)

    @property
    def image(self) -> Tensor:
        """The HU volume; only for abnormalities that paint after rendering."""
        assert self.hu is not None
        return self.hu

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along I, P, L."""
        a, b, c = self.labels.shape
        return (a, b, c)

    @property
    def device(self) -> torch.device:
        """Where the volumes are."""
        return self.labels.device

    def has(self, label: int) -> bool:
        """Whether any voxel carries a label."""
        return self.boxes[label - 1] is not None

    def organ_box(self, label: int, margin_mm: float = 0.0) -> Box:
        """The organ's box, widened and clipped to the volume."""
        box = self.boxes[label - 1]
        assert box is not None
        return self.widened(box, margin_mm)

    def widened(self, box: Box, margin_mm: float) -> Box:
        """A box, widened and clipped to the volume."""
        m = int(np.ceil(margin_mm / self.spacing))
        a, b, c = (slice(max(0, s.start - m), min(n, s.stop + m)) for s, n in zip(box, self.labels.shape, strict=True))
        return (a, b, c)

    def is_cut(self, label: int) -> bool:
        """Whether the organ touches the first or last slice: its size cannot be judged."""
        box = self.boxes[label - 1]
        return box is None or box[0].start == 0 or box[0].stop == self.labels.shape[0]

    def rebox(self, label: int, within: Box) -> None:
        """Note an organ's new extent, all of which lies in ``within``."""
        mask = self.labels[within] == label
        self.boxes[label - 1] = tight_box(mask, within)

    def include(self, label: int, within: Box) -> None:
        """Widen an organ's box by what of it lies in ``within``."""
        new, old = tight_box(self.labels[within] == label, within), self.boxes[label - 1]
        if new is not None and old is not None:
            a, b, c = (slice(min(s.start, t.start), max(s.stop, t.stop)) for s, t in zip(new, old, strict=True))
            new = (a, b, c)
        self.boxes[label - 1] = new or old


Painter = Callable[[Scene, int, np.random.Generator], "PaintedFinding | None"]
"""Paints an abnormality of the organ with a label; returns None, the scene unchanged, where it cannot be painted."""


def tight_box(mask: Tensor, box: Box | None = None) -> Box | None:
    """The box of a mask's true voxels, moved by the start of ``box``; None for an empty mask."""
    ends = []
    for axis in range(3):
        along = mask.flatten(1).any(1) if axis == 0 else mask.any(0).any(1) if axis == 1 else mask.any(0).any(0)
        where = torch.nonzero(along)
        if len(where) == 0:
            return None
        start = 0 if box is None else int(box[axis].start)
        ends.append(slice(int(where[0]) + start, int(where[-1]) + 1 + start))
    return (ends[0], ends[1], ends[2])


def label_boxes(labels: Tensor) -> list[Box | None]:
    """Boxes of labels 1..255 of a (I, P, L) uint8 volume."""
    n = labels.shape
    flat = labels.flatten()
    # the first and last voxels of runs along L are enough, and are few
    change = torch.empty(flat.numel() + 1, dtype=torch.bool, device=labels.device)
    change[[0, -1]] = True
    torch.ne(flat[1:], flat[:-1], out=change[1:-1])
    change[:-1].view(n)[:, :, 0] = True
    starts = torch.nonzero(change).flatten()
    ends = starts[1:] - 1
    starts = starts[:-1]
    name = flat[starts].long()
    some = torch.nonzero(name).flatten()
    name, starts, ends = name[some], starts[some], ends[some]
    row = starts.div(n[2], rounding_mode="floor")
    plane, along = row.div(n[1], rounding_mode="floor"), row * n[2]
    places = ((plane,), (row - plane * n[1],), (starts - along, ends - along))
    low, high = (torch.zeros(3, 256, dtype=torch.long) for _ in range(2))
    present = torch.zeros(256, dtype=torch.bool)
    for axis in range(3):
        table = torch.zeros(n[axis], 256, dtype=torch.bool, device=labels.device)
        for place in places[axis]:
            table.view(-1)[place * 256 + name] = True
        seen = table.cpu()
        present |= seen.any(0)
        low[axis] = seen.int().argmax(0)
        high[axis] = n[axis] - seen.flip(0).int().argmax(0)
    out: list[Box | None] = [None] * 255
    (a0, b0, c0), (a1, b1, c1) = low.tolist(), high.tolist()
    for k in torch.nonzero(present[1:]).flatten().add(1).tolist():
        out[k - 1] = (slice(a0[k], a1[k]), slice(b0[k], b1[k]), slice(c0[k], c1[k]))
    return out


def severity_of(grade: float) -> Severity:
    """Thirds of a grade in 0..1."""
    return "mild" if grade < 0.34 else "moderate" if grade < 0.67 else "severe"


def finding_of(
    label: int,
    slug: str,
    mask: Tensor,
    box: Box,
    size_mm: float,
    *,
    count: int = 1,
    grade: float = 0.5,
    also: Sequence[str] = (),
    volume_factor: float | None = None,
) -> PaintedFinding:
    """The record of what was painted: ``mask`` (not empty) lies in ``box`` of the scene."""
    tight = tight_box(mask, box)
    assert tight is not None
    inner = tuple(slice(t.start - b.start, t.stop - b.start) for t, b in zip(tight, box, strict=True))
    kept = mask[inner].clone()
    points = torch.nonzero(kept).float()
    nearest = points[((points - points.mean(0)) ** 2).sum(1).argmin()]
    centre = tuple(int(c) + t.start for c, t in zip(nearest.tolist(), tight, strict=True))
    a, b, c = ((int(t.start), int(t.stop)) for t in tight)
    return PaintedFinding(
        NAMES[label],
        slug,
        (centre[0], centre[1], centre[2]),
        float(size_mm),
        (a, b, c),
        kept,
        count,
        severity_of(grade),
        tuple(also),
        volume_factor,
    )


def as_array(tensor: Tensor) -> NDArray[Any]:
    """A contiguous NumPy array of a tensor, wherever it is."""
    return np.ascontiguousarray(tensor.cpu().numpy())
