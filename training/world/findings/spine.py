"""Abnormalities of the thoracic and lumbar vertebrae."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import ball, blend, joined, lesions, pick, smooth_field
from training.world.findings.discs import degenerative_spine
from training.world.findings.kinds import THORACOLUMBAR, Abnormality
from training.world.findings.vertebra import VertebralBody, body_of, body_sites
from training.world.materials import BONE as BONES
from training.world.materials import ID, NAMES, Material
from training.world.scene import PaintedFinding, Scene, finding_of

_SOFT_NEIGHBOURS = (*BONES, Material.FAT, Material.MUSCLE, Material.SOFT, Material.DISC, Material.CANAL)


def vertebral_compression_fracture(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """The body loses 20-60 % of its height at the front (wedge) or in the middle (biconcave); a dense band at times."""
    if scene.is_cut(label):
        return None
    body = body_of(scene, label, 2 * scene.spacing)
    if body is None:
        return None
    mask, before = body.mask, int((scene.labels[body.box] == label).sum())
    grade = float(rng.beta(1.2, 1.4))
    loss = (0.2 + 0.4 * grade) * _loss_shape(body, rng)
    height = mask.sum(0).float()
    from_top = mask.cumsum(0).float()
    upper = float(rng.uniform(0.5, 1.0))
    drop = (loss * height * upper).round()
    rise = (loss * height * (1 - upper)).round()
    gone = mask & ((from_top <= drop) | (from_top > height - rise))
    rest = mask & ~gone
    factor = (before - int(gone.sum())) / before
    if not 0.55 <= factor <= 0.965 or not bool(rest.any()):
        return None
    tissue, labels = scene.tissue[body.box], scene.labels[body.box]
    plate = rest & ((from_top <= drop + 1) | (from_top > height - rise))
    tissue[gone] = int(Material.DISC)
    labels[gone] = 0
    tissue[plate] = int(Material.CORTEX)
    if rng.random() < 0.4:
        thick = max(1.0, float(rng.uniform(3, 7)) / scene.spacing)
        tissue[rest & (from_top > drop + 1) & (from_top <= drop + 1 + thick) & (loss > 0.1)] = int(Material.CORTEX)
    scene.rebox(label, body.box)
    span = scene.boxes[label - 1]
    assert span is not None
    size = (span[2].stop - span[2].start) * scene.spacing
    return finding_of(label, "vertebral_compression_fracture", rest, body.box, size, grade=grade, volume_factor=factor)


def _loss_shape(body: VertebralBody, rng: np.random.Generator) -> Tensor:
    """Share of the lost height (p, l): 1 where the most is lost, little at the rear wall."""
    columns = body.columns
    p = torch.nonzero(columns.any(1))[:, 0].float()
    x = torch.nonzero(columns.any(0))[:, 0].float()
    row = torch.arange(columns.shape[0], device=columns.device).float()[:, None]
    col = torch.arange(columns.shape[1], device=columns.device).float()[None]
    front = 1 - ((row - p[0]) / max(1.0, float(p[-1] - p[0]))).clamp(0, 1)
    aside = (2 * (col - x.mean()) / max(1.0, float(x[-1] - x[0]))).clamp(-1, 1)
    kind = rng.random()
    if kind < 0.55:
        lost = front ** float(rng.uniform(0.5, 1.0)) * (1 + float(rng.uniform(-0.3, 0.3)) * aside)
    elif kind < 0.85:
        lost = (1 - (2 * front - 1).abs() ** 2.2) * (1 - 0.8 * aside.abs() ** 2.5)
    else:
        lost = 0.75 + 0.25 * front + 0 * aside
    uneven = 1 + 0.12 * smooth_field(rng, (1, *columns.shape), 3.0, columns.device)[0]
    return (lost * uneven).clamp(0, 1)


def vertebra_sclerotic_lesion(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One to three dense foci of 7-24 mm in the spongiosa, 320-1100 HU."""
    body = body_of(scene, label)
    if body is None:
        return None
    return lesions(
        scene,
        label,
        "vertebra_sclerotic_lesion",
        rng,
        sites=body_sites(body, scene),
        diameter=(7, 24),
        hu=(330, 1050),
        most=3,
        many=0.35,
        sd=30,
        drop=0.0,
        rough=0.22,
        stretch=0.3,
    )


