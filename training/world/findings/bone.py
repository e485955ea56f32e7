"""Abnormalities of ribs, pelvis and femurs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import among, ball, blend, dilated, joined, lesions, pick, sites_of, smooth_field
from training.world.findings.hips import Hip, hip_frame, offsets
from training.world.findings.kinds import RIBS, Abnormality
from training.world.findings.metal import metal_implant
from training.world.findings.vessel import trace
from training.world.materials import BONE as BONES
from training.world.materials import ID, NAMES, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

_HIPS = ("hip_left", "hip_right")
_FEMURS = ("femur_left", "femur_right")


def rib_fracture(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A gap of 1-4 mm with a step of 0-6 mm, or callus of 10-20 mm when old, in one to five neighbouring ribs."""
    side, number = NAMES[label].rsplit("_", 1)
    more = int(rng.geometric(0.5)) - 1 if rng.random() < 0.5 else 0
    wanted = [n for k in range(1, min(more, 4) + 1) for n in [int(number) + k] if n <= 12]
    start = None
    parts: list[tuple[Box, Tensor]] = []
    names: list[str] = []
    old = rng.random() < 0.35
    for n in (int(number), *wanted):
        if not scene.has(ID[f"{side}_{n}"]):
            break
        done = _fracture(scene, ID[f"{side}_{n}"], rng, start, old)
        if done is None:
            break
        box, mask, start = done
        parts.append((box, mask))
        names.append(f"{side}_{n}")
    if not parts:
        return None
    box, mask = joined(parts)
    size = max(max(b.stop - b.start for b in where) for where, _ in parts) * scene.spacing
    grade = min(1.0, 0.25 * len(parts))
    return finding_of(label, "rib_fracture", mask, box, size, count=len(parts), grade=grade, also=names[1:])


def _fracture(
    scene: Scene, label: int, rng: np.random.Generator, near: np.ndarray | None, old: bool
) -> tuple[Box, Tensor, np.ndarray] | None:
    """Break one rib, close to the break of its neighbour above if there is one."""
    sites = sites_of(scene, label)
    if len(sites) < 30:
        return None
    at = pick(sites, rng)
    if near is not None:
        away = (sites - torch.from_numpy(near).to(sites.device)).float().norm(dim=1) * scene.spacing
        if float(away.min()) > 60:
            return None
        at = np.asarray(sites[int(away.argmin())].tolist(), float)
    course = trace(scene, label, rng, 48.0, seed=at, look_mm=9.0)
    if course is None or course.length_mm < 30:
        return None
    middle = int(np.linalg.norm(course.centres - at, axis=1).argmin())
    if min(middle, len(course.centres) - 1 - middle) < 2:
        return None
    centre, along = course.centres[middle], course.along[middle]
    size = float(rng.uniform(20, 36)) if old else 30.0
    box, cover = ball(scene, centre, size / 2, rng, 0.0)
    if cover.numel() == 0:
        return None
    offset = offsets(scene, box, centre)
    level = offset[0] * float(along[0]) + offset[1] * float(along[1]) + offset[2] * float(along[2])
    mask = scene.labels[box] == label
    if not bool((mask & (level.abs() <= 0.6 * scene.spacing)).any()):
        return None
    abnormal = torch.zeros_like(mask)
    if rng.random() < 0.6:
        turn = rng.uniform(0, 2 * np.pi)
        way = np.cos(turn) * course.across[middle] + np.sin(turn) * course.over[middle]
        abnormal |= _step(scene, box, mask, level, way * rng.uniform(1.5, 6.0))
        mask = scene.labels[box] == label
    if old:
        abnormal |= _callus(scene, box, mask, level, offset, label, rng)
    else:
        wide = float(rng.uniform(1.2, 4.0))
        slant = 0.35 * offset[0] * float(rng.uniform(-1, 1))
        cover = ((wide + scene.spacing) / 2 - (level + slant).abs()).div(scene.spacing).clamp(0, 1)
        cover = cover.clamp(max=min(1.0, wide / scene.spacing + 0.15)) * mask
        blend(scene, box, cover, float(rng.uniform(25, 70)), 8, rng)
        abnormal |= cover > min(0.3, 0.6 * float(cover.max()))
    if not bool(abnormal.any()):
        abnormal = mask & (level.abs() <= scene.spacing)
    scene.rebox(label, scene.widened(scene.organ_box(label), 24.0))
    return box, abnormal, centre


