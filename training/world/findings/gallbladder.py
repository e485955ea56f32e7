"""Abnormalities of the gallbladder."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import among, distance, joined, pick, places, smooth_field
from training.world.findings.kinds import Abnormality
from training.world.findings.solid import coverage, fill_with, mass, strand
from training.world.growth import grow
from training.world.materials import ID, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

_SOFT = (
    Material.FAT,
    Material.LIVER,
    Material.STOMACH_WALL,
    Material.STOMACH_LUMEN,
    Material.COLON_WALL,
    Material.STOOL,
    Material.BOWEL_WALL,
    Material.BOWEL_LUMEN,
)


def gallbladder_absent(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """The fossa is filled by liver and fat from around it; mostly two to four metal clips of 2-4 mm lie in it."""
    if scene.is_cut(label):
        return None
    box = scene.organ_box(label, 2 * scene.spacing)
    fossa = scene.labels[box] == label
    if int(fossa.sum()) < 8:
        return None
    span = max(s.stop - s.start for s in scene.organ_box(label)) * scene.spacing
    _close(scene.tissue[box], scene.labels[box], fossa)
    if rng.random() < 0.75:
        _clips(scene, box, fossa, rng)
    scene.rebox(label, box)
    scene.include(ID["liver"], box)
    return finding_of(label, "gallbladder_absent", fossa, box, span, volume_factor=0.0)


def _close(tissue: Tensor, labels: Tensor, fossa: Tensor) -> None:
    """Fill a hole with the liver and fat that border it, layer by layer, fat going farther; in place."""
    liver, fat = int(Material.LIVER), int(Material.FAT)
    left, rest, stuck = fossa.clone(), int(fossa.sum()), 0
    for turn in range(sum(fossa.shape)):
        source = torch.where(left, int(Material.AIR), tissue)
        for axis in range(3):
            n = fossa.shape[axis]
            for to, by in ((0, 1), (1, 0)):
                material = source.narrow(axis, by, n - 1)
                good = (material == fat) | ((material == liver) & (turn % 2 == 0))
                good &= left.narrow(axis, to, n - 1)
                here, open_ = tissue.narrow(axis, to, n - 1), left.narrow(axis, to, n - 1)
                here.copy_(torch.where(good, material, here))
                open_ &= ~good
        stuck = stuck + 1 if int(left.sum()) == rest else 0
        rest = int(left.sum())
        if rest == 0 or stuck > 2:  # bowel can shut a corner off
            break
    tissue[left] = fat
    labels[fossa] = torch.where(tissue == liver, ID["liver"], 0).to(labels.dtype)[fossa]


def _clips(scene: Scene, box: Box, fossa: Tensor, rng: np.random.Generator) -> None:
    """Metal near the neck, which lies at the top and the back of the fossa."""
    points = torch.nonzero(fossa)
    height = points[:, 0] - points[:, 1]
    neck = points[height <= height.float().quantile(0.35)]
    first = neck[int(rng.integers(len(neck)))]
    neck = neck[(neck - first).float().norm(dim=1) * scene.spacing < 14]
    metal = torch.zeros_like(fossa)
    for _ in range(int(rng.integers(2, 5))):
        i, p, x = neck[int(rng.integers(len(neck)))].tolist()
        metal[i, p, x] = True
        if scene.spacing < 2.6 and rng.random() < 0.7:  # a clip is longer than such a voxel
            metal[i, p, x + 1] = fossa[i, p, x + 1]
    scene.tissue[box][metal] = int(Material.METAL)
    scene.labels[box][metal] = 0
    scene.metal.append((box, metal))


def gallbladder_distension(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A tense gallbladder of 1.5-3 times its volume, grown by up to 16 mm."""
    return grow(
        scene, label, "gallbladder_distension", rng, factor=(1.5, 3.0), reach=16, free=_SOFT, material=Material.BILE
    )


