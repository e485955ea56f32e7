"""What painters of solid organs share beyond the brushes: soft-edged masses, tubes, flecks of calcium, stranded fat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from training.world.brushes import among, ball, blend, distance, joined, pick, smooth_field
from training.world.findings.kinds import RIBS
from training.world.materials import ID, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

Float = NDArray[np.float64]
RETROPERITONEUM = (
    "aorta",
    "inferior_vena_cava",
    "kidney_left",
    "kidney_right",
    "adrenal_gland_left",
    "adrenal_gland_right",
    *(f"vertebrae_T{n}" for n in range(9, 13)),
    *(f"vertebrae_L{n}" for n in range(1, 6)),
)
"""What lies behind the peritoneum."""
VISIBLE = 110.0
"""HU above its surroundings that even the smallest fleck of calcium reaches: fainter ones nobody reports."""

YIELDING = (
    Material.FAT,
    Material.STOMACH_WALL,
    Material.STOMACH_LUMEN,
    Material.COLON_WALL,
    Material.STOOL,
    Material.BOWEL_WALL,
    Material.BOWEL_LUMEN,
)
"""What gives way to a growing organ of the upper abdomen."""


def level_of(scene: Scene, label: int, material: Material) -> float:
    """Mean HU of an organ's parenchyma as it is now; that of the scan's contrast where none is left."""
    box = scene.organ_box(label)
    mask = (scene.labels[box] == label) & (scene.tissue[box] == int(material))
    values = scene.image[box][mask]
    return float(values.mean()) if len(values) else float(scene.contrast.mean[material])


def mass(
    scene: Scene, centre: ArrayLike, radii_mm: ArrayLike, rng: np.random.Generator, rough: float = 0.15
) -> tuple[Box, Tensor]:
    """Box and depth in mm (negative outside) of a lobulated ellipsoid about a voxel index."""
    r = np.broadcast_to(np.asarray(radii_mm, float), 3)
    middle, reach = np.asarray(centre, float), r / scene.spacing * (1 + 2 * rough) + 1.5
    a = np.clip(np.floor(middle - reach), 0, scene.shape).astype(int)
    b = np.maximum(a, np.clip(np.ceil(middle + reach + 1), 0, scene.shape).astype(int))
    box = (slice(int(a[0]), int(b[0])), slice(int(a[1]), int(b[1])), slice(int(a[2]), int(b[2])))
    u, v, w = (
        (torch.arange(s.start, s.stop, device=scene.device, dtype=torch.float32) - float(c))
        * (scene.spacing / float(q))
        for s, c, q in zip(box, middle, r, strict=True)
    )
    radius = (u[:, None, None] ** 2 + v[None, :, None] ** 2 + w[None, None, :] ** 2).sqrt()
    if radius.numel() == 0:
        return box, radius
    cell = max(1.5, 0.9 * float(r.mean()) / scene.spacing)
    lobes = smooth_field(rng, tuple(radius.shape), cell, scene.device).clamp(-2, 2)
    return box, (1 + rough * lobes - radius) * float(r.mean())


def coverage(depth_mm: Tensor, edge_mm: float) -> Tensor:
    """0 outside to 1 inside, over an edge of some mm about depth 0."""
    return (depth_mm / edge_mm + 0.5).clamp(0, 1)


def fill_with(
    scene: Scene, box: Box, cover: Tensor, value: float | Tensor, rng: np.random.Generator, sd: float = 4.0
) -> None:
    """Replace HU by ``value`` in proportion to ``cover``, with the smooth texture that parenchyma has."""
    hu = scene.image[box]
    texture = smooth_field(rng, tuple(hu.shape), rng.uniform(1.6, 3.2), scene.device) * sd
    hu += (texture + value - hu) * cover


def tube(scene: Scene, points: ArrayLike, radii_mm: ArrayLike) -> tuple[Box, Tensor]:
    """Box and depth in mm (negative outside) of a tube along points (n, 3) in voxels; empty where out of view."""
    line = np.asarray(points, float)
    radii = np.broadcast_to(np.asarray(radii_mm, float), len(line))
    box = _box_of(line, float(radii.max()) / scene.spacing + 1, scene.shape)
    depth = torch.full([s.stop - s.start for s in box], -1e3, device=scene.device)
    line = line - [s.start for s in box]
    for k in range(len(line) - 1):
        a, step, r = line[k], line[k + 1] - line[k], radii[k : k + 2]
        part = _box_of(line[k : k + 2], float(r.max()) / scene.spacing + 1, depth.shape)
        u, v, w = (torch.arange(s.start, s.stop, device=scene.device) - float(c) for s, c in zip(part, a, strict=True))
        u, v, w = u[:, None, None], v[None, :, None], w[None, None, :]
        i, p, x = (float(c) for c in step)
        t = ((u * i + v * p + w * x) / max(1e-6, i * i + p * p + x * x)).clamp(0, 1)
        far = ((u - t * i) ** 2 + (v - t * p) ** 2 + (w - t * x) ** 2).sqrt() * scene.spacing
        depth[part] = torch.maximum(depth[part], float(r[0]) + t * float(r[1] - r[0]) - far)
    return box, depth


def _box_of(points: Float, margin: float, shape: Sequence[int]) -> Box:
    low = np.clip(np.floor(points.min(0) - margin), 0, shape).astype(int)
    high = np.maximum(low, np.clip(np.ceil(points.max(0) + margin + 1), 0, shape).astype(int))
    return (slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])), slice(int(low[2]), int(high[2])))


def axis_of(mask: Tensor, box: Box, spacing: float, step_mm: float = 9.0) -> Float:
    """The middle line (n, 3) of an organ that lies across the body, from the patient's right to the left, in voxels."""
    step = max(1, round(step_mm / spacing))
    out = []
    for start in range(0, mask.shape[2], step):
        points = torch.nonzero(mask[:, :, start : start + step])
        if len(points) >= 3:
            middle = points.float().mean(0).tolist()
            out.append((middle[0] + box[0].start, middle[1] + box[1].start, middle[2] + start + box[2].start))
    return np.array(out, float).reshape(-1, 3)


