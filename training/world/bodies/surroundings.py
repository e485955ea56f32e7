"""What lies between and around labelled organs: fat, muscle, skin, air; from the CT where there is one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.world.bodies.derive import BONES
from training.world.brushes import FAR, distance, shell, smooth_field
from training.world.materials import ID, Material

BINS = 96
"""Directions in which a slice's outline is kept."""

LIMBS = {"humerus": (30.0, 8.0), "femur": (52.0, 12.0)}
"""Thickness in mm of the muscle and of the fat around a limb's bone."""


def fill_from_ct(labels: Tensor, tissue: Tensor, hu: Tensor, spacing: float, rng: np.random.Generator) -> None:
    """Give every unlabelled voxel a material by its HU, place and depth, in place."""
    inside = body_of(labels, hu, spacing)
    free = tissue == int(Material.AIR)
    free &= labels == 0
    tissue[free & ~inside & (hu > -300)] = int(Material.TABLE)
    free &= inside
    inner = _polar_hull(labels, spacing)[0]
    bone = _near(_labelled(labels, BONES), spacing, 18.0)
    level = hu
    tissue[free & (level < -300)] = int(Material.GAS)
    lung = _near(_labelled(labels, tuple(n for n in ID if n.startswith("lung"))), spacing, 9.0)
    tissue[free & lung & (level < -500)] = int(Material.LUNG)
    fat = free & (level >= -300) & (level < -25)
    tissue[fat] = int(Material.SUBCUTANEOUS)
    tissue[fat & inner] = int(Material.FAT)
    soft = free & (level >= -25) & (level < 160)
    tissue[soft] = int(Material.MUSCLE)
    tissue[soft & inner & ~bone] = int(Material.SOFT)
    bright = free & (level >= 160)
    tissue[bright] = int(Material.CORTEX)
    tissue[bright & inner & ~bone] = int(Material.ARTERY)
    tissue[bright & (level > 2200)] = int(Material.METAL)
    tissue[shell(inside) & free & (level > -300)] = int(Material.SKIN)


def fill_from_outline(labels: Tensor, tissue: Tensor, spacing: float, rng: np.random.Generator) -> None:
    """Wrap the labelled organs into muscle, fat and skin, and fill what is between them, in place."""
    free = tissue == int(Material.AIR)
    fat_mm = float(rng.uniform(8, 30))
    inner, wall, body = _polar_hull(labels, spacing, fat_mm)
    planes = smooth_field(rng, tuple(labels.shape), 26.0 / spacing, labels.device).abs() > float(rng.uniform(0.08, 0.2))
    muscle = wall & ~inner
    for name, (thick, fat) in LIMBS.items():
        bone = _labelled(labels, (f"{name}_left", f"{name}_right"))
        if bool(bone.any()):
            far = _coarse_distance(bone, spacing, thick + fat + 4)
            thigh = free & ~inner
            muscle |= thigh & (far < thick)
            body = body | (far < thick + fat)
    bones = _near(_labelled(labels, BONES), spacing, 10.0)
    ribs = _near(_labelled(labels, tuple(n for n in ID if n.startswith("rib_"))), spacing, 12.0)
    discs = _between_vertebrae(labels, spacing)
    tissue[free & body] = int(Material.SUBCUTANEOUS)
    tissue[free & inner] = int(Material.FAT)
    tissue[free & muscle & planes] = int(Material.MUSCLE)
    tissue[free & muscle & ~planes] = int(Material.FAT)
    tissue[free & inner & (bones | ribs) & planes] = int(Material.MUSCLE)
    tissue[free & discs] = int(Material.DISC)
    cord = _near(labels == ID["spinal_cord"], spacing, max(4.0, spacing))
    tissue[free & cord & ~discs] = int(Material.CANAL)
    skin = shell(body | (labels > 0)) & free & body
    skin[0], skin[-1] = False, False
    tissue[skin] = int(Material.SKIN)


