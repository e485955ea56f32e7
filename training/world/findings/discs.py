"""What wear leaves on two vertebrae and the disc between them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import among, distance, joined, smooth_field
from training.world.findings.vertebra import body_of
from training.world.materials import NAMES, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of


def degenerative_spine(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Osteophytes of 3-12 mm on both end plates that meet a disc, the disc narrowed, gas in it at times."""
    below = label - 1
    name = NAMES.get(below, "")
    if not name.startswith("vertebrae") or not scene.has(below):
        return None
    upper, lower = body_of(scene, label), body_of(scene, below)
    if upper is None or lower is None:
        return None
    box, both = joined([(upper.box, upper.mask), (lower.box, lower.mask)])
    box, both = _padded(scene, box, both, 14.0)
    tissue, labels = scene.tissue[box], scene.labels[box]
    a, b = both & (labels == label), both & (labels == below)
    rows = torch.arange(both.shape[0], device=scene.device)[:, None, None]
    foot = torch.where(a, rows, -1).amax(0)
    head = torch.where(b, rows, both.shape[0] + 9).amin(0)
    disc = (tissue == int(Material.DISC)) & (rows > foot) & (rows < head) & (foot >= 0) & (head < both.shape[0])
    if int(disc.sum()) < 6:
        return None
    grade = float(rng.beta(1.2, 1.6))
    size = 3 + 9 * grade
    spur = _spurs(scene, box, both, disc, size, rng)
    if int(spur.sum()) < 3:
        return None
    middle = torch.where(disc, rows, 0).sum().float() / disc.sum()
    above = spur & (rows <= middle)
    for part, owner in ((above, label), (spur & ~above, below)):
        tissue[part] = int(Material.CORTEX)
        labels[part] = owner
    plate = torch.zeros_like(disc)
    if rng.random() < 0.35 + 0.5 * grade and int((head - foot)[disc.any(0)].max()) > 2:
        plate = disc & (rows == foot + 1)
        tissue[plate] = int(Material.CORTEX)
        labels[plate] = label
    gas = torch.zeros_like(disc)
    if rng.random() < 0.15 + 0.45 * grade:
        field = smooth_field(rng, tuple(disc.shape), 7 / scene.spacing, scene.device)
        gas = disc & ~plate & (rows == ((foot + head + 1) // 2)) & (field > rng.uniform(-0.2, 1.4))
        tissue[gas] = int(Material.GAS)
    changed = spur | plate | gas
    for owner in (label, below):
        scene.rebox(owner, scene.widened(scene.organ_box(owner), 16.0))
    return finding_of(label, "degenerative_spine", changed, box, size, grade=grade, also=(name,))


def _padded(scene: Scene, box: Box, mask: Tensor, mm: float) -> tuple[Box, Tensor]:
    wide = scene.widened(box, mm)
    out = torch.zeros([s.stop - s.start for s in wide], dtype=torch.bool, device=mask.device)
    out[tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(box, wide, strict=True))] = mask
    return wide, out


def _spurs(scene: Scene, box: Box, both: Tensor, disc: Tensor, size: float, rng: np.random.Generator) -> Tensor:
    """Bone that grows out of the end plates' rim to the front and the sides, furthest at the disc."""
    free = among(scene.tissue[box], (Material.FAT, Material.SOFT, Material.MUSCLE, Material.LUNG))
    far = distance(both, scene.spacing, size + scene.spacing)
    near = distance(disc, scene.spacing, size + 2 * scene.spacing)
    points = torch.nonzero(disc).float()
    centre = points.mean(0)
    p = torch.arange(both.shape[1], device=scene.device).float()[None, :, None] - centre[1]
    x = torch.arange(both.shape[2], device=scene.device).float()[None, None, :] - centre[2]
    angle = torch.atan2(x, -p)  # 0 to the front, positive to the left
    spots = torch.zeros_like(angle)
    for _ in range(int(rng.integers(2, 5))):
        spots += torch.exp(-(((angle - float(rng.uniform(-1.9, 1.9))) / float(rng.uniform(0.3, 0.6))) ** 2))
    reach = size * spots.clamp(max=1.0)
    deep = float(rng.uniform(2.0, 5.0)) + scene.spacing
    return free & (far <= reach) & (near <= deep + 0.5 * reach) & (angle.abs() < 2.3)
