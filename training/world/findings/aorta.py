"""Abnormalities of the aorta."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import among, blend, places, shell, smooth_field
from training.world.findings.aneurysm import aortic_aneurysm, mural
from training.world.findings.kinds import Abnormality
from training.world.findings.stent_graft import aortic_stent_graft
from training.world.findings.vessel import trace
from training.world.materials import Material
from training.world.scene import PaintedFinding, Scene, finding_of


def aortic_calcification(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Plaques of 3-25 mm in the wall, 1-3 mm thick, 200-1100 HU, from a single one to a wall that is full of them."""
    box = scene.organ_box(label, scene.spacing)
    mask = scene.labels[box] == label
    wall = shell(mask) & among(scene.tissue[box], (Material.ARTERY, Material.CLOT))
    sites = torch.nonzero(wall)
    if len(sites) < 40:
        return None
    grade = float(rng.beta(0.9, 1.4))
    area = len(sites) * scene.spacing**2 / 1000
    count = max(1, round((0.1 + grade * rng.uniform(0.5, 1.6)) * area + 2 * grade))
    count = min(count, 45)
    cover = torch.zeros(mask.shape, device=scene.device)
    largest = 0.0
    # plaques lie closer towards the bifurcation
    order = sites[:, 0].float().argsort()
    for _ in range(count):
        at = sites[order[min(len(sites) - 1, int(len(sites) * rng.beta(1.5, 1.0)))]].tolist()
        size = float(3 + 22 * rng.beta(1.0, 4.0) * (0.4 + grade))
        reach = max(1, int(np.ceil(size / 2 / scene.spacing)))
        low = [max(0, a - reach) for a in at]
        part = tuple(slice(a, b + reach + 1) for a, b in zip(low, at, strict=True))
        local = torch.nonzero(wall[part]) + torch.tensor(low, device=scene.device)
        away = (local - torch.tensor(at, device=scene.device)).float().norm(dim=1) * scene.spacing
        thick = min(1.0, rng.uniform(1.0, 3.2) / scene.spacing)
        amount = (size / 2 + 0.4 * scene.spacing - away).div(scene.spacing).clamp(0, 1) * thick
        where = tuple(local.T)
        cover[where] = torch.maximum(cover[where], amount)
        largest = max(largest, size)
    cover *= 1 + 0.2 * smooth_field(rng, tuple(mask.shape), 3.0, scene.device).clamp(-1, 1)
    value = rng.uniform(500, 1200)
    hit = cover > max(0.12, 0.3 * float(cover.max()))
    if not bool(hit.any()):
        return None
    blend(scene, box, cover.clamp(0, 1), value, 60, rng)
    scene.tissue[box][hit] = int(Material.CALCIUM)
    return finding_of(label, "aortic_calcification", hit, box, largest, count=count, grade=grade)


