"""Inflammation of the pancreas and the fluid that it leaves."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import FAR, among, blurred, distance, pick, places, shell, smooth_field, volume_ml
from training.world.findings.kinds import Abnormality
from training.world.findings.solid import fill_with, level_of, mass, strand
from training.world.materials import Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

_YIELDS = (
    Material.FAT,
    Material.PANCREAS,
    Material.STOMACH_WALL,
    Material.STOMACH_LUMEN,
    Material.COLON_WALL,
    Material.STOOL,
    Material.BOWEL_WALL,
    Material.BOWEL_LUMEN,
    Material.GAS,
)
_REACH = 28.0


def pancreatitis(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A swollen, duller gland (2-6 mm), stranding of the fat within 28 mm, and with more severity pools of fluid."""
    box = scene.organ_box(label, _REACH)
    gland = scene.labels[box] == label
    if volume_ml(gland & (scene.tissue[box] == int(Material.PANCREAS)), scene.spacing) < 12:
        return None
    tissue, hu, shape = scene.tissue[box], scene.image[box], tuple(gland.shape)
    grade = float(rng.random())
    out = distance(gland, scene.spacing, _REACH)
    fat = (tissue == int(Material.FAT)) & ~gland
    uneven = smooth_field(rng, shape, 25 / scene.spacing, scene.device).clamp(-2, 2)
    level = level_of(scene, label, Material.PANCREAS) - float(rng.uniform(4, 16)) * (0.5 + grade)
    level = max(level, 14.0)
    swollen = fat & (out < 2 + 4 * grade) & (uneven > -1.2)
    tender = gland & (tissue == int(Material.PANCREAS))
    hu -= tender * float(rng.uniform(3, 14))
    near = (1 - out / (_REACH * (0.5 + 0.5 * grade)) + 0.15 * uneven).clamp(0, 1) * (out < FAR)
    added = strand(scene, box, near * fat, rng, 50 + 65 * grade)
    fill_with(scene, box, swollen.float(), level, rng, 7.0)
    changed = (added > 15) | swollen | tender
    if grade > 0.3:
        pools = fat & (near > 0.45) & (uneven > 1.6 - 1.7 * grade)
        fill_with(scene, box, pools.float(), float(rng.uniform(4, 22)), rng, 4.0)
        tissue[pools] = int(Material.FLUID)
        changed |= pools
        swollen &= ~pools
    tissue[swollen] = int(Material.LESION)
    if rng.random() < 0.6:
        scene.labels[box][swollen & (scene.labels[box] == 0)] = label
        scene.rebox(label, box)
    extent = torch.nonzero(changed).float()
    size = float((extent.max(0).values - extent.min(0).values + 1).max()) * scene.spacing
    return finding_of(label, "pancreatitis", changed, box, size, grade=grade)


def pancreatic_pseudocyst(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A pool of fluid (2-24 HU) of 30-120 mm beside the gland, in a wall of 2-3 mm, in the place of fat and bowel."""
    box = scene.organ_box(label, scene.spacing)
    surface = places(shell(scene.labels[box] == label), box)
    if len(surface) < 20:
        return None
    d = 30 + 90 * float(rng.beta(1.2, 2.4))
    best = _roomiest(scene, surface, d, rng)
    if best is None:
        return None
    where, depth = best
    room = _room(scene, where)
    # a smooth border where it meets what does not yield
    inside = blurred(((depth > 0) & room).float(), max(1.0, 3 / scene.spacing))
    cyst = room & (inside > 0.5)
    if volume_ml(cyst, scene.spacing) < 4:
        return None
    cover = cyst.float()
    native = scene.contrast.phase == "native"
    thick = float(rng.uniform(2, 3.5))
    wall = cyst & (distance(~cyst, scene.spacing, 6.0) <= max(thick, 1.01 * scene.spacing))
    value = torch.full_like(cover, float(rng.uniform(2, 24)))
    # a wall thinner than a voxel shares it with the fluid
    share = min(1.0, thick / scene.spacing) * 0.8
    value[wall] += share * (float(rng.uniform(30, 42) if native else rng.uniform(50, 85)) - value[wall])
    fill_with(scene, where, cover, value, rng, 3.0)
    scene.tissue[where][cyst] = int(Material.FLUID)
    scene.labels[where][cyst] = 0
    extent = torch.nonzero(cyst).float()
    size = float((extent.max(0).values - extent.min(0).values + 1).max()) * scene.spacing
    return finding_of(label, "pancreatic_pseudocyst", cyst, where, size, grade=(d - 30) / 90)


def _room(scene: Scene, box: Box) -> Tensor:
    """What fluid can push away: fat and hollow organs."""
    return among(scene.tissue[box], _YIELDS)


def _roomiest(scene: Scene, surface: Tensor, d: float, rng: np.random.Generator) -> tuple[Box, Tensor] | None:
    """Of some balls that touch the gland, mostly in front of it, the one with most room."""
    best, most = None, 0.45
    for _ in range(6):
        ahead = np.array([rng.normal(0, 0.5), rng.normal(-0.8, 0.5), rng.normal(0.2, 0.6)])
        ahead /= max(1e-3, float(np.linalg.norm(ahead)))
        centre = pick(surface, rng) + ahead * 0.42 * d / scene.spacing
        box, depth = mass(scene, centre, d / 2 * rng.uniform(0.8, 1.2, 3), rng, 0.1)
        if depth.numel() == 0:
            continue
        ball = depth > 0
        tissue = scene.tissue[box]
        free = float((ball & among(tissue, _YIELDS)).sum()) / max(1.0, float(ball.sum()))
        fat = float((ball & (tissue == int(Material.FAT))).sum()) / max(1.0, float(ball.sum()))
        if free + 0.4 * fat > most:
            best, most = (box, depth), free + 0.4 * fat
    return best


PANCREATITIS = (
    Abnormality(
        "pancreatitis",
        "pancreas",
        ("pancreas",),
        pancreatitis,
        how="A swollen, duller gland in stranded fat, with pools of fluid when severe.",
        source="own range, set with Balthazar, Radiology 2002;223:603 in mind",
        hu=(-75, 45),
        enhanced=(-75, 95),
        where="beside",
        rate=0.03,
    ),
    Abnormality(
        "pancreatic_pseudocyst",
        "pancreas",
        ("pancreas",),
        pancreatic_pseudocyst,
        how="Thin-walled fluid of 30-120 mm beside the gland, in the place of fat and bowel.",
        source="own range, set with Balthazar, Radiology 2002;223:603 in mind",
        hu=(0, 36),
        enhanced=(0, 55),
        where="beside",
        rate=0.02,
    ),
)
