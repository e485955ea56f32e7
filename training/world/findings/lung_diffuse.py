"""Abnormalities that spread through the lung: ground glass, atelectasis, emphysema, fibrosis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import ball, blend, joined, pick, places, smooth_field, volume_ml
from training.world.findings.geometry import (
    LOBE_LABELS,
    any_label,
    cover_of,
    extent_mm,
    grids,
    near,
    share_above,
    side_lobes,
    side_of,
)
from training.world.findings.lung_focal import soft_tissue
from training.world.materials import NAMES, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

Part = tuple[Box, Tensor]


def several(
    scene: Scene,
    label: int,
    slug: str,
    grade: float,
    others: list[int],
    paint: Callable[[int], Part | None],
) -> PaintedFinding | None:
    """Paint a lobe and others, and record them as one finding."""
    first = paint(label)
    if first is None:
        return None
    parts, also = [first], []
    for k in others:
        part = paint(k) if k != label and scene.has(k) else None
        if part is not None:
            parts.append(part)
            also.append(NAMES[k])
    box, mask = joined(parts)
    return finding_of(label, slug, mask, box, extent_mm(mask, scene.spacing), grade=grade, also=also)


def aerated(scene: Scene, label: int) -> tuple[Box, Tensor] | None:
    """Box of a lobe, and where its lung is as yet healthy; None for less than 40 ml."""
    box = scene.organ_box(label)
    lung = (scene.labels[box] == label) & (scene.tissue[box] == int(Material.LUNG))
    return (box, lung) if volume_ml(lung, scene.spacing) >= 40 else None


def downward(lung: Tensor, axis: int) -> Tensor:
    """-1 .. 1 from the first to the last plane of a mask's box: towards the feet (0) or the back (1)."""
    shape = [1, 1, 1]
    shape[axis] = lung.shape[axis]
    return torch.linspace(-1, 1, lung.shape[axis], device=lung.device).view(shape)


def ground_glass_opacity(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Haze of -700..-350 HU through which vessels show: patches, a subpleural band, or the whole lobe."""
    grade = float(rng.random())
    style = str(rng.choice(["patchy", "peripheral", "diffuse"], p=[0.5, 0.25, 0.25]))
    gain = max(110.0, float(rng.uniform(-650, -400) - scene.contrast.mean[Material.LUNG]))
    paving = rng.random() < 0.2
    share = float(0.08 + 0.5 * grade)

    def paint(k: int) -> Part | None:
        found = aerated(scene, k)
        if found is None:
            return None
        box, lung = found
        size = tuple(lung.shape)
        field = smooth_field(rng, size, rng.uniform(14, 40) / scene.spacing, scene.device)
        field = field + 0.35 * smooth_field(rng, size, 6.0 / scene.spacing, scene.device) + 0.3 * downward(lung, 1)
        if style == "peripheral":
            wide = scene.organ_box(k, 4)
            inner = tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, wide, strict=True))
            wall = near(~any_label(scene.labels[wide], LOBE_LABELS), scene.spacing, 40.0)[inner]
            field = field - wall / 9
        level = share_above(field[lung], 0.92 if style == "diffuse" else share)
        cover = ((field - level) * 2.2 + 0.5).clamp(0, 1) * lung
        mask = cover > 0.5
        if volume_ml(mask, scene.spacing) < 1.5:
            return None
        # added to the lung's own density, never denser than ground glass is
        hu = scene.image[box]
        haze = gain * (1 + 0.12 * smooth_field(rng, size, 9.0 / scene.spacing, scene.device))
        if paving:  # thickened septa within the haze
            haze = haze + 130 * (smooth_field(rng, size, 5.0 / scene.spacing, scene.device).abs() < 0.2)
        hu += torch.minimum(haze.clamp(min=60), (-330 - hu).clamp(min=0)) * cover
        scene.tissue[box][mask] = int(Material.LESION)
        return box, mask

    others = [k for k in LOBE_LABELS if rng.random() < (0.75 if style == "diffuse" else 0.35)]
    return several(scene, label, "ground_glass_opacity", grade, others, paint)


def emphysema(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Holes of 4-12 mm without walls, -1000..-965 HU, more of them apically, in 6-50 percent of the lobe; or bullae."""
    grade = float(rng.random())
    cell, value, bullous = rng.uniform(4.5, 9.0), float(rng.uniform(-1000, -968)), rng.random() < 0.3

    def paint(k: int) -> Part | None:
        found = aerated(scene, k)
        if found is None:
            return None
        box, lung = found
        size = tuple(lung.shape)
        patches = smooth_field(rng, size, 35.0 / scene.spacing, scene.device)
        field = smooth_field(rng, size, max(1.5, cell / scene.spacing), scene.device)
        field = field + 0.6 * patches - 0.6 * downward(lung, 0)
        share = (0.06 + 0.44 * grade) * (1.0 if "upper" in NAMES[k] else 0.55)
        cover = ((field - share_above(field[lung], share)) * 2.5 + 0.5).clamp(0, 1) * lung * 0.95
        if bullous:
            for centre, radius in _bullae(scene, box, lung, rng, grade):
                inner, hole = ball(scene, centre, radius * rng.uniform(0.8, 1.2, 3), rng, 0.15)
                _raise(cover, box, inner, hole, scene.labels[inner] == k)
        mask = cover > 0.5
        if not bool(mask.any()):
            return None
        blend(scene, box, cover, value, 3, rng)
        scene.tissue[box][mask] = int(Material.LESION)
        return box, mask

    others = [k for k in LOBE_LABELS if rng.random() < (0.7 if "upper" in NAMES[k] else 0.3)]
    return several(scene, label, "emphysema", grade, others, paint)


def _bullae(
    scene: Scene, box: Box, lung: Tensor, rng: np.random.Generator, grade: float
) -> list[tuple[np.ndarray, float]]:
    """Places and radii in mm of subpleural air spaces."""
    wide = scene.widened(box, 4)
    inner = tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, wide, strict=True))
    wall = near(~any_label(scene.labels[wide], LOBE_LABELS), scene.spacing, 12.0)[inner]
    upper = downward(lung, 0) < 0.2
    sites = places(lung & upper & (wall > 3) & (wall < 11), box)
    if len(sites) == 0:
        return []
    return [(pick(sites, rng), float(rng.uniform(6, 12 + 18 * grade))) for _ in range(int(rng.integers(1, 7)))]


