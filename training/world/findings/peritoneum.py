"""Abnormalities of the peritoneal cavity and the retroperitoneum: ascites, free air, enlarged nodes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.world.brushes import FAR, among, ball, blend, distance, joined, pick, places, smooth_field
from training.world.findings.bulging import opened, skewed
from training.world.findings.kinds import Abnormality
from training.world.findings.retroperitoneum import retroperitoneal_lymphadenopathy
from training.world.materials import BONE, ID, NAMES, Material
from training.world.scene import Box, PaintedFinding, Scene, finding_of

_OUTSIDE = (
    *BONE,
    Material.AIR,
    Material.TABLE,
    Material.SKIN,
    Material.SUBCUTANEOUS,
    Material.MUSCLE,
    Material.DISC,
    Material.CARTILAGE,
    Material.CANAL,
    Material.CORD,
)
_CHEST = (
    Material.LUNG,
    Material.LUNG_VESSEL,
    Material.AIRWAY,
    Material.MYOCARDIUM,
    Material.BLOOD_LEFT,
    Material.BLOOD_RIGHT,
    Material.OESOPHAGUS,
)
_ABDOMINAL = ("liver", "spleen", "stomach", "colon", "small_bowel", "kidney_left", "kidney_right", "urinary_bladder")
_RETRO = (
    "kidney_left",
    "kidney_right",
    "adrenal_gland_left",
    "adrenal_gland_right",
    "aorta",
    "inferior_vena_cava",
    "iliopsoas_left",
    "iliopsoas_right",
    "pancreas",
    "sacrum",
)
_SPINE = tuple(f"vertebrae_{n}" for n in ("T9", "T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5"))
_CELL = 6.0
"""Coarse voxel in mm: spaces of the abdomen need no finer search."""


class _Cavity:
    """The abdominal cavity on a coarse grid.

    Attributes
    ----------
    box : Box
        Of the scene, about the abdominal organs.
    step : int
        Voxels of the scene per coarse voxel.
    labels, inside : (i, p, l)
        Organ ids; and what is in the cavity: viscera and the fat between them, below the diaphragm.
    """

    def __init__(self, scene: Scene, box: Box) -> None:
        self.box = box
        self.step = max(1, round(_CELL / scene.spacing))
        self.mm = self.step * scene.spacing
        self.labels = scene.labels[box][:: self.step, :: self.step, :: self.step]
        tissue = scene.tissue[box][:: self.step, :: self.step, :: self.step]
        chest = among(tissue, _CHEST).to(torch.uint8)
        above = chest.flip(0).cummax(0).values.flip(0).bool()
        heart = distance(among(tissue, (Material.MYOCARDIUM,)), self.mm, 2 * self.mm) < FAR
        self.inside = opened(~among(tissue, _OUTSIDE) & ~above & ~heart)

    def far(self, organs: Iterable[str], reach: float) -> Tensor:
        """Distance in mm to any of some organs."""
        return distance(self.of(organs), self.mm, reach).clamp(max=reach + self.mm)

    def of(self, organs: Iterable[str]) -> Tensor:
        """Where any of some organs is."""
        mask = torch.zeros_like(self.inside)
        for organ in organs:
            mask |= self.labels == ID[organ]
        return mask

    def fine(self, field: Tensor) -> Tensor:
        """A coarse field on the scene's grid, trilinear."""
        shape = [s.stop - s.start for s in self.box]
        size = [-(-n // self.step) * self.step for n in shape]
        up = F.interpolate(field[None, None].float(), size=size, mode="trilinear", align_corners=False)[0, 0]
        return up[: shape[0], : shape[1], : shape[2]]


def _extent(scene: Scene, organs: Iterable[str], margin: float = 30.0) -> Box | None:
    boxes = [b for b in (scene.boxes[ID[o] - 1] for o in organs) if b is not None]
    if not boxes:
        return None
    a, b, c = (slice(min(x[k].start for x in boxes), max(x[k].stop for x in boxes)) for k in range(3))
    return scene.widened((a, b, c), margin)


def ascites(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """Water (0-20 HU) in place of fat around liver and spleen, then in flanks and pelvis, at last between the loops;
    the grade sets how much."""
    box = _extent(scene, _ABDOMINAL)
    if box is None:
        return None
    grade = float(rng.random())
    cavity = _Cavity(scene, box)
    cost = _filling(cavity, rng)
    limit = 7 + 30 * grade
    fine = cavity.fine(cost.clamp(max=99))
    tissue = scene.tissue[box]
    fat = (tissue == int(Material.FAT)) & (scene.labels[box] == 0)
    fluid = fat & (fine < limit) & (cavity.fine(cavity.inside) > 0.5)
    if int(fluid.sum()) * scene.spacing**3 < 15_000:
        return None
    value = float(rng.uniform(0, 20))
    blend(scene, box, fluid.float(), value, 2, rng)
    tissue[fluid] = int(Material.FLUID)
    coarse = fluid[:: cavity.step, :: cavity.step, :: cavity.step]
    thick = 2 * float(distance(~coarse, cavity.mm, 30).clamp(max=30).max()) if bool(coarse.any()) else cavity.mm
    also = [NAMES[ID["spleen"]]] if scene.has(ID["spleen"]) and label != ID["spleen"] else []
    return finding_of(label, "ascites", fluid, box, max(thick, cavity.mm), grade=grade, also=also)


def _filling(cavity: _Cavity, rng: np.random.Generator) -> Tensor:
    """In which order the spaces of the peritoneal cavity fill: a low value first."""
    inside = cavity.inside
    device = inside.device
    n = inside.shape
    liver, spleen = cavity.far(("liver",), 36), cavity.far(("spleen",), 30)
    solid = torch.minimum(liver, spleen + 2)
    cost = solid + 2
    wall = distance(~inside, cavity.mm, 24).clamp(max=30)
    down, back, across = (torch.linspace(0, 1, k, device=device) for k in n)
    columns = torch.nonzero(inside.any(0).any(0)).flatten()
    middle = float(columns.float().mean()) / max(1, n[2] - 1) if len(columns) else 0.5
    # the flanks: beside colon and wall, at the back
    lateral = (across - middle).abs()[None, None, :] > 0.22
    flank = 9 + wall + 16 * (0.75 - back)[None, :, None].clamp(min=0)
    cost = torch.where(lateral & (down > 0.15)[:, None, None], torch.minimum(cost, flank), cost)
    loops = cavity.far(("small_bowel", "colon"), 18)
    cost = torch.minimum(cost, 22 + loops)
    retro = cavity.far(_RETRO, 18)
    spine = cavity.far(_SPINE, 36)
    cost = torch.where(((retro < 14) & (retro < solid)) | (spine < 36), torch.full_like(cost, 99.0), cost)
    bladder = cavity.of(("urinary_bladder",))
    rows = torch.nonzero(bladder.flatten(1).any(1)).flatten()
    if len(rows):  # the pouches above and behind the bladder fill from below
        floor = int(rows[0]) + 0.45 * len(rows)
        row = torch.arange(n[0], device=device)[:, None, None].float()
        height = (floor - row) * cavity.mm
        pouch = torch.where(height >= 0, 4 + 0.32 * height + 14 * (0.6 - back)[None, :, None].clamp(min=0), 99.0)
        # higher up, what is near psoas and vessels lies behind the peritoneum
        pouch = torch.where(retro < (6 + 0.15 * height).clamp(max=14), torch.full_like(retro, 99.0), pouch.expand(n))
        behind = torch.nonzero(bladder.any(0).any(1)).flatten()[-1] + 42 / cavity.mm
        low = (height < 70) & (torch.arange(n[1], device=device)[None, :, None] > behind)  # beside the rectum
        pouch = torch.where(low, torch.full_like(pouch, 99.0), pouch)
        cost = torch.where(row > floor, torch.full_like(cost, 99.0), torch.minimum(cost, pouch))
    cost = cost + 2.5 * smooth_field(rng, tuple(n), 25 / cavity.mm, device)
    return torch.where(inside, cost, torch.full_like(cost, 99.0))


def free_air(scene: Scene, label: int, rng: np.random.Generator) -> PaintedFinding | None:
    """A crescent of gas under the front wall, 4-30 mm deep, before the liver, which gives way; and small bubbles in the
    fat."""
    box = _extent(scene, ("liver",), 12)
    if box is None:
        return None
    cavity = _Cavity(scene, box)
    inside = cavity.fine(cavity.inside) > 0.5
    tissue, labels = scene.tissue[box], scene.labels[box]
    liver = labels == label
    soft = (tissue == int(Material.FAT)) & (labels == 0)
    open_ = inside & (liver | soft)
    p = torch.arange(open_.shape[1], device=scene.device)[None, :, None]
    first = torch.where(inside, p, open_.shape[1]).amin(1)
    front = torch.where(liver & inside, p, open_.shape[1]).amin(1)
    if int((front < open_.shape[1]).sum()) < 40:
        return None
    # gas stands highest where the wall is highest, and in front of the liver
    top = float(first[front < open_.shape[1]].float().quantile(0.02))
    grade = float(rng.random())
    depth = (4 + 26 * grade**1.5) / scene.spacing
    level = top + max(depth, 1.5)
    sag = 1.2 * smooth_field(rng, (1, *first.shape), 40 / scene.spacing, scene.device)[0]
    gas = open_ & (p < (level + sag)[:, None, :]) & (p <= first[:, None, :] + 20 / scene.spacing)
    if int(gas.sum()) * scene.spacing**3 < 1_500:
        return None
    parts = [(box, gas)]
    value = float(rng.uniform(-990, -940))
    blend(scene, box, gas.float(), value, 5, rng)
    tissue[gas] = int(Material.GAS)
    labels[gas] = 0
    scene.rebox(label, box)
    bubbles = places(inside & soft & ~gas & (p < open_.shape[1] * 0.55), box)
    for _ in range(int(rng.integers(0, 9)) if len(bubbles) else 0):
        where, cover = ball(scene, pick(bubbles, rng), skewed(rng, 2.5, 9) / 2, rng)
        cover = cover * ((scene.tissue[where] == int(Material.FAT)) & (scene.labels[where] == 0))
        if cover.numel() and float(cover.max()) > 0.6:
            blend(scene, where, cover, value, 5, rng)
            scene.tissue[where][cover > 0.5] = int(Material.GAS)
            parts.append((where, cover > 0.5))
    whole, mask = joined(parts)
    thick = float(gas.sum(1).max()) * scene.spacing
    return finding_of(label, "free_air", mask, whole, thick, count=len(parts), grade=grade)


PERITONEUM: tuple[Abnormality, ...] = (
    Abnormality(
        "ascites",
        "peritoneum",
        ("liver",),
        ascites,
        how="Water in place of fat around liver and spleen, in flanks and pelvis, and between loops, by grade.",
        source="own range",
        hu=(-6, 26),
        where="around",
        rate=0.05,
        spreads=("spleen",),
    ),
    Abnormality(
        "free_air",
        "peritoneum",
        ("liver",),
        free_air,
        how="A crescent of gas of 4-30 mm under the front wall before the liver, and up to eight bubbles.",
        source="own range",
        hu=(-1020, -850),
        where="around",
        rate=0.01,
    ),
    Abnormality(
        "retroperitoneal_lymphadenopathy",
        "peritoneum",
        ("aorta",),
        retroperitoneal_lymphadenopathy,
        how="Two to twenty oval soft nodes of 10-40 mm beside aorta and vena cava below the diaphragm.",
        source="own range, set with Dorfman et al., Radiology 1991;180:319 in mind",
        hu=(5, 58),
        enhanced=(20, 118),
        where="beside",
        rate=0.03,
    ),
)