def gallbladder_wall_thickening(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """An oedematous wall of 4-10 mm (10-35 HU) with a thin inner lining that enhances, in stranded fat."""
    if scene.is_cut(label):
        return None
    box = scene.organ_box(label, 24)
    inside = scene.labels[box] == label
    if int(inside.sum()) * scene.spacing**3 < 4000:
        return None
    tissue = scene.tissue[box]
    grade = float(rng.random())
    wide = max(4 + 6 * grade, 1.6 * scene.spacing)
    within = min(wide * float(rng.uniform(0.2, 0.45)), 4.0)
    out, deep = distance(inside, scene.spacing, 22.0), distance(~inside, scene.spacing, 6.0)
    uneven = 1 + 0.22 * smooth_field(rng, tuple(inside.shape), 12 / scene.spacing, scene.device).clamp(-2, 2)
    free = among(tissue, (Material.FAT, Material.LIVER, Material.BOWEL_WALL, Material.COLON_WALL))
    # distances run between voxel centres, half a voxel too far to the border
    half = 0.5 * scene.spacing
    wall = (~inside & free & (out - half < (wide - within) * uneven)) | (inside & (deep - half < within))
    native = scene.contrast.phase == "native"
    value = float(rng.uniform(12, 32))
    lining = value if native else float(rng.uniform(55, 115))
    inner = torch.where(inside, deep - half < within, False) & (deep > within - 0.5 * half)
    fat_around = ~wall & ~inside & (out < 1e3)
    strand(scene, box, (1 - out / 22).clamp(0, 1) * fat_around, rng, 40 + 60 * grade)
    layer = torch.full_like(out, value)
    layer[inner] = 0.4 * value + 0.6 * lining
    fill_with(scene, box, wall.float(), layer, rng, 6.0)
    tissue[wall] = int(Material.LESION)
    if rng.random() < 0.5:  # many segmenters take the wall in
        scene.labels[box][wall & ((scene.labels[box] == 0) | (scene.labels[box] == ID["liver"]))] = label
        scene.rebox(label, box)
    return finding_of(label, "gallbladder_wall_thickening", wall, box, wide, grade=grade)


def gallstones(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Dependent stones of 3-25 mm: dense (250-900 HU), with a dense rim, or faint (30-90 HU above bile); one, a few, or
    a layer of small ones."""
    box = scene.organ_box(label, scene.spacing)
    lumen = (scene.labels[box] == label) & (scene.tissue[box] == int(Material.BILE))
    room = distance(~lumen, scene.spacing, 20.0).clamp(max=20.0) - 0.5 * scene.spacing
    widest = 2 * float(room.max())
    if int(lumen.sum()) < 8 or widest < 5:
        return None
    style = rng.choice(["dense", "rim", "faint"], p=[0.45, 0.3, 0.25])
    style = "dense" if widest < 8 else str(style)
    gravel = style == "dense" and rng.random() < 0.35
    count = int(rng.integers(5, 13)) if gravel else int(rng.choice([1, 1, 1, 2, 3, 4]))
    largest = min(25.0, 0.85 * widest)
    smallest = 3.0 if style == "dense" else min(6.0, 0.8 * largest)
    top = min(6.0, largest) if gravel else largest
    value, done = _stone_hu(scene, style, rng), []
    for _ in range(count):
        d = smallest + (top - smallest) * float(rng.beta(1.2, 1.8))
        resting = _resting(lumen, room, d, box)
        where, depth = mass(scene, pick(resting, rng), d / 2 * rng.uniform(0.88, 1.12, 3), rng, 0.07)
        cover = coverage(depth, scene.spacing) * (scene.labels[where] == label)
        if float(cover.sum()) < 0.2:
            continue
        stone = torch.full_like(depth, value * float(rng.uniform(0.85, 1.15)))
        if style == "rim":
            core = 0.15 * value + 20
            stone = core + (stone - core) * ((max(2.0, scene.spacing) - depth) / scene.spacing + 0.5).clamp(0, 1)
        fill_with(scene, where, cover, stone, rng, 0.04 * value)
        mask = cover > min(0.5, 0.7 * float(cover.max()))
        scene.tissue[where][mask] = int(Material.CALCIUM)
        done.append((d, where, mask))
    if not done:
        return None
    whole, mask = joined([(b, m) for _, b, m in done])
    biggest = max(d for d, _, _ in done)
    return finding_of(label, "gallstones", mask, whole, biggest, count=len(done), grade=(biggest - 3) / 22)


def _stone_hu(scene: Scene, style: str, rng: np.random.Generator) -> float:
    bile = float(scene.contrast.mean[Material.BILE])
    if style == "faint":
        return bile + float(rng.uniform(35, 95))
    return float(rng.uniform(250, 900) if style == "dense" else rng.uniform(180, 600))


def _resting(lumen: Tensor, room: Tensor, d: float, box: Box) -> Tensor:
    """Centres where a stone of a diameter lies on the posterior wall."""
    fits = lumen & (room >= 0.8 * min(d / 2, float(room.max())))
    low = fits.clone()
    # nothing that fits lies directly behind
    low[:, :-1] &= ~fits[:, 1:]
    points = places(low, box)
    rank = points[:, 1].float()
    return points[rank >= rank.quantile(0.4)]


GALLBLADDER = (
    Abnormality(
        "gallbladder_absent",
        "gallbladder",
        ("gallbladder",),
        gallbladder_absent,
        how="Liver and fat fill the fossa, mostly with two to four metal clips in it; the label is gone.",
        source="own range, set with the look after cholecystectomy in mind",
        stage="shape",
        factor=(0.0, 0.0),
        rate=0.12,
    ),
    Abnormality(
        "gallbladder_distension",
        "gallbladder",
        ("gallbladder",),
        gallbladder_distension,
        how="A tense gallbladder of one and a half to three times its volume.",
        source="own range, set with a normal width of 40 mm in mind (radiologykey.com: The Gallbladder)",
        stage="shape",
        factor=(1.5, 3.02),
        rate=0.05,
    ),
    Abnormality(
        "gallbladder_wall_thickening",
        "gallbladder",
        ("gallbladder",),
        gallbladder_wall_thickening,
        how="An oedematous wall of 4-10 mm, its lining enhancing, in stranded fat.",
        source="own range, set with a wall of 3 mm as the limit in mind (Radiopaedia: Gallbladder wall thickening)",
        hu=(5, 40),
        enhanced=(8, 75),
        where="beside",
        rate=0.04,
    ),
    Abnormality(
        "gallstones",
        "gallbladder",
        ("gallbladder",),
        gallstones,
        how="Dependent stones of 3-25 mm, dense, rimmed or faint: one, a few, or a layer of small ones.",
        source="own range, set with Barakos et al., Radiology 1987;162:415 in mind",
        hu=(30, 950),
        rate=0.1,
    ),
)
