"""Abnormalities of the small bowel and the colon."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.world.brushes import FAR, among, distance, smooth_field, speckle
from training.world.findings.bulging import extend, opened, skewed
from training.world.findings.colon import around, colon_mass, diverticulosis, seed_of
from training.world.findings.kinds import Abnormality
from training.world.materials import ID, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

_WALLS = (Material.BOWEL_WALL, Material.COLON_WALL)
_RETRO = ("kidney_left", "kidney_right", "aorta", "inferior_vena_cava")


def bowel_obstruction(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Loops dilated to 30-50 mm at the expense of mesenteric fat, filled with fluid (-2 to 20 HU) and gas above flat
    levels; the wall is thin and stays."""
    if scene.is_cut(label):
        return None
    reach = 12.0
    box = scene.organ_box(label, reach + 2 * scene.spacing)
    tissue, labels = scene.tissue[box], scene.labels[box]
    bowel = labels == label
    before = int(bowel.sum())
    lumen = bowel & ~among(tissue, _WALLS)
    if before * scene.spacing**3 < 60_000 or not bool(lumen.any()):
        return None
    grade = float(rng.random())
    far = distance(bowel, scene.spacing, reach)
    uneven = far * (1 + 0.25 * smooth_field(rng, tuple(bowel.shape), 16 / scene.spacing, scene.device).clamp(-2, 2))
    fat = (labels == 0) & (tissue == int(Material.FAT))
    room = opened(bowel | fat) & ~_near_retroperitoneum(scene, box)
    whole = bowel | (room & (uneven <= 3 + 8 * grade) & (far < FAR))
    whole |= _closed(whole) & room  # no islands of fat between loops
    factor = float(whole.sum()) / before
    loop, border = _loops(whole, scene.spacing, rng, 30 + 14 * grade)
    thick = max(1.05 * scene.spacing, 2.2)
    deep = distance(~whole, scene.spacing, 25).clamp(max=25)
    inside = torch.minimum(deep, border)
    widest = 2 * float(inside.max())
    if factor < 1.12 or widest < 30:
        return None
    labels[whole] = label
    inner = whole & (deep > thick) & (border > thick / 2)
    tissue[whole & ~inner] = int(Material.BOWEL_WALL)
    tissue[inner] = int(Material.FLUID)
    tissue[_above_levels(inner, loop, rng)] = int(Material.GAS)
    scene.rebox(label, box)
    return finding_of(label, "bowel_obstruction", whole, box, widest, grade=grade, volume_factor=factor)


def _closed(mask: Tensor) -> Tensor:
    """A mask and its gaps of one or two voxels."""
    wide = F.max_pool3d(mask[None, None].float(), 3, 1, 1)
    return -F.max_pool3d(-wide, 3, 1, 1)[0, 0] > 0.5


