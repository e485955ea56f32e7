"""What labelled organs are made of, when only their outlines (and perhaps a CT) are known."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.bodies.outlines import Outlines
from training.world.bodies.shapes import rotation
from training.world.bodies.trees import liver_vessels, lung_vessels
from training.world.brushes import distance, eroded, shell
from training.world.materials import ID, Material
from training.world.scene import label_boxes

MUSCLES = tuple(n for n in ID if n.startswith(("autochthon", "iliopsoas", "gluteus")))
BONES = tuple(
    n
    for n in ID
    if n.startswith(
        ("vertebrae", "rib_", "hip", "femur", "humerus", "scapula", "clavicula", "sacrum", "skull", "stern")
    )
)
ARTERIES = ("aorta", "brachiocephalic_trunk", "subclavian", "common_carotid", "iliac_artery")
VEINS = ("superior_vena_cava", "inferior_vena_cava", "brachiocephalic_vein", "iliac_vena")

# materials of organs whose name starts so; the later entry wins where both fit
_STARTS: tuple[tuple[tuple[str, ...], Material], ...] = (
    (("lung",), Material.LUNG),
    (("trachea",), Material.AIRWAY),
    (MUSCLES, Material.MUSCLE),
    (BONES, Material.SPONGIOSA),
    (("costal_cartilages",), Material.CARTILAGE),
    (ARTERIES, Material.ARTERY),
    (VEINS, Material.VEIN),
    (("portal_vein",), Material.PORTAL),
    (("pulmonary_vein", "atrial_appendage"), Material.BLOOD_LEFT),
    (("heart",), Material.MYOCARDIUM),
    (("liver",), Material.LIVER),
    (("spleen",), Material.SPLEEN),
    (("pancreas",), Material.PANCREAS),
    (("adrenal",), Material.ADRENAL),
    (("kidney",), Material.RENAL_CORTEX),
    (("kidney_cyst",), Material.FLUID),
    (("gallbladder",), Material.BILE),
    (("urinary_bladder",), Material.URINE),
    (("prostate",), Material.PROSTATE),
    (("thyroid",), Material.THYROID),
    (("esophagus",), Material.OESOPHAGUS),
    (("stomach",), Material.STOMACH_LUMEN),
    (("small_bowel", "duodenum"), Material.BOWEL_LUMEN),
    (("colon",), Material.STOOL),
    (("spinal_cord",), Material.CORD),
    (("brain",), Material.WHITE_MATTER),
)
PARTS: dict[str, tuple[int, Material]] = {
    "heart_myocardium": (ID["heart"], Material.MYOCARDIUM),
    "heart_atrium_left": (ID["heart"], Material.BLOOD_LEFT),
    "heart_ventricle_left": (ID["heart"], Material.BLOOD_LEFT),
    "heart_atrium_right": (ID["heart"], Material.BLOOD_RIGHT),
    "heart_ventricle_right": (ID["heart"], Material.BLOOD_RIGHT),
    "pulmonary_artery": (0, Material.BLOOD_RIGHT),
    "face": (0, Material.MUSCLE),
}
"""Organs that only TotalSegmentator v1 names: their label in v2 and their material."""

# chambers of the heart: offset and radii (I, P, L) in mm of a heart of 46 x 43 x 63 mm radii, as the procedural body's
_CHAMBERS = (
    ((6, 4, 20), (21, 21, 33), Material.BLOOD_LEFT),
    ((-14, 26, -4), (22, 17, 26), Material.BLOOD_LEFT),
    ((14, -22, 0), (18, 14, 36), Material.BLOOD_RIGHT),
    ((8, 2, -36), (28, 22, 17), Material.BLOOD_RIGHT),
    ((-24, -20, 18), (14, 12, 12), Material.BLOOD_RIGHT),
)
_HEART_ML = 4 / 3 * np.pi * 46 * 43 * 63 / 1000
_HEART_TURN = (38, -28, 0)


def _materials() -> Tensor:
    table = torch.zeros(256, dtype=torch.uint8)
    for starts, material in _STARTS:
        for name, label in ID.items():
            if name.startswith(starts):
                table[label] = int(material)
    return table


MATERIAL_OF = _materials()
"""The main material of each label; 0 where there is none."""


def derive(
    labels: Tensor,
    spacing: float,
    rng: np.random.Generator,
    hu: Tensor | None = None,
    parts: dict[Material, Tensor] | None = None,
) -> Tensor:
    """Tissue (I, P, L) uint8 of the labelled voxels; 0 elsewhere.

    Parameters
    ----------
    labels : (I, P, L) uint8
        TotalSegmentator v2 ids.
    spacing : float
        Isotropic, mm.
    hu : (I, P, L) float32, optional
        CT on the same grid.
    parts : mapping of Material to (I, P, L) bool, optional
        What a map says itself of tissues within organs, as v1 does of the heart's chambers.
    """
    tissue = MATERIAL_OF.to(labels.device)[labels.long()]
    o = Outlines(labels, tissue, spacing, label_boxes(labels), rng, hu)
    for name in BONES:
        _bone(o, name)
    for name in ("kidney_left", "kidney_right"):
        _kidney(o, name)
    _hollow(o, "stomach", 3.5, Material.STOMACH_WALL, folds=0.0)
    _hollow(o, "duodenum", 2.5, Material.BOWEL_WALL, folds=0.0)
    _hollow(o, "small_bowel", 2.0, Material.BOWEL_WALL, folds=0.22)
    _hollow(o, "colon", 2.0, Material.COLON_WALL, folds=0.0)
    _hollow(o, "urinary_bladder", 2.5, Material.BLADDER_WALL, folds=0.0)
    _cord(o)
    _brain(o)
    for material, mask in (parts or {}).items():
        tissue[mask] = int(material)
    if not parts or Material.BLOOD_LEFT not in parts:
        _heart(o)
    if hu is None:
        lung_vessels(o)
        liver_vessels(o)
    else:
        _by_attenuation(o, hu)
    return tissue


def _bone(o: Outlines, name: str) -> None:
    found = o.organ(name)
    if found is None:
        return
    box, mask = found
    if o.hu is not None:
        hu = o.hu[box]
        o.put(box, mask & (hu > 330), Material.CORTEX)
        o.put(box, mask & (hu < 0), Material.MARROW)
        o.put(box, mask & (hu > 2200), Material.METAL)
        return
    rim = mask & ~eroded(mask, o.thick(1.5), o.spacing)
    if name.startswith(("vertebrae", "sacrum", "sternum")):  # a shell of a fraction of a voxel
        rim &= o.noise(mask, 5.0) > -0.2
    o.put(box, rim, Material.CORTEX)
    if name.startswith(("femur", "humerus")):  # the shaft is a tube of thick cortex around marrow
        rows = mask.flatten(1).sum(1)
        narrow = (rows > 0) & (rows < 0.55 * rows.max())
        deep = eroded(mask, 5.0, o.spacing)
        o.put(box, mask & ~deep & narrow[:, None, None], Material.CORTEX)
        o.put(box, deep & narrow[:, None, None], Material.MARROW)
    elif name == "skull":
        o.put(box, mask & ~rim, Material.SPONGIOSA)


def _kidney(o: Outlines, name: str) -> None:
    """Cortex, medulla with columns, and a sinus with fat and pelvis: the deepest part, toward the hilum."""
    found = o.organ(name)
    if found is None:
        return
    box, mask = found
    depth = distance(~mask, o.spacing, 24.0).clamp(max=24.0)
    inner = mask & (depth > 7)
    o.put(box, inner & ~((o.noise(mask, 11.0) > 1.0) & (depth < 13)), Material.RENAL_MEDULLA)
    deepest = float(depth[mask].max())
    if o.hu is not None:
        hu = o.hu[box]
        o.put(box, mask & (hu < 0), Material.SINUS_FAT)
    if deepest < 10:
        return
    sinus = mask & (depth > max(9.0, 0.72 * deepest))
    if o.hu is not None:  # where the label includes the sinus, its pelvis is water
        hu = o.hu[box]
        sinus &= (hu < 20) & (hu > -12)
        o.put(box, sinus, Material.RENAL_PELVIS)
        return
    o.put(box, sinus, Material.SINUS_FAT)
    o.put(box, sinus & (o.noise(mask, 9.0) > 0.2), Material.RENAL_PELVIS)


def _hollow(o: Outlines, name: str, wall_mm: float, wall: Material, folds: float) -> None:
    """A wall around contents; ``folds`` are the walls between loops that share one label."""
    found = o.organ(name)
    if found is None:
        return
    box, mask = found
    rim = mask & ~eroded(mask, o.thick(wall_mm), o.spacing)
    if folds and o.hu is None:
        rim |= mask & (o.noise(mask, 22.0).abs() < folds)
    if o.hu is not None:
        hu = o.hu[box]
        if name == "small_bowel":  # loops touch: walls and collapsed loops are told by their density alone
            rim |= mask & (hu > 45) & (hu < 140)
        rim &= hu > -150
    o.put(box, rim, wall)


def _cord(o: Outlines) -> None:
    """The cord in its canal: fat and fluid around it, up to the bone."""
    found = o.organ("spinal_cord")
    if found is None:
        return
    box, mask = found
    deep = eroded(mask, o.thick(3.0), o.spacing)
    o.put(box, mask & ~deep, Material.CANAL)


def _brain(o: Outlines) -> None:
    found = o.organ("brain")
    if found is None:
        return
    box, mask = found
    depth = distance(~mask, o.spacing, 8.0)
    folded = depth + 4 * o.noise(mask, 9.0)
    o.put(box, mask & (folded < 5), Material.GREY_MATTER)
    o.put(box, mask & (depth < o.thick(2.0)) & (o.noise(mask, 7.0) > 0.3), Material.CSF)
    middle = torch.nonzero(mask).float().mean(0)
    size = (float(mask.sum()) * o.spacing**3 / 1.3e6) ** (1 / 3)
    for side in (-1, 1):
        offset = torch.tensor((0.0, 0.0, side * 11.0), device=mask.device) * size
        lateral = _ellipsoid(mask, middle + offset / o.spacing, np.array((9, 32, 6)) * size / o.spacing)
        o.put(box, mask & lateral, Material.CSF)


def _heart(o: Outlines) -> None:
    """Chambers at their usual places of a heart of this size, under a wall."""
    found = o.organ("heart")
    if found is None:
        return
    box, mask = found
    ml = float(mask.sum()) * o.spacing**3 / 1000
    if ml < 80:
        return
    size = min(1.3, (ml / _HEART_ML) ** (1 / 3)) / o.spacing
    middle = torch.nonzero(mask).float().mean(0)
    deep = eroded(mask, o.thick(2.5), o.spacing)
    for offset, radii, material in _CHAMBERS:
        centre = middle + torch.tensor(offset, device=mask.device).float() * size
        inside = _ellipsoid(mask, centre, np.array(radii) * size, rotation(_HEART_TURN))
        o.put(box, deep & inside, material)


def _ellipsoid(like: Tensor, centre: Tensor, radii: np.ndarray, turn: np.ndarray | None = None) -> Tensor:
    axes = [torch.arange(n, device=like.device, dtype=torch.float32) for n in like.shape]
    d = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) - centre
    if turn is not None:
        d = d @ torch.from_numpy(np.asarray(turn, np.float32)).to(like.device)
    return ((d / torch.from_numpy(np.asarray(radii, np.float32)).to(like.device)) ** 2).sum(-1) < 1


def _by_attenuation(o: Outlines, hu: Tensor) -> None:
    """What a CT shows within organs: gas, vessels of the lung, fat between, calcium."""
    t = o.tissue

    def made_of(*materials: Material) -> Tensor:
        out = torch.zeros_like(t, dtype=torch.bool)
        for material in materials:
            out |= t == int(material)
        return out

    lung = made_of(Material.LUNG)
    t[lung & (hu > -550) & ~shell(lung)] = int(Material.LUNG_VESSEL)
    contents = made_of(
        Material.STOMACH_LUMEN, Material.BOWEL_LUMEN, Material.STOOL, Material.OESOPHAGUS, Material.STOMACH_WALL
    )
    t[contents & (hu < -250)] = int(Material.GAS)
    meat = made_of(Material.MUSCLE, Material.MYOCARDIUM, Material.PANCREAS)
    t[meat & (hu < -40)] = int(Material.FAT)
    soft = made_of(Material.LIVER, Material.SPLEEN, Material.BILE, Material.PROSTATE, Material.VEIN, Material.THYROID)
    t[soft & (hu > 330)] = int(Material.CALCIUM)
    artery = made_of(Material.ARTERY)
    if bool(artery.any()):
        level = float(hu[artery].median())
        t[artery & (hu > max(130.0, level + 110.0)) & shell(artery)] = int(Material.CALCIUM)
