"""Blobs that bulge from an organ: where there is room for them, what they are filled with, whose label they get."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from training.world.brushes import among, ball, pick, smooth_field, speckle
from training.world.materials import Material
from training.world.scene import Box, Scene

Blob = tuple[Box, Tensor]
"""Box and coverage (0..1)."""


def skewed(rng: np.random.Generator, low: float, high: float) -> float:
    """A size between two ends, small ones more often."""
    return float(low + (high - low) * rng.beta(1.2, 2.2))


def opened(mask: Tensor) -> Tensor:
    """A mask without what is thinner than three voxels."""
    eroded = F.max_pool3d((~mask)[None, None].float(), 3, 1, 1) < 0.5
    return F.max_pool3d(eroded.float(), 3, 1, 1)[0, 0] > 0.5


def bulge(
    scene: Scene,
    label: int,
    sites: Tensor,
    radius: float,
    rng: np.random.Generator,
    *,
    out: float,
    free: Iterable[Material],
    rough: float = 0.1,
    stretch: float = 0.12,
    least: float = 0.5,
    tries: int = 6,
) -> Blob | None:
    """A blob about one of some sites on an organ's surface, moved outward; of a few places the roomiest.

    Parameters
    ----------
    sites : (n, 3) int
        Scene indices.
    radius, out : float
        Of the blob, and how far its middle lies beyond the site, away from the middle of the sites, in mm.
    free : iterable of Material
        What it may take beside the organ itself; it is moulded by everything else.
    rough, stretch : float
        As for ``ball`` and ``lesions``.
    least : float
        Share of the blob that must have room.

    Returns
    -------
    (Box, Tensor), or None without a place.
    """
    if len(sites) == 0:
        return None
    free = tuple(free)
    middle = np.array(sites.float().mean(0).tolist())
    volume = 4.19 * (radius / scene.spacing) ** 3
    best: tuple[float, Blob] | None = None
    for _ in range(tries):
        site = pick(sites, rng)
        away = (site - middle) * (0.5, 1, 1)
        away = away / max(1e-3, float(np.linalg.norm(away)))
        centre = site + away * out / scene.spacing + rng.uniform(-0.4, 0.4, 3)
        radii = radius * rng.uniform(1 - stretch, 1 + stretch, 3)
        box, cover = ball(scene, centre, radii, rng, rough)
        if cover.numel() == 0:
            continue
        organ = scene.labels[box] == label
        # thin planes of fat between muscles are no room
        cover = cover * (organ | opened(organ | among(scene.tissue[box], free)))
        share = float(cover.sum()) / max(volume, 1.0)
        if best is None or share > best[0]:
            best = share, (box, cover)
        if share > 0.92:
            break
    if best is None or best[0] < least or float(best[1][1].max()) < 0.55:
        return None
    return best[1]


def mottle(
    scene: Scene, blob: Blob, value: float, spread: float, rng: np.random.Generator, cell_mm: float = 9.0
) -> None:
    """Replace HU by ``value``, which varies smoothly by ``spread`` HU, in proportion to the coverage; mark the tissue
    as lesion."""
    box, cover = blob
    hu = scene.image[box]
    level = value + spread * smooth_field(rng, tuple(hu.shape), cell_mm / scene.spacing, scene.device)
    level = level + speckle(rng, hu, 2.0)
    hu += (level - hu) * cover
    scene.tissue[box][cover > 0.5] = int(Material.LESION)


def claim(
    scene: Scene, label: int, box: Box, mask: Tensor, rng: np.random.Generator, drop: float, other: int = 0
) -> None:
    """Segmenters leave some lesions out of the organ (``drop``: how often; the voxels become ``other``), and take what
    bulges from it in, or do not."""
    labels = scene.labels[box]
    if rng.random() < drop:
        labels[mask & ((labels == label) | ((labels == 0) & (other > 0)))] = other
    elif rng.random() < 0.8:
        labels[mask & (labels == 0)] = label
    for changed in {label, other} - {0}:
        extend(scene, changed, box)


def extend(scene: Scene, label: int, box: Box) -> None:
    """Note that a label may now reach into ``box`` too."""
    old = scene.boxes[label - 1]
    if old is not None:
        a, b, c = (slice(min(s.start, t.start), max(s.stop, t.stop)) for s, t in zip(old, box, strict=True))
        box = (a, b, c)
    scene.rebox(label, box)
