"""Abnormalities of the heart."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.world.brushes import among, blend, dilated, joined, smooth_field, volume_ml
from training.world.findings.geometry import LOBE_LABELS, cover_of, distance_to_path, grids, near
from training.world.findings.kinds import Abnormality
from training.world.materials import ID, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

_SOFT = (Material.FAT, Material.LUNG, Material.LUNG_VESSEL, Material.SOFT)
_POOLS = (Material.MYOCARDIUM, Material.BLOOD_LEFT, Material.BLOOD_RIGHT)
FACTOR = (1.15, 2.3)

# courses as directions (up, forward, left) from the heart's middle
_COURSES = {
    "anterior descending": [(0.8, 0.5, 0.1), (0.5, 0.75, 0.4), (0.0, 0.8, 0.65), (-0.5, 0.6, 0.8)],
    "circumflex": [(0.8, 0.4, 0.15), (0.6, 0.0, 0.7), (0.3, -0.5, 0.75), (0.0, -0.8, 0.5)],
    "right": [(0.75, 0.6, -0.1), (0.3, 0.75, -0.6), (-0.3, 0.6, -0.75), (-0.75, 0.0, -0.5)],
}


def _whole(scene: Scene, label: int) -> bool:
    """Whether the heart is in view from base to apex and as large as a heart."""
    return not scene.is_cut(label) and volume_ml(scene.labels[scene.organ_box(label)] == label, scene.spacing) > 150


def _middle(mask: Tensor, box: Box) -> NDArray[np.float64]:
    """Centroid of a mask in scene indices."""
    where = torch.nonzero(mask).float().mean(0)
    return np.asarray(where.tolist()) + [s.start for s in box]


def _rebox_lobes(scene: Scene) -> None:
    for k in LOBE_LABELS:
        own = scene.boxes[k - 1]
        if own is not None:
            scene.rebox(k, own)


def cardiomegaly(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """The heart magnified, chambers with it, to 1.15-2.3 times its volume; more to the left than to the right."""
    if not _whole(scene, label):
        return None
    grade = float(rng.random())
    scale = (1.3 + 0.9 * grade) ** (1 / 3)
    box = scene.organ_box(label, 40)
    labels, tissue = scene.labels[box], scene.tissue[box]
    mask = labels == label
    before = int(mask.sum())
    anchor = _middle(mask, box) - [s.start for s in box]
    anchor = anchor + np.array([-12, 4, -12]) / scene.spacing
    stretch = scale * rng.uniform(0.96, 1.05, 3)
    source = []
    for axis, (n, a, s) in enumerate(zip(mask.shape, anchor, stretch, strict=True)):
        shape = [1, 1, 1]
        shape[axis] = n
        index = (torch.arange(n, device=scene.device, dtype=torch.float32) - float(a)) / float(s) + float(a)
        source.append(index.round().clamp(0, n - 1).long().view(shape))
    inner = tissue[source[0], source[1], source[2]]
    bigger = mask[source[0], source[1], source[2]]
    new = mask | (bigger & among(tissue, _SOFT))
    factor = int(new.sum()) / before
    if not FACTOR[0] <= factor <= FACTOR[1]:
        return None
    within = bigger & among(inner, _POOLS)
    fill = torch.where(within, inner, torch.full_like(inner, int(Material.MYOCARDIUM)))
    tissue[new] = fill[new]
    labels[new] = label
    scene.rebox(label, box)
    _rebox_lobes(scene)
    own = scene.boxes[label - 1]
    assert own is not None
    size = max(s.stop - s.start for s in own) * scene.spacing
    return finding_of(label, "cardiomegaly", new, box, size, grade=(factor - 1.15) / 0.8, volume_factor=factor)


def pericardial_effusion(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Water around the heart, 5-30 mm, more behind and below where there is little."""
    if not _whole(scene, label):
        return None
    grade = float(rng.random())
    thick = 5 + 25 * grade**1.4
    box = scene.organ_box(label, thick * 1.5 + 6)
    labels, tissue = scene.labels[box], scene.tissue[box]
    heart = labels == label
    far = near(heart, scene.spacing, thick * 1.5 + 3)
    middle = _middle(heart, box)
    own = scene.organ_box(label)
    half = [(s.stop - s.start) / 2 for s in own]
    i, p, _ = (g - float(c) for g, c in zip(grids(scene, box), middle, strict=True))
    down, back = (i / half[0]).clamp(-1.3, 1.3), (p / half[1]).clamp(-1.3, 1.3)
    # the sac ends below the great vessels, lies on the diaphragm and does not reach behind the aorta
    local = 1 + (1 - grade) * 0.45 * back + 0.25 * down
    local = local * ((down + 1.0) / 0.5).clamp(0, 1) * ((1.1 - down) / 0.25).clamp(0, 1)
    local = local * ((1.45 - back) / 0.35).clamp(0, 1)
    local = local * (1 + 0.12 * smooth_field(rng, tuple(heart.shape), 25.0 / scene.spacing, scene.device))
    fluid = ~heart & (far < thick * local.clamp(max=1.45)) & among(tissue, _SOFT) & (labels != ID["esophagus"])
    if volume_ml(fluid, scene.spacing) < 15:
        return None
    tissue[fluid] = int(Material.FLUID)
    labels[fluid] = label if rng.random() < 0.2 else 0
    scene.rebox(label, box)
    _rebox_lobes(scene)
    return finding_of(label, "pericardial_effusion", fluid, box, thick, grade=grade)


