"""A body: where every organ is and what it is made of; and where bodies come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Sex = Literal["female", "male"]
Arms = Literal["up", "down", "unknown"]


@dataclass(frozen=True, eq=False)
class Body:
    """A body before deformation, abnormalities and imaging.

    Attributes
    ----------
    labels : (I, P, L) uint8
        TotalSegmentator v2 ids, 0 where no organ is named.
    tissue : (I, P, L) uint8
        ``Material`` of every voxel.
    spacing : float
        Isotropic voxel size in mm.
    sex : str
        female or male.
    age : float
        In years; bones, vessels and muscles follow it.
    arms : str
        Beside the head, beside the trunk, or unknown.
    """

    labels: NDArray[np.uint8]
    tissue: NDArray[np.uint8]
    spacing: float
    sex: Sex
    age: float = 55.0
    arms: Arms = "unknown"


class BodySource(Protocol):
    """Where bodies come from: the procedural ones, or a folder of label maps."""

    def body(self, number: int, spacing: float) -> Body:
        """Body ``number`` (not negative; any number is valid) at a spacing in mm; the same arguments give the same
        body."""
        ...