def body_of(labels: Tensor, hu: Tensor, spacing: float) -> Tensor:
    """Where the patient is, gas inside included: not the couch, not the air around.

    Air that is joined to the border of its slice is outside; of the rest, what is joined to the labelled organs by more
    than a thin bridge is the patient. Worked out at about 4 mm.
    """
    step = max(1, round(4.0 / spacing))
    solid = _pooled((hu > -300).float(), step) > 0.5
    seed = _pooled((labels > 0).float(), step) > 0.3
    solid |= seed
    border = torch.zeros_like(solid)
    border[:, 0], border[:, -1], border[:, :, 0], border[:, :, -1] = True, True, True, True
    outside = joined_to(border & ~solid, ~solid, axes=(1, 2))
    filled = ~outside
    opened = -F.max_pool3d(-filled[None, None].float(), 3, 1, 1)[0, 0] > 0.5
    core = joined_to(seed & opened, opened, axes=(0, 1, 2))
    coarse = (F.max_pool3d(core[None, None].float(), 3, 1, 1)[0, 0] > 0.5) & filled | seed
    wide = F.max_pool3d(coarse[None, None].float(), 3, 1, 1)
    deep = -F.max_pool3d(-coarse[None, None].float(), 3, 1, 1)
    size = tuple(labels.shape)
    wide, deep = (F.interpolate(v, size=size, mode="nearest")[0, 0] > 0.5 for v in (wide, deep))
    return deep | (wide & (hu > -300)) | (labels > 0)


def joined_to(seed: Tensor, allowed: Tensor, axes: tuple[int, ...], sweeps: int = 24) -> Tensor:
    """The part of ``allowed`` that straight steps along ``axes`` reach from ``seed``."""
    reached = seed & allowed
    count = int(reached.sum())
    for _ in range(sweeps):
        for axis in axes:
            for back in (False, True):
                a, r = (v.flip(axis) if back else v for v in (allowed, reached))
                shape = [1, 1, 1]
                shape[axis] = -1
                at = torch.arange(a.shape[axis], device=a.device).view(shape).expand(a.shape)
                last = torch.where(r, at, -1).cummax(axis).values
                wall = torch.where(a, -1, at).cummax(axis).values
                grown = a & (last > wall)
                reached = reached | (grown.flip(axis) if back else grown)
        now = int(reached.sum())
        if now == count:
            break
        count = now
    return reached


def _pooled(volume: Tensor, step: int) -> Tensor:
    return volume if step == 1 else F.avg_pool3d(volume[None, None], step, step, ceil_mode=True)[0, 0]


def _labelled(labels: Tensor, names: tuple[str, ...]) -> Tensor:
    table = torch.zeros(256, dtype=torch.bool, device=labels.device)
    table[[ID[n] for n in names]] = True
    return table[labels.long()]


def _near(mask: Tensor, spacing: float, mm: float) -> Tensor:
    """What lies within some mm of a mask; coarse where ``mm`` is many voxels."""
    return _coarse_distance(mask, spacing, mm) <= mm


def _coarse_distance(mask: Tensor, spacing: float, reach: float) -> Tensor:
    step = max(1, round(reach / spacing / 5))
    if step == 1:
        return distance(mask, spacing, reach)
    small = _pooled(mask.float(), step) > 0.25
    far = distance(small, spacing * step, reach + spacing * step).clamp(max=FAR / 10)
    return F.interpolate(far[None, None], size=tuple(mask.shape), mode="trilinear")[0, 0]


