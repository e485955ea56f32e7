"""Abnormalities of oesophagus, stomach at the hiatus, thyroid and mediastinal lymph nodes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import among, ball, blend, distance, joined, lesions, pick, places, smooth_field, volume_ml
from training.world.findings.geometry import LOBE_LABELS, cover_of, distance_to_path
from training.world.findings.kinds import Abnormality
from training.world.findings.lung_focal import soft_tissue
from training.world.materials import BONE, ID, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

_FREE = (Material.FAT, Material.LUNG, Material.LUNG_VESSEL, Material.SOFT)
_VESSELS = (Material.ARTERY, Material.VEIN, Material.BLOOD_LEFT, Material.BLOOD_RIGHT, Material.MYOCARDIUM)


def _gullet(scene: Scene) -> np.ndarray | None:
    """Middle line (n, 3) of the oesophagus, one place a plane, from its top; None when it is not in view."""
    label = ID["esophagus"]
    if not scene.has(label):
        return None
    box = scene.organ_box(label)
    mask = (scene.labels[box] == label).float()
    area = mask.sum((1, 2))
    rows = torch.nonzero(area).flatten()
    if len(rows) * scene.spacing < 40:
        return None
    p = (mask.sum(2) @ torch.arange(mask.shape[1], device=mask.device, dtype=torch.float32))[rows] / area[rows]
    x = (mask.sum(1) @ torch.arange(mask.shape[2], device=mask.device, dtype=torch.float32))[rows] / area[rows]
    line = torch.stack([rows.float(), p, x], 1).cpu().numpy().astype(float)
    return np.asarray(line + [s.start for s in box])


def _rebox_lobes(scene: Scene) -> None:
    for k in LOBE_LABELS:
        own = scene.boxes[k - 1]
        if own is not None:
            scene.rebox(k, own)


def hiatal_hernia(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Stomach of 25-80 mm above the diaphragm, behind the heart: wall of 3-5 mm, fluid and often gas within."""
    stomach, line = ID["stomach"], _gullet(scene)
    if line is None or line[-1][0] >= scene.shape[0] - 2 or not scene.has(stomach):
        return None
    grade = float(rng.random())
    wide = 25 + 55 * grade
    # its middle lies on the oesophagus, a little more than its own radius above the end
    up = min(len(line) - 2, int((wide * 0.55 + 12) / scene.spacing))
    centre = line[-1 - up] + np.array([0, -0.12, rng.uniform(-0.05, 0.3)]) * wide / scene.spacing
    radii = wide / 2 * np.array([rng.uniform(0.85, 1.15), rng.uniform(0.65, 0.85), rng.uniform(0.85, 1.1)])
    sac = ball(scene, centre, radii, rng, 0.1)
    neck_box, far = distance_to_path(scene, line[-1 - up :: max(1, up // 6)], 16.0)
    neck = (neck_box, cover_of(far, float(rng.uniform(7, 12)), scene.spacing))
    box, whole = joined([(b, c > 0.5) for b, c in (sac, neck)])
    tissue, labels = scene.tissue[box], scene.labels[box]
    gullet = labels == ID["esophagus"]
    # in front of aorta and spine
    front = torch.arange(box[1].start, box[1].stop, device=scene.device)[None, :, None]
    whole = whole & (among(tissue, _FREE) | gullet) & (front < float(line[-1 - up][1]) + 9 / scene.spacing)
    if volume_ml(whole, scene.spacing) < 0.3 * np.prod(2 * radii / 10) * np.pi / 6:
        return None
    inside = whole & (distance(~whole, scene.spacing, 5.0) > float(rng.uniform(2.5, 4.5)))
    tissue[whole] = int(Material.STOMACH_WALL)
    tissue[inside] = int(Material.STOMACH_LUMEN)
    labels[whole] = stomach
    own = scene.organ_box(stomach)
    a, b, c = (slice(min(s.start, t.start), max(s.stop, t.stop)) for s, t in zip(own, box, strict=True))
    scene.rebox(stomach, (a, b, c))
    scene.rebox(ID["esophagus"], scene.organ_box(ID["esophagus"]))
    _rebox_lobes(scene)
    other = "esophagus" if label == stomach else "stomach"
    return finding_of(label, "hiatal_hernia", whole, box, wide, grade=grade, also=(other,))


def oesophageal_wall_thickening(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """25-90 mm of the oesophagus thickened by 4-13 mm, round or to one side, around a slit of gas or fluid."""
    line = _gullet(scene)
    if line is None:
        return None
    grade = float(rng.random())
    rows = max(3, int(rng.uniform(25, 45 + 45 * grade) / scene.spacing))
    if len(line) < rows + 2:
        return None
    start = int(rng.integers(max(0, len(line) // 4 - rows // 2), len(line) - rows))
    path = line[start : start + rows]
    thick = float(4 + 9 * grade)
    box = scene.widened(_around(path), 9 + thick + 6)
    labels, tissue = scene.labels[box], scene.tissue[box]
    old = labels == label
    far = distance(old, scene.spacing, thick + 4)
    index = torch.arange(box[0].start, box[0].stop, device=scene.device, dtype=torch.float32)
    taper = (1 - ((index - float(path[:, 0].mean())) / (rows / 2)).abs() ** 3).clamp(0, 1)[:, None, None]
    lop = 1 + 0.35 * smooth_field(rng, tuple(old.shape), 18.0 / scene.spacing, scene.device).clamp(-1.5, 1.5)
    new = (far <= thick * taper * lop) & (taper > 0) & (among(tissue, _FREE) | old)
    if int((new & ~old).sum()) < max(6, 0.35 * int((old & new).sum())):
        return None
    tissue[new & (tissue != int(Material.GAS))] = int(Material.LESION if rng.random() < 0.5 else Material.OESOPHAGUS)
    if rng.random() < 0.5:
        slit, gap = distance_to_path(scene, path, 4.0)
        inner = gap < max(1.6, 0.6 * scene.spacing)
        content = Material.GAS if rng.random() < 0.6 else Material.FLUID
        scene.tissue[slit][inner & (scene.labels[slit] == label)] = int(content)
    wall = new & (tissue != int(Material.GAS)) & (tissue != int(Material.FLUID))
    labels[new] = label
    scene.rebox(label, scene.organ_box(label, thick + 4))
    _rebox_lobes(scene)
    slug = "oesophageal_wall_thickening"
    return finding_of(label, slug, wall, box, thick + 3, grade=grade)


def _around(path: np.ndarray) -> Box:
    a, b, c = (slice(max(0, int(path[:, k].min())), int(path[:, k].max()) + 1) for k in range(3))
    return a, b, c


def thyroid_nodule(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One to three nodules of 6-35 mm: cystic (0-25 HU), solid and darker than the gland, or calcified in part."""
    box = scene.organ_box(label)
    sites = places((scene.labels[box] == label) & (scene.tissue[box] == int(Material.THYROID)), box)
    gland = float(scene.contrast.mean[Material.THYROID])
    kind = str(rng.choice(["cystic", "solid", "calcified"], p=[0.25, 0.55, 0.2]))
    native = scene.contrast.phase == "native"
    hu = (2.0, 25.0) if kind == "cystic" else (25.0, 60.0) if native else (45.0, min(125.0, gland - 15))

    def chalk(cover: Tensor) -> Tensor:
        if kind != "calcified":
            return torch.zeros_like(cover)
        flecks = smooth_field(rng, tuple(cover.shape), 4.0 / scene.spacing, scene.device)
        rim = (cover > 0.5) & (cover < 0.98)
        return cover * (flecks > 0.5) * 420 + cover * rim * 180

    finding = lesions(
        scene,
        label,
        "thyroid_nodule",
        rng,
        sites=sites,
        diameter=(6, 35),
        hu=hu,
        most=3,
        many=0.3,
        only=False,
        drop=0.1,
        avoid=(*BONE, *_VESSELS, Material.AIRWAY, Material.CARTILAGE, Material.CANAL, Material.SKIN, Material.AIR),
        material=Material.LESION,
        profile=chalk,
    )
    if finding is not None:
        scene.rebox(label, scene.widened(box, 40))
    return finding


def mediastinal_lymphadenopathy(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """One to seven ovoid nodes of 11-31 mm beside trachea, carina and main bronchi; 25-50 HU native, some necrotic."""
    box = scene.organ_box(label, 22)
    labels, tissue = scene.labels[box], scene.tissue[box]
    near = distance(labels == label, scene.spacing, 16.0)
    free = among(tissue, (Material.FAT, Material.SOFT)) & (labels == 0)
    low = torch.zeros_like(free)
    low[int(0.45 * free.shape[0]) :] = True  # below the thoracic inlet
    sites = places(free & low & (near > 3.5) & (near < 10), box)
    if len(sites) * scene.spacing**3 < 1_000:
        return None
    grade = float(rng.random())
    largest, value = 11 + 20 * grade, soft_tissue(scene, rng, 25, 50, 55)
    fits = (*_FREE, Material.LESION)
    parts: list[tuple[Box, Tensor]] = []
    for k in range(int(rng.integers(1, 4 + round(4 * grade)))):
        d = largest if k == 0 else float(rng.uniform(10, largest))
        part, cover = ball(scene, pick(sites, rng), d / 2 * np.array([rng.uniform(1.0, 1.5), 1, 1]), rng, 0.1)
        cover = cover * among(scene.tissue[part], fits) * (scene.labels[part] != label)
        mask = cover > 0.5
        if volume_ml(mask, scene.spacing) < 0.35 * np.pi / 6 * (d / 10) ** 3:
            continue
        blend(scene, part, cover, value + float(rng.normal(0, 4)), 4, rng)
        if rng.random() < 0.15:
            inner, core = ball(scene, [(s.start + s.stop) / 2 for s in part], d * 0.28, rng, 0.2)
            dark = core * (scene.tissue[inner] != int(Material.AIRWAY)) * among(scene.tissue[inner], fits)
            blend(scene, inner, dark, float(rng.uniform(8, 25)), 4, rng)
        scene.tissue[part][mask] = int(Material.LESION)
        for n in LOBE_LABELS:
            scene.labels[part][mask & (scene.labels[part] == n)] = 0
        parts.append((part, mask))
    if not parts:
        return None
    _rebox_lobes(scene)
    whole_box, whole = joined(parts)
    slug = "mediastinal_lymphadenopathy"
    return finding_of(label, slug, whole, whole_box, largest, count=len(parts), grade=grade)


MEDIASTINUM: tuple[Abnormality, ...] = (
    Abnormality(
        "hiatal_hernia",
        "esophagus",
        ("stomach", "esophagus"),
        hiatal_hernia,
        how="Stomach of 25-80 mm above the diaphragm behind the heart: wall, fluid and often a gas level.",
        source="Own range",
        hu=(-900, 390),
        stage="shape",
        where="around",
        rate=0.08,
    ),
    Abnormality(
        "oesophageal_wall_thickening",
        "esophagus",
        ("esophagus",),
        oesophageal_wall_thickening,
        how="25-90 mm of the oesophagus thickened by 4-13 mm, round or to one side.",
        source="Own range, set with Noh et al., RadioGraphics 1995;15(5) and Reinig et al., AJR 1983;140:931 in mind",
        hu=(15, 60),
        enhanced=(20, 95),
        stage="shape",
        where="beside",
        rate=0.02,
    ),
    Abnormality(
        "thyroid_nodule",
        "thyroid",
        ("thyroid_gland",),
        thyroid_nodule,
        how="One to three nodules of 6-35 mm: cystic, solid and darker than the gland, or calcified in part.",
        source="Own range, set with Iida et al., Radiology 1983;147:793 in mind",
        hu=(-5, 330),
        where="beside",
        rate=0.15,
    ),
    Abnormality(
        "mediastinal_lymphadenopathy",
        "mediastinum",
        ("trachea",),
        mediastinal_lymphadenopathy,
        how="One to seven ovoid nodes wider than 10 mm beside trachea, carina and main bronchi; some necrotic.",
        source="Short axis above 10 mm: Glazer et al., AJR 1985;144:261; own HU range",
        hu=(-20, 60),
        enhanced=(-10, 115),
        where="beside",
        rate=0.04,
    ),
)
