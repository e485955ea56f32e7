"""From materials to noise-free Hounsfield units: bowel contents, texture, bone density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.world.brushes import blurred, smooth_field
from training.world.imaging.contrast import Contrast, Float
from training.world.imaging.fields import Interpolated, RandomField, slabs
from training.world.materials import ID, N_MATERIALS, Material
from training.world.scene import Box, tight_box


def fill_bowel(tissue: Tensor, labels: Tensor, boxes: Sequence[Box | None], rng: np.random.Generator) -> None:
    """Replace lumen by gas where it rises to the front.

    The stomach's level is flat; along the bowel it differs, and stool's surface is uneven (its mottling comes from
    texture).
    """
    for name, lumen, share, rough in (
        ("stomach", Material.STOMACH_LUMEN, 0.75, 0.0),
        ("colon", Material.STOOL, 0.85, 3.5),
        ("small_bowel", Material.BOWEL_LUMEN, 0.2, 1.0),
        ("duodenum", Material.BOWEL_LUMEN, 0.2, 0.5),
    ):
        own = np.random.default_rng(rng.integers(2**63))  # what one organ needs does not change the others
        box = boxes[ID[name] - 1]
        if box is None or own.random() > share:
            continue
        mask = (labels[box] == ID[name]) & (tissue[box] == int(lumen))
        if not bool(mask.any()):
            continue
        p = torch.arange(mask.shape[1], device=mask.device, dtype=torch.float32)[None, :, None]
        count, total = mask.sum(1).float()[None], (mask * p).sum(1)[None]
        offset = own.normal(-1.0 if name != "small_bowel" else -5.0, 2.5)
        if rough:
            level = (blurred(total, 4) / blurred(count, 4).clamp(min=1e-3))[0]
            level = level + rough * smooth_field(own, (1, *level.shape), 9.0, mask.device)[0]
        else:
            rows = torch.nonzero(mask.any(0).any(1)).flatten()
            first, last = float(rows[0]), float(rows[-1])
            level = torch.full(mask.shape[::2], first + (last - first) * float(own.beta(2.5, 3.0)), device=mask.device)
        tissue[box][mask & (p < (level + offset)[:, None, :])] = int(Material.GAS)


def render(tissue: Tensor, labels: Tensor, contrast: Contrast, rng: np.random.Generator) -> Tensor:
    """Noise-free HU of a volume: mean by material, texture on two scales, density by bone, the lung's gradient.

    Borders stay sharp, so that what is painted next keeps its HU; the scanner's point spread softens them.
    """
    shape, device = tuple(tissue.shape), tissue.device
    fine = RandomField(rng, shape, float(rng.uniform(1.8, 3.2)), device)
    coarse = RandomField(rng, shape, float(rng.uniform(8.0, 16.0)), device)
    look = _Look.draw(contrast, rng)
    tables = [torch.from_numpy(t).to(device) for t in (contrast.mean, contrast.texture, contrast.coarse, look.patchy)]
    density = torch.from_numpy(look.density).to(device)
    cortex = _cortex_around(tissue)
    middle = torch.linspace(-1, 1, shape[2], device=device).abs()
    down = torch.linspace(-look.slope / 2, look.slope / 2, shape[1], device=device)[:, None]
    hu = torch.empty(shape, device=device)
    for rows in slabs(shape, device):
        part = tissue[rows]
        index = part.flatten().int()
        mean, small, wide, patchy = (t.index_select(0, index).view(part.shape) for t in tables)
        one, two = fine.slab(rows), coarse.slab(rows)
        out = mean.addcmul_(small, one).addcmul_(wide, two)
        # the lung is denser where it is dependent, and small vessels crowd towards the hilum
        vessels = (one - look.bare).clamp_(min=0).mul_((1.3 - middle) * look.vessels).add_(down)
        out.addcmul_((part == int(Material.LUNG)).float(), vessels)
        if look.calcified:
            cartilage = (part == int(Material.CARTILAGE)) & (labels[rows] == ID["costal_cartilages"])
            out.addcmul_(cartilage.float(), (one > look.level).float(), value=look.calcified)
        bone = density.index_select(0, labels[rows].flatten().int()).view(part.shape)
        if cortex is not None:
            bone.add_(cortex.slab(rows), alpha=look.rim).sub_(0.25 * look.rim)
        out.addcmul_((part == int(Material.SPONGIOSA)).float(), bone)
        # fat between muscle fibres and pancreatic lobules, gas in stool: one-sided, in patches
        out.addcmul_(patchy, one.add_(two, alpha=look.clumps).sub_(look.bar).clamp_(min=0))
        hu[rows] = out
    if contrast.mottle > 0:
        _mottle(hu, tissue, contrast.mottle, rng)
    return hu


@dataclass(frozen=True, eq=False)
class _Look:
    """What differs between patients besides the means: of lung, cartilage, bone, and patches of fat and gas."""

    slope: float
    vessels: float
    bare: float
    calcified: float
    level: float
    rim: float
    clumps: float
    bar: float
    patchy: Float
    density: Float

    @classmethod
    def draw(cls, contrast: Contrast, rng: np.random.Generator) -> _Look:
        patchy = np.zeros(N_MATERIALS, np.float32)
        patchy[Material.MUSCLE] = -contrast.fatty
        patchy[Material.PANCREAS] = -rng.uniform(0.2, 0.9) * contrast.fatty
        patchy[Material.STOOL] = -rng.uniform(20, 260)
        patchy[Material.STOMACH_LUMEN] = rng.uniform(-30, 25)
        calcified = float(rng.uniform(150, 500)) if rng.random() < 0.35 else 0.0
        slope, vessels, bare, level = rng.uniform((0, 10, 0.7, 0.5), (130, 110, 1.3, 1.4)).tolist()
        rim, clumps, bar = rng.uniform((20, 0.3, -0.3), (170, 1.2, 0.8)).tolist()
        return cls(slope, vessels, bare, calcified, level, rim, clumps, bar, patchy, _density(rng))


def _density(rng: np.random.Generator) -> Float:
    """Trabecular bone relative to the vertebrae's, by label."""
    density = rng.normal(0, 12, 256).astype(np.float32)
    density[[ID["femur_left"], ID["femur_right"]]] += rng.uniform(0, 160)
    density[[ID["hip_left"], ID["hip_right"]]] += rng.uniform(-40, 90)
    density[[ID["sacrum"], ID["sternum"]]] -= rng.uniform(0, 45)
    for n in range(1, 13):
        density[[ID[f"rib_left_{n}"], ID[f"rib_right_{n}"]]] += rng.uniform(0, 120)
    return density