def _raise(cover: Tensor, box: Box, inner: Box, part: Tensor, allowed: Tensor) -> None:
    """Raise a coverage in ``box`` to another one in the box ``inner``, where allowed."""
    cut = [(max(b.start, s.start), min(b.stop, s.stop)) for b, s in zip(box, inner, strict=True)]
    if any(b <= a for a, b in cut):
        return
    to = tuple(slice(a - o.start, b - o.start) for (a, b), o in zip(cut, box, strict=True))
    of = tuple(slice(a - o.start, b - o.start) for (a, b), o in zip(cut, inner, strict=True))
    cover[to] = torch.maximum(cover[to], (part * allowed)[of])


def lung_fibrosis(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Subpleural, basal net of lines (-350..0 HU) in ground glass, with honeycombs of 3-10 mm where it is severe."""
    grade = float(rng.random())
    reach, comb = 7 + 17 * grade, grade > 0.35 and rng.random() < 0.8
    base, lines = float(rng.uniform(-680, -520)), float(rng.uniform(-330, -60))
    cell = rng.uniform(3.5, 6.0)

    def paint(k: int) -> Part | None:
        found = aerated(scene, k)
        if found is None:
            return None
        box, lung = found
        size = tuple(lung.shape)
        wide = scene.organ_box(k, 4)
        inner = tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, wide, strict=True))
        wall = near(~any_label(scene.labels[wide], LOBE_LABELS), scene.spacing, 45.0)[inner]
        basal = 0.55 + 0.45 * downward(lung, 0) + 0.25 * downward(lung, 1)
        patches = smooth_field(rng, size, 16.0 / scene.spacing, scene.device)
        depth = reach * basal * (0.6 if "upper" in NAMES[k] else 1.0) * (1 + 0.45 * patches.clamp(-2, 1.5))
        zone = cover_of(wall - depth, 0.0, 2 * scene.spacing) * lung
        mask = zone > 0.5
        if volume_ml(mask, scene.spacing) < 2:
            return None
        blend(scene, box, zone * 0.8, base, 12, rng)
        net = smooth_field(rng, size, max(1.6, cell / scene.spacing), scene.device)
        blend(scene, box, zone * (1 - net.abs() / 0.45).clamp(0, 1) * 0.85, lines, 20, rng)
        if comb:
            holes = (net.abs() > 0.55) & (wall < min(16.0, 0.7 * reach))
            blend(scene, box, zone * holes * 0.9, -950, 12, rng)
            walls = (net.abs() < 0.4) & (wall < min(16.0, 0.7 * reach))
            blend(scene, box, zone * walls * 0.6, -40, 20, rng)
        scene.tissue[box][mask] = int(Material.LESION)
        return box, mask

    others = [k for k in LOBE_LABELS if rng.random() < (0.85 if "lower" in NAMES[k] else 0.4)]
    return several(scene, label, "lung_fibrosis", grade, others, paint)


def atelectasis(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Airless lung of 25-55 HU native: dependent rim, plate-like bands at the base, or a collapsed and small lobe."""
    found = aerated(scene, label)
    if found is None:
        return None
    box, lung = found
    value = soft_tissue(scene, rng, 25, 55, 55)
    style = str(rng.choice(["dependent", "plates", "collapse"], p=[0.45, 0.35, 0.2]))
    if style == "plates":
        cover, size, grade = _plates(scene, box, lung, rng)
    else:
        cover, size, grade = _settled(scene, box, lung, label, rng, style == "collapse")
    mask = cover > 0.75
    if volume_ml(mask, scene.spacing) < 0.4:
        return None
    blend(scene, box, cover, value, 4, rng)
    scene.image[box] += cover * 6 * smooth_field(rng, tuple(lung.shape), 8.0 / scene.spacing, scene.device)
    scene.tissue[box][mask] = int(Material.LESION)
    if style == "collapse":
        _yield_room(scene, box, label, cover > 0.1)
    return finding_of(label, "atelectasis", mask, box, size, grade=grade)


def _plates(scene: Scene, box: Box, lung: Tensor, rng: np.random.Generator) -> tuple[Tensor, float, float]:
    """One to four flat bands, nearly horizontal, 3-8 mm thick and 20-80 mm long, in the lower half of the lobe."""
    low = lung & (downward(lung, 0) > 0.0)
    sites = places(low, box)
    cover = torch.zeros(lung.shape, device=lung.device)
    longest, count = 0.0, int(rng.integers(1, 5))
    if len(sites) == 0:
        return cover, 0.0, 0.0
    axes = grids(scene, box)
    for _ in range(count):
        centre = pick(sites, rng)
        i, p, x = ((g - float(c)) * scene.spacing for g, c in zip(axes, centre, strict=True))
        a, b = rng.normal(0, 0.35, 2)
        long, wide = rng.uniform(10, 40), rng.uniform(8, 25)
        turn = rng.uniform(0, np.pi)
        u, v = p * float(np.cos(turn)) + x * float(np.sin(turn)), x * float(np.cos(turn)) - p * float(np.sin(turn))
        plane = (i + p * float(a) + x * float(b)) / float(np.sqrt(1 + a * a + b * b))
        plane = plane + 1.5 * smooth_field(rng, tuple(lung.shape), 20.0 / scene.spacing, scene.device)
        half = max(float(rng.uniform(1.5, 4.0)), 0.65 * scene.spacing)
        side = (1 - (u / long) ** 2 - (v / wide) ** 2) * wide / 2
        part = torch.minimum(cover_of(plane.abs(), half, scene.spacing), (side / scene.spacing + 0.5).clamp(0, 1))
        cover = torch.maximum(cover, part * lung)
        longest = max(longest, 2 * long)
    return cover, longest, min(1.0, (count - 1) / 3 * 0.5 + longest / 200)


def _settled(
    scene: Scene, box: Box, lung: Tensor, label: int, rng: np.random.Generator, collapse: bool
) -> tuple[Tensor, float, float]:
    """The dependent part of a lobe, along its back; a collapsed lobe keeps a wedge towards the spine as well."""
    grade = float(rng.random())
    lobe = scene.labels[box] == label
    n = lobe.shape[1]
    p = torch.arange(n, device=lobe.device, dtype=torch.float32)[None, :, None]
    last = torch.where(lobe, p, -1.0).amax(1, keepdim=True)
    field = (p - last) * scene.spacing  # 0 at the back of each column, falling forwards
    field = field + 3 * smooth_field(rng, tuple(lobe.shape), 14.0 / scene.spacing, scene.device)
    lowest = torch.where(lobe.any(2, keepdim=True).any(1, keepdim=True), p * lobe, 0.0).amax()
    field = field - 0.35 * (lowest - last).clamp(min=0) * scene.spacing + 5 * downward(lobe, 0)
    if collapse:
        x = downward(lobe, 2) * lobe.shape[2] * scene.spacing / 2
        field = field * 0.6 - (x if side_of(label) == "left" else -x) * 0.8 + 12 * downward(lobe, 0)
        level = share_above(field[lobe], 0.5 - 0.3 * grade)
    else:
        level = -(4 + 22 * grade)
    cover = ((field - level) / (1.3 * scene.spacing) + 0.5).clamp(0, 1) * lung
    size = extent_mm(cover > 0.7, scene.spacing)
    return cover, size, grade


def _yield_room(scene: Scene, box: Box, label: int, dense: Tensor) -> None:
    """A collapsed lobe has lost volume: its aerated part goes to the lobe above, which has expanded into its room."""
    heirs = [k for k in side_lobes(label) if k != label and scene.has(k)]
    if not heirs:
        return
    labels = scene.labels[box]
    free = (labels == label) & ~dense
    heir = heirs[0]
    labels[free] = heir
    own, theirs = scene.organ_box(heir), scene.boxes[label - 1]
    assert theirs is not None
    a, b, c = (slice(min(x.start, y.start), max(x.stop, y.stop)) for x, y in zip(own, theirs, strict=True))
    scene.rebox(heir, (a, b, c))
    scene.rebox(label, box)
