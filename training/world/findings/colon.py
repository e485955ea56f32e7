"""Findings of the colon's wall."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.world.brushes import ball, distance, joined, pick, places, shell, smooth_field, speckle
from training.world.findings.bulging import extend, mottle, opened, skewed
from training.world.materials import ID, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of


def diverticulosis(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Six to forty outpouchings of 4-12 mm on the descending and sigmoid colon, with gas or stool, rarely old
    contrast medium, and a thin wall."""
    box = scene.organ_box(label, 2 * scene.spacing)
    colon = scene.labels[box] == label
    fat = opened(colon | (scene.tissue[box] == int(Material.FAT))) & (scene.labels[box] == 0)
    rim = fat & (distance(colon, scene.spacing, scene.spacing) <= scene.spacing)
    sites = places(rim, box)
    low = _descending(scene, sites, box)
    if int(low.sum()) < 60:
        return None
    sites = sites[low]
    grade = float(rng.random())
    count = int(6 + 34 * grade**1.3)
    if rng.random() < 0.4:  # one stretch of it, mostly the sigmoid
        middle = sites[int(rng.integers(len(sites)))]
        order = ((sites - middle) ** 2).sum(1).argsort()
        sites = sites[order[: max(60, int(len(sites) * float(rng.uniform(0.25, 0.6))))]]
    done: list[tuple[float, Box, Tensor]] = []
    wall = float(rng.uniform(15, 45))
    for _ in range(count):
        d = skewed(rng, 4, 12)
        where, cover = ball(scene, pick(sites, rng) + rng.uniform(-0.4, 0.4, 3), d / 2, rng, 0.08)
        room = (scene.tissue[where] == int(Material.FAT)) & (scene.labels[where] == 0)
        cover = cover * room
        if cover.numel() == 0 or float(cover.max()) < 0.55:
            continue
        roll = rng.random()
        content = (
            rng.uniform(-950, -500) if roll < 0.6 else rng.uniform(-80, 60) if roll < 0.92 else rng.uniform(150, 600)
        )
        hu, mask = scene.image[where], cover > 0.5
        core = (cover - 0.25).clamp(min=0) / 0.75 if d < 4 * scene.spacing else (2 * cover - 1).clamp(min=0)
        thin = wall + (float(content) - wall) * core
        hu += (thin + speckle(rng, hu, 8) - hu) * cover
        scene.tissue[where][mask] = int(Material.LESION)
        done.append((d, where, mask))
    if len(done) < 4:
        return None
    whole, mask = joined([(b, m) for _, b, m in done])
    biggest = max(d for d, _, _ in done)
    return finding_of(label, "diverticulosis", mask, whole, biggest, count=len(done), grade=grade)


def _descending(scene: Scene, sites: Tensor, box: Box) -> Tensor:
    """Which sites lie on the left, below the flexure, or low in the middle: descending and sigmoid colon, not the
    rectum."""
    down, back, left = ((sites[:, k] - box[k].start) / (box[k].stop - box[k].start) for k in range(3))
    # a sagging transverse colon lies in front
    out = ((down > 0.3) & (left > 0.62)) | ((down > 0.5) & (left > 0.42) & (back > 0.35))
    sacrum, hip = (scene.boxes[ID[n] - 1] for n in ("sacrum", "hip_left"))
    if sacrum is not None and sacrum[0].start > 0:
        return out & (sites[:, 0] < sacrum[0].stop - 45 / scene.spacing)
    if hip is not None:  # below the sacrum there is only rectum
        return out & (sites[:, 0] < hip[0].start + 0.35 * (hip[0].stop - hip[0].start) * (hip[0].start > 0))
    return out


def colon_mass(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """An apple core: 30-80 mm of circumferential, uneven soft tissue (native 28-52 HU) that narrows the lumen to a few
    mm."""
    seed = seed_of(scene, label, rng)
    if seed is None:
        return None
    length = skewed(rng, 30, 80)
    box, near = around(scene, seed, length / 2, 12)
    colon = scene.labels[box] == label
    depth = distance(~colon, scene.spacing, 30).clamp(max=30)
    # the lumen that is left follows the deepest line of the colon
    window = 2 * round(12 / scene.spacing) + 1
    crest = F.max_pool3d(depth[None, None], window, 1, window // 2)[0, 0]
    channel = colon & (depth >= crest - float(rng.uniform(0.5, 4))) & (depth > 2)
    free = (scene.tissue[box] == int(Material.FAT)) & (scene.labels[box] == 0)
    far = distance(colon & near, scene.spacing, 12)
    lumps = float(rng.uniform(2, 9)) * (
        1 + 0.4 * smooth_field(rng, tuple(colon.shape), 10 / scene.spacing, scene.device).clamp(-2, 2)
    )
    mask = (near & colon & ~channel) | (free & (far <= lumps))
    mask &= colon | opened(mask)
    if int(mask.sum()) * scene.spacing**3 < 4_000:
        return None
    native = scene.contrast.phase == "native"
    value = float(rng.uniform(28, 52) if native else rng.uniform(55, 110))
    mottle(scene, (box, mask.float()), value, 5, rng)
    if length > 55 and rng.random() < 0.4:
        hole = smooth_field(rng, tuple(colon.shape), 9 / scene.spacing, scene.device)
        deep = distance(~mask, scene.spacing, 5) > 4
        dark = mask & deep & (hole > 0.9)
        scene.image[box][dark] -= 0.5 * (value - 10)
    scene.labels[box][mask & (scene.labels[box] == 0)] = label
    extend(scene, label, box)
    return finding_of(label, "colon_mass", mask, box, length, grade=(length - 30) / 50)


def seed_of(scene: Scene, label: int, rng: np.random.Generator) -> np.ndarray | None:
    """A place in the organ, not at the first or last slice of the scan."""
    box = scene.organ_box(label)
    organ = scene.labels[box] == label
    sites = places(shell(organ), box)
    margin = min(25 / scene.spacing, scene.shape[0] / 3)
    sites = sites[(sites[:, 0] >= margin) & (sites[:, 0] < scene.shape[0] - margin)]
    return pick(sites, rng) if len(sites) >= 50 else None


def around(scene: Scene, seed: np.ndarray, reach_mm: float, margin_mm: float) -> tuple[Box, Tensor]:
    """A box about a place, and what of it is within ``reach_mm``."""
    here = [slice(int(v), int(v) + 1) for v in seed]
    box = scene.widened((here[0], here[1], here[2]), reach_mm + margin_mm)
    squares = [
        ((torch.arange(s.start, s.stop, device=scene.device) - float(v)) * scene.spacing) ** 2
        for s, v in zip(box, seed, strict=True)
    ]
    far = squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :]
    return box, far <= reach_mm**2