def vertebra_lytic_lesion(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Bone replaced by soft tissue (10-55 HU, 20-90 enhanced) over 9-30 mm; large ones break through the cortex."""
    body = body_of(scene, label)
    if body is None:
        return None
    gain = 0.0 if scene.contrast.phase == "native" else float(rng.uniform(10, 35))
    sites = body_sites(body, scene)
    large = rng.random() < 0.4
    # what breaks out takes soft tissue with it, never vessels, lung or bowel
    solid = tuple(m for m in Material if m not in _SOFT_NEIGHBOURS)
    return lesions(
        scene,
        label,
        "vertebra_lytic_lesion",
        rng,
        sites=sites,
        diameter=(18, 32) if large else (9, 20),
        hu=(12 + gain, 52 + gain),
        most=2,
        many=0.3,
        sd=5,
        only=not large,
        avoid=solid,
        drop=0.1,
        rough=0.2,
        stretch=0.3,
    )


def osteoporosis(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Spongiosa of all vertebrae in view at 0-78 HU, coarser, and a cortex of less density (Pickhardt 2013)."""
    names = [n for n in THORACOLUMBAR if scene.has(ID[n])]
    box, mask = joined([(b, scene.labels[b] == ID[n]) for n in names for b in [scene.organ_box(ID[n])]])
    tissue, hu = scene.tissue[box], scene.image[box]
    spongy = mask & (tissue == int(Material.SPONGIOSA))
    if float(spongy.sum()) * scene.spacing**3 < 3_000:
        return None
    grade = float(rng.random())
    target = 76 - 70 * grade * float(rng.uniform(0.8, 1.1))
    now = float(hu[spongy].mean())
    coarse = 1 + 0.5 * grade
    shift = 10 * smooth_field(rng, (mask.shape[0], 1, 1), 25 / scene.spacing, scene.device)
    hu += spongy * ((hu - now) * (coarse - 1) + target - now + shift)
    hu -= (mask & (tissue == int(Material.CORTEX))) * (hu - 90) * (0.15 + 0.35 * grade)
    also = tuple(n for n in names if n != NAMES[label])
    size = (box[0].stop - box[0].start) * scene.spacing
    return finding_of(label, "osteoporosis", spongy, box, size, grade=grade, also=also)


def vertebral_haemangioma(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A blob of 12-36 mm in the body with few thick upright columns (250-500 HU) in a matrix of 0-50 HU."""
    body = body_of(scene, label)
    if body is None:
        return None
    sites = body_sites(body, scene)
    if len(sites) < 12:
        return None
    d = float(12 + 24 * rng.beta(1.2, 1.6))
    where, cover = ball(scene, pick(sites, rng), d / 2 * rng.uniform(0.85, 1.15, 3), rng, 0.12)
    cover = cover * ((scene.labels[where] == label) & (scene.tissue[where] == int(Material.SPONGIOSA)))
    inside = cover > 0.5
    if float(inside.sum()) * scene.spacing**3 < 400:
        return None
    blend(scene, where, cover, float(rng.uniform(5, 45)), 8, rng)
    # one dot pattern for all rows: the columns stand upright
    dots = smooth_field(rng, (1, *cover.shape[1:]), max(1.0, 2.2 / scene.spacing), scene.device)
    column = ((dots - float(rng.uniform(0.3, 0.9))) * 2).clamp(0, 1)
    scene.image[where] += cover * column * float(rng.uniform(300, 520))
    scene.tissue[where][inside] = int(Material.LESION)
    return finding_of(label, "vertebral_haemangioma", inside, where, d, grade=(d - 12) / 24)


SPINE: tuple[Abnormality, ...] = (
    Abnormality(
        "vertebral_compression_fracture",
        "spine",
        THORACOLUMBAR,
        vertebral_compression_fracture,
        how="A body that lost 20-60 % of its height in front, in the middle or as a whole; a dense band at times.",
        source="Grades of Genant et al., J Bone Miner Res 1993;8:1137",
        stage="shape",
        factor=(0.55, 0.965),
        rate=0.012,
    ),
    Abnormality(
        "degenerative_spine",
        "spine",
        THORACOLUMBAR,
        degenerative_spine,
        how="Osteophytes of 3-12 mm on both sides of a disc, which is narrowed and holds gas at times.",
        source="Own range, set with spondylosis deformans and intervertebral osteochondrosis in mind",
        hu=(-450, 950),
        stage="shape",
        where="beside",
        rate=0.05,
    ),
    Abnormality(
        "osteoporosis",
        "spine",
        THORACOLUMBAR,
        osteoporosis,
        how="The spongiosa of all vertebrae in view at 0-78 HU, its texture coarser, the cortex less dense.",
        source="Pickhardt et al., Ann Intern Med 2013;158:588",
        hu=(-10, 90),
        rate=0.012,
    ),
    Abnormality(
        "vertebral_haemangioma",
        "spine",
        THORACOLUMBAR,
        vertebral_haemangioma,
        how="A blob of 12-36 mm with few thick upright columns in a dark matrix: polka dots.",
        source="Own range, set with the polka-dot sign in mind (Persaud, Radiology 2008;246:980)",
        hu=(5, 300),
        rate=0.008,
    ),
    Abnormality(
        "vertebra_sclerotic_lesion",
        "spine",
        THORACOLUMBAR,
        vertebra_sclerotic_lesion,
        how="One to three dense foci of 7-24 mm in the spongiosa.",
        source="Ulano et al., AJR 2016;207:362 (885 HU tells bone islands from metastases)",
        hu=(280, 1200),
        rate=0.006,
    ),
    Abnormality(
        "vertebra_lytic_lesion",
        "spine",
        THORACOLUMBAR,
        vertebra_lytic_lesion,
        how="Bone replaced by soft tissue over 9-32 mm, through the cortex when large.",
        source="Own range, set with metastases and myeloma in mind",
        hu=(0, 130),
        enhanced=(5, 160),
        where="beside",
        rate=0.006,
    ),
)
