"""What a real scan is like: its contrast phase and HU by material, its noise, its point spread."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from training.world.brushes import eroded
from training.world.imaging.contrast import Contrast, Phase, draw_contrast
from training.world.materials import Material
from training.world.scene import label_boxes, tight_box

FEWEST = 60
"""Voxels that a material needs to be measured."""

# where tissue is guessed within an organ, a measurement would be of the guess
_NOT_MEASURED = (
    Material.AIR,
    Material.TABLE,
    Material.SKIN,
    Material.GAS,
    Material.CANAL,
    Material.SINUS_FAT,
    Material.RENAL_PELVIS,
    Material.CALCIUM,
    Material.METAL,
    Material.LUNG_VESSEL,
    Material.STOMACH_WALL,
    Material.BOWEL_WALL,
    Material.COLON_WALL,
    Material.BLADDER_WALL,
    Material.STOMACH_LUMEN,
    Material.BOWEL_LUMEN,
    Material.STOOL,
)
_STEADY = (Material.LIVER, Material.SPLEEN, Material.MUSCLE, Material.URINE, Material.MYOCARDIUM, Material.FAT)
"""Tissues whose HU vary by little but noise, the steadiest first."""


@dataclass(frozen=True)
class Grain:
    """Noise of a scan.

    Attributes
    ----------
    sd : float
        Standard deviation in HU, at least 1.
    sigma : (float, float, float)
        Width in voxels along I, P, L of the blur that white noise needs to be correlated like it; 0 for white.
    """

    sd: float
    sigma: tuple[float, float, float]


def measure_contrast(hu: Tensor, tissue: Tensor, rng: np.random.Generator) -> Contrast:
    """Phase and mean HU by material: measured where the scan shows enough of a material, else drawn for its phase.

    Parameters
    ----------
    hu : (I, P, L) float32
        Best with its noise taken out.
    tissue : (I, P, L) uint8
    """
    means = _medians(hu, tissue)
    phase = phase_of(means)
    drawn = draw_contrast(rng, phase=phase)
    mean = drawn.mean.copy()
    blood = means.get(Material.ARTERY)
    if blood is not None:
        mean[[Material.BLOOD_LEFT]] = blood
        if phase == "native":
            mean[[Material.VEIN, Material.PORTAL, Material.BLOOD_RIGHT]] = blood
    for material, value in means.items():
        mean[material] = value
    water = means.get(Material.URINE, 5.0)
    excreted = phase != "native" and water > 60
    if not excreted:
        mean[Material.RENAL_PELVIS] = float(np.clip(water, -3, 20))
    if Material.BILE not in means:
        mean[Material.BILE] = float(rng.uniform(0, 15))
    return replace(drawn, mean=mean, excretion=bool(excreted))


def phase_of(means: dict[Material, float]) -> Phase:
    """The contrast phase that mean HU speak of.

    Native where blood is below 85 HU; arterial where arteries are far brighter than veins, or beyond what later phases
    reach; delayed where blood has fallen near the liver or the bladder holds contrast medium; else portal.
    """
    blood = means.get(Material.ARTERY, means.get(Material.BLOOD_LEFT))
    vein = means.get(Material.PORTAL, means.get(Material.VEIN))
    if blood is None:
        kidney = means.get(Material.RENAL_CORTEX, means.get(Material.SPLEEN, 40.0))
        return "native" if kidney < 80 else "portal"
    if blood < 85:
        return "native"
    if blood > 210 or (vein is not None and blood > 150 and blood - vein > 60):
        return "arterial"
    if means.get(Material.URINE, 0.0) > 60 or (blood < 110 and means.get(Material.LIVER, 100.0) < 90):
        return "delayed"
    return "portal"


def _medians(hu: Tensor, tissue: Tensor) -> dict[Material, float]:
    """Median HU of each measured material: of voxels among their like, where there are enough."""
    inner = torch.ones_like(tissue, dtype=torch.bool)
    for axis in range(3):
        n = tissue.shape[axis]
        border = tissue.narrow(axis, 0, n - 1) != tissue.narrow(axis, 1, n - 1)
        inner.narrow(axis, 0, n - 1).logical_and_(~border)
        inner.narrow(axis, 1, n - 1).logical_and_(~border)
    out = {}
    for number, box in enumerate(label_boxes(tissue)[: max(Material)], 1):
        material = Material(number)
        if box is None or material in _NOT_MEASURED:
            continue
        part = hu[box]
        mask = tissue[box] == number
        values = part[mask & inner[box]]
        values = values if len(values) >= FEWEST else part[mask]
        if len(values) >= FEWEST:
            out[material] = float(values[:: max(1, len(values) // 200_000)].median())
    return out


def measure_noise(hu: Tensor, tissue: Tensor, spacing: float) -> Grain:
    """Noise within the steadiest tissue in view: a robust spread of differences to the voxels around."""
    for material in _STEADY:
        box = tight_box(tissue == int(material))
        if box is None:
            continue
        mask, part = tissue[box] == int(material), hu[box]
        deep = eroded(mask, max(spacing * 2.01, 3.0), spacing)
        if int(deep.sum()) < 400:
            continue
        rest = torch.where(deep, part - local_mean(part, mask.float(), max(2, round(6 / spacing))), 0.0)
        values = rest[deep]
        sd = 1.4826 * float((values - values.median()).abs().median())
        sigma = tuple(_correlation_width(rest, deep, axis) for axis in range(3))
        return Grain(max(1.0, sd), (sigma[0], sigma[1], sigma[2]))
    return Grain(10.0, (0.0, 0.0, 0.0))


def local_mean(volume: Tensor, weight: Tensor, reach: int) -> Tensor:
    """Mean over a cube of 2 ``reach`` + 1 voxels of what has weight; running sums, so the reach costs nothing."""
    total, count = volume * weight, weight
    for axis in range(3):
        total, count = _box_sum(total, axis, reach), _box_sum(count, axis, reach)
    return total / count.clamp(min=1e-3)


def _box_sum(volume: Tensor, axis: int, reach: int) -> Tensor:
    n = volume.shape[axis]
    sums = torch.cat([torch.zeros_like(volume.narrow(axis, 0, 1)), volume.cumsum(axis, dtype=torch.float64)], axis)
    at = torch.arange(n, device=volume.device)
    high, low = (at + reach + 1).clamp(max=n), (at - reach).clamp(min=0)
    return (sums.index_select(axis, high) - sums.index_select(axis, low)).to(volume.dtype)


def _correlation_width(rest: Tensor, mask: Tensor, axis: int) -> float:
    """Blur in voxels that gives noise its correlation with the next voxel: rho = exp(-1 / (4 sigma^2))."""
    n = rest.shape[axis]
    a, b = rest.narrow(axis, 0, n - 1), rest.narrow(axis, 1, n - 1)
    both = mask.narrow(axis, 0, n - 1) & mask.narrow(axis, 1, n - 1)
    x, y = a[both].double(), b[both].double()
    if len(x) < 100:
        return 0.0
    rho = float((x * y).mean() / (x.std() * y.std()).clamp(min=1e-9))
    return 0.0 if rho < 0.03 else float(np.sqrt(-1 / (4 * np.log(min(rho, 0.95)))))


def measure_spread(hu: Tensor, spacing: tuple[float, float, float]) -> tuple[float, float, float]:
    """Width (Gaussian sigma in mm along I, P, L) of the point spread, from how steep the skin's edge to air is.

    An edge of height h under a Gaussian blur rises at most by h / (sigma sqrt(2 pi)) a mm. The steepest of many edges
    are those that an axis meets straight on. Where an axis meets too few, its width follows from the voxels.
    """
    plane = [_edge_width(hu, axis, spacing[axis]) for axis in (1, 2)]
    found = [w for w in plane if w is not None]
    across = float(np.mean(found)) if found else 0.6 * spacing[1]
    # along the body few edges are met straight on, but slices are rarely sharper than they are thick
    return max(across, 0.4 * spacing[0]), across, across


def _edge_width(hu: Tensor, axis: int, step: float, reach: int = 3) -> float | None:
    n = hu.shape[axis]
    if n < 2 * reach + 2:
        return None
    first, last = hu.narrow(axis, 0, n - 2 * reach), hu.narrow(axis, 2 * reach, n - 2 * reach)
    height = (last - first).abs()
    low, high = torch.minimum(first, last), torch.maximum(first, last)
    edge = (low < -900) & (high > -130) & (high < 120)
    if int(edge.sum()) < 80:
        return None
    slope = hu.diff(dim=axis).abs()
    steepest = torch.stack([slope.narrow(axis, k, n - 2 * reach)[edge] for k in range(2 * reach)]).amax(0)
    ratio = (steepest / height[edge]).float()
    sharp = float(ratio[:: max(1, len(ratio) // 100_000)].quantile(0.8).clamp(0.05, 0.98))
    # a difference over one voxel averages the slope, which the error function undoes: sharp = erf(step / (2 sqrt2 s))
    width = step / (2 * np.sqrt(2) * float(torch.erfinv(torch.tensor(sharp))))
    return float(np.clip(width, 0.3, 2.5))


def without_noise(hu: Tensor, sd: float, reach: int = 2) -> Tensor:
    """Means over neighbours of nearly the same HU, one axis after the other (sigma filter: Lee, CVGIP 1983;24:255).

    What differs by more than noise does, such as vessels and borders, stays.
    """
    out = hu
    for axis in range(3):
        n = out.shape[axis]
        total, count = out.clone(), torch.ones_like(out)
        for k in range(1, min(reach, n - 1) + 1):
            a, b = out.narrow(axis, 0, n - k), out.narrow(axis, k, n - k)
            like = ((b - a).abs() < 2.5 * sd).to(out.dtype)
            total.narrow(axis, 0, n - k).addcmul_(b, like)
            total.narrow(axis, k, n - k).addcmul_(a, like)
            count.narrow(axis, 0, n - k).add_(like)
            count.narrow(axis, k, n - k).add_(like)
        out = total / count
    return out