def _cortex_around(tissue: Tensor) -> Interpolated | None:
    """The share of cortex around every voxel, on a grid of every fourth: trabeculae are denser towards the cortex."""
    if min(tissue.shape) < 12:
        return None
    cortex = (tissue[::2, ::2, ::2] == int(Material.CORTEX)).float()
    around = F.avg_pool3d(F.avg_pool3d(cortex[None, None], 2, ceil_mode=True), 3, 1, 1)[0, 0]
    return Interpolated(around, tissue.shape)


def _mottle(hu: Tensor, tissue: Tensor, amplitude: float, rng: np.random.Generator) -> None:
    """Stripes of early enhancement of the spleen."""
    waves = float(rng.uniform(3.0, 5.0))
    mask = tissue == int(Material.SPLEEN)
    box = tight_box(mask)
    if box is None:
        return
    mask = mask[box]
    phase = smooth_field(rng, tuple(mask.shape), 9.0, hu.device)
    hu[box].addcmul_(mask.float(), torch.sin(phase * waves) * amplitude)


def layer_urine(hu: Tensor, tissue: Tensor, box: Box | None, rng: np.random.Generator) -> None:
    """Excreted contrast is heavy: it lies at the back of the bladder."""
    if box is None:
        return
    mask = tissue[box] == int(Material.URINE)
    rows = torch.nonzero(mask.any(0).any(1))
    if len(rows) == 0:
        return
    first, last = int(rows[0]), int(rows[-1])
    level = first + rng.uniform(0.2, 0.9) * (last - first)
    p = torch.arange(mask.shape[1], device=hu.device)[None, :, None]
    hu[box] += (mask & (p >= level)) * float(rng.uniform(100, 700))
