"""What painters share: random fields, distances, balls, lesions, growth and shrinkage, as torch operations on boxes.

Everything random comes from a NumPy generator on the host; only small knots and numbers travel to the device, so that
painting gives the same shapes on every device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from training.world.imaging.fields import upsampled
from training.world.materials import Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

FAR = 1e4
"""Stands for "further than was looked" in :func:`distance`."""


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, ...], cell: float, device: torch.device | str = "cpu"
) -> Tensor:
    """A smooth random field of about unit variance, correlated over ``cell`` voxels (trilinear between random
    knots)."""
    coarse = [max(2, int(np.ceil(n / cell)) + 1) for n in shape]
    knots = torch.from_numpy(rng.standard_normal((1, 1, *coarse), dtype=np.float32)).to(device)
    return upsampled(knots[0, 0], shape).mul_(1.5)


def among(tissue: Tensor, materials: Iterable[Material]) -> Tensor:
    """Where a tissue volume is one of some materials."""
    mask = torch.zeros_like(tissue, dtype=torch.bool)
    for material in materials:
        mask |= tissue == int(material)
    return mask


def distance(mask: Tensor, spacing: float, reach: float) -> Tensor:
    """Distance in mm to a mask, exact up to ``reach`` mm and ``FAR`` beyond.

    The squared distance transform separates by axis into lower envelopes of parabolas (Felzenszwalb and Huttenlocher,
    Theory of Computing 2012); within a short reach the envelope is a minimum over a few shifts.
    """
    squared = torch.where(mask, 0.0, FAR * FAR)
    steps = int(reach / spacing + 1e-6)
    for axis in range(3):
        source, n = squared.clone(), squared.shape[axis]
        for k in range(1, min(steps, n - 1) + 1):
            cost = (k * spacing) ** 2
            a, b = squared.narrow(axis, k, n - k), squared.narrow(axis, 0, n - k)
            torch.minimum(a, source.narrow(axis, 0, n - k) + cost, out=a)
            torch.minimum(b, source.narrow(axis, k, n - k) + cost, out=b)
    out = squared.sqrt_()
    return torch.where(out <= reach + 1e-3, out, FAR)


def dilated(mask: Tensor, mm: float, spacing: float) -> Tensor:
    """A mask and what lies within ``mm`` of it."""
    return distance(mask, spacing, mm) <= mm


def eroded(mask: Tensor, mm: float, spacing: float) -> Tensor:
    """The part of a mask deeper than ``mm``; beyond the box counts as inside."""
    return mask & (distance(~mask, spacing, mm) > mm)


def shell(mask: Tensor) -> Tensor:
    """The outermost voxels of a mask."""
    inner = -F.max_pool3d(-mask[None, None].float(), 3, 1, 1)[0, 0]
    return mask & (inner < 0.5)


def blurred(volume: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of a (i, p, l) float volume, ``sigma`` in voxels."""
    reach = max(1, int(np.ceil(2.5 * sigma)))
    weight = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=volume.device) / sigma) ** 2)
    weight = weight / weight.sum()
    out = volume[None, None]
    for axis in range(3):
        shape, pad = [1, 1, 1, 1, 1], [0] * 6
        shape[2 + axis] = len(weight)
        pad[4 - 2 * axis] = pad[5 - 2 * axis] = reach
        out = F.conv3d(F.pad(out, pad, mode="replicate"), weight.view(shape))
    return out[0, 0]


def ball(
    scene: Scene, centre: ArrayLike, radii_mm: ArrayLike, rng: np.random.Generator, rough: float = 0.12
) -> tuple[Box, Tensor]:
    """Box and coverage (0..1, anti-aliased) of a slightly irregular ellipsoid about a voxel index."""
    middle = np.asarray(centre, float)
    r = np.broadcast_to(np.asarray(radii_mm, float) / scene.spacing, 3)
    a = np.clip(np.floor(middle - r * 1.3 - 1), 0, scene.shape).astype(int)
    b = np.clip(np.ceil(middle + r * 1.3 + 2), 0, scene.shape).astype(int)
    b = np.maximum(a, b)
    box = (slice(int(a[0]), int(b[0])), slice(int(a[1]), int(b[1])), slice(int(a[2]), int(b[2])))
    angle = rng.uniform(0, 6.3, 3)
    axes = [
        (torch.arange(s.start, s.stop, device=scene.device, dtype=torch.float32) - float(c)) / float(q)
        for s, c, q in zip(box, middle, r, strict=True)
    ]
    u, v, w = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    level: Tensor | float = 1.0
    if rough:
        level = 1.0 + rough * (
            torch.sin(2.3 * u + float(angle[0]))
            + torch.sin(2.1 * v + float(angle[1]))
            + torch.sin(2.2 * w + float(angle[2]))
        )
    # the signed distance to the surface, in voxels, ramps the coverage of the voxels that it crosses
    radius = (u * u + v * v + w * w).sqrt()
    cover = ((level - radius) * float(r.mean()) + 0.5).clamp(0, 1)
    return box, cover


def speckle(rng: np.random.Generator, like: Tensor, sd: float) -> Tensor:
    """White noise in the shape of ``like``, drawn on its device from a seed of ``rng``."""
    generator = torch.Generator(like.device).manual_seed(int(rng.integers(2**62)))
    return torch.randn(like.shape, generator=generator, device=like.device) * sd