def calcify(
    scene: Scene,
    label: int,
    slug: str,
    rng: np.random.Generator,
    *,
    sites: Tensor,
    count: int,
    diameter: tuple[float, float],
    hu: tuple[float, float],
    most: int,
) -> PaintedFinding | None:
    """Flecks of calcium inside an organ; those smaller than a voxel share it with what is around them."""
    done: list[tuple[float, Box, Tensor]] = []
    for _ in range(count if len(sites) else 0):
        d = float(diameter[0] + (diameter[1] - diameter[0]) * rng.beta(1.1, 2.6))
        centre = pick(sites, rng)
        box, cover = ball(scene, centre + rng.uniform(-0.3, 0.3, 3), d / 2 * rng.uniform(0.75, 1.25, 3), rng, 0.2)
        value = float(rng.uniform(*hu))
        at = tuple(int(c) for c in centre)
        rise = value - float(scene.image[at])
        if rise < VISIBLE:
            continue
        true = np.pi / 6 * (d / scene.spacing) ** 3 / max(1e-3, float(cover.sum()))
        cover = cover * min(1.0, max(true, VISIBLE / rise / max(1e-3, float(cover.max()))))
        cover = cover * (scene.labels[box] == label)
        if float(cover.max()) <= 0.02:
            continue
        blend(scene, box, cover, value, 0.03 * value, rng)
        mask = cover > 0.5 * float(cover.max())
        scene.tissue[box][mask] = int(Material.CALCIUM)
        done.append((d, box, mask))
    if not done:
        return None
    biggest = max(d for d, _, _ in done)
    box, mask = joined([(b, m) for _, b, m in done])
    return finding_of(label, slug, mask, box, biggest, count=len(done), grade=len(done) / most)


def swell(
    scene: Scene,
    label: int,
    slug: str,
    rng: np.random.Generator,
    *,
    factor: tuple[float, float],
    reach: float,
    free: tuple[Material, ...],
    material: Material,
) -> PaintedFinding | None:
    """``brushes.grow`` of a large organ in the peritoneum: neither into the fat behind it nor into that between the
    ribs, and with distances on half the grid, which are exact enough for a surface that is uneven anyway."""
    if scene.is_cut(label):
        return None
    box = scene.organ_box(label, reach + 2 * scene.spacing)
    labels, tissue = scene.labels[box], scene.tissue[box]
    mask = labels == label
    before, shape = int(mask.sum()), tuple(mask.shape)
    coarse = labels[::2, ::2, ::2]
    held = _near(coarse, RETROPERITONEUM, 15.0, scene.spacing) | _near(coarse, RIBS, 12.0, scene.spacing)
    far = distance(coarse == label, 2 * scene.spacing, reach).clamp(max=2 * reach) + 3 * reach * held
    far = far * (1 + 0.2 * smooth_field(rng, tuple(far.shape), 6.0, scene.device).clamp(-2, 2))
    far = _doubled(far, shape)
    room = ~mask & (far < 1.2 * reach) & among(tissue, free)
    grade, depths = float(rng.random()), far[room]
    if before == 0 or len(depths) < max(1, int(before * (factor[0] - 1)) + 1):
        return None
    wanted = int(before * (factor[0] + (factor[1] - factor[0]) * grade - 1)) + 1
    grown = room & (far <= depths.kthvalue(min(wanted, len(depths))).values)
    tissue[grown], labels[grown] = int(material), label
    scene.rebox(label, box)
    real = 1 + int(grown.sum()) / before
    size = max(s.stop - s.start for s in scene.organ_box(label)) * scene.spacing
    grade = (real - factor[0]) / (factor[1] - factor[0])
    return finding_of(label, slug, mask | grown, box, size, grade=grade, volume_factor=real)


def _near(coarse: Tensor, names: tuple[str, ...], mm: float, spacing: float) -> Tensor:
    """About what lies within ``mm`` of some organs, of labels at every other voxel: a border, not a measure."""
    table = torch.zeros(256, device=coarse.device)
    table[[ID[n] for n in names]] = 1
    wide = table.index_select(0, coarse.flatten().int()).view(1, 1, *coarse.shape)
    for _ in range(max(1, round(mm / (2 * spacing)))):
        wide = F.max_pool3d(wide, 3, 1, 1)
    return wide[0, 0] > 0.5


def _doubled(coarse: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A field that is known at every other voxel, at every voxel."""
    size = [2 * n - 1 for n in coarse.shape]
    fine = F.interpolate(coarse[None, None], size=size, mode="trilinear", align_corners=True)
    pad = [shape[k] - size[k] for k in (2, 1, 0)]
    return F.pad(fine, (0, pad[0], 0, pad[1], 0, pad[2]), mode="replicate")[0, 0]


def strand(scene: Scene, box: Box, weight: Tensor, rng: np.random.Generator, rise: float) -> Tensor:
    """Inflamed fat: a haze and thin denser sheets, up to ``rise`` HU where ``weight`` is 1; returns what was added."""
    shape = tuple(weight.shape)
    sheets = torch.zeros_like(weight)
    for cell in (7.0, 11.0):
        field = smooth_field(rng, shape, cell / scene.spacing, scene.device)
        sheets = torch.maximum(sheets, torch.exp(-((field / 0.3) ** 2)))
    added = weight * (0.3 + 0.7 * sheets) * rise * (scene.tissue[box] == int(Material.FAT))
    scene.image[box] += added
    return added