def _step(scene: Scene, box: Box, mask: Tensor, level: Tensor, way_mm: np.ndarray) -> Tensor:
    """Shift a bone beyond a plane, less and less away from it; the voxels that bone took or left."""
    move = np.round(way_mm / scene.spacing).astype(int)
    if not move.any():
        return torch.zeros_like(mask)
    near = dilated(mask, 1.5 * scene.spacing + float(np.linalg.norm(way_mm)), scene.spacing)
    changed = torch.zeros_like(mask)
    hu, tissue, labels = scene.image[box], scene.tissue[box], scene.labels[box]
    beyond = level > 0
    bone = mask & beyond & (level < 10.0)
    target = torch.roll(bone, move.tolist(), (0, 1, 2))
    # what a roll wraps round the box is not bone
    for axis, m in enumerate(move.tolist()):
        if m:
            target.narrow(axis, 0 if m > 0 else target.shape[axis] + m, abs(m)).zero_()
    target &= near & ~among(tissue, (Material.AIR,))
    rolled = [torch.roll(v, move.tolist(), (0, 1, 2)) for v in (hu, tissue, labels)]
    left = bone & ~target
    around = near & ~mask & ~target & (hu < 150) & (hu > -200)
    fill = float(hu[around].mean()) if bool(around.any()) else 30.0
    hu[left] = fill
    tissue[left] = int(Material.SOFT)
    for values, old in zip(rolled, (hu, tissue, labels), strict=True):
        old[target] = values[target]
    labels[left] = 0
    changed |= (target & ~bone) | left
    return changed & (level < 6.0)


def _callus(
    scene: Scene, box: Box, mask: Tensor, level: Tensor, offset: list[Tensor], label: int, rng: np.random.Generator
) -> Tensor:
    """Woven bone wrapped round a healed break."""
    thick = float(rng.uniform(1.5, 4.0)) + 0.5 * scene.spacing
    length = float(rng.uniform(5, 11))
    around = dilated(mask, max(thick, scene.spacing), scene.spacing) & (level.abs() <= length)
    free = among(scene.tissue[box], (*BONES, Material.FAT, Material.MUSCLE, Material.SOFT, Material.LUNG))
    part = around & (mask | free)
    cover = part.float() * (1.15 - (level.abs() / length) ** 2).clamp(0, 1)
    field = smooth_field(rng, tuple(part.shape), 3.0, scene.device)
    hu = scene.image[box]
    value = float(rng.uniform(280, 560)) + 50 * field
    scene.image[box] = torch.where(part, hu + (value - hu) * cover, hu)
    shown = part & (cover > 0.4)
    scene.tissue[box][shown] = int(Material.CORTEX)
    scene.labels[box][shown & (scene.labels[box] == 0)] = label
    return shown


