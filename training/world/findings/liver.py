"""Abnormalities of the whole liver: its fat, size, shape and ducts; focal ones are in ``liver_lesions``."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import among, distance, joined, pick, places, sites_of, smooth_field, volume_ml
from training.world.findings.kinds import Abnormality
from training.world.findings.liver_lesions import LIVER_LESIONS
from training.world.findings.solid import YIELDING, Float, coverage, fill_with, swell, tube
from training.world.materials import ID, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of


def liver_steatosis(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Parenchyma down to -10..38 HU native, 30-75 HU down enhanced; vessels stay; at times spared or patchy regions."""
    box = scene.organ_box(label)
    mask = (scene.labels[box] == label) & (scene.tissue[box] == int(Material.LIVER))
    if volume_ml(mask, scene.spacing) < 50:
        return None
    grade = float(rng.random())
    now = float(scene.contrast.mean[Material.LIVER])
    drop = now - (36 - 46 * grade) if scene.contrast.phase == "native" else 30 + 45 * grade
    share = mask.float()
    style = rng.random()
    if style < 0.25:  # geographic: whole regions are less fatty
        field = smooth_field(rng, tuple(mask.shape), 45 / scene.spacing, scene.device)
        share = share * (0.25 + 0.75 * torch.sigmoid(6 * (field + float(rng.uniform(0.5, 1.5)))))
    elif style < 0.5 and scene.has(ID["gallbladder"]):  # focal sparing beside the gallbladder
        share = share * _away_from_gallbladder(scene, box, rng)
    scene.image[box] -= drop * share
    fatty = share > 0.5
    if not bool(fatty.any()):
        fatty = mask
    return finding_of(label, "liver_steatosis", fatty, box, max(mask.shape) * scene.spacing, grade=grade)


def _away_from_gallbladder(scene: Scene, box: Box, rng: np.random.Generator) -> Tensor:
    """1 in a box of the scene, falling to 0 within 8-18 mm of the gallbladder."""
    label, out = ID["gallbladder"], torch.ones([s.stop - s.start for s in box], device=scene.device)
    near = scene.organ_box(label, 24)
    far = distance(scene.labels[near] == label, scene.spacing, 24.0).clamp(max=24.0)
    edge = float(rng.uniform(8, 18)) * (1 + 0.3 * smooth_field(rng, tuple(far.shape), 8.0, scene.device))
    both = [(max(s.start, t.start), min(s.stop, t.stop)) for s, t in zip(box, near, strict=True)]
    if all(a < b for a, b in both):
        here = tuple(slice(a - s.start, b - s.start) for (a, b), s in zip(both, box, strict=True))
        there = tuple(slice(a - s.start, b - s.start) for (a, b), s in zip(both, near, strict=True))
        out[here] = torch.sigmoid((far - edge) / 2.5)[there]
    return out


