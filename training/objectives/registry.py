"""The methods by name; each is made with the width of the space that images and texts share."""

from __future__ import annotations

from collections.abc import Callable

from .base import Objective
from .clip import Clip, Siglip
from .ctglip import CtGlip
from .fvlm import Fvlm
from .fvlm_coteach import FvlmCoteach
from .ours import Ours
from .t3d import T3d

METHODS: dict[str, Callable[[int], Objective]] = {
    "clip": lambda dim: Clip(),
    "siglip": lambda dim: Siglip(),
    "ctglip": lambda dim: CtGlip(),
    "ctglip-paper": lambda dim: CtGlip(within=0.0),
    "fvlm": lambda dim: Fvlm(),
    "fvlm-no-normal": lambda dim: Fvlm(normals=False),
    "fvlm-no-abnormal": lambda dim: Fvlm(abnormals=False),
    "fvlm-plain": lambda dim: Fvlm(normals=False, abnormals=False),
    "fvlm-coteach": lambda dim: FvlmCoteach(),
    "t3d": lambda dim: T3d(dim),
    "ours": lambda dim: Ours(),
    "ours-bank": lambda dim: Ours(bank=64),
}
"""Also the ablations: fvlm without one or both corrections of false negatives, CT-GLIP without our third term."""