def _polar_hull(labels: Tensor, spacing: float, fat_mm: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Star-shaped hulls of each slice: around the labels, around the wall's muscles, and around fat and skin."""
    device = labels.device
    trunk = (labels > 0) & ~_labelled(labels, tuple(n for n in ID if n.startswith(("humerus", "femur"))))
    n = labels.shape
    points = torch.nonzero(trunk)
    if len(points) == 0:
        nothing = torch.zeros_like(trunk)
        return nothing, nothing, nothing
    row = points[:, 0]
    count = torch.bincount(row, minlength=n[0]).float()
    centre = torch.stack([torch.bincount(row, points[:, k].float(), minlength=n[0]) for k in (1, 2)], 1)
    weight = _smoothed_rows(count[:, None], 6.0 / spacing)
    centre = _smoothed_rows(centre, 6.0 / spacing) / weight.clamp(min=1e-3)
    d = points[:, 1:].float() - centre[row]
    bins = _bin(d[:, 0], d[:, 1])
    radius = torch.zeros(n[0] * BINS, device=device)
    radius.scatter_reduce_(0, row * BINS + bins, d.norm(dim=1) * spacing, "amax")
    radius = radius.view(n[0], BINS)
    radius = _wrapped(radius, lambda v: F.max_pool2d(v, (3, 9), 1, (1, 0)), 4)
    known = (radius > 0).float()
    blur = torch.ones(1, 1, 1, 9, device=device) / 9

    def smooth(v: Tensor) -> Tensor:
        return _wrapped(v, lambda w: F.conv2d(w, blur), 4)

    rows = known.amax(1, keepdim=True) > 0
    radius = torch.where(rows, smooth(radius) / smooth(known).clamp(min=0.05), 0.0)
    neck = (labels.flatten(1).unsqueeze(-1) == _cervical(device)).any(1).any(1) if n[0] else rows
    head = (labels.flatten(1) == ID["skull"]).any(1)
    wall_mm = torch.where(head, 3.0, torch.where(neck, 20.0, 10.0))[:, None]
    angle = (torch.arange(BINS, device=device) + 0.5) / BINS * 2 * np.pi - np.pi
    front = 1 + 0.25 * torch.cos(2 * angle)
    fat = torch.where(head, 4.0, torch.where(neck, 0.5 * fat_mm, fat_mm))[:, None] * front + 2
    axes = [torch.arange(k, device=device, dtype=torch.float32) for k in n[1:]]
    hulls = [torch.zeros_like(trunk) for _ in range(3)]
    outer = (radius + 1.0, radius + wall_mm, radius + wall_mm + fat)
    for i in torch.nonzero(rows[:, 0]).flatten().tolist():
        p, x = axes[0][:, None] - centre[i, 0], axes[1][None, :] - centre[i, 1]
        far = (p * p + x * x).sqrt() * spacing
        turn = _turn(p, x) - 0.5  # between the middles of two directions
        low = turn.floor()
        t, low = turn - low, low.long() % BINS
        for hull, limit in zip(hulls, outer, strict=True):
            a, b = limit[i][low], limit[i][(low + 1) % BINS]
            hull[i] = far <= a + (b - a) * t
    return hulls[0], hulls[1], hulls[2]


def _cervical(device: torch.device) -> Tensor:
    return torch.tensor([ID[f"vertebrae_C{k}"] for k in range(1, 7)], dtype=torch.uint8, device=device)


def _turn(p: Tensor, x: Tensor) -> Tensor:
    return (torch.atan2(p, x) / (2 * np.pi) + 0.5) * BINS


def _bin(p: Tensor, x: Tensor) -> Tensor:
    return _turn(p, x).long().clamp(0, BINS - 1)


def _wrapped(table: Tensor, change: Callable[[Tensor], Tensor], reach: int) -> Tensor:
    """Apply a 2D operation to a (rows, directions) table that closes on itself."""
    wide = torch.cat([table[:, -reach:], table, table[:, :reach]], 1)
    return change(wide[None, None])[0, 0]


def _smoothed_rows(table: Tensor, sigma: float) -> Tensor:
    reach = max(1, int(2.5 * sigma))
    w = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=table.device) / sigma) ** 2)
    return F.conv1d(table.T[:, None], w[None, None], padding=reach)[:, 0].T


def _between_vertebrae(labels: Tensor, spacing: float) -> Tensor:
    """Discs: unlabelled voxels with a vertebra close above and another close below, in front of the canal."""
    spine = _labelled(labels, tuple(n for n in ID if n.startswith("vertebrae") or n == "sacrum"))
    reach = max(1, int(9.0 / spacing))
    n = labels.shape[0]
    above, below = torch.zeros_like(spine), torch.zeros_like(spine)
    for k in range(1, min(reach, n - 1) + 1):
        above[k:] |= spine[: n - k]
        below[: n - k] |= spine[k:]
    gap = above & below & (labels == 0)
    cord = labels == ID["spinal_cord"]
    rows = torch.arange(labels.shape[1], device=labels.device)[None, :, None].expand(labels.shape)
    first = torch.where(cord, rows, labels.shape[1]).amin((1, 2))
    return gap & (rows < first[:, None, None])