def aortic_dissection(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A flap of 1-3 mm along 60-300 mm of the lumen; the false lumen is 10-80 HU off, or calcium sits on the flap when
    there is no contrast medium."""
    course = trace(scene, label, rng, float(rng.uniform(60, 300)))
    if course is None or course.length_mm < 45 or float(np.median(course.radius)) < 1.9 * scene.spacing:
        return None
    box = course.box(scene, 1.6 * float(course.radius.max()))
    mask = (scene.labels[box] == label) & among(scene.tissue[box], (Material.ARTERY, Material.CLOT))
    if int(mask.sum()) < 60:
        return None
    nearest, offset = course.locate(places(mask, box))
    here = course.beside(nearest, offset) & (offset.norm(dim=1) <= course.vectors(1.7 * course.radius, nearest))
    m = len(course.centres)
    turn = rng.uniform(0, 2 * np.pi) + np.linspace(0, rng.uniform(-2.5, 2.5) * course.length_mm / 200, m)
    side = (offset * course.vectors(course.sideways(turn), nearest)).sum(1)
    over = (offset * course.vectors(course.sideways(turn + np.pi / 2), nearest)).sum(1)
    radius = course.vectors(course.radius, nearest)
    # a flap bows towards the true lumen
    height = radius * rng.uniform(-0.3, 0.4) + rng.uniform(-0.35, 0.35) * radius * (1 - (over / radius) ** 2)
    thick = rng.uniform(1.0, 3.0)
    flap = ((thick + scene.spacing) / 2 - (side - height).abs()).div(scene.spacing).clamp(0, 1)
    flap = flap.clamp(max=min(1.0, thick / scene.spacing)) * here
    false = (side > height) & here
    if not bool(false.any()) or float(false.sum()) < 0.1 * float(here.sum()):
        return None
    hu = scene.image[box][mask]
    if scene.contrast.phase == "native":
        shift, flesh = float(rng.uniform(2, 10)), float(scene.contrast.mean[Material.ARTERY] + rng.uniform(4, 12))
    else:
        shift = -float(rng.uniform(10, 80)) if rng.random() < 0.85 else float(rng.uniform(10, 40))
        blood = float(scene.contrast.mean[Material.ARTERY])
        shift, flesh = max(shift, 45 - blood), float(rng.uniform(35, 60))
    hu = hu + false * shift
    hu = hu + (flesh - hu) * flap
    if scene.contrast.phase == "native" or rng.random() < 0.3:
        hu, shown = _flecks(hu, flap, offset, nearest, scene, rng)
        if not shown:
            return None
    abnormal = torch.zeros_like(mask)
    abnormal[mask] = false | (flap > 0.3)
    scene.image[box][mask] = hu
    size = course.length_mm
    return finding_of(label, "aortic_dissection", abnormal, box, size, grade=min(1.0, size / 260))


def _flecks(
    hu: Tensor, flap: Tensor, offset: Tensor, nearest: Tensor, scene: Scene, rng: np.random.Generator
) -> tuple[Tensor, bool]:
    """Intimal calcium carried off the wall by the flap."""
    sites = torch.nonzero((flap > 0.6 * float(flap.max())) & (flap > 0.2))[:, 0]
    if len(sites) < 8:
        return hu, False
    for _ in range(int(rng.integers(5, 16))):
        k = int(sites[int(rng.integers(len(sites)))])
        near = (nearest == nearest[k]) & ((offset - offset[k]).norm(dim=1) <= rng.uniform(0.6, 1.6) * scene.spacing)
        near &= flap > 0.2
        hu = torch.where(near, hu + float(rng.uniform(150, 500)) * flap, hu)
    return hu, True


def aortic_thrombus(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A clot of 25-120 mm on one side of the wall: 30-50 HU in enhanced blood, 5-14 HU off unenhanced blood."""
    course = trace(scene, label, rng, float(rng.uniform(25, 120)))
    if course is None or course.length_mm < 18:
        return None
    box = course.box(scene, 1.6 * float(course.radius.max()))
    mask = (scene.labels[box] == label) & (scene.tissue[box] == int(Material.ARTERY))
    points = places(mask, box)
    if len(points) < 60:
        return None
    nearest, offset = course.locate(points)
    stretch = torch.zeros_like(mask)
    stretch[mask] = course.beside(nearest, offset)
    if int(stretch.sum()) < 60:
        return None
    share = float(rng.uniform(0.45, 0.78))
    clot = stretch & mural(course, places(stretch, box), stretch, rng, (share, share + 0.02))
    if float(clot.sum()) * scene.spacing**3 < 150:
        return None
    blood = float(scene.contrast.mean[Material.ARTERY])
    if scene.contrast.phase == "native":
        value = blood + float(rng.uniform(5, 14)) * (1 if rng.random() < 0.5 else -1)
    else:
        value = float(rng.uniform(30, 50))
    texture = 4 * smooth_field(rng, tuple(mask.shape), 3.0, scene.device)
    scene.image[box] = torch.where(clot, value + texture, scene.image[box])
    scene.tissue[box][clot] = int(Material.CLOT)
    return finding_of(label, "aortic_thrombus", clot, box, course.length_mm, grade=(0.8 - share) / 0.35)


AORTA: tuple[Abnormality, ...] = (
    Abnormality(
        "aortic_aneurysm",
        "aorta",
        ("aorta",),
        aortic_aneurysm,
        how="A segment of 40-140 mm widened to 35-80 mm, at times to one side; mural clot and wall calcium at times.",
        source="Size from Johnston et al., J Vasc Surg 1991;13:452 (1.5 times the normal calibre)",
        hu=(25, 150),
        enhanced=(28, 440),
        stage="shape",
        rate=0.03,
    ),
    Abnormality(
        "aortic_stent_graft",
        "aorta",
        ("aorta",),
        aortic_stent_graft,
        how="A mesh of metal round the infrarenal lumen and into the iliac arteries, at times in a sac of clot.",
        source="Own range, set with stents of nitinol and steel at clinical kernels in mind",
        hu=(250, 2200),
        rate=0.012,
        spreads=("iliac_artery_left", "iliac_artery_right"),
    ),
    Abnormality(
        "aortic_thrombus",
        "aorta",
        ("aorta",),
        aortic_thrombus,
        how="A crescent of clot, 25-120 mm long, on one side of the wall.",
        source="Own range, set with clotted blood of 30-60 HU in mind",
        hu=(15, 75),
        enhanced=(25, 55),
        rate=0.03,
    ),
    Abnormality(
        "aortic_dissection",
        "aorta",
        ("aorta",),
        aortic_dissection,
        how="A flap of 1-3 mm through 60-300 mm of the lumen, the false lumen 10-80 HU off; unenhanced, displaced "
        "calcium on the flap.",
        source="Own range, set with Sebastià et al., RadioGraphics 1999;19:45 in mind (signs of the false lumen)",
        hu=(30, 130),
        enhanced=(35, 440),
        rate=0.012,
    ),
    Abnormality(
        "aortic_calcification",
        "aorta",
        ("aorta",),
        aortic_calcification,
        how="One to 45 plaques in the wall, 3-25 mm long and 1-3 mm thick, more of them towards the bifurcation.",
        source="Threshold of 130 HU: Agatston et al., J Am Coll Cardiol 1990;15:827",
        hu=(130, 1200),
        rate=0.25,
    ),
)
