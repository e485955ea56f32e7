"""Abnormalities of the kidney."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import (
    FAR,
    among,
    blend,
    distance,
    eroded,
    joined,
    lesions,
    places,
    smooth_field,
)
from training.world.findings.bulging import Blob
from training.world.findings.kidney_lesions import (
    COLLECTING,
    PARENCHYMA,
    angiomyolipoma,
    kidney_cyst,
    kidney_mass,
    polycystic_kidney,
)
from training.world.findings.kinds import KIDNEYS, Abnormality
from training.world.growth import shrink
from training.world.materials import Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of


def kidney_stone(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Calculi of 2-25 mm in calyces and sinus, rarely a staghorn that fills them, 250-1400 HU."""
    box = scene.organ_box(label, 2 * scene.spacing)
    kidney = scene.labels[box] == label
    if not bool(kidney.any()):
        return None
    cavities = kidney & (scene.tissue[box] == int(Material.RENAL_PELVIS))
    if rng.random() < 0.05 and int(cavities.sum()) * scene.spacing**3 > 900:
        return _staghorn(scene, label, cavities, box, rng)
    for mask in (cavities, kidney & (scene.tissue[box] == int(Material.SINUS_FAT)), eroded(kidney, 9, scene.spacing)):
        sites = places(mask, box)
        if len(sites):
            break
    d = 2 + 23 * float(rng.beta(1.0, 3.2))
    # small stones are only seen when they are dense
    hu = (max(250.0, 1000 - 120 * d), 1400.0)
    top = max(d, 3.0)
    return lesions(
        scene,
        label,
        "kidney_stone",
        rng,
        sites=sites,
        diameter=(min(d, 2.5), top),
        hu=hu,
        most=5,
        many=0.4,
        sd=25,
        drop=0.1,
        material=Material.CALCIUM,
    )


def _staghorn(scene: Scene, label: int, cavities: Tensor, box: Box, rng: np.random.Generator) -> PaintedFinding | None:
    cover = cavities.float()
    value = float(rng.uniform(500, 1300))
    blend(scene, box, cover, value, 40, rng)
    scene.tissue[box][cavities] = int(Material.CALCIUM)
    finding = finding_of(label, "kidney_stone", cavities, box, 0.0, grade=1.0)
    return replace(finding, size_mm=max(b - a for a, b in finding.box) * scene.spacing)


