"""Lymph nodes behind the peritoneum."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import FAR, among, blend, blurred, distance, joined, places
from training.world.findings.bulging import bulge, mottle, opened, skewed
from training.world.materials import ID, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of


def retroperitoneal_lymphadenopathy(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Two to twenty oval nodes of 10-40 mm beside aorta and vena cava between diaphragm and bifurcation, 28-50 HU, at
    times dark in the middle; large ones run together."""
    rows = _lumbar_rows(scene)
    if rows is None:
        return None
    vessels = [scene.boxes[n - 1] for n in (label, ID["inferior_vena_cava"])]
    spans = [b for b in vessels if b is not None and b[0].start < rows[1] and b[0].stop > rows[0]]
    if not spans:
        return None
    p, x = (slice(min(b[k].start for b in spans), max(b[k].stop for b in spans)) for k in (1, 2))
    box = scene.widened((slice(*rows), p, x), 18)
    labels = scene.labels[box]
    vessel = (labels == label) | (labels == ID["inferior_vena_cava"])
    inside = torch.zeros_like(vessel)
    start = rows[0] - box[0].start
    inside[start : start + rows[1] - rows[0]] = True
    fat = opened((labels == 0) & among(scene.tissue[box], (Material.FAT, Material.SOFT)))
    room = fat & inside & (distance(vessel, scene.spacing, 13) < FAR)
    aorta = distance(labels == label, scene.spacing, 29)
    grade = float(rng.random())
    native = scene.contrast.phase == "native"
    value = float(rng.uniform(28, 50) if native else rng.uniform(55, 105))
    done: list[tuple[float, Box, Tensor]] = []
    for _ in range(int(2 + 18 * grade * float(rng.uniform(0.5, 1)))):
        d = skewed(rng, 10, 16 + 24 * grade)
        sites = places(room & (aorta < 29 - 0.65 * d), box)
        if len(sites) < 20:
            continue
        blob = bulge(
            scene, label, sites, d / 2, rng, out=0, free=(Material.FAT, Material.SOFT), stretch=0.25, least=0.4, tries=3
        )
        if blob is None:
            continue
        where, cover = blob
        cover = cover * (scene.labels[where] == 0)
        if float(cover.max()) < 0.55:
            continue
        mottle(scene, (where, cover), value + float(rng.normal(0, 4)), 3, rng)
        if d > 20 and rng.random() < 0.25:
            core = ((blurred(cover, 1.0) - 0.75) * 4).clamp(0, 1)
            blend(scene, where, core, max(8.0, 0.4 * value), 2, rng)
        done.append((d, where, cover > 0.5))
    if not done:
        return None
    biggest = max(d for d, _, _ in done)
    whole, mask = joined([(b, m) for _, b, m in done])
    return finding_of(
        label,
        "retroperitoneal_lymphadenopathy",
        mask,
        whole,
        biggest,
        count=len(done),
        grade=(biggest - 10) / 30,
    )


def _lumbar_rows(scene: Scene) -> tuple[int, int] | None:
    """Rows from the upper kidney to the fifth lumbar vertebra, as far as the scan shows them."""
    names = ("kidney_left", "kidney_right", *(f"vertebrae_L{n}" for n in range(1, 6)))
    boxes = [b for b in (scene.boxes[ID[n] - 1] for n in names) if b is not None]
    if not boxes:
        return None
    return min(b[0].start for b in boxes), max(b[0].stop for b in boxes)