def blend(scene: Scene, box: Box, cover: Tensor, value: float, sd: float, rng: np.random.Generator) -> None:
    """Replace HU by ``value`` with a little texture, in proportion to ``cover``."""
    hu = scene.image[box]
    lesion = value + speckle(rng, hu, sd)
    hu += (lesion - hu) * cover.to(hu.dtype)


def sites_of(scene: Scene, label: int, materials: tuple[Material, ...] | None = None, inset_mm: float = 0) -> Tensor:
    """(n, 3) voxel indices of an organ, of some materials, at least ``inset_mm`` deep where there is such a place."""
    box = scene.organ_box(label, scene.spacing)
    mask = scene.labels[box] == label
    if materials is not None:
        mask &= among(scene.tissue[box], materials)
    if inset_mm:
        deep = eroded(mask, inset_mm, scene.spacing)
        mask = deep if bool(deep.any()) else mask
    return places(mask, box)


def places(mask: Tensor, box: Box) -> Tensor:
    """(n, 3) scene indices of the true voxels of a box."""
    start = torch.tensor([s.start for s in box], device=mask.device)
    return torch.nonzero(mask) + start


def pick(sites: Tensor, rng: np.random.Generator) -> NDArray[np.float64]:
    """One of the sites (n, 3), as floats."""
    return np.asarray(sites[int(rng.integers(len(sites)))].tolist(), float)


def volume_ml(mask: Tensor, spacing: float) -> float:
    """Volume of a mask in ml."""
    return float(mask.sum()) * spacing**3 / 1000


def relabel(
    scene: Scene, box: Box, cover: Tensor, label: int, rng: np.random.Generator, drop: float, other: int = 0
) -> None:
    """Segmenters leave some lesions out of the organ's mask (``drop``: how often), and take others in."""
    mask = cover > 0.5
    labels = scene.labels[box]
    if rng.random() < drop:
        labels[mask & (labels == label)] = other
        if other:
            scene.include(other, box)
    elif rng.random() < 0.7:
        labels[mask & (labels == 0)] = label
        scene.include(label, box)


def lesions(
    scene: Scene,
    label: int,
    slug: str,
    rng: np.random.Generator,
    *,
    sites: Tensor,
    diameter: tuple[float, float],
    hu: tuple[float, float],
    most: int = 1,
    many: float = 0.5,
    sd: float = 3.0,
    only: bool = True,
    drop: float = 0.25,
    other: int = 0,
    stretch: float = 0.15,
    rough: float = 0.12,
    avoid: tuple[Material, ...] = (),
    material: Material = Material.LESION,
    profile: Callable[[Tensor], Tensor] | None = None,
) -> PaintedFinding | None:
    """Paint 1..most blobs at random sites of an organ.

    Parameters
    ----------
    sites : (n, 3) int
        Where a centre may lie, as scene indices.
    diameter : (float, float)
        Range in mm, small ones more often.
    hu : (float, float)
        Range of the mean; each lesion differs a little.
    most, many : int, float
        Largest number, and how often there is more than one.
    sd : float
        Texture in HU.
    only, avoid : bool, tuple of Material
        Keep them inside the organ, or at least off some materials.
    drop, other : float, int
        How often the organ's mask leaves them out, and what label they get then.
    stretch, rough : float
        How far from round, and how uneven.
    material : Material
        What the lesion's tissue becomes, so that what is painted later leaves it alone.
    profile : callable, optional
        Turns the coverage into what is added in HU beyond ``hu``, as for a rim.
    """
    if len(sites) == 0:
        return None
    count = int(rng.integers(2, most + 1)) if most > 1 and rng.random() < many else 1
    done: list[tuple[float, Box, Tensor]] = []
    value = float(rng.uniform(*hu))
    for _ in range(count):
        d = float(diameter[0] + (diameter[1] - diameter[0]) * rng.beta(1.2, 2.2))
        centre = pick(sites, rng) + rng.uniform(-0.5, 0.5, 3)
        box, cover = ball(scene, centre, d / 2 * rng.uniform(1 - stretch, 1 + stretch, 3), rng, rough)
        if cover.numel() == 0:
            continue
        if only:
            cover = cover * (scene.labels[box] == label)
        elif avoid:
            cover = cover * ~among(scene.tissue[box], avoid)
        if float(cover.max()) <= 0.3:
            continue
        level = float(value + rng.normal(0, sd))
        blend(scene, box, cover, level, sd, rng)
        if profile is not None:
            scene.image[box] += profile(cover)
        scene.tissue[box][cover > 0.5] = int(material)
        relabel(scene, box, cover, label, rng, drop, other)
        done.append((d, box, cover > min(0.5, 0.7 * float(cover.max()))))
    if not done:
        return None
    biggest = max(d for d, _, _ in done)
    box, mask = joined([(b, m) for _, b, m in done])
    grade = (biggest - diameter[0]) / (diameter[1] - diameter[0])
    return finding_of(label, slug, mask, box, biggest, count=len(done), grade=grade)


def joined(parts: list[tuple[Box, Tensor]]) -> tuple[Box, Tensor]:
    """The union of masks in boxes of one scene, in the smallest box that holds them."""
    low = [min(b[k].start for b, _ in parts) for k in range(3)]
    high = [max(b[k].stop for b, _ in parts) for k in range(3)]
    whole = torch.zeros([b - a for a, b in zip(low, high, strict=True)], dtype=torch.bool, device=parts[0][1].device)
    for box, mask in parts:
        whole[tuple(slice(s.start - a, s.stop - a) for s, a in zip(box, low, strict=True))] |= mask
    return (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])), whole
