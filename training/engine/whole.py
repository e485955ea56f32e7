"""The whole of a view as one large organ: the tokens that hold any of the patient."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_ctvlp.encoder.pooling import organ_densities
from napari_ctvlp.encoder.tokens import OrganIndex, OrganTokens
from napari_ctvlp.encoder.vision import VisionTower

BODY = -0.8
"""A voxel is of the patient (or the couch) where a window's value is above this: -920 HU in the lung window."""


def whole_of(tower: VisionTower, image: Tensor) -> OrganIndex:
    """Tokens of the patient on a tower's feature maps."""
    return tower.at_depths(whole_index(image, tower.config.halvings, tower.config.spacing))


def whole_index(image: Tensor, depths: int, spacing: float) -> OrganIndex:
    """Tokens of the patient at every depth, one row a view.

    Parameters
    ----------
    image : (V, C, I, P, L) float32
        Windowed to -1..1.
    depths : int
        Halvings of the grid; depth k has stride 2**(k+1).
    spacing : float
        Voxel size in mm.

    Returns
    -------
    OrganIndex
        Geometry and densities as of organs; a view without any of the patient is taken whole.
    """
    views = torch.arange(len(image), device=image.device)
    body = image.amax(1) > BODY
    body = body | ~body.flatten(1).any(1)[:, None, None, None]
    count = body[:, None].float()
    levels, geometry = [], image.new_zeros(len(image), 5)
    for depth in range(depths):
        i, p, n = (size % 2 for size in count.shape[2:])
        count = 8 * F.avg_pool3d(F.pad(count, (0, n, 0, p, 0, i)), 2)
        if depth == 0:
            geometry = _geometry(count[:, 0], spacing)
        flat = count.flatten()
        token = flat.nonzero()[:, 0]
        segment = torch.div(token, flat.numel() // max(1, len(image)), rounding_mode="floor")
        levels.append(OrganTokens(token, segment, flat[token].log()))
    index = OrganIndex(views, torch.ones_like(views), geometry, tuple(levels))
    densities = organ_densities(image, body.to(torch.uint8), index)
    return replace(index, geometry=torch.cat([geometry, densities], 1))


def body_tokens(coarsest: Tensor, index: OrganIndex) -> tuple[Tensor, ...]:
    """(t, c) float32 tokens of the patient in each view, from the (V, c, i, p, l) map that ``index`` ends with."""
    rows = coarsest.permute(0, 2, 3, 4, 1).reshape(-1, coarsest.shape[1]).float()
    inside = index.levels[-1]
    sizes = torch.bincount(inside.segment, minlength=len(coarsest)).tolist()
    return rows.index_select(0, inside.token).split(sizes)


def _geometry(count: Tensor, spacing: float) -> Tensor:
    """(V, 5) log volume, extents and touched edge, as ``index_organs`` measures them on the finest tokens."""
    there = count > 0
    volume = (count.flatten(1).sum(1) * spacing**3 / 1000).log1p() / 4
    extents, edges = [], []
    for axis in (1, 2, 3):
        others = [a for a in (1, 2, 3) if a != axis]
        along = there.any(others[1]).any(others[0])
        size = along.shape[1]
        first, last = along.int().argmax(1), size - 1 - along.flip(1).int().argmax(1)
        extents.append((last - first + 1).float() * 2 * spacing / 150)
        edges.append((first == 0) | (last == size - 1))
    return torch.stack([volume, *extents, torch.stack(edges).any(0).float()], 1)