def cirrhosis(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A nodular surface of 6-14 mm knobs, a right lobe and hilum shrunk by up to 14 mm, at times a larger left lobe."""
    if scene.is_cut(label):
        return None
    box = scene.organ_box(label, 3 * scene.spacing)
    mask = scene.labels[box] == label
    before = int(mask.sum())
    if volume_ml(mask, scene.spacing) < 400:
        return None
    tissue, shape = scene.tissue[box], tuple(mask.shape)
    # the dome stays below the lung, where shrinking would leave fat that no diaphragm keeps, and veins stay embedded
    fixed = (Material.LUNG, Material.LUNG_VESSEL, Material.VEIN, Material.PORTAL, Material.ARTERY, Material.BLOOD_RIGHT)
    depth = distance(~mask & ~among(tissue, fixed), scene.spacing, 18.0).clamp(max=18.0)
    grade = float(rng.random())
    knobs = smooth_field(rng, shape, rng.uniform(6, 14) / scene.spacing, scene.device).clamp(-2, 2)
    columns = torch.nonzero(mask.any(0).any(0)).flatten().float()
    x = torch.arange(shape[2], device=scene.device, dtype=torch.float32)
    right = ((columns.max() * 0.6 + columns.min() * 0.4 - x) / (0.3 * len(columns))).clamp(0, 1)
    retreat = (1.0 + 2.0 * grade) + (2 + 8 * grade) * right[None, None, :]
    lost = mask & (depth < retreat * 0.8 + (1.2 + 1.6 * grade) * knobs + 0.5 * scene.spacing)
    near = distance(mask, scene.spacing, 8.0)
    left = (1 - right)[None, None, :] * (2 + 5 * grade) * float(rng.uniform(0, 1))
    grown = (tissue == int(Material.FAT)) & (near < left + 1.5 * knobs) & (scene.labels[box] == 0)
    rest = (mask & ~lost) | grown
    factor = int(rest.sum()) / before
    if not 0.5 <= factor <= 1.05:
        return None
    tissue[lost], scene.labels[box][lost] = int(Material.FAT), 0
    tissue[grown], scene.labels[box][grown] = int(Material.LIVER), label
    scene.rebox(label, box)
    span = max(s.stop - s.start for s in scene.organ_box(label)) * scene.spacing
    return finding_of(label, "cirrhosis", rest, box, span, grade=grade, volume_factor=factor)


def hepatomegaly(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A liver of 1.25-1.8 times its volume, grown by up to 36 mm into fat, stomach and bowel."""
    return swell(
        scene,
        label,
        "hepatomegaly",
        rng,
        factor=(1.25, 1.8),
        reach=36,
        free=YIELDING,
        material=Material.LIVER,
    )


def biliary_dilatation(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Branching ducts of bile (0-20 HU) beside portal branches, 3-10 mm wide, and a common duct of 9-18 mm."""
    box = scene.organ_box(label, 12)
    deep = sites_of(scene, label, (Material.LIVER,), 8.0)
    if len(deep) * scene.spacing**3 < 100_000:
        return None
    gate = _gate(scene, label, box, deep)
    grade = float(rng.random())
    stem = 2.8 + 2.6 * grade
    portal = places((scene.labels[box] == label) & (scene.tissue[box] == int(Material.PORTAL)), box)
    parts: list[tuple[Box, Tensor]] = []
    for _ in range(int(rng.integers(6, 11))):
        ends = portal if len(portal) > 60 and rng.random() < 0.5 else deep
        end = _far(ends, gate, rng)
        parts += _branches(scene, gate, end, stem, deep, rng)
    parts += _common_duct(scene, gate, 4.5 + 4.5 * grade, sites_of(scene, label), rng)
    covers = [
        (w, coverage(d, scene.spacing) * among(scene.tissue[w], (Material.LIVER, Material.FAT))) for w, d in parts
    ]
    whole, mask = joined([(w, c > 0.55) for w, c in covers])
    if int(mask.sum()) < 10:
        return None
    value = float(rng.uniform(0, 20))
    for where, cover in covers:
        fill_with(scene, where, cover, value, rng, 2.0)
    scene.tissue[whole][mask] = int(Material.BILE)
    return finding_of(label, "biliary_dilatation", mask, whole, 2 * stem, grade=grade)


def _gate(scene: Scene, label: int, box: Box, deep: Tensor) -> Float:
    """Where the ducts leave the liver: the portal vein's end nearest to the liver's middle, else a place inside."""
    middle = deep.float().mean(0)
    vein = places(scene.labels[box] == ID["portal_vein_and_splenic_vein"], box)
    if len(vein) == 0:
        vein = deep
    nearest = vein[((vein - middle) ** 2).sum(1).argmin()]
    return np.asarray(nearest.tolist(), float) + np.array([0.0, -8.0 / scene.spacing, 0.0])


def _far(sites: Tensor, gate: Float, rng: np.random.Generator) -> Float:
    """The farthest from the gate of three random sites: ducts reach towards the periphery."""
    three = [pick(sites, rng) for _ in range(3)]
    return max(three, key=lambda s: float(((s - gate) ** 2).sum()))


def _branches(
    scene: Scene, gate: Float, end: Float, stem: float, deep: Tensor, rng: np.random.Generator
) -> list[tuple[Box, Tensor]]:
    """A bent duct that thins from the gate to its end, and a side branch of it."""
    bend = (gate + end) / 2 + rng.normal(0, 7, 3) / scene.spacing
    thin = max(1.5, 0.45 * stem)
    t = np.linspace(0, 1, 9)[:, None]
    line = (1 - t) ** 2 * gate + 2 * t * (1 - t) * bend + t**2 * end
    radii = np.linspace(stem, thin, 9) * rng.uniform(0.85, 1.15, 9)
    fork = int(rng.integers(3, 6))
    away = pick(deep, rng) - line[fork]
    side = line[fork] + away * min(1.0, 45 / max(1.0, scene.spacing * float(np.linalg.norm(away))))
    elbow = (line[fork] + side) / 2 + rng.normal(0, 4, 3) / scene.spacing
    return [
        tube(scene, line, radii),
        tube(scene, np.stack([line[fork], elbow, side]), np.linspace(radii[fork] * 0.8, thin * 0.9, 3)),
    ]


def _common_duct(
    scene: Scene, gate: Float, radius: float, liver: Tensor, rng: np.random.Generator
) -> list[tuple[Box, Tensor]]:
    """The common duct from the gate towards the head of the pancreas, where one is in view."""
    head = ID["pancreas"]
    if not scene.has(head):
        return []
    sites = sites_of(scene, head)
    if len(sites) == 0:
        return []
    few = sites[sites[:, 2] <= sites[:, 2].float().quantile(0.12)].float().mean(0)
    end = np.asarray(few.tolist(), float)
    bend = (gate + end) / 2 + rng.normal(0, 3, 3) / scene.spacing
    t = np.linspace(0, 1, 10)[:, None]
    line = (1 - t) ** 2 * gate + 2 * t * (1 - t) * bend + t**2 * end
    # what lies farther from the liver is not the liver's any more
    away = torch.cdist(torch.tensor(line, device=scene.device).float(), liver.float()).min(1).values * scene.spacing
    near = line[: int((away < 24 - radius).cpu().int().cumprod(0).sum())]
    if len(near) < 3:
        return []
    return [tube(scene, near, np.interp(np.linspace(0, 1, len(near)), [0, 0.5, 1], [0.7, 1.0, 0.9]) * radius)]


LIVER = (
    Abnormality(
        "liver_steatosis",
        "liver",
        ("liver",),
        liver_steatosis,
        how="Parenchyma turns dark, everywhere or in regions, at times spared beside the gallbladder; vessels stay.",
        source="own range, set with Boyce et al., AJR 2010;194:623; Pickhardt et al., Eur Radiol 2012;22:1075 in mind",
        hu=(-15, 40),
        enhanced=(-25, 103),
        rate=0.2,
    ),
    Abnormality(
        "cirrhosis",
        "liver",
        ("liver",),
        cirrhosis,
        how="Nodular surface, small right lobe, wide fissures and hilum, at times a large left lobe.",
        source="own range, set with Harbin et al., Radiology 1980;135:273 (small right lobe), nodules < 15 mm in mind",
        stage="shape",
        factor=(0.5, 1.05),
        rate=0.03,
    ),
    Abnormality(
        "hepatomegaly",
        "liver",
        ("liver",),
        hepatomegaly,
        how="The whole liver grows into what is soft below and beside it.",
        source="own range, set with a normal liver of 1.2-1.8 l in mind (Linguraru et al., Acad Radiol 2012)",
        stage="shape",
        factor=(1.25, 1.81),
        rate=0.05,
    ),
    Abnormality(
        "biliary_dilatation",
        "liver",
        ("liver",),
        biliary_dilatation,
        how="Wide ducts branch from the hilum beside portal branches; the common duct is wide too.",
        source="own range, set with ducts of 2 and 6 mm as the limits in mind (Radiopaedia: Bile duct dilatation)",
        hu=(-5, 40),
        enhanced=(-5, 50),
        where="beside",
        rate=0.03,
    ),
    *LIVER_LESIONS,
)
