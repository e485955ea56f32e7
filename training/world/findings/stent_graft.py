"""Stent grafts of the aorta."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import among, joined, shell, smooth_field, speckle
from training.world.findings.aneurysm import sac_of
from training.world.findings.vessel import trace
from training.world.materials import ID, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of


def aortic_stent_graft(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A mesh of metal (600-2500 HU) round the lumen from below the kidneys into the iliac arteries, at times in a sac
    of clot."""
    lowest = scene.boxes[label - 1]
    iliacs = [n for n in ("iliac_artery_left", "iliac_artery_right") if scene.has(ID[n])]
    if lowest is None or not iliacs or lowest[0].stop > scene.shape[0] - 2:
        return None
    foot = lowest[0].stop - 3
    plane = torch.nonzero(scene.labels[foot] == label).float()
    if len(plane) == 0:
        return None
    end = np.array([foot, *plane.mean(0).tolist()])
    length = float(rng.uniform(70, 120))
    course = trace(scene, label, rng, 2 * length, seed=end)
    if course is None or course.length_mm < 50:
        return None
    box = course.box(scene, 2.2 * float(course.radius.max()))
    mask = scene.labels[box] == label
    lumen = mask & among(scene.tissue[box], (Material.ARTERY, Material.CLOT, Material.CALCIUM))
    if int(lumen.sum()) < 60:
        return None
    if rng.random() < 0.6:
        sac = sac_of(scene, label, course, rng, float(rng.uniform(40, 75)), float(np.median(course.radius)), False)
        if sac is not None:
            _fill_sac(scene, label, sac[0], sac[2], rng)
    top = float(course.centres[:, 0].min())
    rows = torch.arange(box[0].start, box[0].stop, device=scene.device)[:, None, None]
    value = float(rng.uniform(1200, 2500))
    parts = [(box, _mesh(scene, box, shell(lumen) & (rows >= top), value, rng))]
    deep = float(rng.uniform(25, 60)) / scene.spacing
    for name in iliacs:
        limb_box = scene.organ_box(ID[name], scene.spacing)
        limb = scene.labels[limb_box] == ID[name]
        first = torch.nonzero(limb.flatten(1).any(1))
        if len(first) == 0:
            continue
        reach = int(first[0]) + deep
        near = torch.arange(limb.shape[0], device=scene.device)[:, None, None] <= reach
        parts.append((limb_box, _mesh(scene, limb_box, shell(limb) & limb & near, value, rng)))
    for where, metal in parts:
        # thin struts streak little: a few voxels of each slice
        scene.metal.append((where, metal & (speckle(rng, scene.image[where], 1.0) > 1.5)))
    whole, metal = joined(parts)
    return finding_of(label, "aortic_stent_graft", metal, whole, course.length_mm, grade=0.6, also=iliacs)


def _fill_sac(scene: Scene, label: int, box: Box, new: Tensor, rng: np.random.Generator) -> None:
    value = float(rng.uniform(28, 50))
    scene.image[box] = torch.where(new, value + speckle(rng, scene.image[box], 4.0), scene.image[box])
    scene.tissue[box][new] = int(Material.CLOT)
    scene.labels[box][new] = label
    scene.rebox(label, scene.widened(scene.organ_box(label), 60.0))


def _mesh(scene: Scene, box: Box, ring: Tensor, value: float, rng: np.random.Generator) -> Tensor:
    """Struts on a ring of wall: bright where they run, about half as bright between them; the voxels that are metal."""
    points = torch.nonzero(ring).float()
    if len(points) == 0:
        return ring
    field = smooth_field(rng, tuple(ring.shape), max(1.2, 5 / scene.spacing), scene.device)
    row = torch.arange(ring.shape[0], device=scene.device)[:, None, None] * scene.spacing
    crown = torch.cos(row * 2 * np.pi / rng.uniform(9, 15) + float(rng.uniform(0, 6.28)))
    dense = (0.62 + 0.3 * crown + 0.18 * field).clamp(0.3, 1.0) * min(1.0, rng.uniform(1.3, 2.2) / scene.spacing)
    hu = scene.image[box]
    scene.image[box] = torch.where(ring, hu + (value - hu) * dense, hu)
    scene.tissue[box][ring] = int(Material.METAL)
    return ring
