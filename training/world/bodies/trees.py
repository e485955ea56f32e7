"""Vessels of lung and liver that an outline does not show: bowed branches that taper."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.world.bodies.outlines import Outlines
from training.world.brushes import dilated, eroded
from training.world.materials import ID, Material


def lung_vessels(o: Outlines) -> None:
    """A tree in each lobe from its place nearest to the heart."""
    middle = o.organ("heart") or o.organ("trachea")
    if middle is None:
        return
    box, mask = middle
    start = torch.tensor([s.start for s in box], device=mask.device)
    heart = torch.nonzero(mask).float().mean(0) + start
    for lobe in (n for n in ID if n.startswith("lung")):
        found = o.organ(lobe)
        if found is None:
            continue
        box, mask = found
        sites = torch.nonzero(mask).float()
        if len(sites) < 200:
            continue
        start = torch.tensor([s.start for s in box], device=mask.device)
        # the hilum: a place of the lobe near the upper part of the heart
        hilum = sites[((sites + start - heart) ** 2).sum(1).argmin()]
        tree = _tree(o, mask, hilum, sites, branches=26, thick=4.0)
        o.put(box, tree & mask, Material.LUNG_VESSEL)


def liver_vessels(o: Outlines) -> None:
    """Hepatic veins toward the caval vein, portal branches from the portal vein."""
    found = o.organ("liver")
    if found is None:
        return
    box, mask = found
    sites = torch.nonzero(eroded(mask, 8.0, o.spacing)).float()
    if len(sites) < 200:
        return
    start = torch.tensor([s.start for s in box], device=mask.device)
    for vessel, material in (
        ("inferior_vena_cava", Material.VEIN),
        ("portal_vein_and_splenic_vein", Material.PORTAL),
    ):
        source = o.organ(vessel)
        if source is None:
            continue
        own = torch.tensor([s.start for s in source[0]], device=mask.device)
        trunk = torch.nonzero(source[1])
        root = (trunk[int(trunk[:, 0].argmin())] + own - start).float()  # both enter the liver at their upper end
        tree = _tree(o, mask, root, sites, branches=6, thick=4.5)
        o.put(box, tree & mask, material)


def _tree(o: Outlines, mask: Tensor, root: Tensor, sites: Tensor, branches: int, thick: float) -> Tensor:
    """Bowed, tapering branches from a root to random sites of a box; a third of them leave an earlier one."""
    layers = [torch.zeros_like(mask) for _ in range(3)]
    limits = torch.tensor(mask.shape, device=mask.device) - 1
    ends: list[Tensor] = []
    for n in range(branches):
        end = sites[int(o.rng.integers(len(sites)))]
        start = root
        if n > branches // 2:
            start = root + (ends[int(o.rng.integers(len(ends)))] - root) * float(o.rng.uniform(0.3, 0.8))
        ends.append(end)
        length = float((end - start).norm())
        t = torch.linspace(0, 1, max(3, int(length * 1.5)), device=mask.device)[:, None]
        bow = torch.from_numpy(o.rng.normal(0, 0.08, 3).astype(np.float32)).to(mask.device) * length
        path = (start + (end - start) * t + bow * torch.sin(np.pi * t)).round().long()
        inside = ((path >= 0) & (path <= limits)).all(1)
        radius = thick * (1 - t[:, 0]) * (1.0 if n <= branches // 2 else 0.6)
        for k, layer in enumerate(layers):
            low = k * o.spacing
            part = path[inside & (radius >= low) & (radius < low + o.spacing)]
            layer[part[:, 0], part[:, 1], part[:, 2]] = True
    whole = layers[0]
    for k in (1, 2):
        if bool(layers[k].any()):
            whole = whole | dilated(layers[k], k * o.spacing * 0.75, o.spacing)
    return whole