def _on_surface(mask: Tensor, box: Box, middle: NDArray[np.float64], course: str, depth: float) -> NDArray[np.float64]:
    """A course's places (n, 3) in scene indices, ``depth`` voxels under the heart's surface."""
    knots = np.asarray(_COURSES[course], float) * [-1, -1, 1]
    t = np.linspace(0, len(knots) - 1, 40)
    rays = np.stack([np.interp(t, np.arange(len(knots)), knots[:, k]) for k in range(3)], 1)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    steps = np.arange(1, max(mask.shape))
    index = middle[None, None] - [s.start for s in box] + rays[:, None] * steps[None, :, None]
    index = np.clip(np.rint(index), 0, np.array(mask.shape) - 1).astype(int)
    a, b, c = (torch.from_numpy(index[..., k]).to(mask.device) for k in range(3))
    hit = mask[a, b, c].cpu().numpy()
    last = np.where(hit.any(1), hit.shape[1] - hit[:, ::-1].argmax(1), 1)
    return middle + rays * np.maximum(last - depth, 1)[:, None]


def coronary_calcification(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Flecks and rails of 250-1200 HU along the coronary courses in the heart's surface, 2-25 of them."""
    if not _whole(scene, label):
        return None
    box = scene.organ_box(label)
    mask = scene.labels[box] == label
    middle, grade = _middle(mask, box), float(rng.random())
    names = ["anterior descending"]
    names += [n for n in ("circumflex", "right") if rng.random() < 0.2 + 0.6 * grade]
    parts: list[tuple[Box, Tensor]] = []
    for n in range(int(2 + 20 * grade * rng.uniform(0.6, 1.1))):
        path = _on_surface(mask, box, middle, names[n % len(names)], float(rng.uniform(1.0, 1.6)) + 1.5 / scene.spacing)
        start = int(39 * rng.beta(1.2, 1.8))
        long = rng.uniform(1.5, 4 + 9 * grade) / scene.spacing
        stop = start + 1
        while stop < 39 and np.linalg.norm(path[stop] - path[start]) < long:
            stop += 1
        where, far = distance_to_path(scene, path[start : stop + 1], 6.0)
        cover = cover_of(far, float(rng.uniform(0.8, 1.7)), scene.spacing) * (scene.labels[where] == label)
        if cover.numel() == 0 or float(cover.max()) < 0.3:
            continue
        cover = cover / cover.max()
        blend(scene, where, cover, float(rng.uniform(500, 1200)), 40, rng)
        fleck = cover > 0.55
        scene.tissue[where][fleck] = int(Material.CALCIUM)
        parts.append((where, fleck))
    if not parts:
        return None
    whole_box, whole = joined(parts)
    slug = "coronary_calcification"
    return finding_of(label, slug, whole, whole_box, _length(whole, scene), count=len(parts), grade=grade)


def _length(mask: Tensor, scene: Scene) -> float:
    points = torch.nonzero(mask).float()
    return float((points.amax(0) - points.amin(0) + 1).norm()) * scene.spacing


def pacemaker_lead(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One or two metal leads from the superior vena cava through the right atrium, one to the tip of the right
    ventricle."""
    vein = ID["superior_vena_cava"]
    if not scene.has(vein) or not _whole(scene, label):
        return None
    box, above = scene.organ_box(label), scene.organ_box(vein)
    mask, cava = scene.labels[box] == label, scene.labels[above] == vein
    if volume_ml(cava, scene.spacing) < 2:
        return None
    rows = torch.nonzero(cava.flatten(1).any(1)).flatten().tolist()
    column = [
        _middle(cava[k : k + 1], (slice(above[0].start + k, above[0].start + k + 1), *above[1:]))
        for k in (rows[0], rows[len(rows) // 2], rows[-1])
    ]
    atrium, tip, wall = _right_heart(scene, box, mask)
    leads = [np.array([*column, atrium, (atrium + tip) / 2 + np.array([8.0, 0, 0]) / scene.spacing, tip])]
    if rng.random() < 0.5:
        side = np.array([0.0, 1.5, 2.0]) / scene.spacing
        leads.append(np.array([*(c + side for c in column), atrium + np.array([2.0, 0, 0]) / scene.spacing, wall]))
    parts: list[tuple[Box, Tensor]] = []
    for knots in leads:
        path = _rounded(knots + rng.normal(0, 0.8 / scene.spacing, knots.shape))
        where, far = distance_to_path(scene, path, 5.0)
        cover = cover_of(far, float(rng.uniform(1.0, 1.4)), scene.spacing)
        core = cover > 0.55
        _thread(core, where, path)
        if not bool(core.any()):
            continue
        # a lead thinner than a voxel stands out all the same
        blend(scene, where, torch.maximum(cover, core * 0.8), float(rng.uniform(2400, 3071)), 30, rng)
        scene.tissue[where][core] = int(Material.METAL)
        parts.append((where, core))
    if not parts:
        return None
    whole_box, whole = joined(parts)
    scene.metal.append((whole_box, whole))
    return finding_of(label, "pacemaker_lead", whole, whole_box, _length(whole, scene), count=len(parts))


def _thread(core: Tensor, box: Box, path: NDArray[np.float64]) -> None:
    """Add every voxel that a path runs through: a line thinner than a voxel stays one line."""
    t = np.linspace(0, len(path) - 1, 40 * len(path))
    line = np.stack([np.interp(t, np.arange(len(path)), path[:, k]) for k in range(3)], 1)
    index = np.rint(line).astype(int) - [s.start for s in box]
    index = np.unique(index[((index >= 0) & (index < core.shape)).all(1)], axis=0)
    a, b, c = (torch.from_numpy(index[:, k]).to(core.device) for k in range(3))
    core[a, b, c] = True


def _right_heart(
    scene: Scene, box: Box, mask: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Places in the right atrium, at the right ventricle's tip, and at the atrium's front wall."""
    pool = mask & (scene.tissue[box] == int(Material.BLOOD_RIGHT))
    inside = pool if volume_ml(pool, scene.spacing) > 25 else mask & ~dilated(~mask, 12.0, scene.spacing)
    points = torch.nonzero(inside).float() if bool(inside.any()) else torch.nonzero(mask).float()
    start = torch.tensor([s.start for s in box], device=mask.device)

    def furthest(down: float, back: float, left: float, share: float) -> NDArray[np.float64]:
        score = points @ torch.tensor([down, back, left], device=mask.device, dtype=torch.float32)
        chosen = score.topk(max(1, int(share * len(points)))).indices
        return np.asarray((points[chosen].mean(0) + start).tolist(), float)

    return furthest(0.0, 0.3, -1.0, 0.2), furthest(0.7, -0.6, 1.0, 0.03), furthest(-0.5, -0.7, -0.8, 0.03)


def _rounded(knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """A smooth path through knots: corners cut twice (Chaikin, 1974), ends kept."""
    for _ in range(2):
        a, b = knots[:-1], knots[1:]
        middle = np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], 1).reshape(-1, 3)
        knots = np.concatenate([knots[:1], middle, knots[-1:]])
    return knots


HEART: tuple[Abnormality, ...] = (
    Abnormality(
        "cardiomegaly",
        "heart",
        ("heart",),
        cardiomegaly,
        how="The heart magnified with its chambers to 1.15-2.3 times its volume, mostly to the left.",
        source="Own range",
        stage="shape",
        factor=FACTOR,
        rate=0.1,
    ),
    Abnormality(
        "pericardial_effusion",
        "heart",
        ("heart",),
        pericardial_effusion,
        how="Water around the heart, 5-30 mm, first behind and below.",
        source="Own range, set with Bogaert and Francone, Radiology 2013;267:340 in mind",
        hu=(-8, 26),
        stage="shape",
        where="beside",
        rate=0.04,
    ),
    Abnormality(
        "coronary_calcification",
        "heart",
        ("heart",),
        coronary_calcification,
        how="Flecks and rails along the three coronary courses, two to a few dozen.",
        source="Above 130 HU: Agatston et al., JACC 1990;15:827; upper bound this project's own",
        hu=(200, 1200),
        rate=0.25,
    ),
    Abnormality(
        "pacemaker_lead",
        "heart",
        ("heart",),
        pacemaker_lead,
        how="One or two metal lines from the superior vena cava through the right atrium, with streaks.",
        source="Own range",
        hu=(1200, 3071),
        where="around",
        rate=0.02,
    ),
)
