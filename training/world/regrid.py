"""From the grid that is painted on back to the scan's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.world.bodies.grids import Spacing, box_between, nearest
from training.world.materials import ID, NAMES
from training.world.scene import PaintedFinding, Scene, tight_box

if TYPE_CHECKING:
    from napari_ctvlp.scan import OrganMasks


PARTS_OF: Mapping[str, str] = {"heart_myocardium": "heart"}
"""What grows where a map of v1 has only a part of an organ that v2 has whole."""


def relabelled(
    masks: OrganMasks, scene: Scene, before: Tensor, spacing: Spacing
) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """The given labels with what painting changed ``before`` to the scene's, by the given numbers."""
    out, names = masks.labels.copy(), dict(masks.names)
    extent = tight_box(scene.labels != before)
    if extent is None:
        return out, names
    steps = (scene.spacing,) * 3
    box = scene.widened(extent, scene.spacing)  # an unchanged rim, for what lies beyond a box is as at its ends
    start = (box[0].start, box[1].start, box[2].start)
    target = box_between(box, steps, spacing, out.shape)
    new = nearest(scene.labels[box], steps, spacing, target, start).cpu().numpy()
    old = nearest(before[box], steps, spacing, target, start).cpu().numpy()
    changed = new != old
    number = {ID[v2]: k for k, n in names.items() if (v2 := PARTS_OF.get(n, n)) in ID}
    for label in np.unique(new[changed]).tolist():
        if label and label not in number:
            number[label] = label if label not in names else next(k for k in range(118, 256) if k not in names)
            names[number[label]] = NAMES[label]
    table = np.zeros(256, np.uint8)
    for label, k in number.items():
        table[label] = k
    out[target][changed] = table[new[changed]]
    present = np.flatnonzero(np.bincount(out.ravel(), minlength=256))
    return out, {k: n for k, n in names.items() if k in present}


def on_grid(finding: PaintedFinding, step: float, spacing: Spacing, shape: tuple[int, ...]) -> PaintedFinding:
    """A finding on the grid of the scan; a lesion that is thinner than the voxels keeps its middle voxel."""
    steps = (step,) * 3
    a, b, c = (round((k + 0.5) * step / s - 0.5) for k, s in zip(finding.centre, spacing, strict=True))
    centre = tuple(min(max(0, k), n - 1) for k, n in zip((a, b, c), shape, strict=True))
    wide = tuple(slice(s.start - 1, s.stop + 1) for s in finding.slices)
    padded = torch.nn.functional.pad(finding.mask.cpu(), (1, 1, 1, 1, 1, 1))
    low = (wide[0].start, wide[1].start, wide[2].start)
    target = box_between((wide[0], wide[1], wide[2]), steps, spacing, shape)
    mask = nearest(padded, steps, spacing, target, low)
    if not bool(mask.any()):
        target = tuple(slice(k, k + 1) for k in centre)  # type: ignore[assignment]
        mask = torch.ones(1, 1, 1, dtype=torch.bool)
    tight = tight_box(mask, target)
    assert tight is not None
    inner = tuple(slice(t.start - s.start, t.stop - s.start) for t, s in zip(tight, target, strict=True))
    kept = mask[inner].clone()
    points = torch.nonzero(kept) + torch.tensor([t.start for t in tight])
    nearest_one = points[((points - torch.tensor(centre)) ** 2).sum(1).argmin()].tolist()
    box = tuple((int(t.start), int(t.stop)) for t in tight)
    return replace(finding, centre=tuple(nearest_one), box=(box[0], box[1], box[2]), mask=kept)
