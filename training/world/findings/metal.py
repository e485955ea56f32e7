"""Orthopaedic metal of hips and femurs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import ball, blend, joined, pick, sites_of
from training.world.findings.hips import Hip, hip_frame, offsets, tube
from training.world.materials import ID, NAMES, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

Part = tuple[Box, Tensor]


def metal_implant(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A total hip prosthesis, a nail with a neck screw, or one to four screws, 2500-3071 HU with streaks."""
    name = NAMES[label]
    side = name.rsplit("_", 1)[1]
    femur = ID[f"femur_{side}"]
    hip = hip_frame(scene, femur) if scene.has(femur) else None
    also: tuple[str, ...] = ()
    if hip is not None and (name.startswith("femur") or rng.random() < 0.5):
        whole = rng.random() < 0.65 or name.startswith("hip")
        parts = _prosthesis(scene, hip, femur, rng) if whole else _nail(scene, hip, rng)
        # a prosthesis is in both bones; a nail is in the femur only
        if whole:
            other = f"hip_{side}" if name.startswith("femur") else f"femur_{side}"
            also = (other,) if scene.has(ID[other]) else ()
        grade = 0.9 if whole else 0.6
    else:
        parts, grade = _screws(scene, label, rng), 0.25
    parts = [(b, m) for b, m in parts if m.numel() and bool(m.any())]
    if not parts:
        return None
    value = float(rng.uniform(2550, 3071))
    box, mask = joined(parts)
    if float(mask.sum()) * scene.spacing**3 < 400:
        return None
    scene.image[box] = torch.where(mask, value, scene.image[box])
    scene.tissue[box][mask] = int(Material.METAL)
    owner = scene.labels[box]
    owner[mask & (owner == 0)] = label
    # the prosthesis cut bone off the femur; what was free is the implant's bone now
    for owned in {label, femur} if scene.has(femur) else {label}:
        scene.rebox(owned, scene.widened(scene.organ_box(owned), 120.0))
    scene.metal.append((box, mask))
    size = max(s.stop - s.start for s in box) * scene.spacing
    return finding_of(label, "metal_implant", mask, box, size, count=len(parts), grade=grade, also=also)


def _prosthesis(scene: Scene, hip: Hip, femur: int, rng: np.random.Generator) -> list[Part]:
    """Head, neck, stem and cup; the bone's own head and neck were cut off and scar fills their place."""
    sp = scene.spacing
    _resect(scene, hip, femur, rng)
    head = ball(scene, hip.head, min(float(rng.uniform(11, 18)), hip.radius_mm - 5), rng, 0.0)
    root = hip.shaft[0]
    neck = hip.neck
    length = float(rng.uniform(80, 150))
    path = [hip.head, neck, root]
    path += [p for p in hip.shaft[1:] if (p[0] - root[0]) * sp <= length - 30]
    thick = float(rng.uniform(5.5, 7.5))
    radii = [5.5, thick + 1.5, thick + 1.0, *[thick - 0.25 * k for k in range(len(path) - 3)]]
    stem = tube(scene, path, [max(3.5, r) for r in radii])
    out = [(head[0], head[1] > 0.5), stem]
    outer = hip.radius_mm + float(rng.uniform(1, 4))
    box, _ = ball(scene, hip.head, outer + scene.spacing, rng, 0.0)
    i, p, x = offsets(scene, box, hip.head)
    away = (i * i + p * p + x * x).sqrt()
    # the cup opens downwards and outwards
    level = -0.75 * i + 0.1 * p - 0.65 * hip.outward * x
    out.append((box, (away <= outer) & (away > outer - max(3.0, 1.1 * sp)) & (level > -0.15 * outer)))
    return out


def _resect(scene: Scene, hip: Hip, femur: int, rng: np.random.Generator) -> None:
    """Head and neck of the bone become scar."""
    box, cover = ball(scene, hip.head, hip.radius_mm + 8, rng, 0.0)
    axis = hip.neck - hip.head
    i, p, x = offsets(scene, box, hip.head)
    level = (i * float(axis[0]) + p * float(axis[1]) + x * float(axis[2])) / float(np.linalg.norm(axis))
    gone = (cover > 0.5) & (scene.labels[box] == femur) & (level < hip.radius_mm + 4)
    blend(scene, box, gone.float(), float(rng.uniform(25, 60)), 8, rng)
    scene.tissue[box][gone] = int(Material.SOFT)
    scene.labels[box][gone] = 0


def _nail(scene: Scene, hip: Hip, rng: np.random.Generator) -> list[Part]:
    """A rod down the shaft and a screw up the neck into the head."""
    root = hip.shaft[0]
    top = root + (root - hip.shaft[-1]) / (float(np.linalg.norm(root - hip.shaft[-1])) + 1e-6) * 38 / scene.spacing
    rod = [top, *hip.shaft]
    reach = max(2, int(rng.uniform(0.5, 1.2) * len(rod)))
    rod = rod[:reach]
    thick = float(rng.uniform(5, 6.5))
    entry = root + (root - hip.head) * 0.12
    screw = [entry, hip.head + (root - hip.head) * 0.12]
    out = [tube(scene, rod, [thick] * len(rod)), tube(scene, screw, [float(rng.uniform(4, 5.5))] * 2)]
    if rng.random() < 0.5 and len(hip.shaft) > 3:
        low = hip.shaft[min(len(hip.shaft) - 1, reach - 2)]
        half = np.array((0, 0, 18 / scene.spacing))
        out.append(tube(scene, [low - half, low + half], [2.5, 2.5]))
    return out


def _screws(scene: Scene, label: int, rng: np.random.Generator) -> list[Part]:
    """Rods of 4-7 mm through bone, 35-85 mm long, side by side."""
    sites = sites_of(scene, label, None, 4.0)
    if len(sites) * scene.spacing**3 < 2_000:
        return []
    points = sites.float()
    start = pick(sites, rng)
    near = points[(points - torch.from_numpy(start.astype(np.float32)).to(points.device)).norm(dim=1) < 30]
    spread = np.asarray(((near - near.mean(0)).T @ (near - near.mean(0))).tolist())
    axis = np.linalg.eigh(spread)[1][:, -1] + rng.normal(0, 0.35, 3)
    axis /= np.linalg.norm(axis)
    out = []
    thick = float(rng.uniform(2.0, 3.5))
    for _ in range(int(rng.integers(1, 5))):
        half = float(rng.uniform(18, 42)) / scene.spacing
        box, mask = tube(scene, [start - half * axis, start + half * axis], [max(thick, 0.55 * scene.spacing)] * 2)
        out.append((box, mask & (scene.labels[box] == label)))
        start = start + np.cross(axis, rng.normal(0, 1, 3)) * 12 / scene.spacing
    return out
