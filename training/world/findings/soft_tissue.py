"""Abnormalities of muscle and brain."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import among, ball, blend, distance, joined, pick, shell, sites_of, smooth_field
from training.world.findings.kinds import Abnormality
from training.world.materials import ID, NAMES, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

_MUSCLES = (
    "autochthon_left",
    "autochthon_right",
    *(f"gluteus_{part}_{side}" for part in ("maximus", "medius", "minimus") for side in ("left", "right")),
)
_PSOAS = ("iliopsoas_left", "iliopsoas_right")
_BRAIN = (Material.GREY_MATTER, Material.WHITE_MATTER)


def muscle_wasting(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """All named muscles in view lose 15-45 % of their volume from the surface and are marbled with fat."""
    grade = float(rng.random())
    lost, fat = 0.14 + 0.3 * grade, 0.08 + 0.42 * grade * float(rng.uniform(0.6, 1.1))
    parts: list[tuple[Box, Tensor]] = []
    names: list[str] = []
    for name in (NAMES[label], *(n for n in (*_MUSCLES, *_PSOAS) if n != NAMES[label])):
        part = _wasted(scene, ID[name], lost * float(rng.uniform(0.9, 1.1)), fat, rng) if scene.has(ID[name]) else None
        if part is None:
            if not parts:
                return None
            continue
        parts.append(part)
        names.append(name)
    box, mask = joined(parts)
    size = max(s.stop - s.start for s in parts[0][0]) * scene.spacing
    return finding_of(label, "muscle_wasting", mask, box, size, grade=grade, also=names[1:])


def _wasted(scene: Scene, label: int, lost: float, fat: float, rng: np.random.Generator) -> tuple[Box, Tensor] | None:
    """Shrink and marble one muscle; its box and what is left of it. A cut muscle wastes all the same."""
    box = scene.organ_box(label, scene.spacing)
    mask = scene.labels[box] == label
    count = int(mask.sum())
    if count * scene.spacing**3 < 8_000:
        return None
    reach = 8.0
    depth = distance(~mask, scene.spacing, reach).clamp(max=reach)
    depth = depth * (1 + 0.25 * smooth_field(rng, tuple(mask.shape), 24 / scene.spacing, scene.device))
    gone = mask & (depth <= depth[mask].kthvalue(max(1, int(lost * count))).values)
    rest = mask & ~gone
    # streaks of fat run along the fibres, which is mostly down
    long = smooth_field(rng, (max(2, mask.shape[0] // 3), *mask.shape[1:]), max(1.2, 4 / scene.spacing), scene.device)
    rows = (torch.arange(mask.shape[0], device=scene.device) * long.shape[0]) // mask.shape[0]
    streak = long[rows]
    limit = streak[rest].quantile(1 - fat) if int(rest.sum()) < 1_000_000 else streak[::4, ::2, ::2].quantile(1 - fat)
    muscle = scene.tissue[box] == int(Material.MUSCLE)
    scene.tissue[box][(gone | (rest & (streak > limit))) & muscle] = int(Material.FAT)
    scene.labels[box][gone] = 0
    scene.rebox(label, box)
    return box, rest


def psoas_abscess(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Pus (8-28 HU) of 15-60 mm in the muscle with a rim of 2-4 mm that enhances, bubbles of gas at times."""
    sites = sites_of(scene, label, (Material.MUSCLE,), 5.0)
    if len(sites) * scene.spacing**3 < 3_000:
        return None
    d = float(15 + 45 * rng.beta(1.2, 1.8))
    radii = d / 2 * np.array((rng.uniform(1.1, 1.7), rng.uniform(0.75, 0.95), rng.uniform(0.75, 0.95)))
    centre, seed = pick(sites, rng), int(rng.integers(2**31))
    rim = float(rng.uniform(2.0, 4.0))
    box, outer = ball(scene, centre, radii, np.random.default_rng(seed), 0.14)
    if outer.numel() == 0:
        return None
    near = distance(scene.labels[box] == label, scene.spacing, 8.0) <= 8.0
    soft = among(scene.tissue[box], (Material.MUSCLE, Material.FAT, Material.SOFT))
    outer = outer * (soft & near)
    whole = outer > 0.5
    if float(whole.sum()) * scene.spacing**3 < 700:
        return None
    inside = distance(~whole, scene.spacing, rim + 2 * scene.spacing)
    # a surface voxel reaches half a voxel inwards of the surface
    core = ((inside - rim) / scene.spacing).clamp(0, 1) * whole
    muscle = float(scene.contrast.mean[Material.MUSCLE])
    gain = rng.uniform(-6, 4) if scene.contrast.phase == "native" else rng.uniform(20, 55)
    blend(scene, box, outer, muscle + float(gain), 4, rng)
    blend(scene, box, core, float(rng.uniform(8, 28)), 3, rng)
    if rng.random() < 0.25:
        _bubbles(scene, box, core, rng)
    scene.tissue[box][whole] = int(Material.LESION)
    free = whole & (scene.labels[box] == 0)
    scene.labels[box][free] = label
    scene.rebox(label, scene.widened(scene.organ_box(label), 60.0))
    return finding_of(label, "psoas_abscess", whole, box, d, grade=(d - 15) / 45)


