"""Where the body of a vertebra is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.world.materials import ID, Material
from training.world.scene import Box, Scene


@dataclass(frozen=True, eq=False)
class VertebralBody:
    """The body of a vertebra, without arch and processes, in a box of the scene."""

    box: Box
    mask: Tensor
    wall: int

    @property
    def columns(self) -> Tensor:
        """(p, l) where it has voxels."""
        return self.mask.any(0)


def body_of(scene: Scene, label: int, margin_mm: float = 0.0) -> VertebralBody | None:
    """What of a vertebra lies in front of the spinal canal; where no canal is labelled, its front 55 percent."""
    box = scene.organ_box(label, margin_mm)
    mask = scene.labels[box] == label
    if float(mask.sum()) * scene.spacing**3 < 4_000:
        return None
    canal = (scene.labels[box] == ID["spinal_cord"]).any(0).any(1)
    rows = torch.nonzero(mask.any(0).any(1))[:, 0]
    wall = int(rows[0] + 0.55 * (rows[-1] - rows[0]))
    if bool(canal.any()):
        wall = int(torch.nonzero(canal)[0])
    front = mask.clone()
    front[:, wall:] = False
    if float(front.sum()) * scene.spacing**3 < 2_500:
        return None
    return VertebralBody(box, front, wall)


def body_sites(body: VertebralBody, scene: Scene) -> Tensor:
    inside = body.mask & (scene.tissue[body.box] == int(Material.SPONGIOSA))
    start = torch.tensor([s.start for s in body.box], device=inside.device)
    return torch.nonzero(inside) + start