def hip_fracture(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A lucent line of 1.5-5 mm through the neck of the femur, the head tipped by up to 8 mm, dense when impacted."""
    hip = hip_frame(scene, label)
    if hip is None:
        return None
    box, line, level = _neck_plane(scene, hip, rng)
    mask = scene.labels[box] == label
    line = line & mask
    if float(line.sum()) * scene.spacing**3 < 400:
        return None
    abnormal = torch.zeros_like(mask)
    head = mask & (level < 0) & (level > -60)
    if rng.random() < 0.6:
        shift = rng.normal(0, 1, 3) * (1.0, 0.6, 0.3) + np.array((1.0, 0.0, 0.0))
        moved = _step(scene, box, head, -level, shift / np.linalg.norm(shift) * rng.uniform(2.0, 8.0))
        abnormal |= moved & (level > -6)
        mask = (scene.labels[box] == label) | mask
    impacted = rng.random() < 0.3
    wide = float(rng.uniform(1.5, 5.0))
    cover = ((wide + scene.spacing) / 2 - level.abs()).div(scene.spacing).clamp(0, 1)
    cover = cover.clamp(max=min(1.0, wide / scene.spacing + 0.1)) * line
    blend(scene, box, cover, float(rng.uniform(320, 560) if impacted else rng.uniform(25, 60)), 12, rng)
    abnormal |= cover > 0.3
    abnormal |= line & (level.abs() <= 0.6 * scene.spacing)
    scene.rebox(label, scene.widened(scene.organ_box(label), 16.0))
    size = float(wide if not impacted else max(wide, 5.0))
    return finding_of(label, "hip_fracture", abnormal, box, size, grade=(wide - 1.5) / 3.5)


def _neck_plane(scene: Scene, hip: Hip, rng: np.random.Generator) -> tuple[Box, Tensor, Tensor]:
    """Box of head and neck, voxels near a ragged plane across the neck, and the mm beyond it towards the shaft."""
    axis = hip.neck - hip.head
    axis = axis / np.linalg.norm(axis)
    centre = hip.head + axis * (hip.radius_mm + rng.uniform(3, 14)) / scene.spacing
    axis = axis + rng.normal(0, 0.18, 3)
    axis /= np.linalg.norm(axis)
    box, _ = ball(scene, (hip.head + centre) / 2, 44.0, rng, 0.0)
    offset = offsets(scene, box, centre)
    level = offset[0] * float(axis[0]) + offset[1] * float(axis[1]) + offset[2] * float(axis[2])
    level = level + 1.8 * smooth_field(rng, tuple(level.shape), 9 / scene.spacing, scene.device)
    away = (offset[0] ** 2 + offset[1] ** 2 + offset[2] ** 2).sqrt()
    return box, (level.abs() < 8) & (away < 25), level


def pelvic_lytic_lesion(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Bone replaced by soft tissue (10-55 HU, 20-90 enhanced) over 10-45 mm; large ones break through the cortex."""
    gain = 0.0 if scene.contrast.phase == "native" else float(rng.uniform(10, 35))
    sites = sites_of(scene, label, (Material.SPONGIOSA, Material.MARROW))
    large = rng.random() < 0.5
    soft = (*BONES, Material.FAT, Material.MUSCLE, Material.SOFT, Material.CARTILAGE)
    return lesions(
        scene,
        label,
        "pelvic_lytic_lesion",
        rng,
        sites=sites,
        diameter=(18, 45) if large else (10, 22),
        hu=(12 + gain, 52 + gain),
        most=3,
        many=0.3,
        sd=5,
        only=not large,
        avoid=tuple(m for m in Material if m not in soft),
        drop=0.1,
        rough=0.2,
        stretch=0.3,
    )


BONE: tuple[Abnormality, ...] = (
    Abnormality(
        "rib_fracture",
        "ribs",
        RIBS,
        rib_fracture,
        how="A gap of 1-4 mm with a step of 0-6 mm, or callus when old, in one to five neighbouring ribs.",
        source="Own range, set with blunt chest trauma in mind",
        hu=(-250, 620),
        where="beside",
        rate=0.006,
    ),
    Abnormality(
        "pelvic_lytic_lesion",
        "hip and femur",
        (*_HIPS, "sacrum"),
        pelvic_lytic_lesion,
        how="Bone replaced by soft tissue over 10-45 mm, through the cortex when large.",
        source="Own range, set with metastases and myeloma in mind",
        hu=(0, 130),
        enhanced=(5, 160),
        where="beside",
        rate=0.01,
    ),
    Abnormality(
        "hip_fracture",
        "hip and femur",
        _FEMURS,
        hip_fracture,
        how="A dark or impacted line through the neck of the femur, the head tipped by up to 8 mm.",
        source="Own range, set with the grades of Garden, J Bone Joint Surg Br 1961;43:647 in mind",
        hu=(-40, 620),
        where="beside",
        rate=0.008,
    ),
    Abnormality(
        "metal_implant",
        "hip and femur",
        (*_FEMURS, *_HIPS),
        metal_implant,
        how="A total hip prosthesis (head, stem, cup), a nail with a neck screw, or one to four screws.",
        source="Own range: steel and titanium reach the end of the 12-bit scale, 3071 HU",
        hu=(2400, 3071),
        where="beside",
        rate=0.02,
    ),
)