def _bubbles(scene: Scene, box: Box, core: Tensor, rng: np.random.Generator) -> None:
    points = torch.nonzero(core > 0.8)
    if len(points) < 10:
        return
    # gas rises to the front of a supine patient
    front = points[points[:, 1] <= points[:, 1].float().quantile(0.3)]
    for _ in range(int(rng.integers(1, 6))):
        at = np.asarray(front[int(rng.integers(len(front)))].tolist()) + [s.start for s in box]
        where, cover = ball(scene, at, float(rng.uniform(1.0, 3.0)), rng, 0.0)
        blend(scene, where, cover * 0.9, float(rng.uniform(-900, -500)), 10, rng)


def brain_haemorrhage(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Fresh blood of 50-85 HU: a blob of 10-60 mm in a dark rim of oedema, or a crescent under the skull."""
    if rng.random() < 0.35:
        return _subdural(scene, label, rng)
    sites = sites_of(scene, label, _BRAIN, 10.0)
    if len(sites) * scene.spacing**3 < 20_000:
        return None
    d = float(10 + 50 * rng.beta(1.2, 2.2))
    centre, seed = pick(sites, rng), int(rng.integers(2**31))
    radii = d / 2 * rng.uniform(0.75, 1.2, 3)
    wide, edge = ball(scene, centre, radii + rng.uniform(2, 8), np.random.default_rng(seed), 0.15)
    brain = (scene.labels[wide] == label) & among(scene.tissue[wide], _BRAIN)
    box, cover = ball(scene, centre, radii, np.random.default_rng(seed), 0.2)
    cover = cover * (scene.labels[box] == label)
    mask = cover > 0.5
    if not bool(mask.any()):
        return None
    blend(scene, wide, edge * brain * 0.9, float(rng.uniform(17, 24)), 2, rng)
    blend(scene, box, cover, float(rng.uniform(55, 82)), 4, rng)
    scene.tissue[box][mask] = int(Material.LESION)
    return finding_of(label, "brain_haemorrhage", mask, box, d, grade=(d - 10) / 50)


def _convexity(scene: Scene, label: int) -> tuple[Box, Tensor] | None:
    """Box and mask of the brain, when enough of it is in view."""
    box = scene.organ_box(label, 2 * scene.spacing)
    mask = scene.labels[box] == label
    return (box, mask) if float(mask.sum()) * scene.spacing**3 > 200_000 else None


def _offset(scene: Scene, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Open (i, p, l) arrays in mm from the middle of a mask."""
    middle = torch.nonzero(mask).float().mean(0)
    i, p, x = (
        (torch.arange(n, device=mask.device).float() - float(c)) * scene.spacing
        for n, c in zip(mask.shape, middle, strict=True)
    )
    return i[:, None, None], p[None, :, None], x[None, None, :]


def _subdural(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    found = _convexity(scene, label)
    if found is None:
        return None
    box, mask = found
    i, p, x = _offset(scene, mask)
    side = 1 if rng.random() < 0.5 else -1
    angle = torch.atan2(p, side * x) - float(rng.uniform(-0.5, 0.5))  # 0: straight to that side
    high = float(rng.uniform(-30, 10))
    thick = float(rng.uniform(4, 18))
    far = thick * (1 - (angle / float(rng.uniform(1.0, 1.5))) ** 2) * (1 - ((i - high) / 55) ** 2).clamp(0, 1)
    depth = distance(~mask, scene.spacing, 20.0)
    crescent = mask & (depth <= far) & (side * x > 0)
    if float(crescent.sum()) * scene.spacing**3 < 1_500:
        return None
    blend(scene, box, crescent.float(), float(rng.uniform(52, 82)), 4, rng)
    scene.tissue[box][crescent] = int(Material.LESION)
    return finding_of(label, "brain_haemorrhage", crescent, box, thick, grade=(thick - 4) / 14)


def brain_infarct(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A wedge of 15-28 HU from the surface inwards that takes grey and white matter alike, 20-90 mm wide."""
    found = _convexity(scene, label)
    if found is None:
        return None
    box, mask = found
    rim = torch.nonzero(shell(mask))
    if len(rim) < 100:
        return None
    base = rim[int(rng.integers(len(rim)))].float()
    middle = torch.nonzero(mask).float().mean(0)
    length = float((middle - base).norm()) * scene.spacing
    if length < 25:
        return None
    axis = [float(v) for v in (middle - base) / (middle - base).norm()]
    i, p, x = (
        (torch.arange(n, device=mask.device).float() - float(c)) * scene.spacing
        for n, c in zip(mask.shape, base, strict=True)
    )
    i, p, x = i[:, None, None], p[None, :, None], x[None, None, :]
    along = i * axis[0] + p * axis[1] + x * axis[2]
    away = (i * i + p * p + x * x - along * along).clamp(min=0).sqrt()
    wide, deep = float(rng.uniform(20, 90)), min(0.9 * length, float(rng.uniform(25, 60)))
    uneven = 1 + 0.2 * smooth_field(rng, tuple(mask.shape), 12 / scene.spacing, scene.device)
    level = (wide / 2 * (1 - 0.75 * along / deep)) * uneven - away
    cover = (level / scene.spacing + 0.5).clamp(0, 1) * ((along < deep) & (along > -wide)) * mask
    cover = cover * among(scene.tissue[box], _BRAIN)
    wedge = cover > 0.5
    if float(wedge.sum()) * scene.spacing**3 < 2_000:
        return None
    blend(scene, box, cover, float(rng.uniform(16, 26)), 2, rng)
    scene.tissue[box][wedge] = int(Material.LESION)
    return finding_of(label, "brain_infarct", wedge, box, wide, grade=(wide - 20) / 70)


SOFT_TISSUE: tuple[Abnormality, ...] = (
    Abnormality(
        "muscle_wasting",
        "muscle",
        _MUSCLES,
        muscle_wasting,
        how="All named muscles in view lose 15-45 percent of their volume and are marbled with fat.",
        source="Attenuation of fatty muscle from Aubrey et al., Acta Physiol 2014;210:489",
        hu=(-70, 55),
        enhanced=(-70, 65),
        stage="shape",
        rate=0.012,
        spreads=_PSOAS,
    ),
    Abnormality(
        "psoas_abscess",
        "muscle",
        _PSOAS,
        psoas_abscess,
        how="Pus of 15-60 mm in the muscle with a rim of 2-4 mm that enhances, gas bubbles at times.",
        source="Own range, set with infected fluid of 5-30 HU in mind",
        hu=(-60, 50),
        enhanced=(-50, 95),
        rate=0.012,
    ),
    Abnormality(
        "brain_haemorrhage",
        "brain",
        ("brain",),
        brain_haemorrhage,
        how="Fresh blood as a blob of 10-60 mm in a dark rim, or as a crescent of 4-18 mm under the skull.",
        source="Own range, set with clotted blood of 50-90 HU in mind (Kawashima et al., RadioGraphics 1998;18:393)",
        hu=(48, 88),
        rate=0.06,
    ),
    Abnormality(
        "brain_infarct",
        "brain",
        ("brain",),
        brain_infarct,
        how="A wedge of 20-90 mm from the surface inwards, darker than white matter.",
        source="Own range, set with subacute ischaemic oedema in mind",
        hu=(12, 30),
        rate=0.06,
    ),
)
