"""Organs by their outlines, and the tissue that is being made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from training.world.brushes import smooth_field
from training.world.materials import ID, Material
from training.world.scene import Box


@dataclass(eq=False)
class Outlines:
    """Organs by their outlines, and the tissue that is made of them.

    Attributes
    ----------
    labels, tissue : (I, P, L) uint8
    spacing : float
        Isotropic, mm.
    boxes : list of Box or None
        Box of label n at n - 1.
    rng : Generator
        What the outlines do not say is drawn.
    hu : (I, P, L) float32, optional
        The CT, which then decides what is gas, cortex or fat.
    """

    labels: Tensor
    tissue: Tensor
    spacing: float
    boxes: list[Box | None]
    rng: np.random.Generator
    hu: Tensor | None = None

    def organ(self, name: str) -> tuple[Box, Tensor] | None:
        """Box, one voxel wider, and mask of an organ that is there."""
        box = self.boxes[ID[name] - 1]
        if box is None:
            return None
        a, b, c = (slice(max(0, s.start - 1), min(n, s.stop + 1)) for s, n in zip(box, self.labels.shape, strict=True))
        return (a, b, c), self.labels[a, b, c] == ID[name]

    def put(self, box: Box, mask: Tensor, material: Material) -> None:
        """Make the voxels of a mask of a material."""
        self.tissue[box][mask] = int(material)

    def noise(self, mask: Tensor, mm: float) -> Tensor:
        """A smooth field over a box."""
        return smooth_field(self.rng, tuple(mask.shape), mm / self.spacing, mask.device)

    def thick(self, mm: float) -> float:
        """A wall is at least a voxel."""
        return max(mm, self.spacing * 1.01)