def _loops(whole: Tensor, spacing: float, rng: np.random.Generator, width: float) -> tuple[Tensor, Tensor]:
    """Divide a mass of bowel into loops about as wide as ``width`` mm: the loop of every voxel, and its distance to
    the next one in mm.

    A healthy body's loops touch, and grow into one; a dilated bowel shows its walls. Every loop is what lies nearest to
    a piece of a winding line.
    """
    sites = torch.nonzero(whole)[:: max(1, int(whole.sum()) // 4000)].float() * spacing
    chosen = [int(rng.integers(len(sites)))]
    gap = ((sites - sites[chosen[0]]) ** 2).sum(1)
    while len(chosen) < 40 and float(gap.max()) > (0.95 * width) ** 2:
        chosen.append(int(gap.argmax()))
        gap = torch.minimum(gap, ((sites - sites[chosen[-1]]) ** 2).sum(1))
    points = torch.nonzero(whole).float() * spacing  # the bowel is a fraction of its box
    first = torch.full((len(points),), FAR, device=whole.device)
    second, which = first.clone(), torch.zeros(len(points), dtype=torch.long, device=whole.device)
    for k, at in enumerate(sites[chosen]):
        along = rng.normal(0, (0.6, 0.4, 1.0))
        along = along / np.linalg.norm(along)
        i, p, x = (points - at).unbind(1)
        t = i * float(along[0]) + p * float(along[1]) + x * float(along[2])
        half = float(rng.uniform(0.2, 0.6)) * width
        far = (i * i + p * p + x * x - t * t + (t.abs() - half).clamp(min=0) ** 2).clamp(min=0).sqrt()
        closer = far < first
        second = torch.where(closer, first, torch.minimum(second, far))
        which[closer] = k
        first = torch.minimum(first, far)
    loop = torch.zeros(whole.shape, dtype=torch.long, device=whole.device)
    border = torch.zeros(whole.shape, device=whole.device)
    loop[whole], border[whole] = which, (second - first) / 2
    return loop, border


def _above_levels(lumen: Tensor, loop: Tensor, rng: np.random.Generator) -> Tensor:
    """Gas in two loops of three, above a flat level in each."""
    p = torch.arange(lumen.shape[1], device=lumen.device)[None, :, None].expand(lumen.shape)[lumen]
    which = loop[lumen]
    n = int(loop.max()) + 1
    top = torch.full((n,), 10_000, device=lumen.device).scatter_reduce(0, which, p, "amin")
    end = torch.zeros(n, dtype=p.dtype, device=lumen.device).scatter_reduce(0, which, p, "amax")
    full = np.where(rng.random(n) < 0.65, rng.uniform(0.12, 0.6, n), 0.0)
    # gas gathers in front, fluid in the loops at the back
    front = 1 - (top - top.min()) / max(1, lumen.shape[1])
    level = top + (end - top + 1) * torch.from_numpy(full.astype(np.float32)).to(lumen.device) * front
    gas = torch.zeros_like(lumen)
    gas[lumen] = p < level[which]
    return gas


def _near_retroperitoneum(scene: Scene, box: Box, mm: float = 8.0) -> Tensor:
    """Within some mm of kidneys and great vessels: the bowel does not go there."""
    named = torch.zeros_like(scene.labels[box], dtype=torch.bool)
    for organ in _RETRO:
        named |= scene.labels[box] == ID[organ]
    return distance(named, scene.spacing, mm) < FAR


def bowel_wall_thickening(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A segment of 50-200 mm with a wall of 5-15 mm: 18-44 HU, after contrast even or a target (bright mucosa, dark
    submucosa); the fat around it is streaky."""
    seed = seed_of(scene, label, rng)
    if seed is None:
        return None
    length, thick = skewed(rng, 50, 200), float(rng.uniform(5, 15))
    thick = max(thick, 1.7 * scene.spacing)
    reach = length / 2 if length < 110 else 55 + (length - 110) / 4  # the gut is winding
    box, near = around(scene, seed, reach, 14)
    organ = scene.labels[box] == label
    free = (scene.tissue[box] == int(Material.FAT)) & (scene.labels[box] == 0)
    depth = distance(~organ, scene.spacing, 16).clamp(max=16)
    far = distance(organ & near, scene.spacing, 14)
    uneven = 1 + 0.15 * smooth_field(rng, tuple(organ.shape), 12 / scene.spacing, scene.device).clamp(-2, 2)
    inward, outward = 0.6 * thick * uneven, 0.4 * thick * uneven
    wall = near & organ & ((depth <= inward) | among(scene.tissue[box], _WALLS))
    new = free & (far <= outward)
    mask = wall | new
    if int(mask.sum()) * scene.spacing**3 < 3_000:
        return None
    native = scene.contrast.phase == "native"
    value = float(rng.uniform(18, 44) if native else rng.uniform(48, 100))
    hu = scene.image[box]
    level = value + 4 * smooth_field(rng, tuple(organ.shape), 6 / scene.spacing, scene.device)
    if rng.random() < (0.15 if native else 0.6):  # submucosal oedema, or fat in long-standing disease
        dark = mask & _submucosa(organ, depth, far, inward, outward)
        level = torch.where(dark, torch.full_like(level, float(rng.uniform(2, 26))), level)
        if not native:
            level = torch.where(mask & ~dark & organ, level + float(rng.uniform(0, 30)), level)
    hu[mask] = (level + speckle(rng, hu, 2))[mask]
    fat = free & ~new & (far < FAR)
    haze = float(rng.uniform(15, 75)) * (1 - far.clamp(max=14) / 14)
    streaks = (0.6 + 0.8 * smooth_field(rng, tuple(organ.shape), 2.5, scene.device)).clamp(0, 2)
    hu += torch.where(fat, haze * streaks, torch.zeros_like(hu))
    scene.tissue[box][mask] = int(Material.LESION)
    scene.labels[box][new] = label
    extend(scene, label, box)
    return finding_of(label, "bowel_wall_thickening", mask, box, length, grade=(thick - 5) / 10)


def _submucosa(organ: Tensor, depth: Tensor, far: Tensor, inward: Tensor, outward: Tensor) -> Tensor:
    """The middle third of a thickened wall."""
    thick = inward + outward
    across = torch.where(organ, outward + depth, outward - far) / thick  # 0 outside, 1 at the lumen
    return (across > 0.33) & (across < 0.72)


BOWEL: tuple[Abnormality, ...] = (
    Abnormality(
        "bowel_obstruction",
        "bowel",
        ("small_bowel",),
        bowel_obstruction,
        how="Small-bowel loops dilated beyond 30 mm into the mesenteric fat, fluid and gas with flat levels.",
        source="own range, set with Paulson and Thompson, Radiology 2015;275:332 in mind",
        hu=(-450, 40),
        enhanced=(-450, 70),
        stage="shape",
        factor=(1.1, 4.5),
        rate=0.02,
    ),
    Abnormality(
        "colon_mass",
        "bowel",
        ("colon",),
        colon_mass,
        how="Circumferential uneven soft tissue of 30-80 mm along the colon, lumen a few mm wide.",
        source="own range, set with Horton et al., RadioGraphics 2000;20:419 in mind",
        hu=(15, 60),
        enhanced=(40, 120),
        rate=0.01,
    ),
    Abnormality(
        "bowel_wall_thickening",
        "bowel",
        ("small_bowel", "colon"),
        bowel_wall_thickening,
        how="A segment of 50-200 mm with a wall of 5-15 mm, even or a target, and streaky fat around it.",
        source="own range, set with Macari and Balthazar, AJR 2001;176:1105 in mind",
        hu=(5, 55),
        enhanced=(20, 135),
        rate=0.03,
    ),
    Abnormality(
        "diverticulosis",
        "bowel",
        ("colon",),
        diverticulosis,
        how="Six to forty outpouchings of 4-12 mm with gas or stool on the descending and sigmoid colon.",
        source="own range, set with outpouchings of 5-10 mm in mind (radiologykey.com: Colonic Diverticulosis)",
        hu=(-750, 150),
        where="beside",
        rate=0.2,
    ),
)