def hydronephrosis(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Pelvis and calyces distended by urine at the expense of sinus fat, medulla and at last the cortex; at times the
    upper ureter is wide too."""
    box = scene.organ_box(label, 14)
    tissue, labels = scene.tissue[box], scene.labels[box]
    kidney = labels == label
    near = distance(kidney, scene.spacing, 10) < FAR
    urine = near & (tissue == int(Material.RENAL_PELVIS))
    sinus = kidney & among(tissue, COLLECTING)
    if int(sinus.sum()) * scene.spacing**3 < 600 or not bool(urine.any()):
        return None
    grade = float(rng.random())
    uneven = 1 + 0.3 * smooth_field(rng, tuple(kidney.shape), 9 / scene.spacing, scene.device).clamp(-2, 2)
    # a shell of parenchyma is left: thick at first, thin at last
    depth = distance(~kidney, scene.spacing, 20).clamp(max=20)
    inner = kidney & (depth > 11.5 - 8.5 * grade) & among(tissue, (*PARENCHYMA, *COLLECTING))
    full = inner & (distance(sinus, scene.spacing, 22) * uneven <= 0.5 + 13 * grade**1.3)
    wide = max(1.5 + 7 * grade, 1.1 * scene.spacing)
    calyces = inner & (distance(urine, scene.spacing, 12) * uneven <= wide)
    pelvis = (distance(urine, scene.spacing, 12) * uneven <= wide + grade) & ~kidney
    pelvis &= near & among(tissue, (Material.FAT, *COLLECTING))
    mask = urine | calyces | pelvis
    if grade > 0.25:
        # what stays of the sinus fat in a mild case is pushed aside, and later gone
        keep = smooth_field(rng, tuple(kidney.shape), 7 / scene.spacing, scene.device) > 3.2 * grade - 0.8
        mask |= full & ~keep
    mask &= among(tissue, (*PARENCHYMA, *COLLECTING, Material.FAT))
    if int(mask.sum() - urine.sum()) * scene.spacing**3 < 1_000 or int(mask.sum()) < 1.3 * int(urine.sum()):
        return None
    tissue[mask] = int(Material.RENAL_PELVIS)
    if rng.random() < 0.35:
        labels[mask & kidney] = 0
    elif rng.random() < 0.5:
        labels[mask & (labels == 0)] = label
    scene.rebox(label, box)
    parts = [(box, mask)]
    if rng.random() < 0.6:
        ureter = _wide_ureter(scene, parts[0], grade, rng)
        parts += [ureter] if ureter is not None else []
    thick = 2 * float(distance(~mask, scene.spacing, 25).clamp(max=25)[mask].max())
    whole, union = joined([(b, m) for b, m in parts])
    return finding_of(label, "hydronephrosis", union, whole, thick, grade=grade)


def _wide_ureter(scene: Scene, pelvis: Blob, grade: float, rng: np.random.Generator) -> Blob | None:
    """Follow the ureter down from the pelvis row by row, and widen it to 4-10 mm."""
    box, mask = pelvis
    rows = torch.nonzero(mask.flatten(1).any(1)).flatten()
    length = int(rng.uniform(25, 90) / scene.spacing)
    start = box[0].start + int(rows[-1])
    stop = min(scene.shape[0], start + length)
    last = torch.nonzero(mask[int(rows[-1])]).float().mean(0)
    middle = last.tolist()
    line: list[tuple[int, float, float]] = []
    near = max(2, round(7 / scene.spacing))
    top = min(start, box[0].start + int(rows[len(rows) // 2]))
    for i in range(top, stop):
        p, x = round(middle[0]) + box[1].start, round(middle[1]) + box[2].start
        a, b = slice(max(0, p - near), p + near + 1), slice(max(0, x - near), x + near + 1)
        soft = (scene.tissue[i, a, b] == int(Material.SOFT)) & (scene.labels[i, a, b] == 0)
        n = int(soft.sum())
        if n == 0 and not line:
            continue
        if n == 0 or n * scene.spacing**2 > 90:
            break
        where = torch.nonzero(soft).float().mean(0).tolist()
        middle = [where[0] + a.start - box[1].start, where[1] + b.start - box[2].start]
        line.append((i, middle[0] + box[1].start, middle[1] + box[2].start))
    if len(line) * scene.spacing < 12:
        return None
    points = np.array(line)
    low, high = points.min(0).astype(int), points.max(0).astype(int) + 1
    room = scene.widened((slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])), 8)
    line_mask = torch.zeros([s.stop - s.start for s in room], dtype=torch.bool, device=scene.device)
    for point in line:
        i, p, x = (round(v) - s.start for v, s in zip(point, room, strict=True))
        line_mask[i, p, x] = True
    wide = distance(line_mask, scene.spacing, 6) <= 1.5 + 3.5 * grade * float(rng.uniform(0.5, 1))
    wide &= among(scene.tissue[room], (Material.FAT, Material.SOFT)) & (scene.labels[room] == 0)
    scene.tissue[room][wide] = int(Material.RENAL_PELVIS)
    return room, wide


def renal_atrophy(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A kidney shrunk to 0.35-0.75 of its volume with an irregular surface, thin cortex and much sinus fat."""
    finding = shrink(
        scene, label, "renal_atrophy", rng, factor=(0.35, 0.75), uneven=float(rng.uniform(0.1, 0.3)), cell_mm=16.0
    )
    if finding is None:
        return None
    box = finding.slices
    kidney, tissue = finding.mask, scene.tissue[box]
    padded = torch.nn.functional.pad(~kidney, (1, 1, 1, 1, 1, 1), value=True)
    depth = distance(padded, scene.spacing, 8)[1:-1, 1:-1, 1:-1]
    rim = kidney & (depth <= rng.uniform(3.5, 6)) & (tissue == int(Material.RENAL_MEDULLA))
    tissue[rim] = int(Material.RENAL_CORTEX)
    sinus = kidney & (tissue == int(Material.SINUS_FAT))
    wide = distance(sinus, scene.spacing, 6) <= rng.uniform(0, 5)
    tissue[kidney & wide & (tissue == int(Material.RENAL_MEDULLA))] = int(Material.SINUS_FAT)
    return finding


KIDNEY: tuple[Abnormality, ...] = (
    Abnormality(
        "polycystic_kidney",
        "kidney",
        KIDNEYS,
        polycystic_kidney,
        how="Growth to 1.1-4.5 of the volume, up to 140 cysts of 5-45 mm, a few haemorrhagic; four in five bilateral.",
        source="own range, set with Bae and Grantham, Nat Rev Nephrol 2010;6:96 in mind",
        hu=(-2, 42),
        enhanced=(5, 150),
        stage="shape",
        factor=(1.1, 4.5),
        rate=0.004,
    ),
    Abnormality(
        "renal_atrophy",
        "kidney",
        KIDNEYS,
        renal_atrophy,
        how="Shrinkage to 0.35-0.75 of the volume, irregular surface, thin parenchyma, wide sinus fat.",
        source="own range",
        stage="shape",
        factor=(0.33, 0.77),
        rate=0.03,
    ),
    Abnormality(
        "hydronephrosis",
        "kidney",
        KIDNEYS,
        hydronephrosis,
        how="Urine distends pelvis and calyces at the expense of sinus fat and parenchyma; often a wide ureter.",
        source="own range, set with the Society for Fetal Urology grades in mind",
        hu=(-8, 22),
        stage="shape",
        where="beside",
        rate=0.04,
    ),
    Abnormality(
        "kidney_cyst",
        "kidney",
        KIDNEYS,
        kidney_cyst,
        how="One to four sharp round cysts of water in the cortex, often exophytic, 8-80 mm.",
        source="Bosniak, Radiology 1986;158:1; Silverman et al., Radiology 2019;292:475",
        hu=(-25, 25),
        enhanced=(-25, 60),
        where="beside",
        rate=0.12,
    ),
    Abnormality(
        "kidney_mass",
        "kidney",
        KIDNEYS,
        kidney_mass,
        how="A solid mass of 15-100 mm, often exophytic, enhancing less than cortex, necrotic when large.",
        source="own range, set with Zhang et al., Radiology 2007;244:494 in mind",
        hu=(0, 55),
        enhanced=(15, 165),
        where="beside",
        rate=0.015,
    ),
    Abnormality(
        "angiomyolipoma",
        "kidney",
        KIDNEYS,
        angiomyolipoma,
        how="Fat with soft strands in the cortex, 6-60 mm.",
        source="Jinzaki et al., Abdom Imaging 2014;39:588",
        hu=(-105, -5),
        enhanced=(-105, 20),
        where="beside",
        rate=0.01,
    ),
    Abnormality(
        "kidney_stone",
        "kidney",
        KIDNEYS,
        kidney_stone,
        how="One to five calculi of 2-25 mm in the calyces, one in twenty a staghorn.",
        source="own range, set with Mostafavi et al., J Urol 1998;159:673 in mind",
        hu=(140, 1450),
        rate=0.06,
    ),
)
